//! Owns sectors on the wire. The smallest resource: copy it for a new one (ARCHITECTURE.md, "Adding an endpoint").

use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::domain::ids::SectorId;
use crate::http::caller::Supervisor;
use crate::http::envelope::{Created, Data, Deleted, Page};
use crate::http::error::ApiError;
use crate::http::input::{
    Body, Fields, Ids, Input, NAME_CHARS_MAX, Params, Query, QueryInput, TEXT_CHARS_MAX, described_bodies,
};
use crate::http::state::AppState;
use crate::store::sectors::{self, Sector, SectorChange, SectorSort};
use crate::store::{self, Sort, SortOrder};

/// `/api/v1/sectors/*`.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(show, update, remove))
}

/// Query of the list.
#[derive(Debug)]
pub struct SectorList {
    search: Option<String>,
    active: Option<bool>,
    sort: Sort<SectorSort>,
    page: store::Page,
}

impl QueryInput for SectorList {
    fn read(params: &mut Params) -> Result<Self, ApiError> {
        Ok(Self {
            search: params.text("search", NAME_CHARS_MAX)?,
            active: params.boolean("active")?,
            sort: params.sort(SectorSort::Name, SortOrder::Asc)?,
            page: params.page()?,
        })
    }
}

/// Body of `POST /sectors`.
#[derive(Debug)]
pub struct CreateSector(SectorChange);

impl Input for CreateSector {
    const WRAPPER: Option<&'static str> = Some("sector");

    fn read(fields: &mut Fields) -> Self {
        Self(SectorChange {
            name: Some(fields.required_text("name", NAME_CHARS_MAX)),
            description: fields.patch_text("description", TEXT_CHARS_MAX),
            active: fields.boolean("active"),
        })
    }
}

/// Body of `PUT /sectors/:id`.
#[derive(Debug)]
pub struct UpdateSector(SectorChange);

impl Input for UpdateSector {
    const WRAPPER: Option<&'static str> = Some("sector");

    fn read(fields: &mut Fields) -> Self {
        Self(SectorChange {
            name: fields.patch_required_text("name", NAME_CHARS_MAX),
            description: fields.patch_text("description", TEXT_CHARS_MAX),
            active: fields.boolean("active"),
        })
    }
}

described_bodies!(CreateSector, UpdateSector);

/// List sectors
///
/// A sector groups departments, such as "Sales" or "Support". `search` is part of a name.
#[utoipa::path(get, path = "/api/v1/sectors", tag = "Sectors", security(("staff" = ["supervisor"])),
    params(Query<SectorList>), responses((status = 200, body = Page<Sector>)))]
async fn list(
    State(state): State<AppState>,
    staff: Supervisor,
    Query(query): Query<SectorList>,
) -> Result<Page<Sector>, ApiError> {
    let SectorList { search, active, sort, page } = query;
    Ok(sectors::list(&state.store, staff.tenant, search.as_deref(), active, sort, page).await?.into())
}

/// Create a sector
#[utoipa::path(post, path = "/api/v1/sectors", tag = "Sectors", security(("staff" = ["supervisor"])),
    request_body = CreateSector, responses((status = 201, body = Data<Sector>)))]
async fn create(
    State(state): State<AppState>,
    staff: Supervisor,
    Body(CreateSector(new)): Body<CreateSector>,
) -> Result<Created<Sector>, ApiError> {
    let mut work = state.creation(&staff).await?;
    let id = state.ids.next(work.now);
    let sector = sectors::create(&mut work, id, new).await?;
    state.created(work, &staff, sector).await
}

/// Show a sector
#[utoipa::path(get, path = "/api/v1/sectors/{id}", tag = "Sectors", security(("staff" = ["supervisor"])),
    responses((status = 200, body = Data<Sector>)))]
async fn show(
    State(state): State<AppState>,
    staff: Supervisor,
    Ids(id): Ids<SectorId>,
) -> Result<Data<Sector>, ApiError> {
    let sector = sectors::find(&state.store, staff.tenant, id).await?;
    sector.map(Data::new).ok_or_else(ApiError::not_found)
}

/// Change a sector
///
/// What is absent stays as it is.
#[utoipa::path(put, path = "/api/v1/sectors/{id}", tag = "Sectors", security(("staff" = ["supervisor"])),
    request_body = UpdateSector, responses((status = 200, body = Data<Sector>)))]
async fn update(
    State(state): State<AppState>,
    staff: Supervisor,
    Ids(id): Ids<SectorId>,
    Body(UpdateSector(change)): Body<UpdateSector>,
) -> Result<Data<Sector>, ApiError> {
    let mut work = state.work(&staff).await?;
    let sector = sectors::update(&mut work, id, change).await?.ok_or_else(ApiError::not_found)?;
    work.commit().await?;
    Ok(Data::new(sector))
}

/// Delete a sector
///
/// Its departments stay, without a sector.
#[utoipa::path(delete, path = "/api/v1/sectors/{id}", tag = "Sectors", security(("staff" = ["supervisor"])),
    responses((status = 200, body = Data<Deleted>)))]
async fn remove(
    State(state): State<AppState>,
    staff: Supervisor,
    Ids(id): Ids<SectorId>,
) -> Result<Data<Deleted>, ApiError> {
    let mut work = state.work(&staff).await?;
    if !sectors::remove(&mut work, id).await? {
        return Err(ApiError::not_found());
    }
    work.commit().await?;
    Ok(Deleted::of(id.0))
}
