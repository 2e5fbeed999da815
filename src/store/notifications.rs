//! Owns a user's notices.

use serde::Serialize;
use uuid::Uuid;

use super::{Result, Store, Work};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{TenantId, UserId};

/// Most unread notices that are ever shown at once.
pub const UNREAD_LIMIT: u32 = 100;

/// A notice, as `new_notification` pushes it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Notification {
    pub id: Uuid,
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub body: String,
    pub inserted_at: Timestamp,
}

/// The newest unread notices of a user, newest first.
pub async fn unread(store: &Store, tenant: TenantId, user: UserId) -> Result<Vec<Notification>> {
    let mut tx = store.tenant_tx(tenant).await?;
    let rows = sqlx::query!(
        "SELECT id, kind, title, body, inserted_at FROM notifications
         WHERE tenant_id = $1 AND user_id = $2 AND read_at IS NULL ORDER BY inserted_at DESC, id DESC LIMIT $3",
        tenant.0,
        user.0,
        i64::from(UNREAD_LIMIT)
    )
    .fetch_all(&mut *tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Notification {
            id: row.id,
            kind: row.kind,
            title: row.title,
            body: row.body,
            inserted_at: row.inserted_at.into(),
        })
        .collect())
}

/// Keeps a notice for a user together with what it tells of; false when there is no such user.
pub async fn create_in(work: &mut Work, user: UserId, new: &Notification) -> Result<bool> {
    let tenant = work.tenant.0;
    let done = sqlx::query!(
        "INSERT INTO notifications (tenant_id, id, user_id, kind, title, body, inserted_at)
         SELECT tenant_id, $3, id, $4, $5, $6, $7 FROM users WHERE tenant_id = $1 AND id = $2",
        tenant,
        user.0,
        new.id,
        new.kind,
        new.title,
        new.body,
        new.inserted_at.to_utc()
    )
    .execute(work.tx())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Keeps a notice for a user; false when there is no such user.
pub async fn create(store: &Store, tenant: TenantId, user: UserId, new: &Notification) -> Result<bool> {
    let mut tx = store.tenant_tx(tenant).await?;
    let done = sqlx::query!(
        "INSERT INTO notifications (tenant_id, id, user_id, kind, title, body, inserted_at)
         SELECT tenant_id, $3, id, $4, $5, $6, $7 FROM users WHERE tenant_id = $1 AND id = $2",
        tenant.0,
        user.0,
        new.id,
        new.kind,
        new.title,
        new.body,
        new.inserted_at.to_utc()
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(done.rows_affected() > 0)
}

/// Marks a notice as read; false when there is none.
pub async fn mark_read(store: &Store, tenant: TenantId, user: UserId, id: Uuid, now: Timestamp) -> Result<bool> {
    let mut tx = store.tenant_tx(tenant).await?;
    let done = sqlx::query!(
        "UPDATE notifications SET read_at = COALESCE(read_at, $4) WHERE tenant_id = $1 AND user_id = $2 AND id = $3",
        tenant.0,
        user.0,
        id,
        now.to_utc()
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(done.rows_affected() > 0)
}
