//! Owns the names of topics. Who may join one is decided in `ws/channels`.

use std::fmt;

use uuid::Uuid;

use crate::domain::ids::{CallId, DepartmentId, TenantId, UserId};

/// A topic. Everywhere it is keyed together with its tenant, so that no id of another tenant ever reaches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    /// One department's line, for staff.
    Queue(DepartmentId),
    /// Who of a department is there, for staff.
    Presence(DepartmentId),
    /// One agent's own offers and state; its join holds his lease.
    Notification(UserId),
    /// One call: its customer, its agent, observers.
    Call(CallId),
    /// A company's dashboard, for supervisors.
    Tenant(TenantId),
}

/// The length of a UUID in its canonical form.
const UUID_CHARS: usize = 36;

impl Topic {
    /// Reads a topic's name. Only the canonical (lower case, hyphenated) form of an id is taken: pushes carry that form,
    /// and a client that joined under another spelling would never hear them.
    pub fn parse(name: &str) -> Option<Self> {
        let (kind, id) = name.split_once(':')?;
        if id.len() != UUID_CHARS || id.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return None;
        }
        let id = Uuid::try_parse(id).ok()?;
        match kind {
            "queue" => Some(Topic::Queue(DepartmentId(id))),
            "presence" => Some(Topic::Presence(DepartmentId(id))),
            "notification" => Some(Topic::Notification(UserId(id))),
            "call" => Some(Topic::Call(CallId(id))),
            "tenant" => Some(Topic::Tenant(TenantId(id))),
            _ => None,
        }
    }

    /// The word before the colon; also the label in metrics.
    pub const fn kind(self) -> &'static str {
        match self {
            Topic::Queue(_) => "queue",
            Topic::Presence(_) => "presence",
            Topic::Notification(_) => "notification",
            Topic::Call(_) => "call",
            Topic::Tenant(_) => "tenant",
        }
    }

    /// Whether its pushes carry `seq` and can be replayed.
    pub const fn is_sequenced(self) -> bool {
        matches!(self, Topic::Queue(_) | Topic::Notification(_) | Topic::Tenant(_))
    }

    const fn id(self) -> Uuid {
        match self {
            Topic::Queue(id) | Topic::Presence(id) => id.0,
            Topic::Notification(id) => id.0,
            Topic::Call(id) => id.0,
            Topic::Tenant(id) => id.0,
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind(), self.id())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;

    const ID: &str = "0193e6a0-1111-7abc-8def-0123456789ab";

    #[test]
    fn every_kind_reads_back_as_it_was_written() {
        for kind in ["queue", "presence", "notification", "call", "tenant"] {
            let name = format!("{kind}:{ID}");
            let topic = Topic::parse(&name).unwrap();
            assert_eq!(topic.kind(), kind);
            assert_eq!(topic.to_string(), name);
        }
    }

    #[test]
    fn other_names_and_other_spellings_of_an_id_are_no_topic() {
        let upper = format!("call:{}", ID.to_uppercase());
        let bare = format!("call:{}", ID.replace('-', ""));
        let long = format!("call:{ID}0");
        let other = format!("room:{ID}");
        for name in ["", "phoenix", "call", "call:", "call:1", ":", &upper, &bare, &long, &other] {
            assert_eq!(Topic::parse(name), None, "{name}");
        }
    }
}
