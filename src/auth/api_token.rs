//! Owns the text of personal API tokens: how one looks, and the form in which it is kept. Whom it stands for is the
//! store's.

use super::tokens::sha256_hex;
use crate::domain::ids::IdSource;

/// What every token begins with, so that people and scanners of leaked secrets know one when they see it.
pub const PREFIX: &str = "vez_";
/// Random bytes of a token: as many as nobody ever guesses, so a fast hash is enough to keep it.
const BYTES: usize = 32;
/// Characters of a token: the prefix and the bytes in base 64.
const CHARS: usize = PREFIX.len() + (BYTES * 4).div_ceil(3);
/// Characters by which its owner tells it from his others.
const HINT_CHARS: usize = PREFIX.len() + 4;

/// A new token, to be shown once.
pub fn new(ids: &IdSource) -> String {
    format!("{PREFIX}{}", ids.secret(BYTES))
}

/// Whether `text` looks like a token of ours: only then is it worth asking the database.
pub fn is_one(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    text.len() == CHARS && text.starts_with(PREFIX) && text.bytes().all(plain)
}

/// The form in which it is kept.
pub fn hash(token: &str) -> String {
    sha256_hex(&[b"api token", token.as_bytes()])
}

/// Its first characters.
pub fn hint(token: &str) -> String {
    token.chars().take(HINT_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_looks_and_kept_as_a_hash() {
        let token = new(&IdSource::seeded(1));
        assert!(is_one(&token), "{token}");
        assert_eq!((token.len(), hint(&token).len()), (47, 8));
        assert_ne!(token, new(&IdSource::seeded(2)));
        assert!(!hash(&token).contains(&token[4..]));
        for other in ["", "vez_", &token[1..], &format!("{token}x"), &token.replace("vez_", "abc_"), "eyJhbGciOi.x.y"] {
            assert!(!is_one(other), "{other}");
        }
    }
}
