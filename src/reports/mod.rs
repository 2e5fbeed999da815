//! Owns read-only SQL that may take long: histories, exports, analytics.

pub mod call_history;
