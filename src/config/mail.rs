//! How mails leave, and when reminders are given.
//!
//! Owns: the defaults of those settings. Must not: connect or write.

use super::Secret;

/// Mail and reminders.
#[derive(Clone, Debug, PartialEq, clap::Args)]
#[command(next_help_heading = "Mail")]
pub struct Mail {
    /// SMTP server (smtps://user:password@host:465, or smtp://user:password@host:587?tls=required).
    ///
    /// Without it mails are written as files into `mail` in the data folder.
    #[arg(long, env = "VEZ_SMTP_URL", value_name = "URL", hide_env_values = true)]
    pub smtp_url: Option<Secret>,
    /// Who mails are from: an address, or a name and an address (Vez <vez@example.com>).
    #[arg(long, env = "VEZ_MAIL_FROM", value_name = "ADDRESS", default_value = Self::MAIL_FROM)]
    pub mail_from: String,
    /// Longest wait for the SMTP server to take one mail, in seconds.
    #[arg(long, env = "VEZ_MAIL_TIMEOUT_SECONDS", value_name = "SECONDS", default_value_t = Self::TIMEOUT_SECONDS)]
    pub mail_timeout_seconds: u32,
    /// Minutes before an appointment at which agent and customer are reminded, separated by commas.
    ///
    /// A change holds for appointments that are made or moved from then on.
    #[arg(long, env = "VEZ_REMINDER_MINUTES", value_name = "MINUTES", value_delimiter = ',',
          default_values_t = Self::REMINDER_MINUTES)]
    pub reminder_minutes: Vec<u32>,
}

impl Mail {
    /// Says where it comes from; who sends to the world sets his own.
    pub const MAIL_FROM: &'static str = "Vez <vez@localhost>";
    /// Slow servers check a mail while we wait; one that needs longer is not well.
    pub const TIMEOUT_SECONDS: u32 = 30;
    /// A day, to be able to cancel, and a quarter of an hour, to be there.
    pub const REMINDER_MINUTES: [u32; 2] = [24 * 60, 15];

    /// The SMTP server; an empty setting counts as absent.
    pub fn smtp_server(&self) -> Option<&str> {
        self.smtp_url.as_ref().map(|url| url.expose().trim()).filter(|url| !url.is_empty())
    }
}

impl Default for Mail {
    fn default() -> Self {
        Self {
            smtp_url: None,
            mail_from: Self::MAIL_FROM.to_owned(),
            mail_timeout_seconds: Self::TIMEOUT_SECONDS,
            reminder_minutes: Self::REMINDER_MINUTES.to_vec(),
        }
    }
}
