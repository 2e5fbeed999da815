//! Owns personal API tokens: making one, which shows it once, listing and revoking them. Who a token stands for is `caller`'s.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::auth::api_token;
use crate::domain::clock::Timestamp;
use crate::domain::ids::SessionId;
use crate::domain::role::Role;
use crate::http::caller::Manager;
use crate::http::envelope::{Created, Data, Deleted, Page};
use crate::http::error::ApiError;
use crate::http::input::{Body, Fields, Ids, Input, NAME_CHARS_MAX, Params, Query, QueryInput, described_bodies};
use crate::http::state::AppState;
use crate::live::hub::Login;
use crate::live::outbox::Close;
use crate::store::api_tokens::{self, ApiToken, ApiTokenSort, NewApiToken};
use crate::store::{self, Sort, SortOrder};

/// The routes.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(show, revoke))
}

/// The query of `GET /api/v1/api-tokens`.
#[derive(Debug)]
pub struct ApiTokenList {
    page: store::Page,
    sort: Sort<ApiTokenSort>,
}

impl QueryInput for ApiTokenList {
    fn read(params: &mut Params) -> Result<Self, ApiError> {
        Ok(Self { page: params.page()?, sort: params.sort(ApiTokenSort::InsertedAt, SortOrder::Desc)? })
    }
}

/// List API tokens
///
/// All of the company, the newest first; the tokens themselves are shown only when they are made.
#[utoipa::path(get, path = "/api/v1/api-tokens", tag = "API tokens", security(("staff" = ["manager"])),
    params(Query<ApiTokenList>), responses((status = 200, body = Page<ApiToken>)))]
async fn list(
    State(state): State<AppState>,
    staff: Manager,
    Query(query): Query<ApiTokenList>,
) -> Result<Page<ApiToken>, ApiError> {
    Ok(api_tokens::list(&state.store, staff.tenant, query.sort, query.page).await?.into())
}

/// Body of `POST /api/v1/api-tokens`.
#[derive(Debug)]
pub struct CreateApiToken {
    /// What it is for.
    pub name: String,
    pub role: Role,
    pub expires_at: Option<Timestamp>,
}

impl Input for CreateApiToken {
    const WRAPPER: Option<&'static str> = Some("api_token");

    fn read(fields: &mut Fields) -> Self {
        Self {
            name: fields.required_text("name", NAME_CHARS_MAX),
            role: fields.required_word("role", Role::Attendant),
            expires_at: fields.time("expires_at"),
        }
    }
}

described_bodies!(CreateApiToken);

/// A new token, with the token itself.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct NewToken {
    /// `vez_...`: shown now and never again.
    pub token: String,
    #[serde(flatten)]
    pub api_token: ApiToken,
}

/// Make an API token
///
/// It acts in the name of whoever makes it, with the role given, which is at most his own, until `expires_at` or for good. It
/// stops when he is deactivated or his role falls below it. Send it as `Authorization: Bearer vez_...`. Only somebody who is
/// logged in makes one: tokens do not make tokens.
#[utoipa::path(post, path = "/api/v1/api-tokens", tag = "API tokens", security(("staff" = ["manager"])),
    request_body = CreateApiToken, responses((status = 201, body = Data<NewToken>)))]
async fn create(
    State(state): State<AppState>,
    staff: Manager,
    Body(request): Body<CreateApiToken>,
) -> Result<Created<NewToken>, ApiError> {
    staff.require_login()?;
    if request.role > staff.role {
        return Err(ApiError::field("role", "must not be above your own"));
    }
    let mut work = state.creation(&staff).await?;
    if request.expires_at.is_some_and(|at| at <= work.now) {
        return Err(ApiError::field("expires_at", "must be in the future"));
    }
    let token = api_token::new(&state.ids);
    let new = NewApiToken {
        id: state.ids.uuid(work.now),
        name: request.name,
        role: request.role,
        token_hash: api_token::hash(&token),
        hint: api_token::hint(&token),
        user: staff.user,
        expires_at: request.expires_at,
    };
    let api_token = api_tokens::create(&mut work, new).await?;
    state.created(work, &staff, NewToken { token, api_token }).await
}

/// Show an API token
#[utoipa::path(get, path = "/api/v1/api-tokens/{id}", tag = "API tokens", security(("staff" = ["manager"])),
    responses((status = 200, body = Data<ApiToken>)))]
async fn show(State(state): State<AppState>, staff: Manager, Ids(id): Ids<Uuid>) -> Result<Data<ApiToken>, ApiError> {
    let token = api_tokens::find(&state.store, staff.tenant, id).await?.ok_or_else(ApiError::not_found)?;
    Ok(Data::new(token))
}

/// Revoke an API token
///
/// It is good no more from this moment on, and gone from the list.
#[utoipa::path(delete, path = "/api/v1/api-tokens/{id}", tag = "API tokens", security(("staff" = ["manager"])),
    responses((status = 200, body = Data<Deleted>)))]
async fn revoke(State(state): State<AppState>, staff: Manager, Ids(id): Ids<Uuid>) -> Result<Data<Deleted>, ApiError> {
    let mut work = state.work(&staff).await?;
    if !api_tokens::remove(&mut work, id).await? {
        return Err(ApiError::not_found());
    }
    work.commit().await?;
    state.callers.forget_token(id);
    // Whatever listens by it hears no more.
    state.hub.close_sockets(staff.tenant, Login::Session(SessionId(id)), Close::LOGGED_OUT);
    Ok(Deleted::of(id))
}
