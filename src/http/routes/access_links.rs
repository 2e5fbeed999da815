//! Owns access links on the wire: list, show, create, many at once, cancel. Joining through one is `public_call`'s.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::domain::call::PRIORITY_MAX;
use crate::domain::clock::{Clock, Timestamp};
use crate::domain::ids::{CustomerId, DepartmentId, LinkId, TagId};
use crate::http::caller::Supervisor;
use crate::http::envelope::{Created, Data, Page};
use crate::http::error::{ApiError, FieldErrors};
use crate::http::input::{
    Body, Fields, Ids, Input, NAME_CHARS_MAX, PHONE_CHARS_MAX, Params, Query, QueryInput, described_bodies,
};
use crate::http::public_url::BaseUrl;
use crate::http::state::AppState;
use crate::store::links::{self, CustomFields, Link, LinkFilter, LinkSort, LinkStatus, NewLink};
use crate::store::{self, Sort, SortOrder, Store, Work};

/// Randomness of a link's token: 120 bits make 20 characters that nobody guesses.
const TOKEN_BYTES: usize = 15;
/// Most skills a link asks for; agents with more of them than this do not exist.
pub const SKILLS_MAX: usize = 20;
/// Most tags a link gives its calls.
const LINK_TAGS_MAX: usize = 20;
/// Most custom fields of a link, and most characters of one: a few references to other systems, not a document.
const CUSTOM_FIELDS_MAX: usize = 20;
const CUSTOM_FIELD_CHARS_MAX: usize = 500;
/// Most uses a link can be bounded to; beyond it a link without a bound is meant.
const USES_MAX: i64 = 1_000_000;
/// Most links made at once: a campaign's list, in one transaction of some tens of milliseconds.
pub const BATCH_MAX: usize = 1_000;

/// `/api/v1/access-links/*`.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(create_batch))
        .routes(routes!(show))
        .routes(routes!(cancel))
}

/// Voki's link object, ours after it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AccessLink {
    #[serde(flatten)]
    pub link: Link,
    /// The page a customer opens.
    pub url: String,
}

impl AccessLink {
    fn new(link: Link, base: &BaseUrl) -> Self {
        Self { url: base.of_link(&link.token), link }
    }
}

/// Query of the list.
#[derive(Debug)]
pub struct LinkList {
    filter: LinkFilter,
    sort: Sort<LinkSort>,
    page: store::Page,
}

impl QueryInput for LinkList {
    fn read(params: &mut Params) -> Result<Self, ApiError> {
        let (status, department_id) = (params.word::<LinkStatus>("status"), params.id("department_id"));
        let search = params.text("search", NAME_CHARS_MAX);
        let (sort, page) = (params.sort(LinkSort::InsertedAt, SortOrder::Desc), params.page());
        let filter = LinkFilter { status: status?, department_id: department_id?, search: search? };
        Ok(Self { filter, sort: sort?, page: page? })
    }
}

/// Body of `POST /access-links`, wrapped in `access_link` or flat; each of a batch.
#[derive(Debug)]
pub struct CreateLink {
    name: Option<String>,
    department_id: DepartmentId,
    max_uses: Option<u32>,
    expires_at: Option<Timestamp>,
    customer_id: Option<CustomerId>,
    customer_name: Option<String>,
    customer_email: Option<String>,
    customer_phone: Option<String>,
    priority: u8,
    required_skills: Vec<String>,
    tag_ids: Vec<TagId>,
    custom_fields: CustomFields,
}

impl Input for CreateLink {
    const WRAPPER: Option<&'static str> = Some("access_link");

    fn read(fields: &mut Fields) -> Self {
        let department_id = fields.required_id("department_id");
        let single_use = fields.boolean("single_use");
        let max_uses = fields.integer("max_uses", 1..=USES_MAX);
        if single_use == Some(true) && max_uses.is_some_and(|uses| uses != 1) {
            fields.fault("max_uses", "must be 1 for a single-use link");
        }
        let max_uses = if single_use == Some(true) { Some(1) } else { max_uses };
        let priority = fields.integer("priority", 0..=i64::from(PRIORITY_MAX)).unwrap_or(0);
        let custom_fields = fields.patch_texts("custom_fields", CUSTOM_FIELDS_MAX, CUSTOM_FIELD_CHARS_MAX);
        Self {
            name: fields.text("name", NAME_CHARS_MAX),
            department_id,
            max_uses: max_uses.and_then(|uses| u32::try_from(uses).ok()),
            expires_at: fields.time("expires_at"),
            customer_id: fields.id("customer_id"),
            customer_name: fields.text("customer_name", NAME_CHARS_MAX),
            customer_email: fields.email("customer_email"),
            customer_phone: fields.text("customer_phone", PHONE_CHARS_MAX),
            priority: u8::try_from(priority).unwrap_or(PRIORITY_MAX),
            required_skills: fields.words("required_skills", SKILLS_MAX),
            tag_ids: fields.patch_ids("tag_ids", LINK_TAGS_MAX).unwrap_or_default(),
            custom_fields: custom_fields.unwrap_or_default().into_iter().collect(),
        }
    }
}

