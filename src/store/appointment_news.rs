//! Owns who is told what of an appointment, in the transaction that changed it: the customer by mail, the agent by a notice
//! when it was not his own doing, webhooks by an event. What is pushed on sockets is returned, for after the commit.

use super::appointments::Appointment;
use super::notifications::{self, Notification};
use super::webhooks::{self, Event};
use super::{Result, StoreError, Work, mails};
use crate::auth::{Seal, appointment_tokens};
use crate::domain::ids::{IdSource, NotificationId, UserId};
use crate::domain::locale::Locale;
use crate::mail::notices::{self, AppointmentNotice};
use crate::mail::{AppointmentFacts, Message};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    Created,
    /// What matters to nobody else: its texts, the customer's contacts.
    Updated,
    /// Its time, length, agent or department is another; whose it was before.
    Moved {
        from: UserId,
    },
    Confirmed,
    Cancelled,
    Completed,
    NoShow,
    /// Nothing happened; it is near.
    Near,
}

impl News {
    /// As webhooks hear of it.
    fn event(self) -> Option<Event> {
        match self {
            News::Created => Some(Event::AppointmentCreated),
            News::Updated | News::Moved { .. } => Some(Event::AppointmentUpdated),
            News::Confirmed => Some(Event::AppointmentConfirmed),
            News::Cancelled => Some(Event::AppointmentCancelled),
            News::Completed => Some(Event::AppointmentCompleted),
            News::NoShow => Some(Event::AppointmentNoShow),
            News::Near => None,
        }
    }

    /// As its agent hears of it.
    fn notice(self) -> Option<AppointmentNotice> {
        match self {
            News::Created => Some(AppointmentNotice::Scheduled),
            News::Moved { .. } => Some(AppointmentNotice::Rescheduled),
            News::Confirmed => Some(AppointmentNotice::Confirmed),
            News::Cancelled => Some(AppointmentNotice::Cancelled),
            News::Near => Some(AppointmentNotice::Reminder),
            News::Updated | News::Completed | News::NoShow => None,
        }
    }

    /// As its customer hears of it.
    fn mail(self, facts: AppointmentFacts) -> Option<Message> {
        match self {
            News::Created => Some(Message::AppointmentScheduled(facts)),
            News::Moved { .. } => Some(Message::AppointmentRescheduled(facts)),
            News::Cancelled => Some(Message::AppointmentCancelled(facts)),
            News::Near => Some(Message::AppointmentReminder(facts)),
            News::Updated | News::Confirmed | News::Completed | News::NoShow => None,
        }
    }
}

/// A notice that was kept, to be pushed to its reader once it is committed.
pub type Told = (UserId, Notification);

/// Tells the news of `appointment`, which is as it is now. `by` is the member of staff who did it, if one did.
pub async fn tell(
    work: &mut Work,
    appointment: &Appointment,
    news: News,
    by: Option<UserId>,
    seal: &Seal,
    ids: &IdSource,
) -> Result<Vec<Told>> {
    if let Some(event) = news.event() {
        webhooks::emit(work, event, appointment.id.0, appointment).await?;
    }
    let (tenant, now) = (work.tenant, work.now);
    let company = sqlx::query!("SELECT name, time_zone FROM tenants WHERE id = $1", tenant.0)
        .fetch_optional(work.tx())
        .await?
        .ok_or(StoreError::Corrupt { table: "tenants", column: "id", row: tenant.to_string() })?;
    let zone = company.time_zone.parse().unwrap_or(chrono_tz::UTC);
    // Nobody wants a mail about what is past anyway.
    if let Some(to) = appointment.customer_email.clone().filter(|_| appointment.ends_at() > now) {
        let token = appointment_tokens::issue(seal, ids, tenant, appointment.id);
        let facts = facts(appointment, company.name, &token);
        if let Some(message) = news.mail(facts) {
            let mail = mails::NewMail { id: ids.uuid(now), to, locale: appointment.locale, message, send_at: None };
            mails::enqueue(work, mail).await?;
        }
    }
    let mut told = Vec::new();
    let Some(notice) = news.notice() else { return Ok(told) };
    let mut readers = vec![appointment.user_id];
    if let News::Moved { from } = news
        && from != appointment.user_id
    {
        readers.push(from);
    }
    for reader in readers.into_iter().filter(|reader| by != Some(*reader)) {
        let Some(locale) = locale_of(work, reader).await? else { continue };
        let Appointment { title, customer_name, scheduled_at, .. } = appointment;
        let (title, body) = notices::appointment(notice, title, customer_name, *scheduled_at, zone, locale);
        let notification = Notification {
            id: ids.next::<NotificationId>(now),
            kind: notice.as_str().to_owned(),
            title,
            body,
            inserted_at: now,
            read_at: None,
        };
        notifications::create_naming(work, reader, &notification, appointment.customer_id).await?;
        told.push((reader, notification));
    }
    Ok(told)
}

fn facts(appointment: &Appointment, company: String, token: &str) -> AppointmentFacts {
    AppointmentFacts {
        company,
        customer_name: appointment.customer_name.clone(),
        title: appointment.title.clone(),
        department_name: appointment.department_name.clone(),
        agent_name: appointment.user_name.clone(),
        scheduled_at: appointment.scheduled_at,
        duration_minutes: appointment.duration_minutes,
        url: appointment.page_url(token),
        join_url: appointment.join_url(),
        reason: appointment.cancellation_reason.clone(),
    }
}

async fn locale_of(work: &mut Work, user: UserId) -> Result<Option<Locale>> {
    let tenant = work.tenant;
    let locale = sqlx::query_scalar!("SELECT locale FROM users WHERE tenant_id = $1 AND id = $2", tenant.0, user.0)
        .fetch_optional(work.tx())
        .await?;
    Ok(locale.map(|locale| Locale::closest(&locale)))
}
