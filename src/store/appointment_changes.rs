//! Owns making, changing and ending appointments, with the access link each is joined by. That an agent's open appointments
//! never overlap is decided here, inside the transaction, with the agent's own row locked.

use super::appointments::{Appointment, corrupt, ends_at, lock, overlapping, read};
use super::links::{self, Link, NewLink};
use super::{Result, Work, customers};
use crate::domain::appointment::AppointmentStatus;
use crate::domain::clock::Timestamp;
use crate::domain::ids::{AppointmentId, CustomerId, DepartmentId, LinkId, UserId};
use crate::domain::locale::Locale;

/// How long after an appointment its link still lets people in: whoever is very late is at least told by a person.
const LINK_SECONDS_AFTER: u64 = 12 * 60 * 60;

/// What a new appointment is made of.
#[derive(Clone, Debug)]
pub struct NewAppointment {
    pub id: AppointmentId,
    pub title: String,
    pub description: Option<String>,
    pub scheduled_at: Timestamp,
    pub duration_minutes: u32,
    pub department_id: DepartmentId,
    pub user_id: UserId,
    pub customer: Customer,
    pub notes: Option<String>,
    /// The agent's when absent.
    pub locale: Option<Locale>,
    pub link_id: LinkId,
    /// Unguessable.
    pub link_token: String,
    pub base_url: String,
}

/// The customer of an appointment, as he was when it was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Customer {
    pub id: CustomerId,
    pub name: String,
    pub email: Option<String>,
    pub phone: Option<String>,
}

/// What is changed: what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct AppointmentChange {
    pub title: Option<String>,
    pub description: Option<Option<String>>,
    pub scheduled_at: Option<Timestamp>,
    pub duration_minutes: Option<u32>,
    pub department_id: Option<DepartmentId>,
    pub user_id: Option<UserId>,
    pub customer_id: Option<CustomerId>,
    pub customer_name: Option<String>,
    pub customer_email: Option<Option<String>>,
    pub customer_phone: Option<Option<String>>,
    pub notes: Option<Option<String>>,
    pub locale: Option<Locale>,
}

/// Why an appointment cannot be made or moved so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The agent has another one then.
    Conflict,
    UnknownUser,
    UnknownDepartment,
    UnknownCustomer,
    /// It is over, and its time, place and people are history.
    Closed(AppointmentStatus),
}

/// Locks the agent's row, so that his appointments are made one after the other; his language. `None` when there is no such
/// agent, or when he does not work here any more.
async fn lock_agent(work: &mut Work, user: UserId) -> Result<Option<Locale>> {
    let tenant = work.tenant;
    let locale = sqlx::query_scalar!(
        "SELECT locale FROM users WHERE tenant_id = $1 AND id = $2 AND active FOR NO KEY UPDATE",
        tenant.0,
        user.0
    )
    .fetch_optional(work.tx())
    .await?;
    Ok(locale.map(|locale| Locale::closest(&locale)))
}

async fn department_exists(work: &mut Work, department: DepartmentId) -> Result<bool> {
    let tenant = work.tenant;
    // It stays while the work lasts: it could be deleted between this look and what follows.
    let there = sqlx::query_scalar!(
        "SELECT true AS \"there!\" FROM departments WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL FOR KEY SHARE",
        tenant.0,
        department.0
    )
    .fetch_optional(work.tx())
    .await?;
    Ok(there.is_some())
}

