//! Owns the kinds of mail and the facts each tells. The words are in `templates/`.

use serde::{Deserialize, Serialize};

use crate::domain::clock::Timestamp;

/// What a mail says. Times are told in the company's own zone. Its values are put into the words of its kind and language;
/// they are never markup.
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
    /// To the customer: an appointment was made with him.
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
        /// When the failures began that no success interrupted.
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
    /// The word of its kind, which also names its words.
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
