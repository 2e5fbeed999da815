//! Where the server listens, how it is called from outside, whom it trusts.
//!
//! Owns: the defaults of those settings. Must not: bind anything.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Listening and trust.
#[derive(Clone, Debug, PartialEq, clap::Args)]
#[command(next_help_heading = "Server")]
pub struct Server {
    /// Address to listen on; 0.0.0.0 (or ::) opens it to the network.
    #[arg(long, env = "VEZ_BIND", value_name = "ADDRESS", default_value_t = Self::BIND)]
    pub bind: IpAddr,
    /// Port to listen on; 0 takes any free one.
    #[arg(long, env = "VEZ_PORT", default_value_t = Self::PORT)]
    pub port: u16,
    /// The address people see, when a proxy stands in front (https://queue.example.com).
    ///
    /// Links in answers start with it. Without it they start with the address the request came to (its Host header).
    #[arg(long, env = "VEZ_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<String>,
    /// Web origins that may open sockets and call the API from a browser, separated by commas.
    ///
    /// None means: only pages served by this host.
    #[arg(long, env = "VEZ_ORIGINS", value_name = "ORIGIN", value_delimiter = ',')]
    pub origins: Vec<String>,
    /// Proxies whose X-Forwarded-For is believed, as addresses or networks (10.0.0.0/8), separated by commas.
    #[arg(long, env = "VEZ_TRUSTED_PROXIES", value_name = "NETWORK", value_delimiter = ',')]
    pub trusted_proxies: Vec<String>,
    /// Largest request body, in bytes; a larger one is answered 413.
    #[arg(long, env = "VEZ_BODY_BYTES_MAX", value_name = "BYTES", default_value_t = Self::BODY_BYTES_MAX)]
    pub body_bytes_max: usize,
}

impl Server {
    /// Only this machine, until somebody decides otherwise.
    pub const BIND: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    /// The port integrators of Phoenix services expect.
    pub const PORT: u16 = 4000;
    /// 1 MiB: the largest honest body (an import of contacts) is far smaller.
    pub const BODY_BYTES_MAX: usize = 1024 * 1024;

    /// What to bind.
    pub fn listen_address(&self) -> SocketAddr {
        SocketAddr::new(self.bind, self.port)
    }
}

impl Default for Server {
    fn default() -> Self {
        Self {
            bind: Self::BIND,
            port: Self::PORT,
            public_url: None,
            origins: Vec::new(),
            trusted_proxies: Vec::new(),
            body_bytes_max: Self::BODY_BYTES_MAX,
        }
    }
}
