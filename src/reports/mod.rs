//! Reports: read-only questions that may take long, on connections of their own.
//!
//! Owns: those connections, who may run how many reports at once, and the SQL of every report. A report sees one snapshot of
//! its company's committed rows, as role `vez_app` in a transaction that names the company, so row-level security holds here,
//! too. Must not: write anything, or stand in the way of the queue.
//!
//! | file | owns |
//! |---|---|
//! | `pool` | the connections and their settings, transactions that name a company |
//! | `places` | how many streams may be open at once |
//! | `cursor` | a question read in turns, on the server's side of it |
//! | `row` | the values of a row as Postgres sends them |
//! | `columns`, `csv`, `ndjson` | the cells of a table, and rows as bytes |
//! | `turns` | whose turn it is to fetch rows |
//! | `stream` | a report's bytes on their way to one reader: bounds, cancelling, breaking off |
//! | `analytics` | sums of whole days, from what is kept current |
//! | `calls_csv`, `customers_csv`, `links_csv` | Voki's exports |
//! | `calls_export` | Burki's export |
//! | `call_history` | one page of calls that are over, for Evolux's history |

pub mod analytics;
pub mod call_history;
pub mod calls_csv;
pub mod calls_export;
pub mod columns;
pub mod csv;
pub mod cursor;
pub mod customers_csv;
pub mod links_csv;
pub mod ndjson;
mod places;
mod pool;
pub mod row;
pub mod stream;
mod turns;

use std::sync::Arc;

use sqlx::{PgPool, Postgres, QueryBuilder};
use tokio_util::sync::CancellationToken;

use crate::domain::ids::TenantId;
use crate::domain::words::words;
use crate::store::{ConnectOptions, StoreError, Transaction};
pub use columns::Table;
use cursor::Cursor;
use places::{Place, Places};
use row::Row;
use stream::ReportStream;
use turns::Turns;

/// Streams open at once in the whole server. Each holds a connection and, waiting, at most some 500 KiB.
pub const STREAMS_MAX: usize = 20;
/// Streams open at once for one company: nobody keeps all the others from theirs.
pub const STREAMS_PER_COMPANY_MAX: usize = 10;
/// Connections for reports that answer at once, beside those of the streams.
const SHORT_MAX: u32 = 4;
/// When somebody who was refused a stream may ask again, in seconds.
pub const RETRY_AFTER_SECONDS: u64 = 10;

/// Why there is no report, or no more of it.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The company runs as many as it may.
    #[error("this company runs {STREAMS_PER_COMPANY_MAX} reports already")]
    CompanyBusy,
    /// The server runs as many as it can.
    #[error("{STREAMS_MAX} reports run already")]
    Busy,
    /// The database failed, or holds what is none of ours.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Whoever asked is gone.
    #[error("nobody reads the report any more")]
    Abandoned,
    /// Whoever asked took nothing for too long.
    #[error("nobody took a part of the report for {} s", stream::TAKEN_WITHIN.as_secs())]
    Stalled,
    /// It took too long in all.
    #[error("the report took longer than {} s", stream::LASTS_MAX.as_secs())]
    Overlong,
    /// The server stops.
    #[error("the server stops")]
    Stopping,
    /// The task that made it ended before it did.
    #[error("the report broke off")]
    Broken,
}

impl From<sqlx::Error> for ReportError {
    fn from(error: sqlx::Error) -> Self {
        ReportError::Store(error.into())
    }
}

/// What a report asks.
pub trait Selection: Send + Sync {
    /// Writes the `SELECT`, with its values bound. Its order must be total, so that two reports of the same rows are equal.
    fn select(&self, query: &mut QueryBuilder<Postgres>);

    /// `SET LOCAL` statements that make the planner stream: nothing may be sorted or hashed whole before the first row.
    fn settings(&self) -> &'static str {
        ""
    }
}

/// Turns rows into bytes. It keeps what it wrote until somebody takes it.
pub trait Encoder: Send + 'static {
    /// Writes what stands before the rows.
    fn open(&mut self);
    /// Writes a row.
    fn row(&mut self, row: &Row<'_>) -> Result<(), ReportError>;
    /// Writes what stands after the rows.
    fn close(&mut self);
    /// Gives everything written since the last time.
    fn take(&mut self) -> Vec<u8>;
}

words! {
    /// How a table is written.
    #[derive(Default)]
    Format {
        #[default]
        Csv = "csv",
        Ndjson = "ndjson",
    }
}

impl Format {
    /// What writes this table so.
    pub fn encoder(self, table: Table) -> Box<dyn Encoder> {
        match self {
            Format::Csv => Box::new(csv::Csv::new(table)),
            Format::Ndjson => Box::new(ndjson::Ndjson::new(table)),
        }
    }
}

/// The reports of one database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reports(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    pool: PgPool,
    /// Whoever fetches rows for a stream has a turn: so all streams together use one core of the database, and one more while
    /// something rare is looked for.
    turns: Turns,
    places: Places,
    stopping: CancellationToken,
}

impl Reports {
    /// Connections are opened as they are needed, and closed when they are not.
    pub fn connect(options: ConnectOptions) -> Self {
        Self(Arc::new(Shared {
            pool: pool::open(options, SHORT_MAX + STREAMS_MAX as u32),
            turns: Turns::default(),
            places: Places::default(),
            stopping: CancellationToken::new(),
        }))
    }

    /// A transaction that reads one snapshot of the rows of `tenant`: for reports that are answered at once.
    pub async fn read(&self, tenant: TenantId) -> Result<Transaction, StoreError> {
        pool::read(&self.0.pool, tenant).await
    }

    /// Asks, and gives the bytes as they come. Whatever can fail before the first of them fails here.
    pub async fn stream(
        &self,
        tenant: TenantId,
        selection: &dyn Selection,
        encoder: Box<dyn Encoder>,
    ) -> Result<ReportStream, ReportError> {
        let place: Place = self.0.places.take(tenant)?;
        let cursor = Cursor::open(&self.0.pool, tenant, selection).await?;
        Ok(stream::start(self.0.clone(), place, cursor, encoder))
    }

    /// How many rows a report has at this moment.
    pub async fn count(&self, tenant: TenantId, selection: &dyn Selection) -> Result<i64, StoreError> {
        let mut transaction = self.read(tenant).await?;
        let mut query = QueryBuilder::new("SELECT count(*) FROM (");
        selection.select(&mut query);
        query.push(") AS counted");
        Ok(query.build_query_scalar().fetch_one(&mut *transaction).await?)
    }

    /// Breaks off whatever runs, and closes every connection.
    pub async fn close(&self) {
        self.0.stopping.cancel();
        self.0.pool.close().await;
    }
}
