//! The life of tokens, the key that signs them, and how many wrong tries an account allows.
//!
//! Owns: the defaults of those settings. Must not: sign, or make a key.

use super::Secret;

/// Tokens.
#[derive(Clone, Debug, PartialEq, clap::Args)]
#[command(next_help_heading = "Tokens")]
pub struct Auth {
    /// Key that signs tokens, at least 32 characters of chance.
    ///
    /// Without it, Vez makes a random one at its first start and keeps it in the data folder, readable only by itself.
    #[arg(long, env = "VEZ_JWT_SECRET", value_name = "TEXT", hide_env_values = true)]
    pub jwt_secret: Option<Secret>,
    /// Life of an access token, in seconds.
    #[arg(long, env = "VEZ_ACCESS_SECONDS", value_name = "SECONDS", default_value_t = Self::ACCESS_SECONDS)]
    pub access_seconds: u32,
    /// Life of a refresh token, in seconds.
    #[arg(long, env = "VEZ_REFRESH_SECONDS", value_name = "SECONDS", default_value_t = Self::REFRESH_SECONDS)]
    pub refresh_seconds: u32,
    /// Wrong passwords and codes of one account that cost nothing; each further one doubles the wait. 0 locks nobody.
    #[arg(long, env = "VEZ_LOCKOUT_FAILURES", value_name = "N", default_value_t = Self::LOCKOUT_FAILURES)]
    pub lockout_failures: u32,
}

impl Auth {
    /// 15 minutes: as long as a stolen token may do harm.
    pub const ACCESS_SECONDS: u32 = 15 * 60;
    /// 7 days: somebody who works every week stays logged in.
    pub const REFRESH_SECONDS: u32 = 7 * 24 * 60 * 60;
    /// A person mistypes his password a few times, even one he knows.
    pub const LOCKOUT_FAILURES: u32 = 5;
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            jwt_secret: None,
            access_seconds: Self::ACCESS_SECONDS,
            refresh_seconds: Self::REFRESH_SECONDS,
            lockout_failures: Self::LOCKOUT_FAILURES,
        }
    }
}
