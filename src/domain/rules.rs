//! Owns the numbers of the rules that hold for the whole server. What they do is written where `queue` and `roster` use
//! them; each default is that of RULES.md and gives its reason in `config`.

use serde::{Deserialize, Serialize};

/// Times in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// An assigned call goes back to its place unless it is started within this.
    pub start_timeout_seconds: u64,
    /// A join counts as present for so long without a device.
    pub join_presence_seconds: u64,
    /// A status poll keeps the customer present for so long.
    pub poll_presence_seconds: u64,
    /// A lease without a device is lost after so long.
    pub agent_lease_seconds: u64,
    /// After the loss of the agent's lease an assigned call goes back after this.
    pub assigned_return_seconds: u64,
    /// And an active one after this.
    pub active_return_seconds: u64,
    /// An agent who declined or missed a call is not offered it for so long.
    pub exclusion_seconds: u64,
    /// The same when nobody else may take it.
    pub exclusion_alone_seconds: u64,
    /// Offers missed in a row before the system holds further ones back.
    pub missed_offers_max: u8,
    /// A hand-pick is a demand for one named agent with this deadline.
    pub pick_timeout_seconds: u64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            start_timeout_seconds: 60,
            join_presence_seconds: 10,
            poll_presence_seconds: 30,
            agent_lease_seconds: 15,
            assigned_return_seconds: 15,
            active_return_seconds: 120,
            exclusion_seconds: 30,
            exclusion_alone_seconds: 5,
            missed_offers_max: 3,
            pick_timeout_seconds: 2,
        }
    }
}
