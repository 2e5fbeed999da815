//! Owns how a kind of mail and its facts become a subject, a text and an HTML body. Each language has one file a kind; the
//! HTML is made of the same words, so the two never differ.
//!
//! Values of others stand in lines of ours: they lose their control characters before, and in HTML they are escaped.

use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, State, UndefinedBehavior};
use serde_json::Value as Json;

use super::message::Message;
use super::{one_line, times};
use crate::domain::clock::Timestamp;
use crate::domain::locale::Locale;

/// A mail's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// One line.
    pub subject: String,
    pub text: String,
    /// A whole document.
    pub html: String,
}

macro_rules! words_of {
    ($locale:expr, $kind:expr, $($word:literal),+) => {
        match ($locale, $kind) {
            $(
                (Locale::PtBr, $word) => Some(include_str!(concat!("templates/pt-BR/", $word, ".txt"))),
                (Locale::En, $word) => Some(include_str!(concat!("templates/en/", $word, ".txt"))),
                (Locale::Es, $word) => Some(include_str!(concat!("templates/es/", $word, ".txt"))),
                (Locale::Fr, $word) => Some(include_str!(concat!("templates/fr/", $word, ".txt"))),
            )+
            _ => None,
        }
    };
}

/// The file of a kind in a language.
fn words(locale: Locale, kind: &str) -> Option<&'static str> {
    words_of!(
        locale,
        kind,
        "password_reset",
        "appointment_scheduled",
        "appointment_rescheduled",
        "appointment_reminder",
        "appointment_cancelled",
        "webhook_disabled"
    )
}

/// Puts a message into words. An error is a fault of the program: a template that names what its message does not have.
pub fn render(message: &Message, locale: Locale, zone: chrono_tz::Tz) -> Result<Rendered, minijinja::Error> {
    let source = words(locale, message.kind()).unwrap_or_default();
    let facts = Value::from(Serde(facts(message, locale, zone)));
    let environment = environment();
    // The name's ending decides whether values are escaped.
    let plain = environment.render_named_str("mail.txt", source, facts.clone())?;
    let escaped = environment.render_named_str("mail.html", source, facts)?;
    let (subject, text) = parts(&plain);
    let (title, body) = parts(&escaped);
    let paragraphs: Vec<String> = paragraphs(body).map(|lines| format!("<p>{}</p>", lines.join("<br>\n"))).collect();
    let html = format!(
        "<!DOCTYPE html>\n<html lang=\"{}\">\n<head><meta charset=\"utf-8\"><title>{title}</title></head>\n\
         <body style=\"font-family: sans-serif; max-width: 40em\">\n{}\n</body>\n</html>\n",
        locale.as_str(),
        paragraphs.join("\n")
    );
    let text = self::paragraphs(text).map(|lines| lines.join("\n")).collect::<Vec<_>>().join("\n\n") + "\n";
    Ok(Rendered { subject: one_line(subject), text, html })
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.add_function("link", link);
    environment
}

/// An address: as it is in the text, and to click on in HTML.
fn link(state: &State, url: String) -> Value {
    let is_web = url.starts_with("https://") || url.starts_with("http://");
    match state.auto_escape() {
        AutoEscape::Html if is_web => {
            let shown = escaped(&url);
            Value::from_safe_string(format!("<a href=\"{shown}\">{shown}</a>"))
        }
        _ => Value::from(url),
    }
}

/// As HTML shows it. The template engine's own way also writes slashes as numbers, which simple readers of mails and whoever
/// looks for links in them do not understand.
fn escaped(url: &str) -> String {
    let mut html = String::with_capacity(url.len());
    for c in url.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
    html
}

/// The message's fields as the words name them: texts in one line, times as people write them.
fn facts(message: &Message, locale: Locale, zone: chrono_tz::Tz) -> Json {
    let mut facts = serde_json::to_value(message).unwrap_or_default();
    for value in facts.as_object_mut().into_iter().flat_map(|fields| fields.values_mut()) {
        if let Json::String(text) = value {
            *text = one_line(text);
        }
    }
    let time = match message {
        Message::PasswordReset { expires_at, .. } => Some(("expires_at", *expires_at)),
        Message::WebhookDisabled { failing_since, .. } => Some(("failing_since", *failing_since)),
        Message::AppointmentScheduled(appointment)
        | Message::AppointmentRescheduled(appointment)
        | Message::AppointmentReminder(appointment)
        | Message::AppointmentCancelled(appointment) => Some(("scheduled_at", appointment.scheduled_at)),
    };
    if let Some((field, at)) = time {
        facts[field] = Json::String(told(at, locale, zone));
    }
    facts
}

