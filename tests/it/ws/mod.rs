//! The WebSocket contract (realtime.md), topic by topic.
