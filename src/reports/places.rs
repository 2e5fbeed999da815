//! Owns how many streams are open, in all and for each company. It waits for nobody: who finds no place is told so.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{ReportError, STREAMS_MAX, STREAMS_PER_COMPANY_MAX};
use crate::domain::ids::TenantId;

/// Who has a stream open: at most `STREAMS_MAX` in all.
#[derive(Clone, Debug, Default)]
pub struct Places(Arc<Mutex<HashMap<TenantId, usize>>>);

/// The right to have one stream open, until it is dropped.
#[derive(Debug)]
pub struct Place {
    places: Places,
    tenant: TenantId,
}

impl Places {
    /// A place, if there is one left.
    pub fn take(&self, tenant: TenantId) -> Result<Place, ReportError> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = taken.values().sum();
        let own = taken.entry(tenant).or_default();
        if *own >= STREAMS_PER_COMPANY_MAX {
            return Err(ReportError::CompanyBusy);
        }
        if all >= STREAMS_MAX {
            taken.retain(|_, count| *count > 0);
            return Err(ReportError::Busy);
        }
        *own += 1;
        Ok(Place { places: self.clone(), tenant })
    }

    /// How many are taken.
    pub fn open(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.tenant) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                taken.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use uuid::Uuid;

    use super::*;

    #[test]
    fn places_are_bounded_for_each_company_and_in_all() {
        let places = Places::default();
        let company = |number: u128| TenantId(Uuid::from_u128(number));
        let mut first: Vec<Place> = (0..STREAMS_PER_COMPANY_MAX).map(|_| places.take(company(1)).unwrap()).collect();
        assert!(matches!(places.take(company(1)), Err(ReportError::CompanyBusy)));
        let others: Vec<Place> = (STREAMS_PER_COMPANY_MAX..STREAMS_MAX)
            .map(|number| places.take(company(number as u128 + 2)).unwrap())
            .collect();
        assert!(matches!(places.take(company(0)), Err(ReportError::Busy)));
        first.pop();
        assert!(places.take(company(0)).is_ok());
        drop((first, others));
        assert!(places.0.lock().unwrap().is_empty());
    }
}
