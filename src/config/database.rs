//! Where the data lives: an outside Postgres, or the private one in the data folder.
//!
//! Owns: the defaults of those settings. Must not: connect.

use std::path::PathBuf;

use super::Secret;

/// Storage.
#[derive(Clone, Debug, PartialEq, clap::Args)]
#[command(next_help_heading = "Database")]
pub struct Database {
    /// An outside Postgres, 14 or newer (postgres://user:password@host/database).
    ///
    /// DATABASE_URL is read too. Without either, Vez runs a private Postgres inside the data folder.
    #[arg(long = "database-url", env = "VEZ_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub url: Option<Secret>,
    /// The variable other tools use; `url` wins over it.
    #[arg(long = "fallback-database-url", env = "DATABASE_URL", hide = true, hide_env_values = true)]
    pub fallback_url: Option<Secret>,
    /// Folder for everything Vez keeps on this machine: the private Postgres, the key of its tokens.
    #[arg(long, env = "VEZ_DATA_DIR", value_name = "FOLDER", default_value = Self::DATA_DIR)]
    pub data_dir: PathBuf,
    /// Connections that serve requests.
    #[arg(long, env = "VEZ_APP_CONNECTIONS", value_name = "N", default_value_t = Self::APP_CONNECTIONS)]
    pub app_connections: u32,
    /// Writers of the record; tenants are divided among them, and each commits its own batches.
    #[arg(long, env = "VEZ_WRITER_SHARDS", value_name = "N", default_value_t = Self::WRITER_SHARDS)]
    pub writer_shards: u32,
}

impl Database {
    /// Relative, so that trying Vez out leaves its traces in one visible folder.
    pub const DATA_DIR: &'static str = "./data";
    /// Reads are short; more connections than this only queue up inside Postgres instead of in the pool.
    pub const APP_CONNECTIONS: u32 = 8;
    /// Two overlap one's commit with the other's filling; more share the same disk flush without gain.
    pub const WRITER_SHARDS: u32 = 2;

    /// The outside server to use, or `None` for the private one. An empty variable counts as absent.
    pub fn connection_url(&self) -> Option<&str> {
        [&self.url, &self.fallback_url].into_iter().flatten().map(|url| url.expose().trim()).find(|url| !url.is_empty())
    }
}

impl Default for Database {
    fn default() -> Self {
        Self {
            url: None,
            fallback_url: None,
            data_dir: PathBuf::from(Self::DATA_DIR),
            app_connections: Self::APP_CONNECTIONS,
            writer_shards: Self::WRITER_SHARDS,
        }
    }
}
