//! Owns appointments on the wire for staff. Every member of staff sees and changes all of the company's. What the customer
//! does with his is `appointment_page`'s.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::appointment_input::{
    AppointmentList, CancelAppointment, ConflictQuery, CreateAppointment, ShownAppointment, UpdateAppointment,
};
use crate::actors::handle::Notice;
use crate::domain::appointment::AppointmentStatus;
use crate::domain::ids::{AppointmentId, CustomerId, TenantId, UserId};
use crate::http::caller::Staff;
use crate::http::envelope::{Created, Data, Page};
use crate::http::error::ApiError;
use crate::http::input::{Body, Ids, Query};
use crate::http::public_url::BaseUrl;
use crate::http::state::AppState;
use crate::store::appointment_changes::{self as changes, Customer, NewAppointment, Refusal, Turned};
use crate::store::appointment_news::{News, Told, tell};
use crate::store::appointments::{self, Appointment, ends_at};
use crate::store::customers::{self, NewCustomer};
use crate::store::webhooks::{self, Event};
use crate::store::{Work, appointment_followers as followers};

/// Randomness of the token of an appointment's link: 120 bits, as of every link's.
const LINK_TOKEN_BYTES: usize = 15;

/// `/api/v1/appointments/*`.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(check_conflicts))
        .routes(routes!(show, update))
        .routes(routes!(confirm))
        .routes(routes!(cancel))
        .routes(routes!(complete))
        .routes(routes!(no_show))
}

/// What an agent has at a time.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Conflicts {
    pub has_conflicts: bool,
    /// His scheduled and confirmed appointments that overlap, the soonest first, at most 100.
    pub conflicts: Vec<ShownAppointment>,
}

/// List appointments
///
/// `date_from` and `date_to` are of `scheduled_at`; a bare date is the company's whole day, and `date_to` includes it.
#[utoipa::path(get, path = "/api/v1/appointments", tag = "Appointments", security(("staff" = ["attendant"])),
    params(Query<AppointmentList>), responses((status = 200, body = Page<ShownAppointment>)))]
async fn list(
    State(state): State<AppState>,
    staff: Staff,
    Query(query): Query<AppointmentList>,
) -> Result<Page<ShownAppointment>, ApiError> {
    let (sort, page) = (query.sort, query.page);
    let filter = query.filter(&state.store, staff.tenant).await?;
    Ok(appointments::list(&state.store, staff.tenant, &filter, sort, page).await?.map(ShownAppointment::from).into())
}

/// Create an appointment
///
/// `user_id` is the agent, by default the caller; `duration_minutes` is 30 unless said otherwise, at most 1,440. Without a
/// `customer_id` the customer is found by email or telephone, or made. The customer gets an access link to join by, and by
/// mail (if `customer_email` is known) links to confirm, cancel and join, in `locale` or else in the agent's language.
/// Overlapping another scheduled or confirmed appointment of the agent is 422; one may begin when another ends.
#[utoipa::path(post, path = "/api/v1/appointments", tag = "Appointments", security(("staff" = ["attendant"])),
    request_body = CreateAppointment, responses((status = 201, body = Data<ShownAppointment>)))]
async fn create(
    State(state): State<AppState>,
    staff: Staff,
    base: BaseUrl,
    Body(body): Body<CreateAppointment>,
) -> Result<Created<ShownAppointment>, ApiError> {
    // Looked for outside the transaction, as a join does; two at once may make two customers, who can be merged.
    let known = match body.customer_id {
        None => {
            let (email, phone) = (body.customer_email.as_deref(), body.customer_phone.as_deref());
            customers::match_contact(&state.store, staff.tenant, email, phone).await?
        }
        given => given,
    };
    let mut work = state.creation(&staff).await?;
    let now = work.now;
    if body.scheduled_at <= now {
        return Err(ApiError::field("scheduled_at", "must be in the future"));
    }
    let by = staff.user;
    let customer = customer_of(&state, &mut work, &body, known).await?;
    let new = NewAppointment {
        id: state.ids.next(now),
        title: body.title,
        description: body.description,
        scheduled_at: body.scheduled_at,
        duration_minutes: body.duration_minutes,
        department_id: body.department_id,
        user_id: body.user_id.unwrap_or(by),
        customer,
        notes: body.notes,
        locale: body.locale,
        link_id: state.ids.next(now),
        link_token: state.ids.secret(LINK_TOKEN_BYTES),
        base_url: base.as_str().to_owned(),
    };
    let appointment = changes::create(&mut work, new).await?.map_err(refused)?;
    followers::plan(&mut work, &appointment, &state.reminder_minutes).await?;
    let told = tell(&mut work, &appointment, News::Created, Some(by), &state.seal, &state.ids).await?;
    let created = state.created(work, &staff, ShownAppointment::from(appointment)).await?;
    push(&state, staff.tenant, told).await;
    Ok(created)
}

