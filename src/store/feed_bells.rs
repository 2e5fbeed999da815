//! Owns who is woken by a commit of facts: the listeners to a company's feed, bounded for each company and in all. As every bell
//! it promises nothing; whoever listens also looks by himself now and then.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;
use tokio::sync::watch;

use crate::domain::ids::TenantId;

/// Listeners of one company: an integration or two of each of its systems. Each is a connection, a task and a look at the
/// database for every batch of news.
pub const LISTENERS_PER_COMPANY_MAX: usize = 20;
/// Listeners in all: so many looks at once are a fraction of a second for the pool.
pub const LISTENERS_MAX: usize = 500;

/// Every feed's bell. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct FeedBells(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Only companies somebody listens to.
    companies: DashMap<TenantId, watch::Sender<()>>,
    listeners: AtomicUsize,
}

/// Why somebody cannot listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// The company has all its listeners.
    Company,
    /// The server has.
    Server,
}

/// A place at the bell, until it is dropped.
#[derive(Debug)]
pub struct FeedListener {
    bells: FeedBells,
    tenant: TenantId,
    /// `None` only while it is dropped.
    heard: Option<watch::Receiver<()>>,
}

impl FeedBells {
    /// Facts of the company were committed. Costs a look when nobody listens to anything.
    pub fn ring(&self, tenant: TenantId) {
        if self.0.listeners.load(Ordering::Relaxed) == 0 {
            return;
        }
        if let Some(bell) = self.0.companies.get(&tenant) {
            bell.send_replace(());
        }
    }

    /// Listens from now on.
    pub fn listen(&self, tenant: TenantId) -> Result<FeedListener, Full> {
        if self.0.listeners.fetch_add(1, Ordering::AcqRel) >= LISTENERS_MAX {
            self.0.listeners.fetch_sub(1, Ordering::AcqRel);
            return Err(Full::Server);
        }
        let bell = self.0.companies.entry(tenant).or_insert_with(|| watch::Sender::new(()));
        if bell.receiver_count() >= LISTENERS_PER_COMPANY_MAX {
            drop(bell);
            self.0.listeners.fetch_sub(1, Ordering::AcqRel);
            return Err(Full::Company);
        }
        let heard = bell.subscribe();
        drop(bell);
        Ok(FeedListener { bells: self.clone(), tenant, heard: Some(heard) })
    }

    /// How many listen.
    pub fn listeners(&self) -> usize {
        self.0.listeners.load(Ordering::Relaxed)
    }
}

impl FeedListener {
    /// Returns when the bell was rung since the last time; what is rung while nobody waits here is not lost.
    pub async fn rung(&mut self) {
        match &mut self.heard {
            // The sender goes only with the last listener.
            Some(heard) => drop(heard.changed().await),
            None => std::future::pending().await,
        }
    }
}

impl Drop for FeedListener {
    fn drop(&mut self) {
        self.heard = None;
        self.bells.0.companies.remove_if(&self.tenant, |_, bell| bell.receiver_count() == 0);
        self.bells.0.listeners.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use futures_util::FutureExt as _;
    use uuid::Uuid;

    use super::*;

    fn company(number: usize) -> TenantId {
        TenantId(Uuid::from_u128(number as u128))
    }

    #[test]
    fn a_bell_is_heard_by_its_own_company_and_kept_for_who_is_busy() {
        let bells = FeedBells::default();
        bells.ring(company(1));
        let (mut one, mut other) = (bells.listen(company(1)).unwrap(), bells.listen(company(2)).unwrap());
        assert!(one.rung().now_or_never().is_none(), "what rang before is read anyway");
        bells.ring(company(1));
        bells.ring(company(1));
        assert!(one.rung().now_or_never().is_some());
        assert!(one.rung().now_or_never().is_none(), "twice is once");
        assert!(other.rung().now_or_never().is_none());
    }

    #[test]
    fn listeners_are_bounded_and_leave_nothing_behind() {
        let bells = FeedBells::default();
        let mut own: Vec<_> = (0..LISTENERS_PER_COMPANY_MAX).map(|_| bells.listen(company(1)).unwrap()).collect();
        assert_eq!(bells.listen(company(1)).unwrap_err(), Full::Company);
        let others: Vec<_> = (LISTENERS_PER_COMPANY_MAX..LISTENERS_MAX)
            .map(|number| bells.listen(company(number + 2)).unwrap())
            .collect();
        assert_eq!(bells.listen(company(0)).unwrap_err(), Full::Server);
        own.pop();
        assert!(bells.listen(company(0)).is_ok());
        drop((own, others));
        assert_eq!((bells.listeners(), bells.0.companies.len()), (0, 0));
    }
}
