//! Owns the outbox as the one deliverer of this process works through it: what is new is put in line, what is due is taken,
//! what came of it is kept. Only he moves open deliveries, one statement after the other, so he needs no locks against
//! himself; the company's own requests touch finished ones only.
//!
//! ```text
//!   new -> due -> sending -> delivered        one open delivery of a webhook and subject is due or sending,
//!    \-> blocked -^   \----> due (again)      the later ones are blocked until it is delivered or dead
//!                      \---> dead
//! ```

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::types::Json;
use uuid::Uuid;

use crate::domain::clock::Timestamp;
use crate::domain::ids::TenantId;
use crate::store::{Result, Store};

/// Facts deleted by one statement, so that none of them holds locks for long.
const SWEPT_AT_ONCE: i64 = 500;

/// Which webhook of which company.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    pub tenant: TenantId,
    pub webhook: Uuid,
}

/// A delivery taken to be sent now.
#[derive(Clone, Debug)]
pub struct Taken {
    pub endpoint: Endpoint,
    pub delivery: Uuid,
    pub subject: Uuid,
    /// From 1.
    pub number: i32,
    /// Attempts that failed before, since it was written or replayed.
    pub failures: i32,
    pub message: Message,
    pub target: Target,
}

/// What is told.
#[derive(Clone, Debug)]
pub struct Message {
    /// The event's id.
    pub id: Uuid,
    pub event: String,
    pub at: Timestamp,
    /// JSON text.
    pub data: String,
}

/// To whom.
#[derive(Clone, Debug)]
pub struct Target {
    pub webhook: Uuid,
    pub url: String,
    /// Sealed.
    pub secret: String,
    /// Sealed; while it still counts.
    pub former_secret: Option<String>,
}

/// One attempt, as it is kept.
#[derive(Clone, Debug)]
pub struct NewAttempt {
    pub at: Timestamp,
    pub duration_ms: i32,
    pub url: String,
    /// Names and values.
    pub request_headers: Value,
    pub response_status: Option<i16>,
    pub response_headers: Option<Value>,
    pub response_body: Option<String>,
    /// Why there is no answer.
    pub error: Option<String>,
}

/// What becomes of a delivery after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Delivered,
    /// Failed; tried again then.
    Again(Timestamp),
    /// Failed, and given up.
    Dead,
}

/// What came of a delivery that was taken.
#[derive(Clone, Debug)]
pub struct Finished {
    pub endpoint: Endpoint,
    pub delivery: Uuid,
    pub subject: Uuid,
    pub number: i32,
    pub attempt: NewAttempt,
    pub verdict: Verdict,
}

/// Makes what a deliverer before us was sending due again: whoever it was, he is gone, since we own the database.
pub async fn recover(store: &Store) -> Result<u64> {
    let done = sqlx::query!("UPDATE webhook_deliveries SET state = 'due' WHERE state = 'sending'")
        .execute(store.system())
        .await?;
    Ok(done.rows_affected())
}

/// Makes due again what is being sent and is none of `ours`: it was taken by a statement whose answer was lost. Which endpoints
/// have something due by that, and since when.
pub async fn recover_lost(store: &Store, ours: &[Uuid]) -> Result<Vec<(Endpoint, Timestamp)>> {
    let rows = sqlx::query!(
        "UPDATE webhook_deliveries SET state = 'due' WHERE state = 'sending' AND id <> ALL ($1)
         RETURNING tenant_id, webhook_id, due_at",
        ours
    )
    .fetch_all(store.system())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (Endpoint { tenant: TenantId(row.tenant_id), webhook: row.webhook_id }, Timestamp::from(row.due_at)))
        .collect())
}

