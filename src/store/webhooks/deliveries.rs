//! Owns deliveries as a company sees them: the list, the attempts of one, replaying, and the one that `test` made.

#[expect(unused_imports, reason = "named in the description of headers")]
use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::{Postgres, QueryBuilder};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Message, NewAttempt};
use crate::domain::clock::Timestamp;
use crate::domain::ids::TenantId;
use crate::domain::webhook::body;
use crate::domain::words::words;
use crate::store::page::{SortKey, push_order, push_page};
use crate::store::{Page, Paged, Result, Sort, Store, StoreError, Work, lists};

/// Attempts shown of one delivery; there are more only when it was replayed many times.
const ATTEMPTS_SHOWN_MAX: i64 = 100;
/// Dead deliveries that one call replays; a webhook with more is replayed by several.
pub const REPLAYED_MAX: u32 = 10_000;

words! {
    /// What became of a delivery.
    DeliveryStatus {
        /// Not sent yet, or tried again later.
        Pending = "pending",
        Delivered = "delivered",
        /// Given up; it can be replayed.
        Dead = "dead",
    }
}

/// A delivery with its last attempt.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = WebhookDelivery)]
pub struct Delivery {
    pub id: Uuid,
    pub webhook_id: Uuid,
    /// What `webhook-id` says: the same for every webhook and attempt.
    pub event_id: Uuid,
    pub event: String,
    pub status: DeliveryStatus,
    /// Attempts made so far.
    pub attempts: i32,
    /// When it is tried next; null when it is finished, or waits for an earlier one about the same call.
    pub next_attempt_at: Option<Timestamp>,
    /// When it was delivered or given up.
    pub finished_at: Option<Timestamp>,
    pub inserted_at: Timestamp,
    pub request: Option<Request>,
    /// Null when no answer came; `error` says why then.
    pub response: Option<Response>,
    pub error: Option<String>,
    /// Milliseconds from the beginning of the last attempt to its end.
    pub duration_ms: Option<i32>,
}

/// What was sent.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = WebhookRequest)]
pub struct Request {
    pub url: String,
    /// By name.
    #[schema(value_type = HashMap<String, String>)]
    pub headers: Value,
    /// The text that was signed.
    pub body: String,
}

/// What came back, as far as it is kept.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = WebhookResponse)]
pub struct Response {
    pub status: i16,
    /// By name.
    #[schema(value_type = HashMap<String, String>)]
    pub headers: Value,
    /// The beginning of it.
    pub body: String,
}

/// One attempt of a delivery.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = WebhookAttempt)]
pub struct Attempt {
    /// From 1.
    pub number: i32,
    pub at: Timestamp,
    pub request: Request,
    pub response: Option<Response>,
    pub error: Option<String>,
    pub duration_ms: i32,
}

/// A delivery with every attempt, the last one first.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = WebhookDeliveryDetail)]
pub struct DeliveryDetail {
    #[serde(flatten)]
    pub delivery: Delivery,
    pub attempts_made: Vec<Attempt>,
}

/// Which deliveries a list shows; what is `None` does not narrow it.
#[derive(Clone, Debug, Default)]
pub struct DeliveryFilter {
    pub status: Option<DeliveryStatus>,
    pub event: Option<String>,
}

words! {
    /// What deliveries may be sorted by.
    #[derive(Default)]
    DeliverySort {
        #[default]
        InsertedAt = "inserted_at",
        FinishedAt = "finished_at",
    }
}

/// What came of asking for a replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replayed {
    Yes,
    /// It is on its way already.
    Pending,
    /// The webhook is switched off, so nothing would be sent.
    Inactive,
}

/// What is told of a delivery; what it is told of stands between this and [`JOINED`].
const COLUMNS: &str = "SELECT delivery.id, delivery.webhook_id, delivery.event_id, delivery.event, delivery.state, \
    delivery.attempts, delivery.due_at, delivery.finished_at, delivery.inserted_at, event.at, \
    event.data::text AS data, last.url, last.request_headers, last.response_status, last.response_headers, \
    last.response_body, last.error, last.duration_ms FROM ";
const JOINED: &str = " AS delivery \
    JOIN webhook_events AS event ON event.tenant_id = delivery.tenant_id AND event.id = delivery.event_id \
    LEFT JOIN LATERAL ( \
        SELECT * FROM webhook_attempts AS attempt \
        WHERE attempt.tenant_id = delivery.tenant_id AND attempt.delivery_id = delivery.id \
        ORDER BY number DESC LIMIT 1 \
    ) AS last ON true";

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    webhook_id: Uuid,
    event_id: Uuid,
    event: String,
    state: String,
    attempts: i32,
    due_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
    inserted_at: DateTime<Utc>,
    at: DateTime<Utc>,
    data: String,
    url: Option<String>,
    request_headers: Option<Value>,
    response_status: Option<i16>,
    response_headers: Option<Value>,
    response_body: Option<String>,
    error: Option<String>,
    duration_ms: Option<i32>,
}

