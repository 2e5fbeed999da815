//! Owns our JSON Web Tokens: what they claim, how they are signed and when they are believed. Whether a refresh token
//! was used already, or a call has ended, is for those who hold the record to say.

use std::sync::Arc;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::domain::clock::{Clock, Timestamp};
use crate::domain::ids::{CallId, SessionId, TenantId, UserId};
use crate::domain::role::Role;

/// Life of an access token: as long as a stolen one may do harm (Voki's manual).
pub const ACCESS_SECONDS: u64 = 15 * 60;
/// Life of a refresh token: somebody who works every week stays logged in (Voki's manual).
pub const REFRESH_SECONDS: u64 = 7 * 24 * 60 * 60;
/// Upper bound of a call token's life. Its true end, 24 h after the call's, is checked against the call; this only
/// keeps a token from outliving every backup.
pub const CALL_SECONDS: u64 = 30 * 24 * 60 * 60;
/// Life of the token between a right password and its second factor: time to find the telephone, or to set one up.
pub const MFA_SECONDS: u64 = 10 * 60;
/// Longest text worth decoding; ours are below 600 bytes.
const TOKEN_BYTES_MAX: usize = 4 * 1024;

/// What a token is good for. It is checked wherever a token is taken, so that none serves for another purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Use {
    /// Staff: REST and sockets, for minutes.
    Access,
    /// Staff: once, for a new pair.
    Refresh,
    /// The customer of one call.
    Call,
    /// Between a right password and its second factor.
    Mfa,
}

/// What a token says. Absent claims are not written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The user's id; of a call token the call's.
    pub sub: Uuid,
    /// The company's slug, compared with `X-Tenant`. Call tokens carry none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Arc<str>>,
    /// The company's id.
    pub tid: TenantId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// The login this token belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<SessionId>,
    #[serde(rename = "use")]
    pub usage: Use,
    /// Makes each refresh token another text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<Uuid>,
    /// Of an `mfa` token: the fingerprint of the password that was right, so that it ends with that password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pwd: Option<String>,
    /// Seconds since 1970.
    pub iat: i64,
    /// Seconds since 1970; at that second the token is no longer believed.
    pub exp: i64,
}

impl Claims {
    /// The user of a staff token.
    pub fn user(&self) -> UserId {
        UserId(self.sub)
    }

    /// The call of a call token.
    pub fn call(&self) -> CallId {
        CallId(self.sub)
    }

    /// When the token ends.
    pub fn expires_at(&self) -> Timestamp {
        Timestamp::from_micros(self.exp.saturating_mul(1_000_000))
    }
}

/// Why a token is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not ours, or damaged.
    #[error("not a token of this server")]
    Invalid,
    /// Ours, and too old.
    #[error("the token has expired")]
    Expired,
    /// Ours, for another purpose.
    #[error("the token is for another use")]
    WrongUse,
    /// The signer failed; a fault of this server.
    #[error("the token could not be signed")]
    Unsigned,
}

/// A member of staff, as his tokens name him.
#[derive(Clone, Debug)]
pub struct Bearer {
    pub tenant: TenantId,
    pub slug: Arc<str>,
    pub user: UserId,
    pub role: Role,
    pub session: SessionId,
}

/// Signs and verifies. Cheap to clone.
#[derive(Clone)]
pub struct Tokens(Arc<Inner>);

struct Inner {
    encoding: EncodingKey,
    decoding: DecodingKey,
    header: Header,
    validation: Validation,
    clock: Clock,
    access_seconds: u64,
    refresh_seconds: u64,
}

impl Tokens {
    /// With Voki's lifetimes.
    pub fn new(secret: &[u8], clock: Clock) -> Self {
        Self::with_lifetimes(secret, clock, ACCESS_SECONDS, REFRESH_SECONDS)
    }

