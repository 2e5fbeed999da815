//! Owns what a delivery proves itself by: the headers of Standard Webhooks, and Voki's own. Which secrets a webhook has is
//! the store's business.
//!
//! | header | holds |
//! |---|---|
//! | `webhook-id` | the event's id: the same at every attempt and for every webhook |
//! | `webhook-timestamp` | when this attempt was made, in seconds since 1970 |
//! | `webhook-signature` | `v1,` and base64 of HMAC-SHA256(key, `id.timestamp.body`), one for each secret, split by blanks |
//! | `X-Voki-Signature` | `sha256=` and the hexadecimal digits of HMAC-SHA256(the present secret's text, body) |

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use uuid::Uuid;

use crate::domain::clock::Timestamp;
use crate::domain::ids::IdSource;

/// What secrets of Standard Webhooks begin with.
pub const PREFIX: &str = "whsec_";
/// Bytes of a secret made here: as many as the signature has.
pub const SECRET_BYTES: usize = 32;
/// The shortest secret a company may choose, in characters: below it guessing gets possible.
pub const SECRET_CHARS_MIN: usize = 16;
/// The longest: `whsec_` and the base64 of 64 bytes, which is all HMAC-SHA256 takes without hashing the key.
pub const SECRET_CHARS_MAX: usize = 94;

/// A secret as Standard Webhooks writes them.
pub fn generate(ids: &IdSource) -> String {
    let mut bytes = [0; SECRET_BYTES];
    ids.fill(&mut bytes);
    format!("{PREFIX}{}", STANDARD.encode(bytes))
}

/// Whether a secret is what it says it is: after `whsec_` comes base64.
pub fn is_well_formed(secret: &str) -> bool {
    secret.strip_prefix(PREFIX).is_none_or(|text| STANDARD.decode(text).is_ok_and(|key| !key.is_empty()))
}

/// The names and values of the headers that sign `body`, by the present secret and the former one while it still counts.
pub(super) fn headers(
    event: Uuid,
    at: Timestamp,
    body: &str,
    secret: &str,
    former: Option<&str>,
) -> [(&'static str, String); 4] {
    let seconds = at.micros().div_euclid(1_000_000);
    let signed = format!("{event}.{seconds}.{body}");
    let mut signatures = format!("v1,{}", STANDARD.encode(mac(&key(secret), signed.as_bytes())));
    if let Some(former) = former {
        signatures.push_str(" v1,");
        STANDARD.encode_string(mac(&key(former), signed.as_bytes()), &mut signatures);
    }
    [
        ("webhook-id", event.to_string()),
        ("webhook-timestamp", seconds.to_string()),
        ("webhook-signature", signatures),
        ("x-voki-signature", format!("sha256={}", hex(&mac(secret.as_bytes(), body.as_bytes())))),
    ]
}

/// The key of a secret as the libraries of Standard Webhooks read it: base64, after `whsec_` or alone. A secret that is no
/// base64 is its own key, since a company may choose any text.
fn key(secret: &str) -> Vec<u8> {
    let text = secret.strip_prefix(PREFIX).unwrap_or(secret);
    STANDARD.decode(text).unwrap_or_else(|_| secret.as_bytes().to_vec())
}

fn mac(key: &[u8], message: &[u8]) -> [u8; 32] {
    // A key of any length is taken; the error of the type cannot happen.
    match Hmac::<Sha256>::new_from_slice(key) {
        Ok(mut mac) => {
            mac.update(message);
            mac.finalize().into_bytes().into()
        }
        Err(_) => [0; 32],
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn signed(secret: &str, former: Option<&str>) -> [(&'static str, String); 4] {
        let event = Uuid::from_u128(7);
        headers(event, Timestamp::from_micros(1_649_367_553_999_999), r#"{"event":"x"}"#, secret, former)
    }

    #[test]
    fn the_authors_of_the_rules_sign_alike() {
        for secret in ["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "C2FVsBQIhrscChlQIMV+b5sSYspob7oD"] {
            let theirs = standardwebhooks::Webhook::new(secret).unwrap();
            let expected = theirs.sign(&Uuid::from_u128(7).to_string(), 1_649_367_553, br#"{"event":"x"}"#).unwrap();
            assert_eq!(signed(secret, None)[2], ("webhook-signature", expected));
        }
        let plain = "a secret of a few words";
        let theirs = standardwebhooks::Webhook::from_bytes(plain.as_bytes().to_vec()).unwrap();
        let expected = theirs.sign(&Uuid::from_u128(7).to_string(), 1_649_367_553, br#"{"event":"x"}"#).unwrap();
        assert_eq!(signed(plain, None)[2].1, expected);
    }

    #[test]
    fn both_secrets_sign_while_one_replaces_the_other() {
        let (new, old) = ("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "whsec_AAFVsBQIhrscChlQIMV+b5sSYspob7oD");
        let both = signed(new, Some(old));
        assert_eq!(both[2].1, format!("{} {}", signed(new, None)[2].1, signed(old, None)[2].1));
        assert_eq!(both[3], signed(new, None)[3], "Voki's header has room for one");
    }

    #[test]
    fn vokis_header_is_made_with_the_secrets_text() {
        // openssl dgst -sha256 -hmac 'key' over the usual pangram (RFC-like sample of HMAC-SHA256).
        let digest = mac(b"key", b"The quick brown fox jumps over the lazy dog");
        assert_eq!(hex(&digest), "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8");
    }
}
