//! Owns second factors: the code at a login, and what a user does with his own factor: set one up, confirm it, get new
//! recovery codes, give it up. How a code or password is checked is `proof`'s, the arithmetic is `auth`'s, the rows are the
//! store's.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{TOKEN_CHARS_MAX, Twice};
use crate::auth::Use;
use crate::auth::second_factor::{self, Code};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{TenantId, UserId};
use crate::http::caller::{Manager, Staff};
use crate::http::envelope::{Data, Deleted};
use crate::http::error::ApiError;
use crate::http::input::{Body, Fields, Ids, Input, described_bodies};
use crate::http::logins::{Account, TagOf, TokenPair};
use crate::http::proof::{
    CODE_CHARS_MAX, Enrolling, Proof, account_of, account_of_user, opened, prove, seal_context, take_code,
};
use crate::http::state::AppState;
use crate::store::{second_factors, users};

/// The routes below `/api/auth`.
pub fn login_routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(verify_second_factor))
}

/// The routes of a user's own factor.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(show_second_factor, enrol_second_factor, give_up_second_factor))
        .routes(routes!(confirm_second_factor))
        .routes(routes!(renew_recovery_codes))
        .routes(routes!(remove_second_factor_of))
}

/// Body of `POST /api/auth/mfa/verify`.
#[derive(Debug)]
pub struct VerifyRequest {
    pub mfa_token: String,
    /// Six digits, or a recovery code.
    pub code: String,
}

impl Input for VerifyRequest {
    fn read(fields: &mut Fields) -> Self {
        Self {
            mfa_token: fields.required_text("mfa_token", TOKEN_CHARS_MAX),
            code: fields.required_text("code", CODE_CHARS_MAX),
        }
    }
}

described_bodies!(VerifyRequest, ConfirmRequest);

/// Log in with a second factor
///
/// Takes the `mfa_token` of a login and the six digits of the authenticator, or one of the recovery codes, each of them
/// good once. A wrong code is 401 and counts as a wrong password does. Answers as a login does.
#[utoipa::path(post, path = "/api/auth/mfa/verify", tag = "Authentication", request_body = VerifyRequest,
    responses((status = 200, body = Twice<TokenPair>)))]
async fn verify_second_factor(
    State(state): State<AppState>,
    tag: TagOf,
    Body(request): Body<VerifyRequest>,
) -> Result<Json<Twice<TokenPair>>, ApiError> {
    let claims = state.tokens.verify(&request.mfa_token, Use::Mfa).map_err(|_| ApiError::unauthorized())?;
    state.limits.check_account(tag.address(), &("mfa", claims.sub))?;
    tag.0.set_tenant(claims.tid);
    let account = account_of(&state, &claims).await?;
    let attempt = state.attempt(&account.company.slug, &account.user.email)?;
    if !take_code(&state, &account, &request.code).await? {
        attempt.failed();
        return Err(ApiError::Unauthorized("Invalid code".into()));
    }
    let pair = state.log_in(&account).await?;
    attempt.succeeded();
    Ok(Twice::json(pair))
}

/// How things stand with a user's second factor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct SecondFactorState {
    /// A login asks for a code.
    pub enabled: bool,
    /// The company asks everybody for one.
    pub required: bool,
    /// Since when it is enabled.
    pub confirmed_at: Option<Timestamp>,
    /// Unused recovery codes.
    pub recovery_codes_left: i64,
}

/// Show my second factor
#[utoipa::path(get, path = "/api/v1/users/me/mfa", tag = "Authentication", security(("staff" = ["attendant"])),
    responses((status = 200, body = Data<SecondFactorState>)))]
async fn show_second_factor(State(state): State<AppState>, staff: Staff) -> Result<Data<SecondFactorState>, ApiError> {
    let account = account_of_user(&state, staff.tenant, staff.user).await?;
    let factor = second_factors::find(&state.store, staff.tenant, staff.user).await?;
    let factor = factor.filter(|factor| factor.confirmed_at.is_some());
    Ok(Data::new(SecondFactorState {
        enabled: factor.is_some(),
        required: account.company.mfa_required,
        confirmed_at: factor.as_ref().and_then(|factor| factor.confirmed_at),
        recovery_codes_left: factor.map_or(0, |factor| factor.recovery_codes_left),
    }))
}

/// What an authenticator is set up with.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Enrolment {
    /// In base 32, to be typed by hand.
    pub secret: String,
    /// `otpauth://totp/...`
    pub otpauth_url: String,
    /// The same as a QR code: `data:image/png;base64,...`, to be shown as an image.
    pub qr_code: String,
}

