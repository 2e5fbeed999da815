//! Owns what is said now: topics, pushes, the outboxes of sockets and the hub between them. It knows no frame format, asks
//! nobody's permission and stores nothing: who may join a topic is `ws`'s business, what is said on it the actors'.
//!
//! - `topic`: the five kinds of topic and their names
//! - `push`: one message, encoded once per protocol version and shared by every socket
//! - `outbox`: the bounded queue before one socket, and what happens when it is full
//! - `ring`: what a topic said lately, for those who come back
//! - `hub`: who listens to what; publishing
//! - `presence`: the Phoenix presence map of one department (pure)

pub mod hub;
pub mod outbox;
pub mod presence;
pub mod push;
pub mod ring;
pub mod topic;
