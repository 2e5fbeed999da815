//! Owns service providers on the wire: companies whose people take a company's calls, and who belongs to which.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::department_users::{AddMember, MemberList};
use crate::domain::ids::{ProviderId, UserId};
use crate::http::caller::{Manager, Supervisor};
use crate::http::envelope::{Created, Data, Deleted, Page};
use crate::http::error::ApiError;
use crate::http::input::{
    Body, Fields, Ids, Input, NAME_CHARS_MAX, PHONE_CHARS_MAX, Params, Query, QueryInput, WORD_CHARS_MAX,
    described_bodies,
};
use crate::http::state::AppState;
use crate::store::providers::{self, Provider, ProviderChange, ProviderSort};
use crate::store::users::User;
use crate::store::{self, Membership, Sort, SortOrder};

/// `/api/v1/providers/*`.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show, update, remove))
        .routes(routes!(list_users, add_user))
        .routes(routes!(remove_user))
}

/// Query of the list.
#[derive(Debug)]
pub struct ProviderList {
    search: Option<String>,
    active: Option<bool>,
    sort: Sort<ProviderSort>,
    page: store::Page,
}

impl QueryInput for ProviderList {
    fn read(params: &mut Params) -> Result<Self, ApiError> {
        Ok(Self {
            search: params.text("search", NAME_CHARS_MAX)?,
            active: params.boolean("active")?,
            sort: params.sort(ProviderSort::Name, SortOrder::Asc)?,
            page: params.page()?,
        })
    }
}

/// Body of `POST /providers`.
#[derive(Debug)]
pub struct CreateProvider(ProviderChange);

impl Input for CreateProvider {
    const WRAPPER: Option<&'static str> = Some("service_provider");

    fn read(fields: &mut Fields) -> Self {
        Self(ProviderChange { name: Some(fields.required_text("name", NAME_CHARS_MAX)), ..contacts(fields) })
    }
}

/// Body of `PUT /providers/:id`.
#[derive(Debug)]
pub struct UpdateProvider(ProviderChange);

impl Input for UpdateProvider {
    const WRAPPER: Option<&'static str> = Some("service_provider");

    fn read(fields: &mut Fields) -> Self {
        Self(ProviderChange { name: fields.patch_required_text("name", NAME_CHARS_MAX), ..contacts(fields) })
    }
}

/// What both bodies share.
fn contacts(fields: &mut Fields) -> ProviderChange {
    ProviderChange {
        name: None,
        document: fields.patch_text("document", WORD_CHARS_MAX),
        email: fields.patch_email("email"),
        phone: fields.patch_text("phone", PHONE_CHARS_MAX),
        active: fields.boolean("active"),
    }
}

described_bodies!(CreateProvider, UpdateProvider);

/// Who belongs to a provider, after a change.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct ProviderMember {
    pub service_provider_id: ProviderId,
    pub user_id: UserId,
}

/// List providers
///
/// `search` is part of a name, document or address.
#[utoipa::path(get, path = "/api/v1/providers", tag = "Providers", security(("staff" = ["supervisor"])),
    params(Query<ProviderList>), responses((status = 200, body = Page<Provider>)))]
async fn list(
    State(state): State<AppState>,
    staff: Supervisor,
    Query(query): Query<ProviderList>,
) -> Result<Page<Provider>, ApiError> {
    let ProviderList { search, active, sort, page } = query;
    Ok(providers::list(&state.store, staff.tenant, search.as_deref(), active, sort, page).await?.into())
}

/// Create a provider
///
/// A company, such as a clinic, whose people take calls. Its `document`, a CNPJ or CPF, is kept as it is given.
#[utoipa::path(post, path = "/api/v1/providers", tag = "Providers", security(("staff" = ["manager"])),
    request_body = CreateProvider, responses((status = 201, body = Data<Provider>)))]
async fn create(
    State(state): State<AppState>,
    staff: Manager,
    Body(CreateProvider(new)): Body<CreateProvider>,
) -> Result<Created<Provider>, ApiError> {
    let mut work = state.creation(&staff).await?;
    let id = state.ids.next(work.now);
    let provider = providers::create(&mut work, id, new).await?;
    state.created(work, &staff, provider).await
}

/// Show a provider
#[utoipa::path(get, path = "/api/v1/providers/{id}", tag = "Providers", security(("staff" = ["supervisor"])),
    responses((status = 200, body = Data<Provider>)))]
