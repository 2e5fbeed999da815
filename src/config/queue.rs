//! The times of the queue.
//!
//! Owns: the deadlines of the rules of the queue that hold for the whole server; a department's own are its settings, set
//! by the API. Must not: know what the deadlines do; `queue` and `roster` read them as plain numbers.

/// The queue.
#[derive(Clone, Debug, PartialEq, clap::Args)]
#[command(next_help_heading = "Queue")]
pub struct QueueDefaults {
    /// Time between accepting a call and starting it; then it goes back to its place.
    #[arg(long, env = "VEZ_START_TIMEOUT_SECONDS", value_name = "SECONDS", default_value_t = Self::START_TIMEOUT_SECONDS)]
    pub start_timeout_seconds: u32,
    /// How long a join alone counts as being present.
    #[arg(long, env = "VEZ_JOIN_PRESENCE_SECONDS", value_name = "SECONDS", default_value_t = Self::JOIN_PRESENCE_SECONDS)]
    pub join_presence_seconds: u32,
    /// How long a status poll counts as being present.
    #[arg(long, env = "VEZ_POLL_PRESENCE_SECONDS", value_name = "SECONDS", default_value_t = Self::POLL_PRESENCE_SECONDS)]
    pub poll_presence_seconds: u32,
    /// Time an agent without a device keeps offers.
    #[arg(long, env = "VEZ_AGENT_LEASE_SECONDS", value_name = "SECONDS", default_value_t = Self::AGENT_LEASE_SECONDS)]
    pub agent_lease_seconds: u32,
    /// Time after an agent's loss before an accepted call goes back to its place.
    #[arg(long, env = "VEZ_ASSIGNED_RETURN_SECONDS", value_name = "SECONDS", default_value_t = Self::ASSIGNED_RETURN_SECONDS)]
    pub assigned_return_seconds: u32,
    /// Time after an agent's loss before a started call goes back to its place.
    #[arg(long, env = "VEZ_ACTIVE_RETURN_SECONDS", value_name = "SECONDS", default_value_t = Self::ACTIVE_RETURN_SECONDS)]
    pub active_return_seconds: u32,
    /// Time before a declined or missed call is offered to the same agent again.
    #[arg(long, env = "VEZ_EXCLUSION_SECONDS", value_name = "SECONDS", default_value_t = Self::EXCLUSION_SECONDS)]
    pub exclusion_seconds: u32,
    /// The same when nobody else may take it.
    #[arg(long, env = "VEZ_EXCLUSION_ALONE_SECONDS", value_name = "SECONDS", default_value_t = Self::EXCLUSION_ALONE_SECONDS)]
    pub exclusion_alone_seconds: u32,
    /// Offers missed in a row before an agent is held back.
    #[arg(long, env = "VEZ_MISSED_OFFERS_MAX", value_name = "N", default_value_t = Self::MISSED_OFFERS_MAX)]
    pub missed_offers_max: u32,
    /// Time a hand-pick may wait for the agent's slot.
    #[arg(long, env = "VEZ_PICK_TIMEOUT_SECONDS", value_name = "SECONDS", default_value_t = Self::PICK_TIMEOUT_SECONDS)]
    pub pick_timeout_seconds: u32,
    /// Time between pings to agents' sockets.
    #[arg(long, env = "VEZ_AGENT_PING_SECONDS", value_name = "SECONDS", default_value_t = Self::AGENT_PING_SECONDS)]
    pub agent_ping_seconds: u32,
    /// Time between pings to customers' sockets.
    #[arg(long, env = "VEZ_CUSTOMER_PING_SECONDS", value_name = "SECONDS", default_value_t = Self::CUSTOMER_PING_SECONDS)]
    pub customer_ping_seconds: u32,
}

impl QueueDefaults {
    /// Opening the camera and reading the name.
    pub const START_TIMEOUT_SECONDS: u32 = 60;
    /// A page needs this long at most to open its socket.
    pub const JOIN_PRESENCE_SECONDS: u32 = 10;
    /// Three polls at the usual ten seconds.
    pub const POLL_PRESENCE_SECONDS: u32 = 30;
    /// One missed ping and a reconnect.
    pub const AGENT_LEASE_SECONDS: u32 = 15;
    /// The customer has not met the agent yet, so another one soon is better.
    pub const ASSIGNED_RETURN_SECONDS: u32 = 15;
    /// They were talking: worth waiting for the same agent.
    pub const ACTIVE_RETURN_SECONDS: u32 = 120;
    /// Others get their chance first.
    pub const EXCLUSION_SECONDS: u32 = 30;
    /// When nobody else may take it, waiting longer serves nobody.
    pub const EXCLUSION_ALONE_SECONDS: u32 = 5;
    /// One miss is a phone call, three are an empty chair.
    pub const MISSED_OFFERS_MAX: u32 = 3;
    /// The person who clicked is watching.
    pub const PICK_TIMEOUT_SECONDS: u32 = 2;
    /// With two unanswered pings an absent agent is known within half a minute.
    pub const AGENT_PING_SECONDS: u32 = 10;
    /// Phones pay for each wake-up, so half as often as agents.
    pub const CUSTOMER_PING_SECONDS: u32 = 20;
}

impl Default for QueueDefaults {
    fn default() -> Self {
        Self {
            start_timeout_seconds: Self::START_TIMEOUT_SECONDS,
            join_presence_seconds: Self::JOIN_PRESENCE_SECONDS,
            poll_presence_seconds: Self::POLL_PRESENCE_SECONDS,
            agent_lease_seconds: Self::AGENT_LEASE_SECONDS,
            assigned_return_seconds: Self::ASSIGNED_RETURN_SECONDS,
            active_return_seconds: Self::ACTIVE_RETURN_SECONDS,
            exclusion_seconds: Self::EXCLUSION_SECONDS,
            exclusion_alone_seconds: Self::EXCLUSION_ALONE_SECONDS,
            missed_offers_max: Self::MISSED_OFFERS_MAX,
            pick_timeout_seconds: Self::PICK_TIMEOUT_SECONDS,
            agent_ping_seconds: Self::AGENT_PING_SECONDS,
            customer_ping_seconds: Self::CUSTOMER_PING_SECONDS,
        }
    }
}