/// Puts up to `limit` new deliveries in line, oldest first; which endpoints have something due by that and since when, and
/// whether there may be more.
pub async fn place_new(store: &Store, limit: u32) -> Result<(Vec<(Endpoint, Timestamp)>, bool)> {
    let rows = sqlx::query!(
        "WITH fresh AS MATERIALIZED (
             SELECT tenant_id, id, webhook_id, subject_id,
                    row_number() OVER (PARTITION BY tenant_id, webhook_id, subject_id ORDER BY seq) AS place
             FROM (SELECT * FROM webhook_deliveries WHERE state = 'new' ORDER BY seq LIMIT $1) AS oldest
         ), placed AS (
             UPDATE webhook_deliveries AS delivery
             SET state = CASE WHEN fresh.place > 1 OR EXISTS (
                     SELECT FROM webhook_deliveries AS other
                     WHERE other.tenant_id = fresh.tenant_id AND other.webhook_id = fresh.webhook_id
                       AND other.subject_id = fresh.subject_id AND other.state IN ('blocked', 'due', 'sending')
                 ) THEN 'blocked' ELSE 'due' END
             FROM fresh WHERE delivery.tenant_id = fresh.tenant_id AND delivery.id = fresh.id
             RETURNING delivery.tenant_id, delivery.webhook_id, delivery.state, delivery.due_at
         )
         SELECT tenant_id, webhook_id, min(due_at) FILTER (WHERE state = 'due') AS due_at, count(*) AS \"count!\"
         FROM placed GROUP BY tenant_id, webhook_id",
        i64::from(limit)
    )
    .fetch_all(store.system())
    .await?;
    let count: i64 = rows.iter().map(|row| row.count).sum();
    let due = rows
        .into_iter()
        .filter_map(|row| {
            let endpoint = Endpoint { tenant: TenantId(row.tenant_id), webhook: row.webhook_id };
            Some((endpoint, Timestamp::from(row.due_at?)))
        })
        .collect();
    Ok((due, count >= i64::from(limit)))
}

/// Every active endpoint that has something to send, and when the first of it is due.
pub async fn all_due(store: &Store) -> Result<Vec<(Endpoint, Timestamp)>> {
    let rows = sqlx::query!(
        "SELECT webhook.tenant_id, webhook.id, min(delivery.due_at) AS \"due_at!\"
         FROM webhooks AS webhook
         JOIN webhook_deliveries AS delivery ON delivery.tenant_id = webhook.tenant_id AND delivery.webhook_id = webhook.id
         WHERE webhook.active AND delivery.state = 'due'
         GROUP BY webhook.tenant_id, webhook.id"
    )
    .fetch_all(store.system())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (Endpoint { tenant: TenantId(row.tenant_id), webhook: row.id }, row.due_at.into()))
        .collect())
}

/// Takes what is due at each of these endpoints, as many as it has room for, while the owner of `epoch` owns the database
/// and the webhook is active.
pub async fn take_due(store: &Store, epoch: i64, now: Timestamp, wanted: &[(Endpoint, usize)]) -> Result<Vec<Taken>> {
    let tenants: Vec<Uuid> = wanted.iter().map(|(endpoint, _)| endpoint.tenant.0).collect();
    let webhooks: Vec<Uuid> = wanted.iter().map(|(endpoint, _)| endpoint.webhook).collect();
    let rooms: Vec<i64> = wanted.iter().map(|(_, room)| i64::try_from(*room).unwrap_or(0)).collect();
    let rows = sqlx::query!(
        "WITH wanted AS (
             SELECT w.* FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS w (tenant_id, webhook_id, room)
             JOIN webhooks ON webhooks.tenant_id = w.tenant_id AND webhooks.id = w.webhook_id AND webhooks.active
             WHERE EXISTS (SELECT FROM ownership WHERE owner_epoch = $4)
         ), picked AS MATERIALIZED (
             SELECT due.* FROM wanted CROSS JOIN LATERAL (
                 SELECT tenant_id, id FROM webhook_deliveries AS delivery
                 WHERE delivery.tenant_id = wanted.tenant_id AND delivery.webhook_id = wanted.webhook_id
                   AND state = 'due' AND due_at <= $5
                 ORDER BY due_at, seq LIMIT wanted.room
             ) AS due
         ), taken AS (
             UPDATE webhook_deliveries AS delivery SET state = 'sending', attempts = attempts + 1
             FROM picked WHERE delivery.tenant_id = picked.tenant_id AND delivery.id = picked.id
             RETURNING delivery.*
         )
         SELECT taken.tenant_id, taken.id, taken.webhook_id, taken.subject_id, taken.attempts, taken.failures,
                taken.event_id, taken.event, event.at, event.data::text AS \"data!\",
                webhook.url, webhook.secret,
                CASE WHEN webhook.former_secret_until > $5 THEN webhook.former_secret END AS former_secret
         FROM taken
         JOIN webhook_events AS event ON event.tenant_id = taken.tenant_id AND event.id = taken.event_id
         JOIN webhooks AS webhook ON webhook.tenant_id = taken.tenant_id AND webhook.id = taken.webhook_id
         ORDER BY taken.due_at, taken.seq",
        &tenants,
        &webhooks,
        &rooms,
        epoch,
        now.to_utc()
    )
    .fetch_all(store.system())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Taken {
            endpoint: Endpoint { tenant: TenantId(row.tenant_id), webhook: row.webhook_id },
            delivery: row.id,
            subject: row.subject_id,
            number: row.attempts,
            failures: row.failures,
            message: Message { id: row.event_id, event: row.event, at: row.at.into(), data: row.data },
            target: Target {
                webhook: row.webhook_id,
                url: row.url,
                secret: row.secret,
                former_secret: row.former_secret,
            },
        })
        .collect())
}