async fn show(
    State(state): State<AppState>,
    staff: Supervisor,
    Ids(id): Ids<ProviderId>,
) -> Result<Data<Provider>, ApiError> {
    providers::find(&state.store, staff.tenant, id).await?.map(Data::new).ok_or_else(ApiError::not_found)
}

/// Change a provider
///
/// What is absent stays as it is.
#[utoipa::path(put, path = "/api/v1/providers/{id}", tag = "Providers", security(("staff" = ["manager"])),
    request_body = UpdateProvider, responses((status = 200, body = Data<Provider>)))]
async fn update(
    State(state): State<AppState>,
    staff: Manager,
    Ids(id): Ids<ProviderId>,
    Body(UpdateProvider(change)): Body<UpdateProvider>,
) -> Result<Data<Provider>, ApiError> {
    let mut work = state.work(&staff).await?;
    let provider = providers::update(&mut work, id, change).await?.ok_or_else(ApiError::not_found)?;
    work.commit().await?;
    Ok(Data::new(provider))
}

/// Delete a provider
///
/// Its people stay users of the company.
#[utoipa::path(delete, path = "/api/v1/providers/{id}", tag = "Providers", security(("staff" = ["manager"])),
    responses((status = 200, body = Data<Deleted>)))]
async fn remove(
    State(state): State<AppState>,
    staff: Manager,
    Ids(id): Ids<ProviderId>,
) -> Result<Data<Deleted>, ApiError> {
    let mut work = state.work(&staff).await?;
    if !providers::remove(&mut work, id).await? {
        return Err(ApiError::not_found());
    }
    work.commit().await?;
    Ok(Deleted::of(id.0))
}

/// List a provider's people
///
/// By name.
#[utoipa::path(get, path = "/api/v1/providers/{id}/users", tag = "Providers", security(("staff" = ["supervisor"])),
    params(Query<MemberList>), responses((status = 200, body = Page<User>)))]
async fn list_users(
    State(state): State<AppState>,
    staff: Supervisor,
    Ids(id): Ids<ProviderId>,
    Query(MemberList { page }): Query<MemberList>,
) -> Result<Page<User>, ApiError> {
    let users = providers::users(&state.store, staff.tenant, id, page).await?;
    users.map(Page::from).ok_or_else(ApiError::not_found)
}

/// Let a user belong to a provider
///
/// 201 when he begins to, 200 when he does already. To receive calls he must serve a department, too.
#[utoipa::path(post, path = "/api/v1/providers/{id}/users", tag = "Providers", security(("staff" = ["manager"])),
    request_body = AddMember,
    responses((status = 201, body = Data<ProviderMember>), (status = 200, body = Data<ProviderMember>)))]
async fn add_user(
    State(state): State<AppState>,
    staff: Manager,
    Ids(id): Ids<ProviderId>,
    Body(AddMember { user_id }): Body<AddMember>,
) -> Result<Response, ApiError> {
    let mut work = state.creation(&staff).await?;
    let status = match providers::add_user(&mut work, id, user_id).await? {
        Membership::NotFound => return Err(ApiError::not_found()),
        Membership::NoUser => return Err(ApiError::field("user_id", "does not exist")),
        Membership::Changed => StatusCode::CREATED,
        Membership::Unchanged => StatusCode::OK,
    };
    let member = Data::new(ProviderMember { service_provider_id: id, user_id });
    state.answered(work, &staff, status, member).await
}

/// Let a user belong to a provider no longer
///
/// Who does not belong to it is answered alike.
#[utoipa::path(delete, path = "/api/v1/providers/{id}/users/{user_id}", tag = "Providers",
    security(("staff" = ["manager"])), responses((status = 200, body = Data<ProviderMember>)))]
async fn remove_user(
    State(state): State<AppState>,
    staff: Manager,
    Ids((id, user_id)): Ids<(ProviderId, UserId)>,
) -> Result<Data<ProviderMember>, ApiError> {
    let mut work = state.work(&staff).await?;
    match providers::remove_user(&mut work, id, user_id).await? {
        Membership::NotFound | Membership::NoUser => return Err(ApiError::not_found()),
        Membership::Changed | Membership::Unchanged => work.commit().await?,
    }
    Ok(Data::new(ProviderMember { service_provider_id: id, user_id }))
}
