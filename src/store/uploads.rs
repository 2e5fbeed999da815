//! Owns the rows of files attached to calls. Their bytes, types and names are checked by `files` before they come here.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Result, Store, Work};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{CallId, TenantId};

/// Most files of one call: far more than a conversation needs, and few enough to be listed whole.
pub const UPLOADS_PER_CALL_MAX: u32 = 100;

/// A file attached to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    pub id: Uuid,
    pub call_id: CallId,
    pub file_name: String,
    pub content_type: String,
    /// Bytes.
    pub file_size: u64,
    pub inserted_at: Timestamp,
}

/// What a new one is made of.
#[derive(Clone, Debug)]
pub struct NewUpload {
    /// Also the name of its object.
    pub id: Uuid,
    pub call_id: CallId,
    pub file_name: String,
    pub content_type: &'static str,
    /// Bytes.
    pub file_size: u64,
}

struct UploadRow {
    id: Uuid,
    call_id: Uuid,
    file_name: String,
    content_type: String,
    file_size: i64,
    inserted_at: DateTime<Utc>,
}

impl From<UploadRow> for Upload {
    fn from(row: UploadRow) -> Self {
        Self {
            id: row.id,
            call_id: CallId(row.call_id),
            file_name: row.file_name,
            content_type: row.content_type,
            file_size: row.file_size.unsigned_abs(),
            inserted_at: row.inserted_at.into(),
        }
    }
}

/// Attaches a file; `None` when the call has as many as it may. There must be such a call.
pub async fn create(work: &mut Work, new: NewUpload) -> Result<Option<Upload>> {
    let (tenant, now) = (work.tenant, work.now);
    // Two uploads at once both count before either writes, unless one waits for the other.
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", new.call_id.to_string())
        .execute(work.tx())
        .await?;
    let row = sqlx::query_as!(
        UploadRow,
        "INSERT INTO uploads (tenant_id, id, call_id, file_name, content_type, file_size, inserted_at)
         SELECT $1, $2, $3, $4, $5, $6, $7
         WHERE (SELECT count(*) FROM uploads WHERE tenant_id = $1 AND call_id = $3) < $8
         RETURNING id, call_id, file_name, content_type, file_size, inserted_at",
        tenant.0,
        new.id,
        new.call_id.0,
        new.file_name,
        new.content_type,
        i64::try_from(new.file_size).unwrap_or(i64::MAX),
        now.to_utc(),
        i64::from(UPLOADS_PER_CALL_MAX)
    )
    .fetch_optional(work.tx())
    .await?;
    Ok(row.map(Upload::from))
}

/// The files of a call, oldest first.
pub async fn of_call(store: &Store, tenant: TenantId, call: CallId) -> Result<Vec<Upload>> {
    let mut tx = store.tenant_tx(tenant).await?;
    let rows = sqlx::query_as!(
        UploadRow,
        "SELECT id, call_id, file_name, content_type, file_size, inserted_at
         FROM uploads WHERE tenant_id = $1 AND call_id = $2 ORDER BY inserted_at, id LIMIT $3",
        tenant.0,
        call.0,
        i64::from(UPLOADS_PER_CALL_MAX)
    )
    .fetch_all(&mut *tx)
    .await?;
    Ok(rows.into_iter().map(Upload::from).collect())
}

/// One file of a call.
pub async fn find(store: &Store, tenant: TenantId, call: CallId, upload: Uuid) -> Result<Option<Upload>> {
    let mut tx = store.tenant_tx(tenant).await?;
    let row = sqlx::query_as!(
        UploadRow,
        "SELECT id, call_id, file_name, content_type, file_size, inserted_at
         FROM uploads WHERE tenant_id = $1 AND call_id = $2 AND id = $3",
        tenant.0,
        call.0,
        upload
    )
    .fetch_optional(&mut *tx)
    .await?;
    Ok(row.map(Upload::from))
}