    /// With other lifetimes, in seconds.
    pub fn with_lifetimes(secret: &[u8], clock: Clock, access_seconds: u64, refresh_seconds: u64) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        // The expiry is compared with the server's own clock below, which tests can move, and without leeway.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        Self(Arc::new(Inner {
            encoding: EncodingKey::from_secret(secret),
            decoding: DecodingKey::from_secret(secret),
            header: Header::new(Algorithm::HS256),
            validation,
            clock,
            access_seconds,
            refresh_seconds,
        }))
    }

    /// A token for REST and sockets.
    pub fn issue_access(&self, bearer: &Bearer) -> Result<String, TokenError> {
        self.sign(&self.claims_of(bearer, Use::Access, self.0.access_seconds, None))
    }

    /// A token for one new pair; `jti` makes it unlike every other. Also when it ends.
    pub fn issue_refresh(&self, bearer: &Bearer, jti: Uuid) -> Result<(String, Timestamp), TokenError> {
        let claims = self.claims_of(bearer, Use::Refresh, self.0.refresh_seconds, Some(jti));
        Ok((self.sign(&claims)?, claims.expires_at()))
    }

    /// A token for one second factor, after the password whose stored hash is `password_hash` was right.
    pub fn issue_mfa(&self, bearer: &Bearer, password_hash: &str) -> Result<String, TokenError> {
        let mut claims = self.claims_of(bearer, Use::Mfa, MFA_SECONDS, None);
        claims.pwd = Some(password_fingerprint(password_hash));
        self.sign(&claims)
    }

    /// The customer's token for one call.
    pub fn issue_call(&self, tenant: TenantId, call: CallId) -> Result<String, TokenError> {
        let now = self.now_seconds();
        self.sign(&Claims {
            sub: call.0,
            tenant: None,
            tid: tenant,
            role: None,
            sid: None,
            usage: Use::Call,
            jti: None,
            pwd: None,
            iat: now,
            exp: now.saturating_add(CALL_SECONDS as i64),
        })
    }

    /// What `token` claims, if it is ours, for `usage`, and not too old.
    pub fn verify(&self, token: &str, usage: Use) -> Result<Claims, TokenError> {
        let claims = self.read(token)?;
        if claims.usage != usage {
            return Err(TokenError::WrongUse);
        }
        Ok(claims)
    }

    /// As `verify`, for whichever use; the caller must look at `claims.usage`.
    pub fn read(&self, token: &str) -> Result<Claims, TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::Invalid);
        }
        let claims = jsonwebtoken::decode::<Claims>(token, &self.0.decoding, &self.0.validation)
            .map_err(|_| TokenError::Invalid)?
            .claims;
        if claims.exp <= self.now_seconds() {
            return Err(TokenError::Expired);
        }
        Ok(claims)
    }

    fn claims_of(&self, bearer: &Bearer, usage: Use, seconds: u64, jti: Option<Uuid>) -> Claims {
        let now = self.now_seconds();
        Claims {
            sub: bearer.user.0,
            tenant: Some(bearer.slug.clone()),
            tid: bearer.tenant,
            role: Some(bearer.role),
            sid: Some(bearer.session),
            usage,
            jti,
            pwd: None,
            iat: now,
            exp: now.saturating_add(i64::try_from(seconds).unwrap_or(i64::MAX)),
        }
    }

    fn sign(&self, claims: &Claims) -> Result<String, TokenError> {
        jsonwebtoken::encode(&self.0.header, claims, &self.0.encoding).map_err(|_| TokenError::Unsigned)
    }

    fn now_seconds(&self) -> i64 {
        self.0.clock.now().micros() / 1_000_000
    }
}

/// Tells one stored password hash from another, without telling anything of it.
pub fn password_fingerprint(password_hash: &str) -> String {
    let mut hex = sha256_hex(&[b"password", password_hash.as_bytes()]);
    hex.truncate(16);
    hex
}