/// When each of these endpoints has something due next; those that have nothing, or are not active, are left out.
pub async fn next_due(store: &Store, endpoints: &[Endpoint]) -> Result<Vec<(Endpoint, Timestamp)>> {
    let tenants: Vec<Uuid> = endpoints.iter().map(|endpoint| endpoint.tenant.0).collect();
    let webhooks: Vec<Uuid> = endpoints.iter().map(|endpoint| endpoint.webhook).collect();
    let rows = sqlx::query!(
        "SELECT wanted.tenant_id AS \"tenant_id!\", wanted.webhook_id AS \"webhook_id!\", due.due_at
         FROM unnest($1::uuid[], $2::uuid[]) AS wanted (tenant_id, webhook_id)
         JOIN webhooks ON webhooks.tenant_id = wanted.tenant_id AND webhooks.id = wanted.webhook_id AND webhooks.active
         CROSS JOIN LATERAL (
             SELECT due_at FROM webhook_deliveries AS delivery
             WHERE delivery.tenant_id = wanted.tenant_id AND delivery.webhook_id = wanted.webhook_id AND state = 'due'
             ORDER BY due_at LIMIT 1
         ) AS due",
        &tenants,
        &webhooks
    )
    .fetch_all(store.system())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (Endpoint { tenant: TenantId(row.tenant_id), webhook: row.webhook_id }, row.due_at.into()))
        .collect())
}

/// The arrays of finished deliveries: one vector per column.
#[derive(Default)]
struct Columns {
    tenant_id: Vec<Uuid>,
    delivery_id: Vec<Uuid>,
    webhook_id: Vec<Uuid>,
    subject_id: Vec<Uuid>,
    number: Vec<i32>,
    state: Vec<&'static str>,
    due_at: Vec<Option<DateTime<Utc>>>,
    at: Vec<DateTime<Utc>>,
    duration_ms: Vec<i32>,
    url: Vec<String>,
    request_headers: Vec<Json<Value>>,
    response_status: Vec<Option<i16>>,
    response_headers: Vec<Option<Json<Value>>>,
    response_body: Vec<Option<String>>,
    error: Vec<Option<String>>,
}

impl Columns {
    fn of(finished: &[Finished]) -> Self {
        let mut columns = Self::default();
        for one in finished {
            let (state, due_at) = match one.verdict {
                Verdict::Delivered => ("delivered", None),
                Verdict::Again(at) => ("due", Some(at.to_utc())),
                Verdict::Dead => ("dead", None),
            };
            columns.tenant_id.push(one.endpoint.tenant.0);
            columns.delivery_id.push(one.delivery);
            columns.webhook_id.push(one.endpoint.webhook);
            columns.subject_id.push(one.subject);
            columns.number.push(one.number);
            columns.state.push(state);
            columns.due_at.push(due_at);
            columns.at.push(one.attempt.at.to_utc());
            columns.duration_ms.push(one.attempt.duration_ms);
            columns.url.push(one.attempt.url.clone());
            columns.request_headers.push(Json(one.attempt.request_headers.clone()));
            columns.response_status.push(one.attempt.response_status);
            columns.response_headers.push(one.attempt.response_headers.clone().map(Json));
            columns.response_body.push(one.attempt.response_body.clone());
            columns.error.push(one.attempt.error.clone());
        }
        columns
    }
}

