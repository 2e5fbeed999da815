//! The protocols Vez speaks, from outside: REST over HTTP/1.1 and Phoenix channels over WebSocket.
//!
//! Nothing here knows about load, agents or measuring.

pub mod frames;
pub mod http;
pub mod pool;
pub mod socket;
