//! Owns tags on the wire: list, tree, show, create, change, delete. Which call carries which is `call_tags`.

use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::domain::ids::TagId;
use crate::http::caller::{Staff, Supervisor};
use crate::http::envelope::{Created, Data, Deleted, Page};
use crate::http::error::ApiError;
use crate::http::input::{Body, Fields, Ids, Input, Params, Query, QueryInput, described_bodies};
use crate::http::state::AppState;
use crate::store::tags::{self, DEPTH_MAX, NewTag, TAGS_MAX, Tag, TagChange, TagFault, TagNode, TagSort};
use crate::store::{self, Sort, SortOrder, Store};

/// Most characters of a tag's name.
const NAME_CHARS_MAX: usize = 100;
/// Rows of a page when nobody says otherwise (Voki's tags page).
const PAGE_SIZE: u32 = 50;
/// The colour of whoever chose none (Voki's tags page).
const COLOR: &str = "#6b7280";

/// `/api/v1/tags/*`.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(tree)).routes(routes!(show, update, remove))
}

/// Query of the list.
#[derive(Debug)]
pub struct TagList {
    search: Option<String>,
    sort: Sort<TagSort>,
    page: store::Page,
}

impl QueryInput for TagList {
    fn read(params: &mut Params) -> Result<Self, ApiError> {
        let search = params.text("search", NAME_CHARS_MAX);
        let (sort, page) = (params.sort(TagSort::Name, SortOrder::Asc), params.page_of(PAGE_SIZE));
        Ok(Self { search: search?, sort: sort?, page: page? })
    }
}

/// Body of `POST /tags`.
#[derive(Debug)]
pub struct CreateTag {
    name: String,
    color: Option<String>,
    parent_id: Option<TagId>,
}

impl Input for CreateTag {
    const WRAPPER: Option<&'static str> = Some("tag");

    fn read(fields: &mut Fields) -> Self {
        Self {
            name: fields.required_text("name", NAME_CHARS_MAX),
            color: color(fields),
            parent_id: fields.id("parent_id"),
        }
    }
}

/// Body of `PUT /tags/:id`: what is absent stays.
#[derive(Debug)]
pub struct UpdateTag(TagChange);

impl Input for UpdateTag {
    const WRAPPER: Option<&'static str> = Some("tag");

    fn read(fields: &mut Fields) -> Self {
        Self(TagChange {
            name: fields.patch_required_text("name", NAME_CHARS_MAX),
            color: color(fields),
            parent_id: fields.patch_id("parent_id"),
        })
    }
}

/// `#` and six hexadecimal digits, in small letters.
fn color(fields: &mut Fields) -> Option<String> {
    let color = fields.text("color", COLOR.len())?.to_ascii_lowercase();
    let digits = color.strip_prefix('#').unwrap_or_default();
    if digits.len() != COLOR.len() - 1 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        fields.fault("color", "is invalid");
        return None;
    }
    Some(color)
}

fn refused(fault: TagFault) -> ApiError {
    match fault {
        TagFault::UnknownParent => ApiError::field("parent_id", "does not exist"),
        TagFault::Cycle => ApiError::field("parent_id", "must not be the tag itself or below it"),
        TagFault::TooDeep => ApiError::field("parent_id", format!("tags may stand at most {DEPTH_MAX} levels deep")),
        TagFault::NameTaken => ApiError::field("name", "has already been taken"),
        TagFault::TooMany => ApiError::Rejected {
            code: "too_many_tags",
            detail: format!("A company may have at most {TAGS_MAX} tags.").into(),
        },
        TagFault::HasChildren => ApiError::Rejected {
            code: "tag_has_children",
            detail: "Other tags stand below this one. Move or delete them first.".into(),
        },
    }
}

described_bodies!(CreateTag, UpdateTag);

/// List tags
///
/// `search` is part of a name. A page has 50 tags unless `page_size` says otherwise. `usage_count` counts the calls that
/// carry the very tag.
#[utoipa::path(get, path = "/api/v1/tags", tag = "Tags", security(("staff" = ["attendant"])),
    params(Query<TagList>), responses((status = 200, body = Page<Tag>)))]
