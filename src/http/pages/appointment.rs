//! Owns the words and the look of the page where a customer confirms or cancels an appointment.

use axum::response::Response;
use serde::Serialize;

use crate::domain::appointment::AppointmentStatus;
use crate::domain::locale::Locale;
use crate::http::error::ApiError;
use crate::http::routes::appointment_page::AppointmentPage;
use crate::mail::times;

/// What the template is filled with.
#[derive(Serialize)]
struct Filled<'a> {
    lang: &'static str,
    page: &'a AppointmentPage,
    /// The page's own address.
    action: String,
    status: &'static str,
    when: String,
    when_label: &'static str,
    duration_label: &'static str,
    department_label: &'static str,
    agent_label: &'static str,
    confirm_label: &'static str,
    cancel_label: &'static str,
    join_label: &'static str,
}

/// The page as HTML.
pub fn show(page: &AppointmentPage, token: &str) -> Result<Response, ApiError> {
    let locale = page.locale;
    let [when, duration, department, agent, confirm, cancel, join] = labels(locale);
    let filled = Filled {
        lang: locale.as_str(),
        page,
        action: format!("/api/v1/appointment/{token}"),
        status: status(locale, page.status),
        when: times::told(page.scheduled_at, page.zone, locale),
        when_label: when,
        duration_label: duration,
        department_label: department,
        agent_label: agent,
        confirm_label: confirm,
        cancel_label: cancel,
        join_label: join,
    };
    super::page("appointment.html", include_str!("appointment.html"), &filled)
}

fn labels(locale: Locale) -> [&'static str; 7] {
    match locale {
        Locale::PtBr => {
            ["Quando", "Duração", "Setor", "Com", "Confirmar", "Cancelar o atendimento", "Entrar na chamada"]
        }
        Locale::En => ["When", "Duration", "Department", "With", "Confirm", "Cancel the appointment", "Join the call"],
        Locale::Es => {
            ["Cuándo", "Duración", "Departamento", "Con", "Confirmar", "Cancelar la cita", "Entrar en la llamada"]
        }
        Locale::Fr => ["Quand", "Durée", "Service", "Avec", "Confirmer", "Annuler le rendez-vous", "Rejoindre l’appel"],
    }
}

fn status(locale: Locale, status: AppointmentStatus) -> &'static str {
    use AppointmentStatus::{Cancelled, Completed, Confirmed, NoShow, Scheduled};
    match (locale, status) {
        (Locale::PtBr, Scheduled) => "Marcado. Por favor, confirme.",
        (Locale::PtBr, Confirmed) => "Confirmado.",
        (Locale::PtBr, Completed) => "Realizado.",
        (Locale::PtBr, Cancelled) => "Cancelado.",
        (Locale::PtBr, NoShow) => "Encerrado.",
        (Locale::En, Scheduled) => "Made. Please confirm it.",
        (Locale::En, Confirmed) => "Confirmed.",
        (Locale::En, Completed) => "Completed.",
        (Locale::En, Cancelled) => "Cancelled.",
        (Locale::En, NoShow) => "Over.",
        (Locale::Es, Scheduled) => "Acordada. Por favor, confírmela.",
        (Locale::Es, Confirmed) => "Confirmada.",
        (Locale::Es, Completed) => "Realizada.",
        (Locale::Es, Cancelled) => "Cancelada.",
        (Locale::Es, NoShow) => "Terminada.",
        (Locale::Fr, Scheduled) => "Fixé. Merci de le confirmer.",
        (Locale::Fr, Confirmed) => "Confirmé.",
        (Locale::Fr, Completed) => "Effectué.",
        (Locale::Fr, Cancelled) => "Annulé.",
        (Locale::Fr, NoShow) => "Terminé.",
    }
}
