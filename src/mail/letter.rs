//! Owns the finished mail: its headers and its two bodies. Everything about it follows from its row, so that sending it
//! again makes the same mail, which a mailbox can recognise by its id.

use std::str::FromStr as _;
use std::time::{Duration, SystemTime};

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::{Address, Message as Mime};
use uuid::Uuid;

use super::render::Rendered;
use crate::domain::clock::Timestamp;

/// Who our mails are from.
#[derive(Clone, Debug)]
pub struct Sender(Mailbox);

impl Sender {
    /// From the setting: `Vez <vez@example.com>` or an address alone.
    pub fn new(configured: &str) -> Result<Self, String> {
        Mailbox::from_str(configured.trim())
            .map(Self)
            .map_err(|error| format!("the sender of mails {configured:?} is no mail address: {error}"))
    }
}

/// Why a mail can never be sent.
#[derive(Debug, thiserror::Error)]
pub enum LetterError {
    #[error("the address is none: {0}")]
    Address(#[from] lettre::address::AddressError),
    #[error("the mail cannot be put together: {0}")]
    Parts(#[from] lettre::error::Error),
}

/// A mail that is ready to leave.
#[derive(Clone, Debug)]
pub struct Letter {
    pub(super) id: Uuid,
    pub(super) mime: Mime,
}

impl Letter {
    /// Puts a mail together.
    pub fn new(
        id: Uuid,
        from: &Sender,
        to: &str,
        written_at: Timestamp,
        words: &Rendered,
    ) -> Result<Self, LetterError> {
        let to = Mailbox::new(None, Address::from_str(to)?);
        let since_1970 = Duration::from_micros(u64::try_from(written_at.micros()).unwrap_or(0));
        let bodies = MultiPart::alternative()
            // Named after the mail: the same mail has the same bytes.
            .boundary(format!("vez-{}", id.simple()))
            .singlepart(SinglePart::plain(words.text.clone()))
            .singlepart(SinglePart::html(words.html.clone()));
        let mime = Mime::builder()
            .from(from.0.clone())
            .to(to)
            .date(SystemTime::UNIX_EPOCH + since_1970)
            .message_id(Some(format!("<{id}@{}>", from.0.email.domain())))
            .subject(&words.subject)
            // Asks answering machines not to answer.
            .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned()))
            .multipart(bodies)?;
        Ok(Self { id, mime })
    }

    /// The bytes of the mail.
    pub fn bytes(&self) -> Vec<u8> {
        self.mime.formatted()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn words(subject: &str) -> Rendered {
        Rendered { subject: subject.to_owned(), text: "Olá\n".to_owned(), html: "<p>Olá</p>".to_owned() }
    }

    #[test]
    fn a_mail_is_the_same_bytes_each_time() {
        let from = Sender::new("Vez <vez@queue.example>").unwrap();
        let at = Timestamp::from_micros(1_771_581_600_000_000);
        let letter = || Letter::new(Uuid::from_u128(7), &from, "ana@example.com", at, &words("Olá, João")).unwrap();
        let text = String::from_utf8(letter().bytes()).unwrap();
        assert_eq!(text.as_bytes(), letter().bytes());
        for line in [
            "To: ana@example.com\r\n",
            "Message-ID: <00000000-0000-0000-0000-000000000007@queue.example>\r\n",
            "Date: Fri, 20 Feb 2026 10:00:00 +0000\r\n",
            "Auto-Submitted: auto-generated\r\n",
            "multipart/alternative",
        ] {
            assert!(text.contains(line), "{line:?} is not in {text}");
        }
    }

    #[test]
    fn nothing_in_a_subject_or_an_address_becomes_a_header() {
        let from = Sender::new("vez@queue.example").unwrap();
        let at = Timestamp::default();
        let letter =
            Letter::new(Uuid::nil(), &from, "a@example.com", at, &words("Hi\r\nBcc: all@example.com\r\n\r\nx"))
                .unwrap();
        let text = String::from_utf8(letter.bytes()).unwrap();
        let (head, _) = text.split_once("\r\n\r\n").unwrap();
        assert!(!head.lines().any(|line| line.to_ascii_lowercase().starts_with("bcc")), "{head}");
        for address in ["a@example.com\r\nBcc: b@example.com", "a@example.com, b@example.com", "nobody", ""] {
            assert!(Letter::new(Uuid::nil(), &from, address, at, &words("x")).is_err(), "{address:?}");
        }
        assert!(Sender::new("a@example.com\r\nBcc: b@example.com").is_err());
    }
}
