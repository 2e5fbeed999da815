//! Owns the words of notices, which staff see inside the product and on their sockets.

use super::{one_line, times};
use crate::domain::clock::Timestamp;
use crate::domain::locale::Locale;
use crate::domain::words::words;

words! {
    /// What an agent is told of an appointment of his; the words are the notices' `type`.
    AppointmentNotice {
        /// Somebody else made it for him.
        Scheduled = "appointment_scheduled",
        /// Somebody else changed it.
        Rescheduled = "appointment_rescheduled",
        /// The customer confirmed it.
        Confirmed = "appointment_confirmed",
        /// The customer, or somebody else of the staff, cancelled it.
        Cancelled = "appointment_cancelled",
        /// It is near.
        Reminder = "appointment_reminder",
    }
}

/// The title and the body of a notice.
pub fn appointment(
    notice: AppointmentNotice,
    title: &str,
    customer: &str,
    at: Timestamp,
    zone: chrono_tz::Tz,
    locale: Locale,
) -> (String, String) {
    let heading = match (locale, notice) {
        (Locale::PtBr, AppointmentNotice::Scheduled) => "Atendimento marcado",
        (Locale::PtBr, AppointmentNotice::Rescheduled) => "Atendimento alterado",
        (Locale::PtBr, AppointmentNotice::Confirmed) => "Atendimento confirmado",
        (Locale::PtBr, AppointmentNotice::Cancelled) => "Atendimento cancelado",
        (Locale::PtBr, AppointmentNotice::Reminder) => "Lembrete de atendimento",
        (Locale::En, AppointmentNotice::Scheduled) => "Appointment made",
        (Locale::En, AppointmentNotice::Rescheduled) => "Appointment changed",
        (Locale::En, AppointmentNotice::Confirmed) => "Appointment confirmed",
        (Locale::En, AppointmentNotice::Cancelled) => "Appointment cancelled",
        (Locale::En, AppointmentNotice::Reminder) => "Appointment reminder",
        (Locale::Es, AppointmentNotice::Scheduled) => "Cita acordada",
        (Locale::Es, AppointmentNotice::Rescheduled) => "Cita modificada",
        (Locale::Es, AppointmentNotice::Confirmed) => "Cita confirmada",
        (Locale::Es, AppointmentNotice::Cancelled) => "Cita cancelada",
        (Locale::Es, AppointmentNotice::Reminder) => "Recordatorio de cita",
        (Locale::Fr, AppointmentNotice::Scheduled) => "Rendez-vous fixé",
        (Locale::Fr, AppointmentNotice::Rescheduled) => "Rendez-vous modifié",
        (Locale::Fr, AppointmentNotice::Confirmed) => "Rendez-vous confirmé",
        (Locale::Fr, AppointmentNotice::Cancelled) => "Rendez-vous annulé",
        (Locale::Fr, AppointmentNotice::Reminder) => "Rappel de rendez-vous",
    };
    let colon = if locale == Locale::Fr { " : " } else { ": " };
    let subject = format!("{heading}{colon}{}", one_line(title));
    (subject, format!("{}, {}", one_line(customer), times::told(at, zone, locale)))
}

/// The title and the body of the notice that a webhook was switched off after so many days of nothing but failures.
pub fn webhook_disabled(url: &str, days: u32, locale: Locale) -> (&'static str, String) {
    match locale {
        Locale::PtBr => ("Webhook desativado", format!("{url} só falhou nos últimos {days} dias.")),
        Locale::En => ("Webhook switched off", format!("{url} has only failed for {days} days.")),
        Locale::Es => ("Webhook desactivado", format!("{url} solo ha fallado en los últimos {days} días.")),
        Locale::Fr => ("Webhook désactivé", format!("{url} n'a fait qu'échouer depuis {days} jours.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_says_what_who_and_when() {
        let at = Timestamp::from_micros(1_771_581_600_000_000);
        let zone = chrono_tz::America::Sao_Paulo;
        let (title, body) = appointment(AppointmentNotice::Confirmed, "Retorno", "Carlos\n", at, zone, Locale::PtBr);
        assert_eq!(title, "Atendimento confirmado: Retorno");
        assert_eq!(body, "Carlos, 20 de fevereiro de 2026, 07:00 (America/Sao_Paulo)");
        let (title, _) = appointment(AppointmentNotice::Reminder, "Suivi", "C", at, zone, Locale::Fr);
        assert_eq!(title, "Rappel de rendez-vous : Suivi");
    }
}
