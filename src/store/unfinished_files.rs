//! Owns the rows of files that are being written: made before the first byte, gone with the transaction that makes the
//! file's own row. Whatever is old here belongs to nobody. The bytes are `files`' business.

use uuid::Uuid;

use super::{Result, Store, StoreError, Work};
use crate::domain::clock::Timestamp;
use crate::domain::ids::TenantId;

/// A file that was begun and never became anybody's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    pub tenant: TenantId,
    pub id: Uuid,
    /// Which kind of file, in the words of `files`.
    pub kind: String,
    pub begun_at: Timestamp,
}

/// Notes that a file is being written.
pub async fn begin(work: &mut Work, id: Uuid, kind: &str) -> Result<()> {
    let (tenant, now) = (work.tenant, work.now);
    sqlx::query!(
        "INSERT INTO unfinished_files (tenant_id, id, kind, inserted_at) VALUES ($1, $2, $3, $4)",
        tenant.0,
        id,
        kind,
        now.to_utc()
    )
    .execute(work.tx())
    .await?;
    Ok(())
}

/// The file is somebody's now, or deleted. A file whose note is gone is deleted already, so its row must not be made.
pub async fn end(work: &mut Work, id: Uuid) -> Result<()> {
    let tenant = work.tenant;
    let done = sqlx::query!("DELETE FROM unfinished_files WHERE tenant_id = $1 AND id = $2", tenant.0, id)
        .execute(work.tx())
        .await?;
    if done.rows_affected() == 0 {
        return Err(StoreError::Corrupt { table: "unfinished_files", column: "id", row: id.to_string() });
    }
    Ok(())
}

/// Files of any company that were begun before `before`, oldest first, at most `limit`: those behind the one that was begun at
/// this time and has this id.
pub async fn begun_before(
    store: &Store,
    before: Timestamp,
    behind: (Timestamp, Uuid),
    limit: u32,
) -> Result<Vec<Unfinished>> {
    let rows = sqlx::query!(
        "SELECT tenant_id, id, kind, inserted_at FROM unfinished_files
         WHERE inserted_at < $1 AND (inserted_at, id) > ($2, $3) ORDER BY inserted_at, id LIMIT $4",
        before.to_utc(),
        behind.0.to_utc(),
        behind.1,
        i64::from(limit)
    )
    .fetch_all(store.system())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Unfinished {
            tenant: TenantId(row.tenant_id),
            id: row.id,
            kind: row.kind,
            begun_at: row.inserted_at.into(),
        })
        .collect())
}
