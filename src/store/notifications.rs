//! Owns the rows of notices, which members of staff are given and nobody else reads.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{Postgres, QueryBuilder};
use utoipa::ToSchema;
use uuid::Uuid;

use super::page::{SortKey, push_page};
use super::{Page, Paged, Result, SortOrder, Store, Work, lists};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{CustomerId, NotificationId, TenantId, UserId};

/// Most unread notices that are ever shown at once.
pub const UNREAD_LIMIT: u32 = 100;

/// Notices that one sweep throws away at most.
const SLICE: i64 = 1_000;

/// A notice, as `new_notification` pushes it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Notification {
    pub id: NotificationId,
    /// What it is about, for programs.
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub body: String,
    pub inserted_at: Timestamp,
    /// Null while it is unread.
    pub read_at: Option<Timestamp>,
}

#[derive(sqlx::FromRow)]
struct NotificationRow {
    id: Uuid,
    kind: String,
    title: String,
    body: String,
    inserted_at: DateTime<Utc>,
    read_at: Option<DateTime<Utc>>,
}

impl From<NotificationRow> for Notification {
    fn from(row: NotificationRow) -> Self {
        Self {
            id: NotificationId(row.id),
            kind: row.kind,
            title: row.title,
            body: row.body,
            inserted_at: row.inserted_at.into(),
            read_at: row.read_at.map(Timestamp::from),
        }
    }
}

/// One page of a user's notices, the newest first; with `unread`, only those he has read or has not.
pub async fn list(
    store: &Store,
    tenant: TenantId,
    user: UserId,
    unread: Option<bool>,
    page: Page,
) -> Result<Paged<Notification>> {
    let narrow = |query: &mut QueryBuilder<Postgres>| {
        query.push(" FROM notifications n WHERE n.tenant_id = ").push_bind(tenant.0);
        query.push(" AND n.user_id = ").push_bind(user.0);
        match unread {
            Some(true) => {
                query.push(" AND n.read_at IS NULL");
            }
            Some(false) => {
                query.push(" AND n.read_at IS NOT NULL");
            }
            None => {}
        }
    };
    let mut count = QueryBuilder::new("SELECT count(*)");
    narrow(&mut count);
    let mut query = QueryBuilder::new("SELECT n.id, n.kind, n.title, n.body, n.inserted_at, n.read_at");
    narrow(&mut query);
    push_page(&mut query, SortKey::Filled("n.inserted_at"), SortOrder::Desc, "n.id", page);
    Ok(lists::read::<NotificationRow>(store, tenant, page, count, query).await?.map(Notification::from))
}

/// The newest unread notices of a user, newest first.
pub async fn unread(store: &Store, tenant: TenantId, user: UserId) -> Result<Vec<Notification>> {
    let mut tx = store.tenant_tx(tenant).await?;
    let rows = sqlx::query_as!(
        NotificationRow,
        "SELECT id, kind, title, body, inserted_at, read_at FROM notifications
         WHERE tenant_id = $1 AND user_id = $2 AND read_at IS NULL ORDER BY inserted_at DESC, id DESC LIMIT $3",
        tenant.0,
        user.0,
        i64::from(UNREAD_LIMIT)
    )
    .fetch_all(&mut *tx)
    .await?;
    Ok(rows.into_iter().map(Notification::from).collect())
}

/// Keeps a notice for a user; false when there is no such user. It is pushed once it is committed, by
/// `Queues::notify`.
pub async fn create(work: &mut Work, user: UserId, new: &Notification) -> Result<bool> {
    keep(work, user, new, None).await
}

/// As [`create`], for a notice that names a customer: it goes with him when he is erased.
pub async fn create_naming(work: &mut Work, user: UserId, new: &Notification, customer: CustomerId) -> Result<bool> {
    keep(work, user, new, Some(customer)).await
}

async fn keep(work: &mut Work, user: UserId, new: &Notification, customer: Option<CustomerId>) -> Result<bool> {
    let tenant = work.tenant;
    let done = sqlx::query!(
        "INSERT INTO notifications (tenant_id, id, user_id, kind, title, body, inserted_at, customer_id)
         SELECT tenant_id, $3, id, $4, $5, $6, $7, $8 FROM users WHERE tenant_id = $1 AND id = $2",
        tenant.0,
        user.0,
        new.id.0,
        new.kind,
        new.title,
        new.body,
        new.inserted_at.to_utc(),
        customer.map(|id| id.0)
    )
    .execute(work.tx())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Marks one of a user's notices as read, once; as it is then. `None` when he has none with this id.
pub async fn mark_read(work: &mut Work, user: UserId, id: NotificationId) -> Result<Option<Notification>> {
    let (tenant, now) = (work.tenant, work.now);
    let row = sqlx::query_as!(
        NotificationRow,
        "UPDATE notifications SET read_at = COALESCE(read_at, $4) WHERE tenant_id = $1 AND user_id = $2 AND id = $3
         RETURNING id, kind, title, body, inserted_at, read_at",
        tenant.0,
        user.0,
        id.0,
        now.to_utc()
    )
    .fetch_optional(work.tx())
    .await?;
    Ok(row.map(Notification::from))
}

/// Marks all of a user's notices as read; how many there were to mark.
pub async fn mark_all_read(work: &mut Work, user: UserId) -> Result<u64> {
    let (tenant, now) = (work.tenant, work.now);
    let done = sqlx::query!(
        "UPDATE notifications SET read_at = $3 WHERE tenant_id = $1 AND user_id = $2 AND read_at IS NULL",
        tenant.0,
        user.0,
        now.to_utc()
    )
    .execute(work.tx())
    .await?;
    Ok(done.rows_affected())
}

/// Throws away a slice of the notices from before `before`, read or not; how many went.
pub async fn sweep(store: &Store, before: Timestamp) -> Result<u64> {
    let done = sqlx::query!(
        "DELETE FROM notifications USING (
             SELECT tenant_id, id FROM notifications WHERE inserted_at < $1 ORDER BY inserted_at LIMIT $2
         ) AS old WHERE notifications.tenant_id = old.tenant_id AND notifications.id = old.id",
        before.to_utc(),
        SLICE
    )
    .execute(store.system())
    .await?;
    Ok(done.rows_affected())
}
