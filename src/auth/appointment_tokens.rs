//! Owns the tokens in the mails to customers, by which they see, confirm or cancel one appointment and nothing else. A
//! token is sealed, so it tells nothing and cannot be made by anybody else; it stays good, and what it may still do
//! depends on the appointment.

use uuid::Uuid;

use super::Seal;
use crate::domain::ids::{AppointmentId, IdSource, TenantId};

/// What is sealed, so that no other sealed text passes for a token.
const CONTEXT: &str = "appointment token";
/// Longest token worth opening: two ids, a nonce and a tag in base64 have 96 characters.
const TOKEN_BYTES_MAX: usize = 128;

/// A new token of an appointment, of letters, digits, `-` and `_`.
pub fn issue(seal: &Seal, ids: &IdSource, tenant: TenantId, appointment: AppointmentId) -> String {
    let mut plain = tenant.0.into_bytes().to_vec();
    plain.extend_from_slice(appointment.0.as_bytes());
    // The seal's alphabet has two characters that an address would have to escape.
    seal.seal(CONTEXT, &plain, ids).replace('+', "-").replace('/', "_")
}

/// Whose token it is; `None` when it is not one of ours.
pub fn read(seal: &Seal, token: &str) -> Option<(TenantId, AppointmentId)> {
    if token.len() > TOKEN_BYTES_MAX {
        return None;
    }
    let plain = seal.open(CONTEXT, &token.replace('-', "+").replace('_', "/"))?;
    let (tenant, appointment) = plain.split_at_checked(16)?;
    Some((TenantId(Uuid::from_slice(tenant).ok()?), AppointmentId(Uuid::from_slice(appointment).ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_of_one_appointment_and_of_this_server() {
        let (seal, ids) = (Seal::new(b"one"), IdSource::seeded(1));
        let whose = (TenantId(Uuid::from_u128(1)), AppointmentId(Uuid::from_u128(2)));
        for _ in 0..20 {
            let token = issue(&seal, &ids, whose.0, whose.1);
            assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{token}");
            assert_eq!(read(&seal, &token), Some(whose));
            assert_eq!(read(&Seal::new(b"two"), &token), None);
            assert_eq!(read(&seal, &token[1..]), None);
        }
        for token in ["", "abc", &"x".repeat(1_000)] {
            assert_eq!(read(&seal, token), None);
        }
    }
}
