//! Owns what is kept at rest so that only this server can read it again: second factors, webhook secrets, answers with tokens in
//! them. What need never be read again is hashed instead, elsewhere.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};

use crate::domain::ids::IdSource;

/// XChaCha20's nonce: long enough to be drawn at random for ever.
const NONCE_BYTES: usize = 24;

/// Seals and opens. Cheap to clone.
#[derive(Clone)]
pub struct Seal(Arc<XChaCha20Poly1305>);

impl Seal {
    /// With a key of its own, derived from the server's secret.
    pub fn new(secret: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"vez seal 1");
        hash.update(secret);
        let key: [u8; 32] = hash.finalize().into();
        Self(Arc::new(XChaCha20Poly1305::new(&key.into())))
    }

    /// Seals `plain`; only the same `context` (a word for its kind and the id of what it belongs to) opens it, so a sealed
    /// text copied to another row is worth nothing.
    pub fn seal(&self, context: &str, plain: &[u8], ids: &IdSource) -> String {
        let mut nonce = [0u8; NONCE_BYTES];
        ids.fill(&mut nonce);
        let payload = Payload { msg: plain, aad: context.as_bytes() };
        // It refuses only texts of many gigabytes, which no caller has.
        let sealed = self.0.encrypt(&XNonce::from(nonce), payload).unwrap_or_default();
        let mut bytes = nonce.to_vec();
        bytes.extend_from_slice(&sealed);
        STANDARD_NO_PAD.encode(bytes)
    }

    /// What was sealed; `None` when it was not by us or not for this context.
    pub fn open(&self, context: &str, sealed: &str) -> Option<Vec<u8>> {
        let bytes = STANDARD_NO_PAD.decode(sealed).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_BYTES>()?;
        self.0.decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: context.as_bytes() }).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_server_and_context_open_what_was_sealed() {
        let (seal, ids) = (Seal::new(b"one"), IdSource::seeded(1));
        let sealed = seal.seal("totp 7", b"secret", &ids);
        assert_eq!(seal.open("totp 7", &sealed).as_deref(), Some(&b"secret"[..]));
        assert_eq!(seal.open("totp 8", &sealed), None);
        assert_eq!(Seal::new(b"two").open("totp 7", &sealed), None);
        assert_eq!(seal.open("totp 7", &sealed[1..]), None);
        assert_eq!(seal.open("totp 7", ""), None);
        assert_ne!(seal.seal("totp 7", b"secret", &ids), sealed);
    }
}
