//! Vez.
