//! Owns the numbers of a tenant's calls: taken from committed blocks, so that gaps may be but no number is used twice.

use tokio::sync::Mutex;

use crate::domain::ids::TenantId;
use crate::store::numbers::{self, Counter};
use crate::store::{Store, StoreError};

/// Numbers reserved at once: one extra commit per thousand joins, and at most so large a gap after a crash.
const BLOCK: u32 = 1_000;

/// A tenant's block of call numbers.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    block: Mutex<(i64, i64)>,
}

impl Numbers {
    /// The next number; reserves a block when the present one is used up.
    pub async fn next(&self, store: &Store, tenant: TenantId) -> Result<i64, StoreError> {
        let mut block = self.block.lock().await;
        if block.0 >= block.1 {
            let first = numbers::reserve(store, tenant, Counter::Call, BLOCK).await?;
            *block = (first, first + i64::from(BLOCK));
        }
        let number = block.0;
        block.0 += 1;
        Ok(number)
    }
}
