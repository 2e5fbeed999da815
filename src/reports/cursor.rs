//! Owns a question whose rows are read in turns: a cursor on the server's side, in a transaction of its own.

use futures_util::TryStreamExt as _;
use sqlx::{AssertSqlSafe, PgPool, QueryBuilder};

use super::pool::Session;
use super::row::Row;
use super::{ReportError, Selection};
use crate::domain::ids::TenantId;

/// Rows of one turn: some milliseconds of the database's work, and some 150 KiB when they are written down.
pub const BATCH_ROWS: usize = 1_000;
/// A turn; its number is `BATCH_ROWS`. Asked by the simple protocol, it is one message there and one answer back; the cursor is
/// binary, so the values come as they are stored.
const FETCH: &str = "FETCH FORWARD 1000 FROM report";
const DECLARE: &str = "DECLARE report BINARY NO SCROLL CURSOR WITHOUT HOLD FOR ";

/// An open cursor. Dropped before its end, it takes its connection with it, and what it asked is cancelled.
#[derive(Debug)]
pub struct Cursor(Session);

impl Cursor {
    /// Asks. Nothing is read yet; but everything read later is of this moment.
    pub async fn open(pool: &PgPool, tenant: TenantId, selection: &dyn Selection) -> Result<Self, ReportError> {
        let mut session = Session::begin(pool, tenant).await?;
        let settings = selection.settings();
        if !settings.is_empty() {
            sqlx::raw_sql(AssertSqlSafe(settings)).execute(session.connection()?).await?;
        }
        let mut query = QueryBuilder::new(DECLARE);
        selection.select(&mut query);
        query.build().persistent(false).execute(session.connection()?).await?;
        Ok(Self(session))
    }

    /// Reads the next rows, at most `BATCH_ROWS`; gives how many there were. Fewer mean that these were the last.
    pub async fn fetch(
        &mut self,
        mut each: impl FnMut(&Row<'_>) -> Result<(), ReportError>,
    ) -> Result<usize, ReportError> {
        let mut rows = sqlx::raw_sql(FETCH).fetch(self.0.connection()?);
        let mut count = 0;
        while let Some(row) = rows.try_next().await? {
            each(&Row::new(&row))?;
            count += 1;
        }
        Ok(count)
    }

    /// Closes it, and gives its connection back.
    pub async fn finish(self) {
        self.0.finish().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_fetches_a_batch() {
        assert_eq!(FETCH, format!("FETCH FORWARD {BATCH_ROWS} FROM report"));
    }
}