/// The lower-case hex SHA-256 of `parts`, each preceded by its length so that no two lists of parts look alike. Tokens
/// and join keys are stored in this form only.
pub fn sha256_hex(parts: &[&[u8]]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut hex = String::with_capacity(64);
    for byte in hash.finalize() {
        hex.push(char::from(DIGITS[usize::from(byte >> 4)]));
        hex.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    hex
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::time::Duration;

    use super::*;

    fn bearer() -> Bearer {
        Bearer {
            tenant: TenantId(Uuid::from_u128(1)),
            slug: Arc::from("demo"),
            user: UserId(Uuid::from_u128(2)),
            role: Role::Supervisor,
            session: SessionId(Uuid::from_u128(3)),
        }
    }

    fn clock() -> Clock {
        Clock::manual(Timestamp::from_micros(1_700_000_000_000_000))
    }

    #[test]
    fn an_access_token_says_who_and_ends_after_fifteen_minutes() {
        let clock = clock();
        let tokens = Tokens::new(b"a secret of some length for tests", clock.clone());
        let token = tokens.issue_access(&bearer()).unwrap();
        let claims = tokens.verify(&token, Use::Access).unwrap();
        assert_eq!(claims.user(), bearer().user);
        assert_eq!(claims.tenant.as_deref(), Some("demo"));
        assert_eq!(claims.role, Some(Role::Supervisor));
        assert_eq!(claims.exp - claims.iat, 900);
        clock.advance(Duration::from_secs(899));
        assert!(tokens.verify(&token, Use::Access).is_ok());
        clock.advance(Duration::from_secs(1));
        assert_eq!(tokens.verify(&token, Use::Access), Err(TokenError::Expired));
    }

    #[test]
    fn a_token_serves_its_own_use_only() {
        let tokens = Tokens::new(b"a secret of some length for tests", clock());
        let call = tokens.issue_call(TenantId(Uuid::from_u128(1)), CallId(Uuid::from_u128(9))).unwrap();
        let (refresh, ends) = tokens.issue_refresh(&bearer(), Uuid::from_u128(5)).unwrap();
        assert_eq!(ends, Timestamp::from_micros((1_700_000_000 + 604_800) * 1_000_000));
        for token in [&call, &refresh] {
            assert_eq!(tokens.verify(token, Use::Access), Err(TokenError::WrongUse));
        }
        assert_eq!(tokens.verify(&call, Use::Refresh), Err(TokenError::WrongUse));
        assert_eq!(tokens.verify(&call, Use::Call).unwrap().call(), CallId(Uuid::from_u128(9)));
    }

    #[test]
    fn a_token_for_the_second_factor_names_the_password_it_followed() {
        let clock = clock();
        let tokens = Tokens::new(b"a secret of some length for tests", clock.clone());
        let token = tokens.issue_mfa(&bearer(), "$argon2id$one").unwrap();
        let claims = tokens.verify(&token, Use::Mfa).unwrap();
        assert_eq!(claims.pwd, Some(password_fingerprint("$argon2id$one")));
        assert_ne!(claims.pwd, Some(password_fingerprint("$argon2id$two")));
        assert_eq!(tokens.verify(&token, Use::Access), Err(TokenError::WrongUse));
        clock.advance(Duration::from_secs(MFA_SECONDS));
        assert_eq!(tokens.verify(&token, Use::Mfa), Err(TokenError::Expired));
    }

    #[test]
    fn foreign_and_damaged_tokens_are_not_believed() {
        let tokens = Tokens::new(b"a secret of some length for tests", clock());
        let other = Tokens::new(b"another secret of the same length", clock());
        let token = other.issue_access(&bearer()).unwrap();
        assert_eq!(tokens.verify(&token, Use::Access), Err(TokenError::Invalid));
        // The header {"alg":"none"} with our claims and no signature.
        let claims = token.split('.').nth(1).unwrap();
        let unsigned = format!("eyJhbGciOiJub25lIn0.{claims}.");
        assert_eq!(tokens.verify(&unsigned, Use::Access), Err(TokenError::Invalid));
        assert_eq!(tokens.verify(&"x".repeat(TOKEN_BYTES_MAX + 1), Use::Access), Err(TokenError::Invalid));
        assert_eq!(tokens.verify("", Use::Access), Err(TokenError::Invalid));
    }

    #[test]
    fn hashes_keep_their_parts_apart() {
        assert_ne!(sha256_hex(&[b"ab", b"c"]), sha256_hex(&[b"a", b"bc"]));
        assert_eq!(sha256_hex(&[b"ab"]).len(), 64);
    }
}
