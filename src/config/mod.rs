//! Every setting of the server, as plain data.
//!
//! Owns: the names, defaults, units and help texts of all settings. Each field is a command-line flag and a `VEZ_*`
//! variable at once; a flag wins over its variable, a variable over the default. `Config::default()` is the
//! documented default of everything and reads no variable, so tests start from it.
//!
//! Must not: import anything of this crate, open files or connections, or decide anything.

mod auth;
mod database;
mod feed;
mod files;
mod limits;
mod mail;
mod queue;
mod retention;
mod secret;
mod server;
mod turn;
mod webhooks;

pub use auth::Auth;
pub use database::Database;
pub use feed::Feed;
pub use files::Files;
pub use limits::Limits;
pub use mail::Mail;
pub use queue::QueueDefaults;
pub use retention::Retention;
pub use secret::Secret;
pub use server::Server;
pub use turn::Turn;
pub use webhooks::Webhooks;

/// All settings of one server process.
#[derive(Clone, Debug, Default, PartialEq, clap::Args)]
pub struct Config {
    /// Where it listens and whom it trusts.
    #[command(flatten)]
    pub server: Server,
    /// Where it keeps its data.
    #[command(flatten)]
    pub database: Database,
    /// Where recordings and attachments are, and what may be uploaded.
    #[command(flatten)]
    pub files: Files,
    /// Tokens of people who logged in.
    #[command(flatten)]
    pub auth: Auth,
    /// Bounds on what one client may send and hold.
    #[command(flatten)]
    pub limits: Limits,
    /// The times of the queue; some of them a department may override.
    #[command(flatten)]
    pub queue: QueueDefaults,
    /// How mails leave, and when reminders are given.
    #[command(flatten)]
    pub mail: Mail,
    /// Calls to companies' own systems.
    #[command(flatten)]
    pub webhooks: Webhooks,
    /// How long what happened is remembered.
    #[command(flatten)]
    pub feed: Feed,
    /// How long what staff were told and did is kept.
    #[command(flatten)]
    pub retention: Retention,
    /// Servers for the media of calls.
    #[command(flatten)]
    pub turn: Turn,
}

/// Reads a switch the way people write one.
fn on_or_off(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "1" => Ok(true),
        "off" | "false" | "no" | "0" => Ok(false),
        _ => Err("write `on` or `off`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    //! The two ways to the defaults agree, and secrets stay out of logs.
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        config: Config,
    }

    #[test]
    fn the_command_line_and_default_agree() {
        // A developer's DATABASE_URL or VEZ_* variables would rightly change what the parser yields.
        if std::env::vars().any(|(name, _)| name.starts_with("VEZ_") || name == "DATABASE_URL") {
            return;
        }
        assert_eq!(Line::try_parse_from(["vez"]).unwrap().config, Config::default());
    }

    #[test]
    fn flags_are_read() {
        let line = Line::try_parse_from([
            "vez",
            "--port=4100",
            "--origins=https://a.example,https://b.example",
            "--rate-limit=off",
            "--start-timeout-seconds=9",
        ]);
        let config = line.map(|line| line.config).unwrap_or_else(|error| unreachable!("{error}"));
        assert_eq!(config.server.port, 4100);
        assert_eq!(config.server.origins, ["https://a.example", "https://b.example"]);
        assert!(!config.limits.rate_limit);
        assert_eq!(config.queue.start_timeout_seconds, 9);
    }

    #[test]
    fn a_wrong_switch_is_refused() {
        assert!(Line::try_parse_from(["vez", "--rate-limit=maybe"]).is_err());
    }

    #[test]
    fn secrets_are_hidden() {
        let mut config = Config::default();
        config.auth.jwt_secret = Some(Secret::from("tell-nobody-about-this-secret-text"));
        config.database.url = Some(Secret::from("postgres://u:tell-nobody@h/d"));
        assert!(!format!("{config:?}").contains("tell-nobody"));
        assert_eq!(config.database.connection_url(), Some("postgres://u:tell-nobody@h/d"));
    }

    #[test]
    fn an_empty_url_means_none() {
        let database =
            Database { url: Some(Secret::from("")), fallback_url: Some(Secret::from("  ")), ..Default::default() };
        assert_eq!(database.connection_url(), None);
    }
}