impl CreateLink {
    /// What is wrong with it at `now`.
    fn fault(&self, now: Timestamp) -> Option<FieldErrors> {
        self.expires_at.filter(|at| *at <= now).map(|_| FieldErrors::of("expires_at", "must be in the future"))
    }

    fn into_new(self, state: &AppState, now: Timestamp) -> NewLink {
        NewLink {
            id: state.ids.next(now),
            name: self.name,
            token: state.ids.secret(TOKEN_BYTES),
            department_id: self.department_id,
            customer_id: self.customer_id,
            customer_name: self.customer_name,
            customer_email: self.customer_email,
            customer_phone: self.customer_phone,
            expires_at: self.expires_at,
            max_uses: self.max_uses,
            priority: self.priority,
            required_skills: self.required_skills,
            tag_ids: self.tag_ids,
            custom_fields: self.custom_fields,
        }
    }
}

/// Body of `POST /access-links/batch`.
#[derive(Debug)]
pub struct CreateLinks(Vec<Result<CreateLink, FieldErrors>>);

impl Input for CreateLinks {
    fn read(fields: &mut Fields) -> Self {
        Self(fields.required_items("links", BATCH_MAX))
    }
}

described_bodies!(CreateLink, CreateLinks);

/// List access links
///
/// `search` is part of the customer's name or email address.
#[utoipa::path(get, path = "/api/v1/access-links", tag = "Access links", security(("staff" = ["supervisor"])),
    params(Query<LinkList>), responses((status = 200, body = Page<AccessLink>)))]
async fn list(
    State(store): State<Store>,
    State(clock): State<Clock>,
    staff: Supervisor,
    base: BaseUrl,
    Query(query): Query<LinkList>,
) -> Result<Page<AccessLink>, ApiError> {
    let LinkList { filter, sort, page } = query;
    let found = links::list(&store, staff.tenant, &filter, sort, page, clock.now()).await?;
    Ok(found.map(|link| AccessLink::new(link, &base)).into())
}

/// Show an access link
#[utoipa::path(get, path = "/api/v1/access-links/{id}", tag = "Access links", security(("staff" = ["supervisor"])),
    responses((status = 200, body = Data<AccessLink>)))]
async fn show(
    State(store): State<Store>,
    State(clock): State<Clock>,
    staff: Supervisor,
    base: BaseUrl,
    Ids(id): Ids<LinkId>,
) -> Result<Data<AccessLink>, ApiError> {
    let link = links::find(&store, staff.tenant, id, clock.now()).await?.ok_or_else(ApiError::not_found)?;
    Ok(Data::new(AccessLink::new(link, &base)))
}

/// Create an access link
///
/// It needs a department alone; then anybody who has it joins that department's queue, as often as he likes, for ever.
/// `name` is for staff: the page or the partner it stands for. `max_uses` bounds how many calls are joined through it,
/// `single_use` is one of them; a customer who comes back to his call uses it no more. A single-use link means one call
/// whatever the client says. `customer_id` says who joins, whatever contacts he types; without it he is known by them.
/// `tag_ids` and `custom_fields` (at most 20 texts of 500 characters) go to every call that is joined through it.
#[utoipa::path(post, path = "/api/v1/access-links", tag = "Access links", security(("staff" = ["supervisor"])),
    request_body = CreateLink, responses((status = 201, body = Data<AccessLink>)))]
async fn create(
    State(state): State<AppState>,
    staff: Supervisor,
    base: BaseUrl,
    Body(body): Body<CreateLink>,
) -> Result<Created<AccessLink>, ApiError> {
    let mut work = state.creation(&staff).await?;
    if let Some(fault) = body.fault(work.now) {
        return Err(ApiError::Invalid(fault));
    }
    let new = [body.into_new(&state, work.now)];
    let mut missing = FieldErrors::default();
    for (_, field) in links::missing(&mut work, &new).await? {
        missing.add(field, "does not exist");
    }
    if !missing.is_empty() {
        return Err(ApiError::Invalid(missing));
    }
    let link = links::create(&mut work, &new).await?.pop().ok_or_else(ApiError::not_found)?;
    state.created(work, &staff, AccessLink::new(link, &base)).await
}

/// Create many access links
///
/// Up to 1,000 `links`, each with the fields of a single one, in one transaction. The answer has them in the same order.
/// When any is wrong none is made, and the answer names each wrong one by its place, from 0:
/// `{"errors": {"links": [{"index": 3, "errors": {"department_id": ["does not exist"]}}]}}`. So the list can be corrected
/// and sent again as it is, and nobody has to find out which ones were made.
#[utoipa::path(post, path = "/api/v1/access-links/batch", tag = "Access links", security(("staff" = ["supervisor"])),
    request_body = CreateLinks, responses((status = 201, body = Data<Vec<AccessLink>>)))]