impl TryFrom<Row> for Delivery {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self> {
        let (status, is_next) = match row.state.as_str() {
            "new" | "due" => (DeliveryStatus::Pending, true),
            "blocked" | "sending" => (DeliveryStatus::Pending, false),
            "delivered" => (DeliveryStatus::Delivered, false),
            "dead" => (DeliveryStatus::Dead, false),
            _ => {
                let row = row.id.to_string();
                return Err(StoreError::Corrupt { table: "webhook_deliveries", column: "state", row });
            }
        };
        let body = body(&row.event, row.at.into(), &row.data);
        let headers = row.request_headers.unwrap_or_default();
        Ok(Self {
            id: row.id,
            webhook_id: row.webhook_id,
            event_id: row.event_id,
            event: row.event,
            status,
            attempts: row.attempts,
            next_attempt_at: is_next.then(|| row.due_at.into()),
            finished_at: row.finished_at.map(Timestamp::from),
            inserted_at: row.inserted_at.into(),
            request: row.url.map(|url| Request { url, headers, body }),
            response: response(row.response_status, row.response_headers, row.response_body),
            error: row.error,
            duration_ms: row.duration_ms,
        })
    }
}

fn response(status: Option<i16>, headers: Option<Value>, body: Option<String>) -> Option<Response> {
    Some(Response { status: status?, headers: headers.unwrap_or_default(), body: body.unwrap_or_default() })
}

/// One page of a webhook's deliveries.
pub async fn list_deliveries(
    store: &Store,
    tenant: TenantId,
    webhook: Uuid,
    filter: &DeliveryFilter,
    sort: Sort<DeliverySort>,
    page: Page,
) -> Result<Paged<Delivery>> {
    let order = match sort.field {
        DeliverySort::InsertedAt => SortKey::Filled("delivery.inserted_at"),
        DeliverySort::FinishedAt => SortKey::Nullable("delivery.finished_at"),
    };
    let mut count = QueryBuilder::new("SELECT count(*) FROM webhook_deliveries AS delivery");
    narrow(&mut count, tenant, webhook, filter);
    // The page first, what is told of its rows after.
    let mut query = QueryBuilder::new(COLUMNS);
    query.push("(SELECT * FROM webhook_deliveries AS delivery");
    narrow(&mut query, tenant, webhook, filter);
    push_page(&mut query, order, sort.order, "delivery.seq", page);
    query.push(")").push(JOINED);
    push_order(&mut query, order, sort.order, "delivery.seq");
    lists::read::<Row>(store, tenant, page, count, query).await?.try_map(Delivery::try_from)
}

fn narrow(query: &mut QueryBuilder<Postgres>, tenant: TenantId, webhook: Uuid, filter: &DeliveryFilter) {
    query.push(" WHERE delivery.tenant_id = ").push_bind(tenant.0);
    query.push(" AND delivery.webhook_id = ").push_bind(webhook);
    match filter.status {
        Some(DeliveryStatus::Pending) => query.push(" AND delivery.state NOT IN ('delivered', 'dead')"),
        Some(status) => query.push(" AND delivery.state = ").push_bind(status.as_str()),
        None => query,
    };
    if let Some(event) = &filter.event {
        query.push(" AND delivery.event = ").push_bind(event.clone());
    }
}

/// A delivery of a webhook and its attempts.
pub async fn find_delivery(store: &Store, tenant: TenantId, webhook: Uuid, id: Uuid) -> Result<Option<DeliveryDetail>> {
    let mut tx = store.tenant_tx(tenant).await?;
    let mut query: QueryBuilder<Postgres> = QueryBuilder::new(COLUMNS);
    query.push("webhook_deliveries").push(JOINED);
    narrow(&mut query, tenant, webhook, &DeliveryFilter::default());
    query.push(" AND delivery.id = ").push_bind(id);
    let Some(row) = query.build_query_as::<Row>().fetch_optional(&mut *tx).await? else { return Ok(None) };
    let text = body(&row.event, row.at.into(), &row.data);
    let rows = sqlx::query!(
        "SELECT number, at, url, request_headers, response_status, response_headers, response_body, error, duration_ms
         FROM webhook_attempts WHERE tenant_id = $1 AND delivery_id = $2 ORDER BY number DESC LIMIT $3",
        tenant.0,
        id,
        ATTEMPTS_SHOWN_MAX
    )
    .fetch_all(&mut *tx)
    .await?;
    let attempts_made = rows
        .into_iter()
        .map(|row| Attempt {
            number: row.number,
            at: row.at.into(),
            request: Request { url: row.url, headers: row.request_headers, body: text.clone() },
            response: response(row.response_status, row.response_headers, row.response_body),
            error: row.error,
            duration_ms: row.duration_ms,
        })
        .collect();
    Ok(Some(DeliveryDetail { delivery: row.try_into()?, attempts_made }))
}