/// Set up my second factor
///
/// Answers a secret for an authenticator (TOTP, SHA-1, six digits, 30 seconds). Nothing is asked of anybody before it is
/// confirmed; a second call replaces the first one's secret. Whoever has a factor gives it up first (422
/// `mfa_already_enabled`). A user whose login answered `mfa_enrolment_required` sends its `mfa_token` as the bearer. API
/// tokens are refused.
#[utoipa::path(post, path = "/api/v1/users/me/mfa", tag = "Authentication", security(("staff" = ["attendant"])),
    responses((status = 200, body = Data<Enrolment>)))]
async fn enrol_second_factor(
    State(state): State<AppState>,
    tag: TagOf,
    by: Enrolling,
) -> Result<Data<Enrolment>, ApiError> {
    state.limits.check_account(tag.address(), &("mfa", by.user))?;
    let account = by.account(&state).await?;
    let secret = second_factor::new_secret(&state.ids);
    let (shown, company, email) = (secret.clone(), account.company.name, account.user.email);
    // Drawing the code takes some milliseconds, which others on this thread would wait for.
    let enrolment = tokio::task::spawn_blocking(move || second_factor::enrolment(&shown, &company, &email))
        .await
        .map_err(ApiError::internal)?
        .ok_or_else(|| ApiError::internal("a second factor could not be drawn"))?;
    let sealed = state.seal.seal(&seal_context(by.tenant, by.user), &secret, &state.ids);
    let mut work = state.store.work(by.tenant, state.clock.now(), Some(&by.author)).await?;
    if !second_factors::enrol(&mut work, by.user, &sealed).await? {
        return Err(ApiError::Rejected {
            code: "mfa_already_enabled",
            detail: "You have a second factor; give it up before you set up another one".into(),
        });
    }
    work.commit().await?;
    Ok(Data::new(Enrolment {
        secret: enrolment.secret,
        otpauth_url: enrolment.otpauth_url,
        qr_code: enrolment.qr_code,
    }))
}

/// Body of `POST /api/v1/users/me/mfa/confirm`.
#[derive(Debug)]
pub struct ConfirmRequest {
    /// Six digits.
    pub code: String,
}

impl Input for ConfirmRequest {
    fn read(fields: &mut Fields) -> Self {
        Self { code: fields.required_text("code", CODE_CHARS_MAX) }
    }
}

/// What only this answer shows.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Confirmed {
    /// Each serves once in place of a code. They are shown now and never again.
    pub recovery_codes: Vec<String>,
    /// Only for whoever confirmed with an `mfa_token`: he is logged in now.
    #[serde(flatten)]
    pub tokens: Option<TokenPair>,
}

/// Confirm my second factor
///
/// The first right code of the authenticator enables it and answers ten recovery codes, once. Whoever sent his login's
/// `mfa_token` as the bearer is logged in by it and gets his tokens, too. A wrong code is 422.
#[utoipa::path(post, path = "/api/v1/users/me/mfa/confirm", tag = "Authentication",
    security(("staff" = ["attendant"])), request_body = ConfirmRequest,
    responses((status = 200, body = Data<Confirmed>)))]
async fn confirm_second_factor(
    State(state): State<AppState>,
    tag: TagOf,
    by: Enrolling,
    Body(request): Body<ConfirmRequest>,
) -> Result<Data<Confirmed>, ApiError> {
    state.limits.check_account(tag.address(), &("mfa", by.user))?;
    let account = by.account(&state).await?;
    let attempt = state.attempt(&account.company.slug, &account.user.email)?;
    let factor = second_factors::find(&state.store, by.tenant, by.user).await?;
    let Some(factor) = factor.filter(|factor| factor.confirmed_at.is_none()) else {
        return Err(ApiError::Rejected {
            code: "mfa_not_enrolled",
            detail: "There is no second factor that waits to be confirmed".into(),
        });
    };
    let now = state.clock.now();
    let step = match (Code::read(&request.code), opened(&state, by.tenant, by.user, &factor)) {
        (Some(Code::OneTime(code)), Some(secret)) => second_factor::step_of(&secret, &code, now),
        _ => None,
    };
    let Some(step) = step else {
        attempt.failed();
        return Err(ApiError::field("code", "is invalid"));
    };
    let (codes, hashes) = recovery_codes(&state, by.tenant, by.user);
    let mut work = state.store.work(by.tenant, now, Some(&by.author)).await?;
    if !second_factors::confirm(&mut work, by.user, &factor.secret, step, &hashes).await? {
        return Err(ApiError::field("code", "is invalid"));
    }
    work.commit().await?;
    let tokens = match by.waits {
        Some(_) => {
            let account = account_of_user(&state, by.tenant, by.user).await?;
            Some(state.log_in(&account).await?)
        }
        None => None,
    };
    attempt.succeeded();
    Ok(Data::new(Confirmed { recovery_codes: codes, tokens }))
}