fn told(at: Timestamp, locale: Locale, zone: chrono_tz::Tz) -> String {
    times::told(at, zone, locale)
}

/// The first line, and what follows it.
fn parts(rendered: &str) -> (&str, &str) {
    rendered.split_once('\n').unwrap_or((rendered, ""))
}

/// The paragraphs of a body: runs of lines between blank ones.
fn paragraphs(body: &str) -> impl Iterator<Item = Vec<&str>> {
    let mut lines = body.lines().map(str::trim_end).peekable();
    std::iter::from_fn(move || {
        while lines.next_if(|line| line.is_empty()).is_some() {}
        let mut paragraph = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.is_empty()) {
            paragraph.push(line);
        }
        (!paragraph.is_empty()).then_some(paragraph)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

    use super::*;
    use crate::mail::AppointmentFacts;

    /// 20 February 2026, 10:00 UTC.
    const AT: Timestamp = Timestamp::from_micros(1_771_581_600_000_000);
    const ZONE: chrono_tz::Tz = chrono_tz::America::Sao_Paulo;

    fn appointment() -> AppointmentFacts {
        AppointmentFacts {
            company: "Avanter & Filhos".into(),
            customer_name: "Carlos Ferreira".into(),
            title: "Consulta".into(),
            department_name: "Suporte Técnico".into(),
            agent_name: "João Silva".into(),
            scheduled_at: AT,
            duration_minutes: 30,
            url: "https://queue.example/api/v1/appointment/abc".into(),
            join_url: "https://queue.example/call/def".into(),
            reason: Some("Feriado".into()),
        }
    }

    fn every_message() -> Vec<Message> {
        vec![
            Message::PasswordReset {
                name: "Ana".into(),
                company: "Avanter".into(),
                url: "https://queue.example/reset-password?token=x&y=1".into(),
                expires_at: AT,
            },
            Message::AppointmentScheduled(appointment()),
            Message::AppointmentRescheduled(appointment()),
            Message::AppointmentReminder(appointment()),
            Message::AppointmentCancelled(appointment()),
            Message::WebhookDisabled {
                name: "Ana".into(),
                company: "Avanter".into(),
                url: "https://hooks.example/in".into(),
                failing_since: AT,
            },
        ]
    }

    #[test]
    fn every_message_has_words_in_every_language() {
        let mut mails = String::new();
        for message in every_message() {
            for locale in Locale::ALL {
                let mail = render(&message, *locale, ZONE).unwrap_or_else(|error| panic!("{message:?}: {error}"));
                assert!(!mail.subject.is_empty() && !mail.text.trim().is_empty(), "{message:?} in {locale:?}");
                assert!(!mail.text.contains("{{") && !mail.text.contains("\n\n\n"), "{}", mail.text);
                mails += &format!("== {} {}\n{}\n\n{}\n", message.kind(), locale.as_str(), mail.subject, mail.text);
            }
        }
        insta::assert_snapshot!("every_mail", mails);
    }

    #[test]
    fn the_html_says_the_same_and_links_can_be_clicked() {
        insta::assert_snapshot!(
            "one_html",
            render(&Message::AppointmentScheduled(appointment()), Locale::En, ZONE).unwrap().html
        );
    }

    #[test]
    fn words_of_others_are_never_markup_nor_a_line_of_their_own() {
        let nasty = "<script>alert(1)</script>\r\nBcc: all@example.com\r\n\r\n{{ url }}\u{0}";
        let mut facts = appointment();
        facts.title = nasty.into();
        facts.customer_name = nasty.into();
        facts.reason = Some(nasty.into());
        facts.join_url = "javascript:alert(1)".into();
        for message in [
            Message::AppointmentScheduled(facts.clone()),
            Message::AppointmentReminder(facts.clone()),
            Message::AppointmentCancelled(facts.clone()),
        ] {
            for locale in Locale::ALL {
                let mail = render(&message, *locale, ZONE).unwrap();
                assert!(!mail.subject.contains(['\r', '\n', '\0']), "{:?}", mail.subject);
                assert!(!mail.html.contains("<script") && !mail.html.contains("href=\"javascript"), "{}", mail.html);
                assert!(!mail.text.lines().any(|line| line.starts_with("Bcc")), "{}", mail.text);
                assert!(mail.text.contains("{{ url }}"), "a value is no template: {}", mail.text);
            }
        }
    }

    #[test]
    fn no_word_of_ours_needs_escaping() {
        for message in every_message() {
            for locale in Locale::ALL {
                let source = words(*locale, message.kind()).unwrap();
                assert!(!source.contains(['<', '>', '&']), "{} {locale:?}", message.kind());
            }
        }
    }
}
