//! Owns forgotten passwords: asking for a link by mail, and choosing a new password with it.
//!
//! Whether an account exists shows neither in the answer nor in the time it takes: the same statements look it up, and
//! what is written for one that exists is written after the answer.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use tokio::sync::Semaphore;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::TOKEN_CHARS_MAX;
use crate::auth::passwords::{CHARS_MAX, fault_of_new};
use crate::auth::sha256_hex;
use crate::domain::locale::Locale;
use crate::http::envelope::Data;
use crate::http::error::ApiError;
use crate::http::input::{Body, EMAIL_CHARS_MAX, Fields, Input, WORD_CHARS_MAX, described_bodies};
use crate::http::logins::{Account, TagOf, lock_key};
use crate::http::state::AppState;
use crate::mail::Message;
use crate::store::mails::{self, NewMail};
use crate::store::{Author, password_resets, sessions};

/// How long a link is good, in seconds.
const RESET_SECONDS: u64 = 60 * 60;
/// Random bytes of its token.
const TOKEN_BYTES: usize = 32;
/// Requests worked on at once, what is written after their answers included: each takes a connection for some
/// milliseconds, and logins need some, too.
const AT_ONCE_MAX: usize = 4;

static ROOM: Semaphore = Semaphore::const_new(AT_ONCE_MAX);

/// The routes.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(forgot_password)).routes(routes!(reset_password))
}

/// Body of `POST /api/auth/forgot-password`.
#[derive(Debug)]
pub struct ForgotRequest {
    pub email: String,
    /// The company's slug.
    pub tenant: String,
}

impl Input for ForgotRequest {
    fn read(fields: &mut Fields) -> Self {
        Self {
            email: fields.required_text("email", EMAIL_CHARS_MAX),
            tenant: fields.required_text("tenant", WORD_CHARS_MAX),
        }
    }
}

described_bodies!(ForgotRequest, ResetRequest);

/// What asking for a link answers, whoever asks.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct Requested {
    /// Always true: if there is such an account, a mail is on its way.
    pub requested: bool,
}

/// Ask for a new password
///
/// Sends a link that is good once, for an hour, to the account's address, at most five of them within an hour. The answer
/// is the same whether or not there is such an account.
#[utoipa::path(post, path = "/api/auth/forgot-password", tag = "Authentication", request_body = ForgotRequest,
    responses((status = 200, body = Data<Requested>)))]
async fn forgot_password(
    State(state): State<AppState>,
    tag: TagOf,
    Body(request): Body<ForgotRequest>,
) -> Result<Data<Requested>, ApiError> {
    let email = request.email.to_lowercase();
    state.limits.check_account(tag.address(), &("forgot", &request.tenant, &email))?;
    let place = ROOM.acquire().await.map_err(ApiError::unavailable)?;
    let account = Account::by_names(&state.store, &request.tenant, &email).await?;
    tokio::spawn(async move {
        if let Some(account) = account
            && let Err(error) = send_link(&state, &account, account.author(&tag)).await
        {
            tracing::error!(?error, user = %account.user.id, "a link to a new password could not be sent");
        }
        drop(place);
    });
    Ok(Data::new(Requested { requested: true }))
}

async fn send_link(state: &AppState, account: &Account, author: Author) -> Result<(), ApiError> {
    let now = state.clock.now();
    let (token, expires_at) = (state.ids.secret(TOKEN_BYTES), now.plus_seconds(RESET_SECONDS));
    let mut work = state.store.work(account.company.id, now, Some(&author)).await?;
    if !password_resets::create(&mut work, account.user.id, &hash_of(&token), expires_at).await? {
        tracing::warn!(user = %account.user.id, "somebody asks for one new password after the other");
        return Ok(());
    }
    let message = Message::PasswordReset {
        name: account.user.name.clone(),
        company: account.company.name.clone(),
        url: state.mail_base.of_reset(&token),
        expires_at,
    };
    let mail = NewMail {
        id: state.ids.uuid(now),
        to: account.user.email.clone(),
        locale: Locale::closest(&account.user.locale),
        message,
        send_at: None,
    };
    mails::enqueue(&mut work, mail).await?;
    work.commit().await?;
    Ok(())
}

fn hash_of(token: &str) -> String {
    sha256_hex(&[b"password reset", token.as_bytes()])
}

/// Body of `POST /api/auth/reset-password`.
#[derive(Debug)]
pub struct ResetRequest {
    /// Of the link in the mail.
    pub token: String,
    /// 8 to 128 characters.
    pub password: String,
}

impl Input for ResetRequest {
    fn read(fields: &mut Fields) -> Self {
        let token = fields.required_text("token", TOKEN_CHARS_MAX);
        let password = fields.required_secret("password", CHARS_MAX);
        if !password.is_empty()
            && let Some(fault) = fault_of_new(&password)
        {
            fields.fault("password", fault);
        }
        Self { token, password }
    }
}

/// What choosing a new password answers.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct PasswordChanged {
    /// Always true.
    pub password_changed: bool,
}

/// Choose a new password
///
/// Takes the token of the mailed link, once, within its hour; else 422. All logins of the user end, with their sockets; a
/// lock after wrong passwords ends, too. A second factor stays, and so do API tokens. He then logs in as usual.
#[utoipa::path(post, path = "/api/auth/reset-password", tag = "Authentication", request_body = ResetRequest,
    responses((status = 200, body = Data<PasswordChanged>)))]
async fn reset_password(
    State(state): State<AppState>,
    tag: TagOf,
    Body(request): Body<ResetRequest>,
) -> Result<Data<PasswordChanged>, ApiError> {
    choose(&state, &tag, request).await?;
    Ok(Data::new(PasswordChanged { password_changed: true }))
}

/// Gives the user of a link the password he chose; also for `reset_page`.
pub(super) async fn choose(state: &AppState, tag: &TagOf, request: ResetRequest) -> Result<(), ApiError> {
    let refused = || ApiError::field("token", "is invalid or has expired");
    let hash = hash_of(&request.token);
    state.limits.check_account(tag.address(), &("reset", &hash))?;
    let now = state.clock.now();
    let tenant = password_resets::tenant_of(&state.store, &hash).await?.ok_or_else(refused)?;
    let user = password_resets::user_of(&state.store, tenant, &hash, now).await?.ok_or_else(refused)?;
    tag.0.set_tenant(tenant);
    // Only now: whoever holds no token costs no hash.
    let password_hash = state.passwords.hash(request.password).await?;
    let author = Author { user, token: None, request_id: Arc::clone(&tag.0.request_id) };
    let mut work = state.store.work(tenant, now, Some(&author)).await?;
    if !password_resets::spend(&mut work, user, &hash, &password_hash).await? {
        return Err(refused());
    }
    let ended = sessions::revoke_user(&mut work, user).await?;
    work.commit().await?;
    state.logins_ended(tenant, user, &ended);
    if let Some(account) = Account::find(&state.store, tenant, user).await? {
        state.lockouts.forget(&lock_key(&account.company.slug, &account.user.email));
    }
    Ok(())
}
