//! Owns the arithmetic of second factors: secrets, their otpauth address and QR code, one-time codes (RFC 6238), recovery
//! codes. Whether a code was taken before is for those who hold the record to say.

use base64::Engine as _;
use totp_rs::{Builder, Totp};

use super::tokens::sha256_hex;
use crate::domain::clock::Timestamp;
use crate::domain::ids::{IdSource, TenantId, UserId};

/// Bytes of a secret: what RFC 4226 recommends and every authenticator takes.
const SECRET_BYTES: usize = 20;
/// Recovery codes given out at once; enough for years of lost telephones.
pub const RECOVERY_CODES: usize = 10;
/// Random bytes of a recovery code. 80 bits need no slow hash: nobody guesses them, even with the hashes in hand.
const RECOVERY_BYTES: usize = 10;
/// Characters of a recovery code without its hyphens.
const RECOVERY_CHARS: usize = RECOVERY_BYTES * 8 / 5;
/// Characters between two hyphens.
const RECOVERY_GROUP: usize = 4;
/// Digits of a one-time code.
const CODE_DIGITS: usize = 6;
/// Longest company name in the otpauth address, in characters: authenticators show less, and the QR code stays readable.
const ISSUER_CHARS_MAX: usize = 60;

/// What an authenticator is set up with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolment {
    /// In base 32, to be typed by hand.
    pub secret: String,
    /// `otpauth://totp/...`
    pub otpauth_url: String,
    /// The address as a QR code: `data:image/png;base64,...`
    pub qr_code: String,
}

/// What somebody typed as his second factor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Code {
    /// Six digits of an authenticator.
    OneTime(String),
    /// A recovery code, without its hyphens.
    Recovery(String),
}

impl Code {
    /// Reads it, however it is spaced and hyphened; `None` when it is neither kind.
    pub fn read(text: &str) -> Option<Self> {
        let plain: String =
            text.chars().filter(|c| !c.is_whitespace() && *c != '-').map(|c| c.to_ascii_lowercase()).collect();
        if plain.len() == CODE_DIGITS && plain.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(Code::OneTime(plain));
        }
        let recovery = plain.len() == RECOVERY_CHARS && plain.bytes().all(|byte| ALPHABET.contains(&byte));
        recovery.then_some(Code::Recovery(plain))
    }
}

/// The characters of recovery codes: base 32 (RFC 4648) in lower case.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// A new secret.
pub fn new_secret(ids: &IdSource) -> Vec<u8> {
    let mut secret = vec![0; SECRET_BYTES];
    ids.fill(&mut secret);
    secret
}

/// How to set an authenticator up with `secret`; it shows `company` and `email`. `None` when they make no address.
pub fn enrolment(secret: &[u8], company: &str, email: &str) -> Option<Enrolment> {
    // Colons part the two in the address.
    let plain = |text: &str| text.replace(':', " ");
    let issuer: String = plain(company).chars().take(ISSUER_CHARS_MAX).collect();
    let totp =
        Builder::new().with_secret(secret).with_issuer(Some(issuer)).with_account_name(plain(email)).build().ok()?;
    let png = totp.to_qr_png().ok()?;
    Some(Enrolment {
        secret: totp.secret().to_base32(),
        otpauth_url: totp.to_url().ok()?,
        qr_code: format!("data:image/png;base64,{}", base64::engine::general_purpose::STANDARD.encode(png)),
    })
}

/// The time step whose code of `secret` this is: the present one, or one before or after it, for clocks that differ.
/// Steps are of 30 s.
pub fn step_of(secret: &[u8], code: &str, now: Timestamp) -> Option<i64> {
    let step = totp(secret)?.check(code, seconds(now))?;
    i64::try_from(step).ok()
}

/// The code that an authenticator shows now; for tests and for whoever sets one up by hand.
pub fn code_at(secret: &[u8], now: Timestamp) -> Option<String> {
    Some(totp(secret)?.generate(seconds(now)).to_string())
}

fn totp(secret: &[u8]) -> Option<Totp> {
    Builder::new().with_secret(secret).build().ok()
}

fn seconds(now: Timestamp) -> u64 {
    u64::try_from(now.micros() / 1_000_000).unwrap_or(0)
}