async fn create_batch(
    State(state): State<AppState>,
    staff: Supervisor,
    base: BaseUrl,
    Body(CreateLinks(rows)): Body<CreateLinks>,
) -> Result<Created<Vec<AccessLink>>, ApiError> {
    let mut work = state.creation(&staff).await?;
    let new = checked(&state, &mut work, rows).await?;
    let made = links::create(&mut work, &new).await?;
    state.created(work, &staff, made.into_iter().map(|link| AccessLink::new(link, &base)).collect()).await
}

/// The links of a batch, or everything that is wrong with any of them.
async fn checked(
    state: &AppState,
    work: &mut Work,
    rows: Vec<Result<CreateLink, FieldErrors>>,
) -> Result<Vec<NewLink>, ApiError> {
    let mut wrong: std::collections::BTreeMap<usize, FieldErrors> = std::collections::BTreeMap::new();
    let (mut new, mut places) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
    for (place, row) in rows.into_iter().enumerate() {
        match row.and_then(|link| link.fault(work.now).map_or(Ok(link), Err)) {
            Ok(link) => {
                new.push(link.into_new(state, work.now));
                places.push(place);
            }
            Err(faults) => _ = wrong.insert(place, faults),
        }
    }
    for (place, field) in links::missing(work, &new).await? {
        wrong.entry(places[place]).or_default().add(field, "does not exist");
    }
    if wrong.is_empty() {
        Ok(new)
    } else {
        Err(ApiError::InvalidItems { field: "links", items: wrong.into_iter().collect() })
    }
}

/// Cancel an access link
///
/// Nobody joins through it any more, and whoever waits through it is sent away (`link_cancelled`); calls that have been
/// taken go on. Cancelling again is fine; a link that was used up is refused (`link_used`).
#[utoipa::path(post, path = "/api/v1/access-links/{id}/cancel", tag = "Access links", security(("staff" = ["supervisor"])),
    responses((status = 200, body = Data<AccessLink>)))]
async fn cancel(
    State(state): State<AppState>,
    staff: Supervisor,
    base: BaseUrl,
    Ids(id): Ids<LinkId>,
) -> Result<Data<AccessLink>, ApiError> {
    let mut work = state.work(&staff).await?;
    let link = links::cancel(&mut work, id).await?.ok_or_else(ApiError::not_found)?;
    work.commit().await?;
    state.lookups.link_changed(staff.tenant, &link);
    match link.status {
        LinkStatus::Used => Err(ApiError::Rejected {
            code: "link_used",
            detail: "The link has been used and cannot be cancelled".into(),
        }),
        // Told again although cancelled before: the first request may have died between the two steps.
        _ => {
            state.queues.link_cancelled(staff.tenant, link.department_id, id).await?;
            Ok(Data::new(AccessLink::new(link, &base)))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;
    use crate::http::input::parse;

    #[test]
    fn a_link_needs_a_department_alone() {
        let id = "00000000-0000-0000-0000-000000000001";
        for body in [json!({"department_id": id}), json!({"access_link": {"department_id": id}})] {
            let link: CreateLink = parse(body.to_string().as_bytes()).unwrap();
            assert_eq!(link.department_id.to_string(), id);
            assert_eq!((link.max_uses, link.priority), (None, 0));
        }
        let Err(ApiError::Invalid(errors)) =
            parse::<CreateLink>(br#"{"priority": 11, "expires_at": "soon", "required_skills": "pt"}"#)
        else {
            unreachable!("a bad link was read")
        };
        assert_eq!(
            serde_json::to_value(errors).unwrap(),
            json!({"department_id": ["can't be blank"], "priority": ["must be less than or equal to 10"],
                "expires_at": ["is invalid"], "required_skills": ["is invalid"]})
        );
    }

    #[test]
    fn a_single_use_link_has_one_use() {
        let uses = |extra: serde_json::Value| {
            let mut body = json!({"department_id": "00000000-0000-0000-0000-000000000001"});
            body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            parse::<CreateLink>(body.to_string().as_bytes()).map(|link| link.max_uses).ok()
        };
        assert_eq!(uses(json!({"single_use": true})), Some(Some(1)));
        assert_eq!(uses(json!({"max_uses": 1})), Some(Some(1)));
        assert_eq!(uses(json!({"single_use": false, "max_uses": 7})), Some(Some(7)));
        assert_eq!(uses(json!({"single_use": true, "max_uses": 2})), None);
        assert_eq!(uses(json!({"max_uses": 0})), None);
    }
}
