//! Owns what requests about appointments take and what they are shown: bodies, queries and the object of the answers.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::appointment::{AppointmentStatus, DURATION_MINUTES, DURATION_MINUTES_MAX};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{AppointmentId, CustomerId, DepartmentId, TenantId, UserId};
use crate::domain::locale::Locale;
use crate::http::error::ApiError;
use crate::http::input::{
    DayOrTime, Fields, Input, NAME_CHARS_MAX, PHONE_CHARS_MAX, Params, QueryInput, TEXT_CHARS_MAX, described_bodies,
};
use crate::store::appointment_changes::AppointmentChange;
use crate::store::appointments::{Appointment, AppointmentFilter, AppointmentSort};
use crate::store::{self, Sort, SortOrder, Store, tenants};

/// Voki's appointment object, ours after it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ShownAppointment {
    #[serde(flatten)]
    pub appointment: Appointment,
    /// The page the customer joins the call by.
    pub join_url: String,
}

impl From<Appointment> for ShownAppointment {
    fn from(appointment: Appointment) -> Self {
        Self { join_url: appointment.join_url(), appointment }
    }
}

/// Query of the list.
#[derive(Debug)]
pub struct AppointmentList {
    status: Option<AppointmentStatus>,
    date_from: Option<DayOrTime>,
    date_to: Option<DayOrTime>,
    user_id: Option<UserId>,
    department_id: Option<DepartmentId>,
    customer_id: Option<CustomerId>,
    pub sort: Sort<AppointmentSort>,
    pub page: store::Page,
}

impl QueryInput for AppointmentList {
    fn read(params: &mut Params) -> Result<Self, ApiError> {
        Ok(Self {
            status: params.word("status")?,
            date_from: params.day_or_time("date_from")?,
            date_to: params.day_or_time("date_to")?,
            user_id: params.id("user_id")?,
            department_id: params.id("department_id")?,
            customer_id: params.id("customer_id")?,
            sort: params.sort(AppointmentSort::ScheduledAt, SortOrder::Asc)?,
            page: params.page()?,
        })
    }
}

impl AppointmentList {
    /// With its days as moments of the company's calendar.
    pub async fn filter(self, store: &Store, tenant: TenantId) -> Result<AppointmentFilter, ApiError> {
        let (from, to) = (self.date_from, self.date_to);
        let zone = match (from, to) {
            // Only a bare date needs to know where the company's midnight is.
            (Some(DayOrTime::Day(_)), _) | (_, Some(DayOrTime::Day(_))) => {
                tenants::company(store, tenant).await?.ok_or_else(ApiError::unauthorized)?.time_zone
            }
            _ => chrono_tz::UTC,
        };
        Ok(AppointmentFilter {
            status: self.status,
            date_from: from.map(|from| from.start(zone)),
            date_to: to.map(|to| to.end(zone)),
            user_id: self.user_id,
            department_id: self.department_id,
            customer_id: self.customer_id,
        })
    }
}

/// Query of the check for conflicts.
#[derive(Debug)]
pub struct ConflictQuery {
    pub user_id: UserId,
    pub scheduled_at: Timestamp,
    pub duration_minutes: u32,
    pub exclude_id: Option<AppointmentId>,
}

impl QueryInput for ConflictQuery {
    fn read(params: &mut Params) -> Result<Self, ApiError> {
        Ok(Self {
            user_id: params.required_id("user_id")?,
            scheduled_at: params.required_time("scheduled_at")?,
            duration_minutes: duration(params.integer("duration_minutes", 1..=i64::from(DURATION_MINUTES_MAX))?),
            exclude_id: params.id("exclude_id")?,
        })
    }
}

fn duration(minutes: Option<i64>) -> u32 {
    minutes.and_then(|minutes| u32::try_from(minutes).ok()).unwrap_or(DURATION_MINUTES)
}

/// Body of `POST /appointments`.
#[derive(Debug)]
pub struct CreateAppointment {
    pub title: String,
    pub description: Option<String>,
    pub scheduled_at: Timestamp,
    pub duration_minutes: u32,
    pub department_id: DepartmentId,
    pub user_id: Option<UserId>,
    pub customer_id: Option<CustomerId>,
    /// There unless `customer_id` is.
    pub customer_name: Option<String>,
    pub customer_email: Option<String>,
    pub customer_phone: Option<String>,
    pub notes: Option<String>,
    pub locale: Option<Locale>,
}

impl Input for CreateAppointment {
    const WRAPPER: Option<&'static str> = Some("appointment");

    fn read(fields: &mut Fields) -> Self {
        let read = Self {
            title: fields.required_text("title", NAME_CHARS_MAX),
            description: fields.text("description", TEXT_CHARS_MAX),
            scheduled_at: fields.required_time("scheduled_at"),
            duration_minutes: duration(fields.integer("duration_minutes", 1..=i64::from(DURATION_MINUTES_MAX))),
            department_id: fields.required_id("department_id"),
            user_id: fields.id("user_id"),
            customer_id: fields.id("customer_id"),
            customer_name: fields.text("customer_name", NAME_CHARS_MAX),
            customer_email: fields.email("customer_email"),
            customer_phone: fields.text("customer_phone", PHONE_CHARS_MAX),
            notes: fields.text("notes", TEXT_CHARS_MAX),
            locale: fields.word("locale"),
        };
        if read.customer_id.is_none() && read.customer_name.is_none() && !fields.has_fault("customer_name") {
            fields.fault("customer_name", "can't be blank");
        }
        read
    }
}

/// Body of `PUT /appointments/:id`.
#[derive(Debug)]
pub struct UpdateAppointment(pub AppointmentChange);

impl Input for UpdateAppointment {
    const WRAPPER: Option<&'static str> = Some("appointment");

    fn read(fields: &mut Fields) -> Self {
        Self(AppointmentChange {
            title: fields.patch_required_text("title", NAME_CHARS_MAX),
            description: fields.patch_text("description", TEXT_CHARS_MAX),
            scheduled_at: fields.time("scheduled_at"),
            duration_minutes: fields
                .patch_required_integer("duration_minutes", 1..=i64::from(DURATION_MINUTES_MAX))
                .map(|minutes| duration(Some(minutes))),
            department_id: fields.id("department_id"),
            user_id: fields.id("user_id"),
            customer_id: fields.id("customer_id"),
            customer_name: fields.patch_required_text("customer_name", NAME_CHARS_MAX),
            customer_email: fields.patch_email("customer_email"),
            customer_phone: fields.patch_text("customer_phone", PHONE_CHARS_MAX),
            notes: fields.patch_text("notes", TEXT_CHARS_MAX),
            locale: fields.word("locale"),
        })
    }
}

/// Body of `POST /appointments/:id/cancel`; may be absent.
#[derive(Debug)]
pub struct CancelAppointment {
    pub reason: Option<String>,
}

impl Input for CancelAppointment {
    fn read(fields: &mut Fields) -> Self {
        Self { reason: fields.text("reason", TEXT_CHARS_MAX) }
    }
}

described_bodies!(CreateAppointment, UpdateAppointment, CancelAppointment);