/// Makes an appointment and its link, unless the agent has another one then.
pub async fn create(work: &mut Work, new: NewAppointment) -> Result<std::result::Result<Appointment, Refusal>> {
    let (tenant, now) = (work.tenant, work.now);
    let until = ends_at(new.scheduled_at, new.duration_minutes);
    let Some(agents_locale) = lock_agent(work, new.user_id).await? else { return Ok(Err(Refusal::UnknownUser)) };
    if !department_exists(work, new.department_id).await? {
        return Ok(Err(Refusal::UnknownDepartment));
    }
    if !overlapping(work.tx(), tenant, new.user_id, new.scheduled_at, until, None).await?.is_empty() {
        return Ok(Err(Refusal::Conflict));
    }
    let link = NewLink {
        customer_id: Some(new.customer.id),
        customer_name: Some(new.customer.name.clone()),
        customer_email: new.customer.email.clone(),
        customer_phone: new.customer.phone.clone(),
        // He may come back after a dropped line, so it is good for more than one call.
        expires_at: Some(until.plus_seconds(LINK_SECONDS_AFTER)),
        ..NewLink::new(new.link_id, new.link_token, new.department_id)
    };
    links::create(work, &[link]).await?;
    sqlx::query!(
        "INSERT INTO appointments (tenant_id, id, title, description, status, scheduled_at, duration_minutes, ends_at,
                                   department_id, user_id, customer_id, customer_name, customer_email, customer_phone,
                                   notes, locale, link_id, base_url, inserted_at, updated_at)
         VALUES ($1, $2, $3, $4, 'scheduled', $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $18)",
        tenant.0,
        new.id.0,
        new.title,
        new.description,
        new.scheduled_at.to_utc(),
        minutes(new.duration_minutes),
        until.to_utc(),
        new.department_id.0,
        new.user_id.0,
        new.customer.id.0,
        new.customer.name,
        new.customer.email,
        new.customer.phone,
        new.notes,
        new.locale.unwrap_or(agents_locale).as_str(),
        new.link_id.0,
        new.base_url,
        now.to_utc()
    )
    .execute(work.tx())
    .await?;
    let made = read(work.tx(), tenant, new.id).await?;
    made.map(Ok).ok_or_else(|| corrupt("id", new.id.0))
}

fn minutes(duration: u32) -> i32 {
    i32::try_from(duration).unwrap_or(i32::MAX)
}

/// An appointment before and after a change.
#[derive(Clone, Debug)]
pub struct Changed {
    pub before: Appointment,
    pub after: Appointment,
}

impl Changed {
    /// Whether the customer has to know: the time, the length, the agent or the department is another.
    pub fn moved(&self) -> bool {
        let facts = |a: &Appointment| (a.scheduled_at, a.duration_minutes, a.user_id, a.department_id);
        facts(&self.before) != facts(&self.after)
    }

    /// Whether anything is another.
    pub fn differs(&self) -> bool {
        self.before != self.after
    }

    /// Whether it is at another time.
    pub fn rescheduled(&self) -> bool {
        self.before.scheduled_at != self.after.scheduled_at
    }
}

/// Changes what is given; `None` when there is no such appointment. Moving it checks for conflicts again, and whoever
/// confirmed the old time has not confirmed the new one.
pub async fn update(
    work: &mut Work,
    id: AppointmentId,
    change: AppointmentChange,
) -> Result<Option<std::result::Result<Changed, Refusal>>> {
    let (tenant, now) = (work.tenant, work.now);
    let Some(before) = lock(work, id).await? else { return Ok(None) };
    let mut after = before.clone();
    after.scheduled_at = change.scheduled_at.unwrap_or(before.scheduled_at);
    after.duration_minutes = change.duration_minutes.unwrap_or(before.duration_minutes);
    after.user_id = change.user_id.unwrap_or(before.user_id);
    after.department_id = change.department_id.unwrap_or(before.department_id);
    after.customer_id = change.customer_id.unwrap_or(before.customer_id);
    let mut changed = Changed { before, after };
    let people_changed = changed.before.customer_id != changed.after.customer_id;
    if (changed.moved() || people_changed) && !changed.before.status.is_open() {
        return Ok(Some(Err(Refusal::Closed(changed.before.status))));
    }
    if changed.moved() {
        let Changed { after, .. } = &changed;
        if lock_agent(work, after.user_id).await?.is_none() {
            return Ok(Some(Err(Refusal::UnknownUser)));
        }
        if after.department_id != changed.before.department_id && !department_exists(work, after.department_id).await? {
            return Ok(Some(Err(Refusal::UnknownDepartment)));
        }
        let (from, to) = (after.scheduled_at, after.ends_at());
        if !overlapping(work.tx(), tenant, after.user_id, from, to, Some(id)).await?.is_empty() {
            return Ok(Some(Err(Refusal::Conflict)));
        }
    }
    let after = &mut changed.after;
    if people_changed {
        let Some(customer) = customers::read(work.tx(), tenant, after.customer_id).await? else {
            return Ok(Some(Err(Refusal::UnknownCustomer)));
        };
        (after.customer_id, after.customer_name) = (customer.id, customer.name);
        (after.customer_email, after.customer_phone) = (customer.email, customer.phone);
    }
    after.title = change.title.unwrap_or_else(|| after.title.clone());
    after.description = change.description.unwrap_or_else(|| after.description.clone());
    after.customer_name = change.customer_name.unwrap_or_else(|| after.customer_name.clone());
    after.customer_email = change.customer_email.unwrap_or_else(|| after.customer_email.clone());
    after.customer_phone = change.customer_phone.unwrap_or_else(|| after.customer_phone.clone());
    after.notes = change.notes.unwrap_or_else(|| after.notes.clone());
    after.locale = change.locale.unwrap_or(after.locale);
    if changed.rescheduled() {
        changed.after.status = AppointmentStatus::Scheduled;
    }
    // Who asks for what is so already changes nothing, so nobody hears of it.
    if changed.after == changed.before {
        return Ok(Some(Ok(changed)));
    }
    write(work, &changed.after, now).await?;
    let after = read(work.tx(), tenant, id).await?;
    changed.after = after.ok_or_else(|| corrupt("id", id.0))?;
    Ok(Some(Ok(changed)))
}