/// New recovery codes as they are shown, and as they are kept.
fn recovery_codes(state: &AppState, tenant: TenantId, user: UserId) -> (Vec<String>, Vec<String>) {
    let codes = second_factor::new_recovery_codes(&state.ids);
    let hashes = codes.iter().map(|code| second_factor::recovery_hash(tenant, user, code)).collect();
    (codes, hashes)
}

/// New recovery codes.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RecoveryCodes {
    /// Each serves once in place of a code. They are shown now and never again.
    pub recovery_codes: Vec<String>,
}

/// Get new recovery codes
///
/// Takes my password or a code; the earlier recovery codes end. Without a second factor: 422 `mfa_not_enabled`. API tokens
/// are refused.
#[utoipa::path(post, path = "/api/v1/users/me/mfa/recovery-codes", tag = "Authentication",
    security(("staff" = ["attendant"])), request_body = Proof,
    responses((status = 200, body = Data<RecoveryCodes>)))]
async fn renew_recovery_codes(
    State(state): State<AppState>,
    tag: TagOf,
    staff: Staff,
    Body(proof): Body<Proof>,
) -> Result<Data<RecoveryCodes>, ApiError> {
    let account = own_factor(&state, &tag, &staff).await?;
    prove(&state, &account, proof).await?;
    let (codes, hashes) = recovery_codes(&state, staff.tenant, staff.user);
    let mut work = state.work(&staff).await?;
    second_factors::replace_recovery_codes(&mut work, staff.user, &hashes).await?;
    work.commit().await?;
    Ok(Data::new(RecoveryCodes { recovery_codes: codes }))
}

/// Give up my second factor
///
/// Takes my password or a code. Refused where the company asks everybody for a factor (422 `mfa_required`), and without
/// one (422 `mfa_not_enabled`). API tokens are refused.
#[utoipa::path(delete, path = "/api/v1/users/me/mfa", tag = "Authentication", security(("staff" = ["attendant"])),
    request_body = Proof, responses((status = 200, body = Data<Deleted>)))]
async fn give_up_second_factor(
    State(state): State<AppState>,
    tag: TagOf,
    staff: Staff,
    Body(proof): Body<Proof>,
) -> Result<Data<Deleted>, ApiError> {
    let account = own_factor(&state, &tag, &staff).await?;
    if account.company.mfa_required {
        return Err(ApiError::Rejected {
            code: "mfa_required",
            detail: "Your company asks everybody for a second factor".into(),
        });
    }
    prove(&state, &account, proof).await?;
    let mut work = state.work(&staff).await?;
    second_factors::remove(&mut work, staff.user).await?;
    work.commit().await?;
    Ok(Deleted::of(staff.user.0))
}

/// The account of a user who is logged in and has a confirmed factor.
async fn own_factor(state: &AppState, tag: &TagOf, staff: &Staff) -> Result<Account, ApiError> {
    staff.require_login()?;
    state.limits.check_account(tag.address(), &("mfa", staff.user))?;
    let account = account_of_user(state, staff.tenant, staff.user).await?;
    if account.user.mfa_enabled {
        return Ok(account);
    }
    Err(ApiError::Rejected { code: "mfa_not_enabled", detail: "You have no second factor".into() })
}

/// Take away somebody's second factor
///
/// For a user who lost both his authenticator and his recovery codes. Not of anybody whose role is above one's own, nor by an
/// API token (403). One's own factor is given up by `DELETE /api/v1/users/me/mfa`, which asks for a proof (422 `own_account`).
/// Without a second factor: 404.
#[utoipa::path(delete, path = "/api/v1/users/{id}/mfa", tag = "Authentication", security(("staff" = ["manager"])),
    responses((status = 200, body = Data<Deleted>)))]
async fn remove_second_factor_of(
    State(state): State<AppState>,
    staff: Manager,
    Ids(id): Ids<UserId>,
) -> Result<Data<Deleted>, ApiError> {
    staff.require_login()?;
    if id == staff.user {
        let detail = "Give up your own second factor by DELETE /api/v1/users/me/mfa, which asks for a proof";
        return Err(ApiError::Rejected { code: "own_account", detail: detail.into() });
    }
    let user = users::find(&state.store, staff.tenant, id).await?.ok_or_else(ApiError::not_found)?;
    if user.role > staff.role {
        return Err(ApiError::Forbidden);
    }
    let mut work = state.work(&staff).await?;
    if !second_factors::remove(&mut work, id).await? {
        return Err(ApiError::not_found());
    }
    work.commit().await?;
    Ok(Deleted::of(id.0))
}
