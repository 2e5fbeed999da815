//! Owns the outbox of mail: putting a mail in with the change it tells of, and what the deliverer needs. It knows neither
//! the words of a mail (`mail`) nor how one leaves (`actors::mail`).

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Result, StoreError, Work};
use crate::domain::clock::Timestamp;
use crate::domain::locale::Locale;

/// What a mail says. Times are told in the company's own zone. Its values are put into the text of its kind and language; they are never markup.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Message {
    /// Somebody asked for a new password.
    PasswordReset {
        /// Of the user.
        name: String,
        company: String,
        /// Where the new password is chosen; good once.
        url: String,
        expires_at: Timestamp,
    },
    /// To the customer: an appointment was made for him.
    AppointmentScheduled(AppointmentFacts),
    /// To the customer: its time, agent or department changed.
    AppointmentRescheduled(AppointmentFacts),
    /// To the customer: it is near.
    AppointmentReminder(AppointmentFacts),
    /// To the customer: it will not be.
    AppointmentCancelled(AppointmentFacts),
    /// To managers: a webhook was switched off after failing for days.
    WebhookDisabled {
        /// Of the reader.
        name: String,
        company: String,
        /// The webhook's target.
        url: String,
        /// When it failed first without a success since.
        failing_since: Timestamp,
    },
}

/// What the mails about an appointment tell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AppointmentFacts {
    pub company: String,
    pub customer_name: String,
    pub title: String,
    pub department_name: String,
    pub agent_name: String,
    pub scheduled_at: Timestamp,
    pub duration_minutes: u32,
    /// The page where the customer confirms or cancels.
    pub url: String,
    /// Where he joins the call.
    pub join_url: String,
    /// Why it was cancelled.
    pub reason: Option<String>,
}

impl Message {
    /// The word of its kind, which also names its texts.
    pub fn kind(&self) -> &'static str {
        match self {
            Message::PasswordReset { .. } => "password_reset",
            Message::AppointmentScheduled(_) => "appointment_scheduled",
            Message::AppointmentRescheduled(_) => "appointment_rescheduled",
            Message::AppointmentReminder(_) => "appointment_reminder",
            Message::AppointmentCancelled(_) => "appointment_cancelled",
            Message::WebhookDisabled { .. } => "webhook_disabled",
        }
    }
}

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

/// Puts a mail into the outbox, with the change it tells of: if that is not committed, nothing is sent.
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
    Ok(())
}
