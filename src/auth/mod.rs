//! Owns who somebody is: passwords, tokens and the principal a token stands for. It reads no database and knows no
//! route; whoever serves a request asks here and decides there.

pub mod passwords;
pub mod principal;
pub mod seal;
pub mod tokens;

pub use passwords::{PasswordError, Passwords};
pub use principal::Principal;
pub use seal::Seal;
pub use tokens::{Claims, TokenError, Tokens, Use, sha256_hex};
