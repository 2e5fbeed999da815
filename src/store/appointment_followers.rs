//! Owns what is still to be done for appointments by itself: reminders that are due, and calls that complete them. Each is
//! a row that goes with the transaction which does it, so it is done once, whatever happens in between.

use super::appointments::{Appointment, lock};
use super::{Result, Store, Work};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{AppointmentId, CallId, TenantId};

/// An appointment of a tenant.
pub type Followed = (TenantId, AppointmentId);

/// Plans the reminders of an open appointment anew: so many minutes before, those that are not past yet.
pub async fn plan(work: &mut Work, appointment: &Appointment, minutes_before: &[u32]) -> Result<()> {
    let (tenant, now) = (work.tenant, work.now);
    let mut due: Vec<_> = minutes_before
        .iter()
        .map(|minutes| appointment.scheduled_at.micros() - i64::from(*minutes) * 60 * 1_000_000)
        .map(Timestamp::from_micros)
        .filter(|due| *due > now)
        .map(Timestamp::to_utc)
        .collect();
    due.sort_unstable();
    due.dedup();
    sqlx::query!(
        "DELETE FROM appointment_reminders WHERE tenant_id = $1 AND appointment_id = $2",
        tenant.0,
        appointment.id.0
    )
    .execute(work.tx())
    .await?;
    if due.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO appointment_reminders (tenant_id, appointment_id, due_at) SELECT $1, $2, unnest($3::timestamptz[])",
        tenant.0,
        appointment.id.0,
        &due
    )
    .execute(work.tx())
    .await?;
    work.then_ring(|bells| &bells.appointments);
    Ok(())
}

/// When the next reminder is due; `None` when none is planned.
pub async fn next_due(store: &Store) -> Result<Option<Timestamp>> {
    let due = sqlx::query_scalar!("SELECT min(due_at) FROM appointment_reminders").fetch_one(store.system()).await?;
    Ok(due.map(Timestamp::from))
}

/// Up to `limit` appointments with reminders that are due, the longest due first.
pub async fn due(store: &Store, now: Timestamp, limit: u32) -> Result<Vec<Followed>> {
    let rows = sqlx::query!(
        "SELECT tenant_id, appointment_id FROM appointment_reminders WHERE due_at <= $1
         GROUP BY tenant_id, appointment_id ORDER BY min(due_at) LIMIT $2",
        now.to_utc(),
        i64::from(limit)
    )
    .fetch_all(store.system())
    .await?;
    Ok(rows.into_iter().map(|row| (TenantId(row.tenant_id), AppointmentId(row.appointment_id))).collect())
}

/// Takes the reminders of an appointment that are due: it is to be reminded of, once however many there were. `None` when
/// there is nothing to remind of: somebody else did, it is over, or its time has come while nobody served.
pub async fn take_reminder(work: &mut Work, id: AppointmentId) -> Result<Option<Appointment>> {
    let (tenant, now) = (work.tenant, work.now);
    // Locked before its reminders, in the order of whoever changes it.
    let Some(appointment) = lock(work, id).await? else { return Ok(None) };
    let taken = sqlx::query!(
        "DELETE FROM appointment_reminders WHERE tenant_id = $1 AND appointment_id = $2 AND due_at <= $3",
        tenant.0,
        id.0,
        now.to_utc()
    )
    .execute(work.tx())
    .await?;
    let wanted = taken.rows_affected() > 0 && appointment.status.is_open() && appointment.scheduled_at > now;
    Ok(wanted.then_some(appointment))
}

/// Up to `limit` appointments whose call was completed.
pub async fn met(store: &Store, limit: u32) -> Result<Vec<(Followed, CallId)>> {
    let rows = sqlx::query!(
        "SELECT tenant_id, appointment_id, call_id FROM appointment_calls ORDER BY tenant_id, appointment_id LIMIT $1",
        i64::from(limit)
    )
    .fetch_all(store.system())
    .await?;
    let row = |(tenant, appointment, call)| ((TenantId(tenant), AppointmentId(appointment)), CallId(call));
    Ok(rows.into_iter().map(|r| row((r.tenant_id, r.appointment_id, r.call_id))).collect())
}

/// Takes note of a completed call of an appointment, so that it is done with.
pub async fn take_met(work: &mut Work, id: AppointmentId) -> Result<()> {
    let tenant = work.tenant;
    sqlx::query!("DELETE FROM appointment_calls WHERE tenant_id = $1 AND appointment_id = $2", tenant.0, id.0)
        .execute(work.tx())
        .await?;
    Ok(())
}
