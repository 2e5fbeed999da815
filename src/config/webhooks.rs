//! Where webhooks may go and how long the server is patient with them.
//!
//! Owns: the defaults of those settings. Must not: resolve or connect to anything.

use super::on_or_off;

/// What companies may have the server call.
#[derive(Clone, Debug, PartialEq, clap::Args)]
#[command(next_help_heading = "Webhooks")]
pub struct Webhooks {
    /// Lets webhooks reach every address, private ones and this machine among them: on or off.
    ///
    /// Off keeps a company's manager from using the server to reach what only the server can.
    #[arg(id = "webhooks_allow_private", long = "webhooks-allow-private", env = "VEZ_WEBHOOKS_ALLOW_PRIVATE",
          value_name = "on|off", default_value = "off", value_parser = on_or_off, action = clap::ArgAction::Set)]
    pub allow_private: bool,
    /// Addresses or networks (10.20.0.0/16) that webhooks may reach although they are private, separated by commas.
    #[arg(
        id = "webhooks_allow_networks",
        long = "webhooks-allow-networks",
        env = "VEZ_WEBHOOKS_ALLOW_NETWORKS",
        value_name = "NETWORK",
        value_delimiter = ','
    )]
    pub allow_networks: Vec<String>,
    /// Lets webhooks be called without TLS (http://): on or off.
    #[arg(id = "webhooks_allow_http", long = "webhooks-allow-http", env = "VEZ_WEBHOOKS_ALLOW_HTTP",
          value_name = "on|off", default_value = "off", value_parser = on_or_off, action = clap::ArgAction::Set)]
    pub allow_http: bool,
    /// How long a receiver may take to answer, in seconds.
    #[arg(id = "webhooks_timeout_seconds", long = "webhooks-timeout-seconds", env = "VEZ_WEBHOOKS_TIMEOUT_SECONDS",
          value_name = "SECONDS", default_value_t = Self::TIMEOUT_SECONDS)]
    pub timeout_seconds: u32,
    /// How long deliveries are kept, with what was sent and answered, in days.
    #[arg(id = "webhooks_retention_days", long = "webhooks-retention-days", env = "VEZ_WEBHOOKS_RETENTION_DAYS",
          value_name = "DAYS", default_value_t = Self::RETENTION_DAYS)]
    pub retention_days: u32,
    /// After how many days of nothing but failures a webhook is switched off.
    #[arg(id = "webhooks_disable_days", long = "webhooks-disable-days", env = "VEZ_WEBHOOKS_DISABLE_DAYS",
          value_name = "DAYS", default_value_t = Self::DISABLE_DAYS)]
    pub disable_days: u32,
}

impl Webhooks {
    /// A receiver should note what it was told and answer; one that works meanwhile is too slow.
    pub const TIMEOUT_SECONDS: u32 = 10;
    /// Long enough to look into last month's trouble; contacts of customers stand in what was sent.
    pub const RETENTION_DAYS: u32 = 30;
    /// Longer than a long weekend.
    pub const DISABLE_DAYS: u32 = 5;
}

impl Default for Webhooks {
    fn default() -> Self {
        Self {
            allow_private: false,
            allow_networks: Vec::new(),
            allow_http: false,
            timeout_seconds: Self::TIMEOUT_SECONDS,
            retention_days: Self::RETENTION_DAYS,
            disable_days: Self::DISABLE_DAYS,
        }
    }
}
