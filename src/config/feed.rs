//! How long the facts of companies' event feeds are kept.
//!
//! Owns: the default of that setting. Must not: delete anything.

/// The event feed.
#[derive(Clone, Debug, PartialEq, clap::Args)]
#[command(next_help_heading = "Event feed")]
pub struct Feed {
    /// How long the facts of the event feed, and with them the timelines of calls, are kept, in days; 0 is for ever.
    #[arg(long, env = "VEZ_EVENT_RETENTION_DAYS", value_name = "DAYS", default_value_t = Self::EVENT_RETENTION_DAYS)]
    pub event_retention_days: u32,
}

impl Feed {
    /// A year, and a month to notice that it is over.
    pub const EVENT_RETENTION_DAYS: u32 = 400;
}

impl Default for Feed {
    fn default() -> Self {
        Self { event_retention_days: Self::EVENT_RETENTION_DAYS }
    }
}
