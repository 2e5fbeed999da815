//! Owns what is written to people: the kinds of mail, their words in each language, and the two ways a mail leaves. It
//! does not decide who is written to or when, and reads no table.
//!
//! | file | owns |
//! |---|---|
//! | `message` | the kinds of mail and the facts each tells |
//! | `templates/` | the words: the first line is the subject, then paragraphs |
//! | `render` | words and facts made into subject, text and HTML |
//! | `times` | times as people of each language write them |
//! | `notices` | the words of notices inside the product |
//! | `letter` | the finished mail with its headers |
//! | `transport` | SMTP, or files |

mod letter;
mod message;
pub mod notices;
mod render;
pub mod times;
mod transport;

pub use letter::{Letter, LetterError, Sender};
pub use message::{AppointmentFacts, Message};
pub use render::{Rendered, render};
pub use transport::{SendError, Transport};

/// A text of others as it may stand in a line of ours: without control characters, so that it begins no new line or
/// header, and without blanks around it.
pub fn one_line(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    plain.trim().to_owned()
}