/// The customer of a new appointment: the one who is named or was found, with what was said of him now; else a new one.
async fn customer_of(
    state: &AppState,
    work: &mut Work,
    body: &CreateAppointment,
    known: Option<CustomerId>,
) -> Result<Customer, ApiError> {
    let (name, email, phone) = (body.customer_name.clone(), body.customer_email.clone(), body.customer_phone.clone());
    if let Some(id) = known {
        let customer = customers::find_in(work, id).await?;
        let customer = customer.ok_or_else(|| refused(Refusal::UnknownCustomer))?;
        return Ok(Customer {
            id: customer.id,
            name: name.unwrap_or(customer.name),
            email: email.or(customer.email),
            phone: phone.or(customer.phone),
        });
    }
    let new = NewCustomer {
        id: state.ids.next(work.now),
        name: name.unwrap_or_default(),
        email,
        phone,
        document: None,
        notes: None,
    };
    let customer = customers::create(work, new).await?;
    webhooks::emit(work, Event::CustomerCreated, customer.id.0, &customer).await?;
    Ok(Customer { id: customer.id, name: customer.name, email: customer.email, phone: customer.phone })
}

/// Check conflicts
///
/// Whether an agent has a scheduled or confirmed appointment that overlaps. Times are half-open: one may begin when another
/// ends. `exclude_id` leaves an appointment out, as when that one is to be moved.
#[utoipa::path(get, path = "/api/v1/appointments/conflicts", tag = "Appointments",
    security(("staff" = ["attendant"])), params(Query<ConflictQuery>),
    responses((status = 200, body = Data<Conflicts>)))]
async fn check_conflicts(
    State(state): State<AppState>,
    staff: Staff,
    Query(query): Query<ConflictQuery>,
) -> Result<Data<Conflicts>, ApiError> {
    let ConflictQuery { user_id, scheduled_at, duration_minutes, exclude_id } = query;
    let until = ends_at(scheduled_at, duration_minutes);
    let found = appointments::conflicts(&state.store, staff.tenant, user_id, scheduled_at, until, exclude_id).await?;
    let conflicts: Vec<ShownAppointment> = found.into_iter().map(ShownAppointment::from).collect();
    Ok(Data::new(Conflicts { has_conflicts: !conflicts.is_empty(), conflicts }))
}

/// Show an appointment
#[utoipa::path(get, path = "/api/v1/appointments/{id}", tag = "Appointments", security(("staff" = ["attendant"])),
    responses((status = 200, body = Data<ShownAppointment>)))]
async fn show(
    State(state): State<AppState>,
    staff: Staff,
    Ids(id): Ids<AppointmentId>,
) -> Result<Data<ShownAppointment>, ApiError> {
    let appointment = appointments::find(&state.store, staff.tenant, id).await?.ok_or_else(ApiError::not_found)?;
    Ok(Data::new(appointment.into()))
}

/// Change an appointment
///
/// What is absent stays as it is. Another time must be in the future and free; it makes a confirmed appointment `scheduled`
/// again, moves its reminders, and the customer is told by mail. Time, agent, department and customer of an appointment that
/// is over are 422 (`appointment_closed`); its texts may still be changed.
#[utoipa::path(put, path = "/api/v1/appointments/{id}", tag = "Appointments", security(("staff" = ["attendant"])),
    request_body = UpdateAppointment, responses((status = 200, body = Data<ShownAppointment>)))]
async fn update(
    State(state): State<AppState>,
    staff: Staff,
    Ids(id): Ids<AppointmentId>,
    Body(UpdateAppointment(change)): Body<UpdateAppointment>,
) -> Result<Data<ShownAppointment>, ApiError> {
    let mut work = state.work(&staff).await?;
    let now = work.now;
    let changed = changes::update(&mut work, id, change).await?.ok_or_else(ApiError::not_found)?.map_err(refused)?;
    if changed.rescheduled() && changed.after.scheduled_at <= now {
        return Err(ApiError::field("scheduled_at", "must be in the future"));
    }
    if !changed.differs() {
        return Ok(Data::new(changed.after.into()));
    }
    if changed.rescheduled() {
        followers::plan(&mut work, &changed.after, &state.reminder_minutes).await?;
    }
    let news = if changed.moved() { News::Moved { from: changed.before.user_id } } else { News::Updated };
    let told = tell(&mut work, &changed.after, news, Some(staff.user), &state.seal, &state.ids).await?;
    work.commit().await?;
    push(&state, staff.tenant, told).await;
    Ok(Data::new(changed.after.into()))
}

/// Confirm an appointment
///
/// Only a scheduled one; one that is confirmed already stays so. Others are 422 (`appointment_closed`).
#[utoipa::path(post, path = "/api/v1/appointments/{id}/confirm", tag = "Appointments",
    security(("staff" = ["attendant"])), responses((status = 200, body = Data<ShownAppointment>)))]
async fn confirm(
    State(state): State<AppState>,
    staff: Staff,
    Ids(id): Ids<AppointmentId>,
) -> Result<Data<ShownAppointment>, ApiError> {
    turned(&state, &staff, id, AppointmentStatus::Confirmed, None).await
}

