//! The `vez` binary.
fn main() {}