/// Keeps what came of deliveries that were taken, and makes the next of each line due. Again is harmless. The answer is which
/// of their webhooks have failed without a success since `failing_before` or longer.
pub async fn finish(
    store: &Store,
    finished: &[Finished],
    now: Timestamp,
    failing_before: Timestamp,
) -> Result<Vec<Endpoint>> {
    let columns = Columns::of(finished);
    let mut tx = store.system().begin().await?;
    sqlx::query!(
        "INSERT INTO webhook_attempts (tenant_id, delivery_id, number, at, duration_ms, url, request_headers,
             response_status, response_headers, response_body, error)
         SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::integer[], $4::timestamptz[], $5::integer[], $6::text[],
             $7::json[], $8::smallint[], $9::json[], $10::text[], $11::text[])
         ON CONFLICT DO NOTHING",
        &columns.tenant_id,
        &columns.delivery_id,
        &columns.number,
        &columns.at,
        &columns.duration_ms,
        &columns.url,
        &columns.request_headers as _,
        &columns.response_status as _,
        &columns.response_headers as _,
        &columns.response_body as _,
        &columns.error as _
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "UPDATE webhook_deliveries AS delivery
         SET state = done.state, due_at = COALESCE(done.due_at, delivery.due_at),
             failures = delivery.failures + CASE WHEN done.state = 'delivered' THEN 0 ELSE 1 END,
             finished_at = CASE WHEN done.state = 'due' THEN NULL ELSE $5::timestamptz END
         FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[]) AS done (tenant_id, id, state, due_at)
         WHERE delivery.tenant_id = done.tenant_id AND delivery.id = done.id AND delivery.state = 'sending'",
        &columns.tenant_id,
        &columns.delivery_id,
        &columns.state as _,
        &columns.due_at as _,
        now.to_utc()
    )
    .execute(&mut *tx)
    .await?;
    // A line whose first delivery is still open has it as due or sending, and then nothing moves.
    sqlx::query!(
        "UPDATE webhook_deliveries AS delivery SET state = 'due'
         FROM (SELECT DISTINCT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS l (tenant_id, webhook_id, subject_id)) AS line
         CROSS JOIN LATERAL (
             SELECT id, state FROM webhook_deliveries AS open
             WHERE open.tenant_id = line.tenant_id AND open.webhook_id = line.webhook_id
               AND open.subject_id = line.subject_id AND open.state IN ('blocked', 'due', 'sending')
             ORDER BY open.state = 'blocked', open.seq LIMIT 1
         ) AS next
         WHERE next.state = 'blocked' AND delivery.tenant_id = line.tenant_id AND delivery.id = next.id",
        &columns.tenant_id,
        &columns.webhook_id,
        &columns.subject_id
    )
    .execute(&mut *tx)
    .await?;
    let failing = sqlx::query!(
        "WITH told AS (
             SELECT tenant_id, webhook_id, bool_or(state = 'delivered') AS delivered, min(at) AS at
             FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[]) AS t (tenant_id, webhook_id, state, at)
             GROUP BY tenant_id, webhook_id
         ), changed AS (
             UPDATE webhooks AS webhook SET failing_since = CASE WHEN told.delivered THEN NULL ELSE told.at END
             FROM told WHERE webhook.tenant_id = told.tenant_id AND webhook.id = told.webhook_id
               AND (webhook.failing_since IS NULL) <> told.delivered
         )
         SELECT webhook.tenant_id, webhook.id FROM told
         JOIN webhooks AS webhook ON webhook.tenant_id = told.tenant_id AND webhook.id = told.webhook_id
         WHERE NOT told.delivered AND webhook.active AND webhook.failing_since <= $5",
        &columns.tenant_id,
        &columns.webhook_id,
        &columns.state as _,
        &columns.at,
        failing_before.to_utc()
    )
    .fetch_all(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(failing.into_iter().map(|row| Endpoint { tenant: TenantId(row.tenant_id), webhook: row.id }).collect())
}

/// Deletes a slice of the facts that are older than `before`, with all that became of them; how many went.
pub async fn sweep(store: &Store, before: Timestamp) -> Result<u64> {
    let done = sqlx::query!(
        "WITH old AS MATERIALIZED (
             SELECT tenant_id, id FROM webhook_events WHERE at < $1 ORDER BY at LIMIT $2
         ), deliveries AS (
             DELETE FROM webhook_deliveries AS delivery USING old
             WHERE delivery.tenant_id = old.tenant_id AND delivery.event_id = old.id
             RETURNING delivery.tenant_id, delivery.id
         ), attempts AS (
             DELETE FROM webhook_attempts AS attempt USING deliveries
             WHERE attempt.tenant_id = deliveries.tenant_id AND attempt.delivery_id = deliveries.id
         )
         DELETE FROM webhook_events AS event USING old WHERE event.tenant_id = old.tenant_id AND event.id = old.id",
        before.to_utc(),
        SWEPT_AT_ONCE
    )
    .execute(store.system())
    .await?;
    Ok(done.rows_affected())
}