/// Cancel an appointment
///
/// The customer is told by mail, with the reason. Its link leads nowhere any more, and whoever waits through it is sent
/// away. Again is fine; completed and missed ones are 422 (`appointment_closed`).
#[utoipa::path(post, path = "/api/v1/appointments/{id}/cancel", tag = "Appointments",
    security(("staff" = ["attendant"])), request_body = CancelAppointment,
    responses((status = 200, body = Data<ShownAppointment>)))]
async fn cancel(
    State(state): State<AppState>,
    staff: Staff,
    Ids(id): Ids<AppointmentId>,
    Body(CancelAppointment { reason }): Body<CancelAppointment>,
) -> Result<Data<ShownAppointment>, ApiError> {
    turned(&state, &staff, id, AppointmentStatus::Cancelled, reason).await
}

/// Mark an appointment as completed
///
/// This happens by itself when the call is completed that the customer joined by the appointment's link. Again is fine;
/// cancelled and missed ones are 422 (`appointment_closed`).
#[utoipa::path(post, path = "/api/v1/appointments/{id}/complete", tag = "Appointments",
    security(("staff" = ["attendant"])), responses((status = 200, body = Data<ShownAppointment>)))]
async fn complete(
    State(state): State<AppState>,
    staff: Staff,
    Ids(id): Ids<AppointmentId>,
) -> Result<Data<ShownAppointment>, ApiError> {
    turned(&state, &staff, id, AppointmentStatus::Completed, None).await
}

/// Mark an appointment as no-show
///
/// The customer did not come. Again is fine; cancelled and completed ones are 422 (`appointment_closed`).
#[utoipa::path(post, path = "/api/v1/appointments/{id}/no-show", tag = "Appointments",
    security(("staff" = ["attendant"])), responses((status = 200, body = Data<ShownAppointment>)))]
async fn no_show(
    State(state): State<AppState>,
    staff: Staff,
    Ids(id): Ids<AppointmentId>,
) -> Result<Data<ShownAppointment>, ApiError> {
    turned(&state, &staff, id, AppointmentStatus::NoShow, None).await
}

async fn turned(
    state: &AppState,
    staff: &Staff,
    id: AppointmentId,
    next: AppointmentStatus,
    reason: Option<String>,
) -> Result<Data<ShownAppointment>, ApiError> {
    let work = state.work(staff).await?;
    turn(state, work, id, next, reason, Some(staff.user)).await.map(|appointment| Data::new(appointment.into()))
}

/// Gives an appointment another status and tells whoever has to know.
pub(super) async fn turn(
    state: &AppState,
    mut work: Work,
    id: AppointmentId,
    next: AppointmentStatus,
    reason: Option<String>,
    by: Option<UserId>,
) -> Result<Appointment, ApiError> {
    let tenant = work.tenant;
    match changes::turn(&mut work, id, next, reason).await?.ok_or_else(ApiError::not_found)? {
        Turned::Already(appointment) => {
            // Told again although cancelled before: the first request may have died between the two steps.
            if next == AppointmentStatus::Cancelled {
                send_away(state, tenant, &appointment).await;
            }
            Ok(appointment)
        }
        Turned::Refused(status) => Err(refused(Refusal::Closed(status))),
        Turned::Done(appointment, link) => {
            let news = match next {
                AppointmentStatus::Confirmed | AppointmentStatus::Scheduled => News::Confirmed,
                AppointmentStatus::Cancelled => News::Cancelled,
                AppointmentStatus::Completed => News::Completed,
                AppointmentStatus::NoShow => News::NoShow,
            };
            let told = tell(&mut work, &appointment, news, by, &state.seal, &state.ids).await?;
            work.commit().await?;
            push(state, tenant, told).await;
            if let Some(link) = link {
                state.lookups.link_changed(tenant, &link);
                send_away(state, tenant, &appointment).await;
            }
            Ok(appointment)
        }
    }
}

/// Ends the calls that wait by a cancelled appointment. It is cancelled whatever comes of this, so a queue that cannot be
/// reached is logged; cancelling again asks it again.
async fn send_away(state: &AppState, tenant: TenantId, appointment: &Appointment) {
    let (department, link) = (appointment.department_id, appointment.link_id);
    if let Err(error) = state.queues.link_cancelled(tenant, department, link).await {
        tracing::warn!(%tenant, %link, ?error, "who waits by a cancelled appointment was not sent away");
    }
}

/// Pushes what was kept, after its commit.
async fn push(state: &AppState, tenant: TenantId, told: Vec<Told>) {
    for (user, notification) in told {
        state.queues.notify(tenant, user, vec![Notice::Notification(notification)]).await;
    }
}

/// A refusal in the words of the API.
fn refused(refusal: Refusal) -> ApiError {
    match refusal {
        Refusal::Conflict => ApiError::field("scheduled_at", "conflicts with another appointment"),
        Refusal::UnknownUser => ApiError::field("user_id", "does not exist"),
        Refusal::UnknownDepartment => ApiError::field("department_id", "does not exist"),
        Refusal::UnknownCustomer => ApiError::field("customer_id", "does not exist"),
        Refusal::Closed(status) => ApiError::Rejected {
            code: "appointment_closed",
            detail: format!("The appointment is {} and stays so", status.as_str()).into(),
        },
    }
}
