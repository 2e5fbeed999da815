//! Owns how lists are read: how many at once, and what becomes of one that nobody waits for any more. What a list holds is each
//! aggregate's own.
//!
//! Most lists take a millisecond, but a search through ten million calls takes as long as a statement may, and joins need the
//! same connections. So a company reads a few lists at a time, and all companies together use half of the connections. Who
//! waited for his turn in vain is told to come back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, FromRow, PgConnection, Postgres, QueryBuilder};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connect::{begin, in_time};
use super::{Page, Paged, Result, Store, StoreError};
use crate::domain::ids::TenantId;

/// Lists of one company that are read at once: more than one, so that a slow search does not keep everybody else of the company
/// from what takes a millisecond; few, since each may take a core of the database.
const PER_COMPANY_MAX: usize = 2;
/// How long a list waits for its turn; as long as anybody waits for a connection.
const TURN_WITHIN: Duration = Duration::from_secs(2);
/// Companies whose turns are remembered before those that read nothing are forgotten.
const COMPANIES_KEPT: usize = 256;

/// Whose turn it is to read a list.
#[derive(Clone, Debug)]
pub(super) struct ListTurns {
    all: Arc<Semaphore>,
    companies: Arc<Mutex<HashMap<TenantId, Arc<Semaphore>>>>,
}

/// The right to read a list, until it is dropped.
#[derive(Debug)]
struct Turn {
    _of_all: OwnedSemaphorePermit,
    _own: OwnedSemaphorePermit,
}

impl ListTurns {
    /// The turns of a pool of so many connections: lists get half of them, and one at least.
    pub(super) fn of(connections: u32) -> Self {
        let lists = usize::try_from(connections / 2).unwrap_or(1).max(1);
        Self { all: Arc::new(Semaphore::new(lists)), companies: Arc::default() }
    }

    async fn take(&self, tenant: TenantId) -> Result<Turn> {
        let own = self.company(tenant);
        // The company's own turn first: whoever waits for it holds nothing that another company needs.
        let own = tokio::time::timeout(TURN_WITHIN, own.acquire_owned()).await.map_err(|_| StoreError::CompanyBusy)?;
        let of_all = tokio::time::timeout(TURN_WITHIN, self.all.clone().acquire_owned()).await;
        let of_all = of_all.map_err(|_| StoreError::Unavailable(sqlx::Error::PoolTimedOut))?;
        match (own, of_all) {
            (Ok(own), Ok(of_all)) => Ok(Turn { _of_all: of_all, _own: own }),
            // Nobody closes a semaphore of ours.
            _ => Err(StoreError::Unavailable(sqlx::Error::PoolClosed)),
        }
    }

    fn company(&self, tenant: TenantId) -> Arc<Semaphore> {
        let mut companies = self.companies.lock().unwrap_or_else(PoisonError::into_inner);
        if companies.len() >= COMPANIES_KEPT {
            // Whoever has or awaits a turn holds it, too.
            companies.retain(|_, turns| Arc::strong_count(turns) > 1);
        }
        companies.entry(tenant).or_insert_with(|| Arc::new(Semaphore::new(PER_COMPANY_MAX))).clone()
    }
}

/// A transaction that reads a list. Dropped before its end it closes its socket, whereupon Postgres gives the question up; back
/// in the pool the question would run to its end, and keep its connection from everybody.
struct Reading {
    connection: PoolConnection<Postgres>,
    is_over: bool,
    _turn: Turn,
}

impl Reading {
    async fn begin(store: &Store, tenant: TenantId) -> Result<Self> {
        let turn = store.lists().take(tenant).await?;
        in_time(async {
            let mut reading = Self { connection: store.app().acquire().await?, is_over: false, _turn: turn };
            sqlx::raw_sql(AssertSqlSafe(begin(tenant))).execute(reading.connection()).await?;
            Ok(reading)
        })
        .await
    }

    fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    async fn finish(mut self) -> Result<()> {
        sqlx::raw_sql("COMMIT").execute(self.connection()).await?;
        self.is_over = true;
        Ok(())
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if !self.is_over {
            self.connection.close_on_drop();
        }
    }
}

/// Reads a page: how many rows there are in all, which is what `count` asks, and those of the page, which is what `rows` asks.
pub(super) async fn read<R>(
    store: &Store,
    tenant: TenantId,
    page: Page,
    mut count: QueryBuilder<Postgres>,
    mut rows: QueryBuilder<Postgres>,
) -> Result<Paged<R>>
where
    R: for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    let mut reading = Reading::begin(store, tenant).await?;
    let total_count: i64 = count.build_query_scalar().fetch_one(reading.connection()).await?;
    // Beyond the end there is nothing to look for, and all rows to look through.
    let items = if page.offset() < total_count {
        rows.build_query_as().fetch_all(reading.connection()).await?
    } else {
        Vec::new()
    };
    reading.finish().await?;
    Ok(Paged { items, page, total_count })
}
