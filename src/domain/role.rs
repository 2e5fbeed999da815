//! Owns the order of roles. It decides nothing about resources; whoever serves a route states the least role it takes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::words::described;

/// What a member of staff may do; each role may do all that the ones before it may (Voki's getting-started and manual).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Takes calls.
    Attendant,
    /// Also departments, links, every call, the wallboard.
    Supervisor,
    /// Also users, company, billing, analytics.
    Manager,
    /// The manual's top role; the API knows it only as more than a manager.
    Owner,
}

impl Role {
    /// Every role, the least first.
    pub const ALL: &'static [Role] = &[Role::Attendant, Role::Supervisor, Role::Manager, Role::Owner];

    /// The word used on the wire and in SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Attendant => "attendant",
            Role::Supervisor => "supervisor",
            Role::Manager => "manager",
            Role::Owner => "owner",
        }
    }
}

impl Role {
    /// Reads the word; `None` when it is not one of ours.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

described!(Role: "attendant", "supervisor", "manager", "owner");

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "attendant" => Ok(Role::Attendant),
            "supervisor" => Ok(Role::Supervisor),
            "manager" => Ok(Role::Manager),
            "owner" => Ok(Role::Owner),
            other => Err(format!("unknown role {other:?}: use attendant, supervisor, manager or owner")),
        }
    }
}
