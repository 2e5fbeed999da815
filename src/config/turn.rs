//! Which STUN and TURN servers browsers are told of, for the media of a call.
//!
//! Owns: the defaults of those settings. Must not: make credentials.

use super::Secret;

/// Media relays.
#[derive(Clone, Debug, PartialEq, clap::Args)]
#[command(next_help_heading = "Media relays")]
pub struct Turn {
    /// TURN servers (turn:relay.example.com:3478), separated by commas.
    ///
    /// They must accept the time-limited credentials of coturn's `use-auth-secret`, made with --turn-secret.
    #[arg(long, env = "VEZ_TURN_URLS", value_name = "URL", value_delimiter = ',')]
    pub turn_urls: Vec<String>,
    /// The secret shared with the TURN servers: coturn's `static-auth-secret`.
    #[arg(long, env = "VEZ_TURN_SECRET", value_name = "TEXT", hide_env_values = true)]
    pub turn_secret: Option<Secret>,
    /// Life of TURN credentials, in seconds.
    #[arg(long, env = "VEZ_TURN_TTL_SECONDS", value_name = "SECONDS", default_value_t = Self::TURN_TTL_SECONDS)]
    pub turn_ttl_seconds: u32,
    /// STUN servers (stun:stun.example.com:3478), separated by commas; empty for none.
    #[arg(long, env = "VEZ_STUN_URLS", value_name = "URL", value_delimiter = ',', default_values_t = Self::stun_urls())]
    pub stun_urls: Vec<String>,
}

impl Turn {
    /// Six hours: longer than a call, whose relay would else stop when the credentials end.
    pub const TURN_TTL_SECONDS: u32 = 6 * 60 * 60;
    /// Without any STUN server two people behind different routers would not find each other.
    pub const STUN_URL: &str = "stun:stun.l.google.com:19302";

    fn stun_urls() -> Vec<String> {
        vec![Self::STUN_URL.to_owned()]
    }
}

impl Default for Turn {
    fn default() -> Self {
        Self {
            turn_urls: Vec::new(),
            turn_secret: None,
            turn_ttl_seconds: Self::TURN_TTL_SECONDS,
            stun_urls: Self::stun_urls(),
        }
    }
}