/// New recovery codes, as they are shown: `abcd-efgh-ijkl-mnop`.
pub fn new_recovery_codes(ids: &IdSource) -> Vec<String> {
    (0..RECOVERY_CODES).map(|_| recovery_code(ids)).collect()
}

fn recovery_code(ids: &IdSource) -> String {
    let mut random = [0; RECOVERY_BYTES];
    ids.fill(&mut random);
    let bits = random.iter().fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
    let mut code = String::with_capacity(RECOVERY_CHARS + RECOVERY_CHARS / RECOVERY_GROUP);
    for index in 0..RECOVERY_CHARS {
        if index > 0 && index % RECOVERY_GROUP == 0 {
            code.push('-');
        }
        code.push(char::from(ALPHABET[(bits >> (5 * index) & 31) as usize]));
    }
    code
}

/// The form in which a recovery code is kept. `code` is without hyphens, as [`Code::read`] gives it.
pub fn recovery_hash(tenant: TenantId, user: UserId, code: &str) -> String {
    let plain: String = code.chars().filter(|c| *c != '-').collect();
    sha256_hex(&[b"recovery", tenant.0.as_bytes(), user.0.as_bytes(), plain.as_bytes()])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use uuid::Uuid;

    use super::*;

    /// RFC 6238, appendix B, SHA-1: the last six digits of its eight.
    #[test]
    fn codes_are_those_of_the_rfc() {
        let secret = b"12345678901234567890";
        for (at, code) in
            [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924"), (2_000_000_000, "279037")]
        {
            let now = Timestamp::from_micros(at * 1_000_000);
            assert_eq!(code_at(secret, now).unwrap(), code);
            assert_eq!(step_of(secret, code, now), Some(at / 30));
            assert_eq!(step_of(secret, code, now.plus_seconds(30)), Some(at / 30), "one step late");
            assert_eq!(step_of(secret, code, now.plus_seconds(61)), None, "too late");
        }
        assert_eq!(step_of(secret, "28708", Timestamp::from_micros(59_000_000)), None);
    }

    #[test]
    fn an_enrolment_says_the_same_thrice() {
        let secret = new_secret(&IdSource::seeded(1));
        let enrolment = enrolment(&secret, "Acme: Ltda", "ana@acme.example").unwrap();
        assert_eq!(enrolment.secret.len(), 32);
        let url = &enrolment.otpauth_url;
        assert!(url.starts_with("otpauth://totp/Acme%20%20Ltda:ana%40acme.example?"), "{url}");
        assert!(url.contains(&format!("secret={}", enrolment.secret)), "{url}");
        let png = enrolment.qr_code.strip_prefix("data:image/png;base64,").unwrap();
        let png = base64::engine::general_purpose::STANDARD.decode(png).unwrap();
        assert!(png.starts_with(b"\x89PNG"));
    }

    #[test]
    fn a_long_name_still_makes_a_qr_code() {
        let secret = new_secret(&IdSource::seeded(1));
        assert!(enrolment(&secret, &"ç".repeat(200), &format!("{}@a.example", "x".repeat(240))).is_some());
    }

    #[test]
    fn codes_are_read_however_they_are_typed() {
        assert_eq!(Code::read(" 123 456 "), Some(Code::OneTime("123456".to_owned())));
        assert_eq!(Code::read("ABCD-efgh ijkl-mn27"), Some(Code::Recovery("abcdefghijklmn27".to_owned())));
        for wrong in ["", "12345", "1234567", "abcd-efgh-ijkl-mn19", "abcd-efgh-ijkl"] {
            assert_eq!(Code::read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn recovery_codes_are_many_different_and_readable() {
        let codes = new_recovery_codes(&IdSource::seeded(1));
        assert_eq!(codes.len(), RECOVERY_CODES);
        let (tenant, user) = (TenantId(Uuid::from_u128(1)), UserId(Uuid::from_u128(2)));
        let mut hashes: Vec<_> = codes.iter().map(|code| recovery_hash(tenant, user, code)).collect();
        for (code, hash) in codes.iter().zip(&hashes) {
            let Some(Code::Recovery(plain)) = Code::read(code) else { unreachable!("{code}") };
            assert_eq!(&recovery_hash(tenant, user, &plain), hash);
        }
        assert_ne!(recovery_hash(tenant, UserId(Uuid::from_u128(3)), &codes[0]), hashes[0], "each user's own");
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), RECOVERY_CODES);
    }
}
