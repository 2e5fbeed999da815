//! Owns the outbox of mail: putting a mail in with the change it tells of, and what the deliverer needs. It knows neither
//! the words of a mail (`mail`) nor how one leaves (`actors::mail`).

use std::time::Duration;

use uuid::Uuid;

use super::{Result, Store, StoreError, Work};
use crate::domain::clock::Timestamp;
use crate::domain::ids::TenantId;
use crate::domain::locale::Locale;
pub use crate::mail::{AppointmentFacts, Message};

/// Rows of mails that left are kept for so long, to answer "was it sent".
const KEPT_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Mails that one sweep forgets at most.
const SLICE: i64 = 1_000;

/// A mail to be sent.
#[derive(Clone, Debug)]
pub struct NewMail {
    pub id: Uuid,
    /// One address, without a name.
    pub to: String,
    pub locale: Locale,
    pub message: Message,
    /// Not before; at once without one.
    pub send_at: Option<Timestamp>,
}

/// Puts a mail into the outbox, with the change it tells of: if that is not committed, nothing is sent; once it is, the
/// deliverer is woken.
pub async fn enqueue(work: &mut Work, mail: NewMail) -> Result<()> {
    let message = serde_json::to_value(&mail.message)
        .map_err(|error| StoreError::Refused { code: "json".into(), message: error.to_string() })?;
    let (tenant, now) = (work.tenant, work.now);
    sqlx::query!(
        "INSERT INTO mails (tenant_id, id, recipient, locale, kind, message, send_at, due_at, inserted_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8)",
        tenant.0,
        mail.id,
        mail.to,
        mail.locale.as_str(),
        mail.message.kind(),
        message,
        mail.send_at.unwrap_or(now).to_utc(),
        now.to_utc()
    )
    .execute(work.tx())
    .await?;
    work.then_ring(|bells| &bells.mails);
    Ok(())
}

/// A mail somebody has in hand.
#[derive(Clone, Debug)]
pub struct Claimed {
    pub tenant: TenantId,
    pub id: Uuid,
    pub to: String,
    pub locale: Locale,
    /// `None` when the row holds none that this program understands.
    pub message: Option<Message>,
    /// This try included.
    pub attempts: u32,
    pub send_at: Timestamp,
    /// The company's.
    pub time_zone: chrono_tz::Tz,
}

/// Takes up to `limit` mails that are due, the longest due first. One that is not settled by `lease_until`, because
/// whoever took it is gone, is due again then: so a mail is sent at least once.
pub async fn claim(store: &Store, now: Timestamp, lease_until: Timestamp, limit: u32) -> Result<Vec<Claimed>> {
    let rows = sqlx::query!(
        "WITH due AS (
             SELECT tenant_id, id FROM mails WHERE due_at <= $1 AND sent_at IS NULL AND dead_at IS NULL
             ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED
         )
         UPDATE mails SET attempts = mails.attempts + 1, due_at = $2
         FROM due JOIN tenants ON tenants.id = due.tenant_id
         WHERE mails.tenant_id = due.tenant_id AND mails.id = due.id
         RETURNING mails.tenant_id, mails.id, recipient, locale, message, attempts, send_at, time_zone",
        now.to_utc(),
        lease_until.to_utc(),
        i64::from(limit)
    )
    .fetch_all(store.system())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Claimed {
            tenant: TenantId(row.tenant_id),
            id: row.id,
            to: row.recipient,
            locale: Locale::closest(&row.locale),
            message: row.message.and_then(|message| serde_json::from_value(message).ok()),
            attempts: row.attempts.unsigned_abs(),
            send_at: row.send_at.into(),
            time_zone: row.time_zone.parse().unwrap_or(chrono_tz::UTC),
        })
        .collect())
}

/// When the next mail is due; `None` when none waits.
pub async fn next_due(store: &Store) -> Result<Option<Timestamp>> {
    let due = sqlx::query_scalar!("SELECT min(due_at) FROM mails WHERE sent_at IS NULL AND dead_at IS NULL")
        .fetch_one(store.system())
        .await?;
    Ok(due.map(Timestamp::from))
}

/// What came of a try.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It left. What it said is forgotten.
    Sent,
    /// It did not; it is tried again then.
    Again { at: Timestamp, error: String },
    /// It never will. What it said is forgotten.
    Dead { error: String },
}

/// Notes what came of a try.
pub async fn settle(store: &Store, tenant: TenantId, id: Uuid, outcome: Outcome, now: Timestamp) -> Result<()> {
    let (sent_at, dead_at, due_at, error) = match outcome {
        Outcome::Sent => (Some(now), None, None, None),
        Outcome::Again { at, error } => (None, None, Some(at), Some(error)),
        Outcome::Dead { error } => (None, Some(now), None, Some(error)),
    };
    sqlx::query!(
        "UPDATE mails SET sent_at = $3, dead_at = $4, due_at = COALESCE($5, due_at), last_error = $6,
                          message = CASE WHEN $5::timestamptz IS NULL THEN NULL ELSE message END
         WHERE tenant_id = $1 AND id = $2",
        tenant.0,
        id,
        sent_at.map(Timestamp::to_utc),
        dead_at.map(Timestamp::to_utc),
        due_at.map(Timestamp::to_utc),
        error
    )
    .execute(store.system())
    .await?;
    Ok(())
}

/// Forgets a slice of the mails that left or were given up long ago; how many.
pub async fn sweep(store: &Store, now: Timestamp) -> Result<u64> {
    let done = sqlx::query!(
        "DELETE FROM mails USING (
             SELECT tenant_id, id FROM mails
             WHERE inserted_at < $1 AND (sent_at IS NOT NULL OR dead_at IS NOT NULL) ORDER BY inserted_at LIMIT $2
         ) AS old WHERE mails.tenant_id = old.tenant_id AND mails.id = old.id",
        (now - KEPT_FOR).to_utc(),
        SLICE
    )
    .execute(store.system())
    .await?;
    Ok(done.rows_affected())
}
