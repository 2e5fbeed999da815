//! Bounds on what one client may send and hold.
//!
//! Owns: the defaults of those settings. Must not: count anything.

use super::on_or_off;

/// Limits per address, account and socket.
#[derive(Clone, Debug, PartialEq, clap::Args)]
#[command(next_help_heading = "Limits")]
pub struct Limits {
    /// Rate limits of logging in, of the public endpoints and of sockets' messages: on or off.
    ///
    /// Off is for load tests on a closed network.
    #[arg(long, env = "VEZ_RATE_LIMIT", value_name = "on|off", default_value = "on",
          value_parser = on_or_off, action = clap::ArgAction::Set)]
    pub rate_limit: bool,
    /// Requests to /api/auth/* for one account, per minute and address.
    #[arg(long, env = "VEZ_AUTH_PER_MINUTE", value_name = "N", default_value_t = Self::AUTH_PER_MINUTE)]
    pub auth_per_minute: u32,
    /// Requests to /api/auth/* for all accounts together, per minute and address.
    #[arg(long, env = "VEZ_AUTH_ADDRESS_PER_MINUTE", value_name = "N",
          default_value_t = Self::AUTH_ADDRESS_PER_MINUTE)]
    pub auth_address_per_minute: u32,
    /// Requests to the public call endpoints, per minute and address.
    #[arg(long, env = "VEZ_PUBLIC_PER_MINUTE", value_name = "N", default_value_t = Self::PUBLIC_PER_MINUTE)]
    pub public_per_minute: u32,
    /// Largest WebSocket frame a client may send, in bytes.
    #[arg(long, env = "VEZ_FRAME_BYTES_MAX", value_name = "BYTES", default_value_t = Self::FRAME_BYTES_MAX)]
    pub frame_bytes_max: usize,
    /// Topics one socket may have joined at once.
    #[arg(long, env = "VEZ_TOPICS_PER_SOCKET_MAX", value_name = "N", default_value_t = Self::TOPICS_PER_SOCKET_MAX)]
    pub topics_per_socket_max: usize,
    /// Messages one socket may send per second.
    #[arg(long, env = "VEZ_CLIENT_MESSAGES_PER_SECOND_MAX", value_name = "N",
          default_value_t = Self::CLIENT_MESSAGES_PER_SECOND_MAX)]
    pub client_messages_per_second_max: u32,
    /// Frames that wait for a slow socket before it is sent one fresh full state instead.
    #[arg(long, env = "VEZ_OUTBOX_FRAMES_MAX", value_name = "N", default_value_t = Self::OUTBOX_FRAMES_MAX)]
    pub outbox_frames_max: usize,
    /// Longest life of one socket, in hours; its client then connects anew.
    #[arg(long, env = "VEZ_SOCKET_HOURS_MAX", value_name = "HOURS", default_value_t = Self::SOCKET_HOURS_MAX)]
    pub socket_hours_max: u32,
}

impl Limits {
    /// A person who mistypes tries a few times; a guesser needs thousands.
    pub const AUTH_PER_MINUTE: u32 = 5;
    /// An office of dozens of people shares one address and logs in at nine; a guesser of many accounts does not get far.
    pub const AUTH_ADDRESS_PER_MINUTE: u32 = 60;
    /// A poll every few seconds by a few customers behind one address.
    pub const PUBLIC_PER_MINUTE: u32 = 30;
    /// 64 KiB: the largest honest frame is a session description of a video call.
    pub const FRAME_BYTES_MAX: usize = 64 * 1024;
    /// A supervisor's wallboard of a large company.
    pub const TOPICS_PER_SOCKET_MAX: usize = 128;
    /// The burst of candidates when a video call starts.
    pub const CLIENT_MESSAGES_PER_SECOND_MAX: u32 = 50;
    /// Some seconds of a busy queue; more would be stale when it arrives.
    pub const OUTBOX_FRAMES_MAX: usize = 256;
    /// A day: nobody's shift is longer, and forgotten pages do not stay for ever.
    pub const SOCKET_HOURS_MAX: u32 = 24;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rate_limit: true,
            auth_per_minute: Self::AUTH_PER_MINUTE,
            auth_address_per_minute: Self::AUTH_ADDRESS_PER_MINUTE,
            public_per_minute: Self::PUBLIC_PER_MINUTE,
            frame_bytes_max: Self::FRAME_BYTES_MAX,
            topics_per_socket_max: Self::TOPICS_PER_SOCKET_MAX,
            client_messages_per_second_max: Self::CLIENT_MESSAGES_PER_SECOND_MAX,
            outbox_frames_max: Self::OUTBOX_FRAMES_MAX,
            socket_hours_max: Self::SOCKET_HOURS_MAX,
        }
    }
}
