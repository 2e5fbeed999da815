//! Owns the settings of one department: what the queue of that department obeys. Their storage and editing live elsewhere.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ids::DepartmentId;
use super::rules::Rules;
use super::words::words;

words! {
    /// How the roster chooses among several agents who are free for a department.
    #[derive(Default)]
    RoutingStrategy {
        /// Who has been idle longest; pausing stops the idle clock and does not reset it.
        #[default]
        LongestIdle = "longest_idle",
        /// Whose last offer is furthest back.
        RoundRobin = "round_robin",
        /// Who accepted fewest calls today, then who has been idle longest.
        FewestCalls = "fewest_calls",
    }
}

words! {
    /// How calls come to the agents of a department.
    Mode {
        /// They are offered to whoever is free.
        Push = "push",
        /// Agents take them from the line by hand; nothing is offered.
        Pull = "pull",
    }
}

/// The largest `weight` of a department, and with a minus the smallest.
pub const WEIGHT_MAX: i8 = 10;
/// What one step of `weight` shifts the rank by which a department's calls compete for free agents, in seconds. With
/// [`WEIGHT_MAX`] no department is put before another by more than ten minutes, nor behind it.
pub const WEIGHT_STEP_SECONDS: u64 = 60;

/// The largest `max_queue_size` a department may ask for: one million waiting calls is about 1 GiB of core state.
pub const QUEUE_SIZE_MAX: u32 = 1_000_000;

/// What one queue obeys. All times are whole seconds; RULES.md marks these settings "D".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    pub department_id: DepartmentId,
    pub name: Arc<str>,
    /// An inactive department takes no new joins; those who wait are still served.
    pub active: bool,
    /// Most calls in line at once; `None` is bounded by [`QUEUE_SIZE_MAX`] alone.
    pub max_queue_size: Option<u32>,
    /// A call waiting longer ends as `timed_out`; `None` never.
    pub max_wait_seconds: Option<u32>,
    pub offer_timeout_seconds: u32,
    pub wrap_up_seconds: u32,
    pub reconnect_grace_seconds: u32,
    pub routing_strategy: RoutingStrategy,
    pub mode: Mode,
    /// Steps of [`WEIGHT_STEP_SECONDS`], from minus [`WEIGHT_MAX`] to [`WEIGHT_MAX`]; higher is served sooner.
    pub weight: i8,
    /// Who is answered within so many seconds is answered in time.
    pub service_level_seconds: u32,
    /// The server's own numbers, the same for every department.
    pub rules: Rules,
}

impl Settings {
    /// RULES.md's defaults.
    pub fn new(department_id: DepartmentId, name: &str) -> Self {
        Self {
            department_id,
            name: Arc::from(name),
            active: true,
            max_queue_size: None,
            max_wait_seconds: None,
            offer_timeout_seconds: 20,
            wrap_up_seconds: 15,
            reconnect_grace_seconds: 60,
            routing_strategy: RoutingStrategy::LongestIdle,
            mode: Mode::Push,
            weight: 0,
            service_level_seconds: 20,
            rules: Rules::default(),
        }
    }
}
