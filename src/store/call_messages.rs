//! Owns the chat of calls: what staff read and write of it by REST, and what passes between the two sides on sockets.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{Page, Paged, Result, Store, StoreError, Work};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{CallId, TenantId};
use crate::domain::words::words;

words! {
    /// Who wrote a chat message.
    Sender {
        Customer = "customer",
        Agent = "agent",
    }
}

/// A chat message of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct CallMessage {
    /// Rising in the order of writing.
    pub id: i64,
    /// Who wrote it.
    pub sender: Sender,
    pub text: String,
    pub sent_at: Timestamp,
}

struct Row {
    id: i64,
    sender: String,
    body: String,
    inserted_at: DateTime<Utc>,
}

/// One page of the chat of a call, oldest first.
pub async fn list(store: &Store, tenant: TenantId, call: CallId, page: Page) -> Result<Paged<CallMessage>> {
    let mut tx = store.tenant_tx(tenant).await?;
    let total_count = sqlx::query_scalar!(
        "SELECT count(*) AS \"count!\" FROM call_messages WHERE tenant_id = $1 AND call_id = $2",
        tenant.0,
        call.0
    )
    .fetch_one(&mut *tx)
    .await?;
    let rows = sqlx::query_as!(
        Row,
        "SELECT id, sender, body, inserted_at FROM call_messages WHERE tenant_id = $1 AND call_id = $2
         ORDER BY id LIMIT $3 OFFSET $4",
        tenant.0,
        call.0,
        page.limit(),
        page.offset()
    )
    .fetch_all(&mut *tx)
    .await?;
    let corrupt = || StoreError::Corrupt { table: "call_messages", column: "sender", row: call.to_string() };
    let message = |row: Row| {
        let sender = Sender::parse(&row.sender).ok_or_else(corrupt)?;
        Ok(CallMessage { id: row.id, sender, text: row.body, sent_at: row.inserted_at.into() })
    };
    Ok(Paged { items: rows.into_iter().map(message).collect::<Result<_>>()?, page, total_count })
}

/// Keeps a message of the agent; the call must be there.
pub async fn add(work: &mut Work, call: CallId, text: &str) -> Result<CallMessage> {
    let (tenant, now) = (work.tenant, work.now);
    let id = sqlx::query_scalar!(
        "INSERT INTO call_messages (tenant_id, call_id, sender, body, inserted_at) VALUES ($1, $2, $3, $4, $5)
         RETURNING id",
        tenant.0,
        call.0,
        Sender::Agent.as_str(),
        text,
        now.to_utc()
    )
    .fetch_one(work.tx())
    .await?;
    Ok(CallMessage { id, sender: Sender::Agent, text: text.to_owned(), sent_at: now })
}

/// Keeps a message that passed on a socket; false when there is no such call.
pub async fn keep(
    store: &Store,
    tenant: TenantId,
    call: CallId,
    from: Sender,
    text: &str,
    now: Timestamp,
) -> Result<bool> {
    let mut tx = store.tenant_tx(tenant).await?;
    let done = sqlx::query!(
        "INSERT INTO call_messages (tenant_id, call_id, sender, body, inserted_at)
         SELECT tenant_id, id, $3, $4, $5 FROM calls WHERE tenant_id = $1 AND id = $2",
        tenant.0,
        call.0,
        from.as_str(),
        text,
        now.to_utc()
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(done.rows_affected() > 0)
}
