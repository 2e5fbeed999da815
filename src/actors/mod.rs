//! STUB: the lead's module replaces this.
pub mod handle;
