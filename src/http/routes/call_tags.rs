//! Owns on the wire what a call carries beside its own columns: tags, and the custom fields of its link. An attendant tags
//! the calls he sees; to him all others do not exist.

use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::calls::visible;
use crate::domain::ids::{CallId, TagId};
use crate::http::caller::Staff;
use crate::http::envelope::{Created, Data, Deleted};
use crate::http::error::ApiError;
use crate::http::input::{Body, Fields, Ids, Input, described_bodies};
use crate::http::state::AppState;
use crate::store::Store;
use crate::store::call_tags::{self, CALL_TAGS_MAX, Tagged};
use crate::store::links::CustomFields;
use crate::store::tags::Tag;

/// `/api/v1/calls/:call_id/tags/*`.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list_tags, add_tags)).routes(routes!(remove_tag)).routes(routes!(custom_fields))
}

/// Body of `POST /calls/:call_id/tags`: one tag, several, or both.
#[derive(Debug)]
pub struct TagCall {
    /// Without doubles.
    tag_ids: Vec<TagId>,
}

impl Input for TagCall {
    fn read(fields: &mut Fields) -> Self {
        let one = fields.id::<TagId>("tag_id");
        let several = fields.patch_ids::<TagId>("tag_ids", CALL_TAGS_MAX);
        let mut tag_ids = several.unwrap_or_default();
        tag_ids.extend(one);
        if tag_ids.is_empty() && fields.faultless() {
            fields.fault("tag_id", "can't be blank");
        }
        Self { tag_ids }
    }
}

described_bodies!(TagCall);

/// List the tags of a call
#[utoipa::path(get, path = "/api/v1/calls/{call_id}/tags", tag = "Calls", security(("staff" = ["attendant"])),
    responses((status = 200, body = Data<Vec<Tag>>)))]
async fn list_tags(
    State(store): State<Store>,
    staff: Staff,
    Ids(call): Ids<CallId>,
) -> Result<Data<Vec<Tag>>, ApiError> {
    visible(&store, &staff, call).await?;
    Ok(Data::new(call_tags::list(&store, staff.tenant, call).await?))
}

/// Tag a call
///
/// `tag_id`, or `tag_ids` for several; those the call carries already stay. The answer holds all of its tags. A call has
/// at most 50.
#[utoipa::path(post, path = "/api/v1/calls/{call_id}/tags", tag = "Calls", security(("staff" = ["attendant"])),
    request_body = TagCall, responses((status = 201, body = Data<Vec<Tag>>)))]
async fn add_tags(
    State(state): State<AppState>,
    staff: Staff,
    Ids(call): Ids<CallId>,
    Body(TagCall { tag_ids }): Body<TagCall>,
) -> Result<Created<Vec<Tag>>, ApiError> {
    visible(&state.store, &staff, call).await?;
    let mut work = state.creation(&staff).await?;
    match call_tags::add(&mut work, call, &tag_ids).await? {
        Tagged::Added(_) => {
            let tags = call_tags::list_in(&mut work, call).await?;
            state.created(work, &staff, tags).await
        }
        Tagged::UnknownTag => Err(ApiError::field("tag_id", "does not exist")),
        Tagged::TooMany => Err(ApiError::Rejected {
            code: "too_many_tags",
            detail: format!("A call may carry at most {CALL_TAGS_MAX} tags.").into(),
        }),
    }
}

/// Take a tag from a call
///
/// 404 when the call does not carry it.
#[utoipa::path(delete, path = "/api/v1/calls/{call_id}/tags/{tag_id}", tag = "Calls", security(("staff" = ["attendant"])),
    responses((status = 200, body = Data<Deleted>)))]
async fn remove_tag(
    State(state): State<AppState>,
    staff: Staff,
    Ids((call, tag)): Ids<(CallId, TagId)>,
) -> Result<Data<Deleted>, ApiError> {
    visible(&state.store, &staff, call).await?;
    let mut work = state.work(&staff).await?;
    if !call_tags::remove(&mut work, call, tag).await? {
        return Err(ApiError::not_found());
    }
    work.commit().await?;
    Ok(Deleted::of(tag.0))
}

/// Show the custom fields of a call
///
/// Those of the link it was joined through, as they were then; an empty object when it had none.
#[utoipa::path(get, path = "/api/v1/calls/{call_id}/custom-fields", tag = "Calls",
    security(("staff" = ["attendant"])), responses((status = 200, body = Data<CustomFields>)))]
async fn custom_fields(
    State(store): State<Store>,
    staff: Staff,
    Ids(call): Ids<CallId>,
) -> Result<Data<CustomFields>, ApiError> {
    visible(&store, &staff, call).await?;
    Ok(Data::new(call_tags::fields(&store, staff.tenant, call).await?))
}