async fn list(State(store): State<Store>, staff: Staff, Query(query): Query<TagList>) -> Result<Page<Tag>, ApiError> {
    let TagList { search, sort, page } = query;
    Ok(tags::list(&store, staff.tenant, search.as_deref(), sort, page).await?.into())
}

/// Show all tags as a tree
///
/// Those at the top, each with its `children`, by name. It is not paged: a company has at most 2,000 tags, at most five
/// levels deep.
#[utoipa::path(get, path = "/api/v1/tags/tree", tag = "Tags", security(("staff" = ["attendant"])),
    responses((status = 200, body = Data<Vec<TagNode>>)))]
async fn tree(State(store): State<Store>, staff: Staff) -> Result<Data<Vec<TagNode>>, ApiError> {
    Ok(Data::new(tags::tree(&store, staff.tenant).await?))
}

/// Show a tag
#[utoipa::path(get, path = "/api/v1/tags/{id}", tag = "Tags", security(("staff" = ["attendant"])),
    responses((status = 200, body = Data<Tag>)))]
async fn show(State(store): State<Store>, staff: Staff, Ids(id): Ids<TagId>) -> Result<Data<Tag>, ApiError> {
    tags::find(&store, staff.tenant, id).await?.map(Data::new).ok_or_else(ApiError::not_found)
}

/// Create a tag
///
/// `color` is `#` and six hexadecimal digits, `#6b7280` when absent. Tags of one parent have different names, whatever
/// their case.
#[utoipa::path(post, path = "/api/v1/tags", tag = "Tags", security(("staff" = ["attendant"])),
    request_body = CreateTag, responses((status = 201, body = Data<Tag>)))]
async fn create(
    State(state): State<AppState>,
    staff: Staff,
    Body(body): Body<CreateTag>,
) -> Result<Created<Tag>, ApiError> {
    let mut work = state.creation(&staff).await?;
    let CreateTag { name, color, parent_id } = body;
    let color = color.unwrap_or_else(|| COLOR.to_owned());
    let new = NewTag { id: state.ids.next(work.now), name, color, parent_id };
    let tag = tags::create(&mut work, new).await?.map_err(refused)?;
    state.created(work, &staff, tag).await
}

/// Change a tag
///
/// Fields that are absent stay as they are. `parent_id` null puts it at the top; one that is the tag itself or stands below
/// it is refused.
#[utoipa::path(put, path = "/api/v1/tags/{id}", tag = "Tags", security(("staff" = ["attendant"])),
    request_body = UpdateTag, responses((status = 200, body = Data<Tag>)))]
async fn update(
    State(state): State<AppState>,
    staff: Staff,
    Ids(id): Ids<TagId>,
    Body(UpdateTag(change)): Body<UpdateTag>,
) -> Result<Data<Tag>, ApiError> {
    let mut work = state.work(&staff).await?;
    let tag = tags::update(&mut work, id, change).await?.map_err(refused)?.ok_or_else(ApiError::not_found)?;
    work.commit().await?;
    Ok(Data::new(tag))
}

/// Delete a tag
///
/// Calls and links lose it. A tag with children is refused (`tag_has_children`): whoever deletes a group says first where
/// its tags belong.
#[utoipa::path(delete, path = "/api/v1/tags/{id}", tag = "Tags", security(("staff" = ["supervisor"])),
    responses((status = 200, body = Data<Deleted>)))]
async fn remove(
    State(state): State<AppState>,
    staff: Supervisor,
    Ids(id): Ids<TagId>,
) -> Result<Data<Deleted>, ApiError> {
    let mut work = state.work(&staff).await?;
    if !tags::delete(&mut work, id).await?.map_err(refused)? {
        return Err(ApiError::not_found());
    }
    work.commit().await?;
    Ok(Deleted::of(id.0))
}
