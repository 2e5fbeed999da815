//! The times of the queue.
//!
//! Owns: the server-wide defaults of every deadline that the rules of the queue name. Must not: know what the deadlines do.
//!
//! Only the pings are read today: `queue`, `roster` and `store` hold the other numbers as constants, departments their own
//! times in their rows. What nobody obeys is hidden from the help, so that it promises nothing.

/// The queue.
#[derive(Clone, Debug, PartialEq, clap::Args)]
#[command(next_help_heading = "Queue")]
pub struct QueueDefaults {
    /// Time an agent has to accept an offer. A department may set its own.
    #[arg(long, hide = true, env = "VEZ_OFFER_TIMEOUT_SECONDS", value_name = "SECONDS", default_value_t = Self::OFFER_TIMEOUT_SECONDS)]
    pub offer_timeout_seconds: u32,
    /// Time after a call before the next offer. A department may set its own.
    #[arg(long, hide = true, env = "VEZ_WRAP_UP_SECONDS", value_name = "SECONDS", default_value_t = Self::WRAP_UP_SECONDS)]
    pub wrap_up_seconds: u32,
    /// Time a customer who lost the connection keeps the place. A department may set its own.
    #[arg(long, hide = true, env = "VEZ_RECONNECT_GRACE_SECONDS", value_name = "SECONDS", default_value_t = Self::RECONNECT_GRACE_SECONDS)]
    pub reconnect_grace_seconds: u32,
    /// How much earlier one step of priority counts. A department may set its own.
    #[arg(long, hide = true, env = "VEZ_PRIORITY_STEP_SECONDS", value_name = "SECONDS", default_value_t = Self::PRIORITY_STEP_SECONDS)]
    pub priority_step_seconds: u32,
    /// Time between accepting a call and starting it; then it goes back to its place.
    #[arg(long, hide = true, env = "VEZ_START_TIMEOUT_SECONDS", value_name = "SECONDS", default_value_t = Self::START_TIMEOUT_SECONDS)]
    pub start_timeout_seconds: u32,
    /// How long a join alone counts as being present.
    #[arg(long, hide = true, env = "VEZ_JOIN_PRESENCE_SECONDS", value_name = "SECONDS", default_value_t = Self::JOIN_PRESENCE_SECONDS)]
    pub join_presence_seconds: u32,
    /// How long a status poll counts as being present.
    #[arg(long, hide = true, env = "VEZ_POLL_PRESENCE_SECONDS", value_name = "SECONDS", default_value_t = Self::POLL_PRESENCE_SECONDS)]
    pub poll_presence_seconds: u32,
    /// Time an agent without a device keeps offers.
    #[arg(long, hide = true, env = "VEZ_AGENT_LEASE_SECONDS", value_name = "SECONDS", default_value_t = Self::AGENT_LEASE_SECONDS)]
    pub agent_lease_seconds: u32,
    /// Time after an agent's loss before an accepted call goes back to its place.
    #[arg(long, hide = true, env = "VEZ_ASSIGNED_RETURN_SECONDS", value_name = "SECONDS", default_value_t = Self::ASSIGNED_RETURN_SECONDS)]
    pub assigned_return_seconds: u32,
    /// Time after an agent's loss before a started call goes back to its place.
    #[arg(long, hide = true, env = "VEZ_ACTIVE_RETURN_SECONDS", value_name = "SECONDS", default_value_t = Self::ACTIVE_RETURN_SECONDS)]
    pub active_return_seconds: u32,
    /// Time before a declined or missed call is offered to the same agent again.
    #[arg(long, hide = true, env = "VEZ_EXCLUSION_SECONDS", value_name = "SECONDS", default_value_t = Self::EXCLUSION_SECONDS)]
    pub exclusion_seconds: u32,
    /// The same when nobody else may take it.
    #[arg(long, hide = true, env = "VEZ_EXCLUSION_ALONE_SECONDS", value_name = "SECONDS", default_value_t = Self::EXCLUSION_ALONE_SECONDS)]
    pub exclusion_alone_seconds: u32,
    /// Offers missed in a row before an agent is held back.
    #[arg(long, hide = true, env = "VEZ_MISSED_OFFERS_MAX", value_name = "N", default_value_t = Self::MISSED_OFFERS_MAX)]
    pub missed_offers_max: u32,
    /// Time a hand-pick may wait for the agent's slot.
    #[arg(long, hide = true, env = "VEZ_PICK_TIMEOUT_SECONDS", value_name = "SECONDS", default_value_t = Self::PICK_TIMEOUT_SECONDS)]
    pub pick_timeout_seconds: u32,
    /// Time between pings to agents' sockets.
    #[arg(long, env = "VEZ_AGENT_PING_SECONDS", value_name = "SECONDS", default_value_t = Self::AGENT_PING_SECONDS)]
    pub agent_ping_seconds: u32,
    /// Time between pings to customers' sockets.
    #[arg(long, env = "VEZ_CUSTOMER_PING_SECONDS", value_name = "SECONDS", default_value_t = Self::CUSTOMER_PING_SECONDS)]
    pub customer_ping_seconds: u32,
    /// How long after its end a call can be rated, in hours.
    #[arg(long, hide = true, env = "VEZ_RATING_OPEN_HOURS", value_name = "HOURS", default_value_t = Self::RATING_OPEN_HOURS)]
    pub rating_open_hours: u32,
}

impl QueueDefaults {
    /// Long enough to look up and click, short enough for the one who waits.
    pub const OFFER_TIMEOUT_SECONDS: u32 = 20;
    /// Time to write a note.
    pub const WRAP_UP_SECONDS: u32 = 15;
    /// A change of network or a reload takes seconds; a lift takes a minute.
    pub const RECONNECT_GRACE_SECONDS: u32 = 60;
    /// With ten priorities nobody is overtaken by anyone who came ten minutes later.
    pub const PRIORITY_STEP_SECONDS: u32 = 60;
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
    /// Until the next day, and as long as the call's own token lives.
    pub const RATING_OPEN_HOURS: u32 = 24;
}

impl Default for QueueDefaults {
    fn default() -> Self {
        Self {
            offer_timeout_seconds: Self::OFFER_TIMEOUT_SECONDS,
            wrap_up_seconds: Self::WRAP_UP_SECONDS,
            reconnect_grace_seconds: Self::RECONNECT_GRACE_SECONDS,
            priority_step_seconds: Self::PRIORITY_STEP_SECONDS,
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
            rating_open_hours: Self::RATING_OPEN_HOURS,
        }
    }
}