/// Writes what may change, and what the link says of it.
async fn write(work: &mut Work, after: &Appointment, now: Timestamp) -> Result<()> {
    let tenant = work.tenant;
    sqlx::query!(
        "UPDATE appointments SET title = $3, description = $4, status = $5, scheduled_at = $6, duration_minutes = $7,
                ends_at = $8, department_id = $9, user_id = $10, customer_id = $11, customer_name = $12,
                customer_email = $13, customer_phone = $14, notes = $15, locale = $16, updated_at = $17
         WHERE tenant_id = $1 AND id = $2",
        tenant.0,
        after.id.0,
        after.title,
        after.description,
        after.status.as_str(),
        after.scheduled_at.to_utc(),
        minutes(after.duration_minutes),
        after.ends_at().to_utc(),
        after.department_id.0,
        after.user_id.0,
        after.customer_id.0,
        after.customer_name,
        after.customer_email,
        after.customer_phone,
        after.notes,
        after.locale.as_str(),
        now.to_utc()
    )
    .execute(work.tx())
    .await?;
    sqlx::query!(
        "UPDATE access_links SET department_id = $3, customer_id = $4, customer_name = $5, customer_email = $6,
                customer_phone = $7, expires_at = $8
         WHERE tenant_id = $1 AND id = $2",
        tenant.0,
        after.link_id.0,
        after.department_id.0,
        after.customer_id.0,
        after.customer_name,
        after.customer_email,
        after.customer_phone,
        after.ends_at().plus_seconds(LINK_SECONDS_AFTER).to_utc()
    )
    .execute(work.tx())
    .await?;
    Ok(())
}

/// What became of the wish to give an appointment another status.
#[derive(Clone, Debug)]
pub enum Turned {
    /// It has it now. A cancelled one's link leads nowhere any more.
    Done(Appointment, Option<Link>),
    /// It had it before.
    Already(Appointment),
    /// From its status no way leads there.
    Refused(AppointmentStatus),
}

/// Gives an appointment another status; `None` when there is no such appointment.
pub async fn turn(
    work: &mut Work,
    id: AppointmentId,
    next: AppointmentStatus,
    reason: Option<String>,
) -> Result<Option<Turned>> {
    let (tenant, now) = (work.tenant, work.now);
    let Some(mut appointment) = lock(work, id).await? else { return Ok(None) };
    if appointment.status == next {
        return Ok(Some(Turned::Already(appointment)));
    }
    if !appointment.status.can_become(next) {
        return Ok(Some(Turned::Refused(appointment.status)));
    }
    sqlx::query!(
        "UPDATE appointments SET status = $3, cancellation_reason = $4, updated_at = $5 WHERE tenant_id = $1 AND id = $2",
        tenant.0,
        id.0,
        next.as_str(),
        reason,
        now.to_utc()
    )
    .execute(work.tx())
    .await?;
    if !next.is_open() {
        sqlx::query!("DELETE FROM appointment_reminders WHERE tenant_id = $1 AND appointment_id = $2", tenant.0, id.0)
            .execute(work.tx())
            .await?;
    }
    let link =
        if next == AppointmentStatus::Cancelled { links::cancel(work, appointment.link_id).await? } else { None };
    appointment.status = next;
    appointment.cancellation_reason = reason;
    appointment.updated_at = now;
    Ok(Some(Turned::Done(appointment, link)))
}
