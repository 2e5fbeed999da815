//! Everything that writes to or reads from Postgres on behalf of the server.

pub mod embedded;
