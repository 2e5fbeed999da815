//! How long what staff were told and what they did is kept.
//!
//! Owns: the defaults of those settings. Must not: delete anything.

/// What is kept for a while.
#[derive(Clone, Debug, PartialEq, clap::Args)]
#[command(next_help_heading = "Retention")]
pub struct Retention {
    /// How long notices to members of staff are kept, read or not, in days; 0 is for ever.
    #[arg(long, env = "VEZ_NOTIFICATION_RETENTION_DAYS", value_name = "DAYS", default_value_t = Self::NOTIFICATION_RETENTION_DAYS)]
    pub notification_retention_days: u32,
    /// How long the trail of what staff did is kept, in days; 0 is for ever.
    #[arg(long, env = "VEZ_AUDIT_RETENTION_DAYS", value_name = "DAYS", default_value_t = Self::AUDIT_RETENTION_DAYS)]
    pub audit_retention_days: u32,
}

impl Retention {
    /// Nobody misses a notice that he left unread for a quarter of a year.
    pub const NOTIFICATION_RETENTION_DAYS: u32 = 90;
    /// As long as the facts it stands beside: a year, and a month to notice that it is over.
    pub const AUDIT_RETENTION_DAYS: u32 = 400;
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            notification_retention_days: Self::NOTIFICATION_RETENTION_DAYS,
            audit_retention_days: Self::AUDIT_RETENTION_DAYS,
        }
    }
}