/// Sends a finished delivery anew, with all its attempts before it; `None` when there is none.
pub async fn replay(work: &mut Work, webhook: Uuid, id: Uuid) -> Result<Option<Replayed>> {
    let (tenant, now) = (work.tenant.0, work.now.to_utc());
    let found = sqlx::query!(
        "WITH found AS (
             SELECT delivery.id, delivery.state IN ('delivered', 'dead') AS finished, webhooks.active
             FROM webhook_deliveries AS delivery
             JOIN webhooks ON webhooks.tenant_id = delivery.tenant_id AND webhooks.id = delivery.webhook_id
             WHERE delivery.tenant_id = $1 AND delivery.webhook_id = $2 AND delivery.id = $3
         ), again AS (
             UPDATE webhook_deliveries AS delivery SET state = 'new', failures = 0, due_at = $4, finished_at = NULL
             FROM found WHERE delivery.tenant_id = $1 AND delivery.id = found.id AND found.finished AND found.active
         )
         SELECT finished AS \"finished!\", active FROM found",
        tenant,
        webhook,
        id,
        now
    )
    .fetch_optional(work.tx())
    .await?;
    let replayed = found.map(|found| match (found.finished, found.active) {
        (false, _) => Replayed::Pending,
        (true, false) => Replayed::Inactive,
        (true, true) => Replayed::Yes,
    });
    if replayed == Some(Replayed::Yes) {
        work.then_ring(|bells| bells.webhooks.bell());
    }
    Ok(replayed)
}

/// Sends up to [`REPLAYED_MAX`] dead deliveries of a webhook anew, the oldest first; how many.
pub async fn replay_dead(work: &mut Work, webhook: Uuid) -> Result<u64> {
    let (tenant, now) = (work.tenant.0, work.now.to_utc());
    let done = sqlx::query!(
        "UPDATE webhook_deliveries AS delivery SET state = 'new', failures = 0, due_at = $3, finished_at = NULL
         FROM (
             SELECT id FROM webhook_deliveries WHERE tenant_id = $1 AND webhook_id = $2 AND state = 'dead'
             ORDER BY seq LIMIT $4
         ) AS dead
         WHERE delivery.tenant_id = $1 AND delivery.id = dead.id",
        tenant,
        webhook,
        now,
        i64::from(REPLAYED_MAX)
    )
    .execute(work.tx())
    .await?;
    if done.rows_affected() > 0 {
        work.then_ring(|bells| bells.webhooks.bell());
    }
    Ok(done.rows_affected())
}

/// Keeps a test that was made at once, as a delivery that is over.
pub async fn keep_test(
    work: &mut Work,
    webhook: Uuid,
    delivery: Uuid,
    message: &Message,
    attempt: NewAttempt,
    delivered: bool,
) -> Result<()> {
    let (tenant, now) = (work.tenant.0, work.now.to_utc());
    sqlx::query!(
        "WITH told AS (
             INSERT INTO webhook_events (tenant_id, id, event, subject_id, at, data)
             VALUES ($1, $2, $3, $4, $5, $6::text::json) RETURNING id, seq
         ), made AS (
             INSERT INTO webhook_deliveries (tenant_id, id, webhook_id, event_id, seq, event, subject_id, state, attempts,
                 failures, due_at, inserted_at, finished_at)
             SELECT $1, $7, $4, id, seq, $3, $4, CASE WHEN $8 THEN 'delivered' ELSE 'dead' END, 1,
                 CASE WHEN $8 THEN 0 ELSE 1 END, $5, $5, $9 FROM told
         )
         INSERT INTO webhook_attempts (tenant_id, delivery_id, number, at, duration_ms, url, request_headers,
             response_status, response_headers, response_body, error)
         VALUES ($1, $7, 1, $5, $10, $11, $12, $13, $14, $15, $16)",
        tenant,
        message.id,
        message.event,
        webhook,
        message.at.to_utc(),
        message.data,
        delivery,
        delivered,
        now,
        attempt.duration_ms,
        attempt.url,
        attempt.request_headers,
        attempt.response_status,
        attempt.response_headers,
        attempt.response_body,
        attempt.error
    )
    .execute(work.tx())
    .await?;
    Ok(())
}
