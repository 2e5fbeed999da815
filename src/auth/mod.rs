//! Owns who somebody is: passwords, tokens, second factors and the principal a token stands for; also how often he may be
//! wrong, and which tokens are believed no longer. It reads no database and knows no route; whoever serves a request asks
//! here and decides there.

pub mod api_token;
pub mod appointment_tokens;
mod common_passwords;
pub mod hash_worker;
mod hashing;
pub mod lockout;
pub mod passwords;
pub mod principal;
pub mod revocations;
pub mod seal;
pub mod second_factor;
pub mod tokens;

pub use lockout::Lockouts;
pub use passwords::{PasswordError, Passwords};
pub use principal::Principal;
pub use revocations::Revocations;
pub use seal::Seal;
pub use tokens::{Claims, TokenError, Tokens, Use, sha256_hex};
