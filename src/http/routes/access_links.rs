//! Owns access links on the wire: list, show, create, cancel. Joining through one is `public_call`'s.

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use serde::Serialize;

use crate::domain::call::PRIORITY_MAX;
use crate::domain::clock::{Clock, Timestamp};
use crate::domain::ids::{DepartmentId, IdSource, LinkId};
use crate::http::caller::Supervisor;
use crate::http::envelope::{Created, Data, Page};
use crate::http::error::ApiError;
use crate::http::input::{Body, Fields, Ids, Input, NAME_CHARS_MAX, PHONE_CHARS_MAX, Params};
use crate::http::public_url::BaseUrl;
use crate::http::state::AppState;
use crate::store::links::{self, Link, LinkFilter, LinkSort, LinkStatus, NewLink};
use crate::store::{SortOrder, Store};

/// Randomness of a link's token: 120 bits make 20 characters that nobody guesses.
const TOKEN_BYTES: usize = 15;
/// Most skills a link asks for; agents with more of them than this do not exist.
pub const SKILLS_MAX: usize = 20;

/// `/api/v1/access-links/*`.
pub fn routes() -> Router<AppState> {
    Router::new().route("/", get(list).post(create)).route("/{id}", get(show)).route("/{id}/cancel", post(cancel))
}

/// Voki's link object, ours after it.
#[derive(Clone, Debug, Serialize)]
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

/// Body of `POST /access-links`, wrapped in `access_link` or flat.
#[derive(Debug)]
pub struct CreateLink {
    pub department_id: DepartmentId,
    pub single_use: bool,
    /// Without one the link never expires.
    pub expires_at: Option<Timestamp>,
    pub customer_name: Option<String>,
    pub customer_email: Option<String>,
    pub customer_phone: Option<String>,
    /// 0 to 10, higher is sooner.
    pub priority: u8,
    pub required_skills: Vec<String>,
}

impl Input for CreateLink {
    const WRAPPER: Option<&'static str> = Some("access_link");

    fn read(fields: &mut Fields) -> Self {
        let priority = fields.integer("priority", 0..=i64::from(PRIORITY_MAX)).unwrap_or(0);
        Self {
            department_id: fields.required_id("department_id"),
            single_use: fields.boolean("single_use").unwrap_or(false),
            expires_at: fields.time("expires_at"),
            customer_name: fields.text("customer_name", NAME_CHARS_MAX),
            customer_email: fields.email("customer_email"),
            customer_phone: fields.text("customer_phone", PHONE_CHARS_MAX),
            priority: u8::try_from(priority).unwrap_or(PRIORITY_MAX),
            required_skills: fields.words("required_skills", SKILLS_MAX),
        }
    }
}

/// `GET /api/v1/access-links`
async fn list(
    State(store): State<Store>,
    State(clock): State<Clock>,
    staff: Supervisor,
    base: BaseUrl,
    mut params: Params,
) -> Result<Page<AccessLink>, ApiError> {
    let filter = LinkFilter { status: params.word("status")?, department_id: params.id("department_id")? };
    let sort = params.sort(LinkSort::InsertedAt, SortOrder::Desc)?;
    let found = links::list(&store, staff.tenant, &filter, sort, params.page()?, clock.now()).await?;
    Ok(found.map(|link| AccessLink::new(link, &base)).into())
}

/// `GET /api/v1/access-links/:id`
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

/// `POST /api/v1/access-links`
async fn create(
    State(store): State<Store>,
    State(clock): State<Clock>,
    State(ids): State<IdSource>,
    staff: Supervisor,
    base: BaseUrl,
    Body(body): Body<CreateLink>,
) -> Result<Created<AccessLink>, ApiError> {
    let now = clock.now();
    if body.expires_at.is_some_and(|at| at <= now) {
        return Err(ApiError::field("expires_at", "must be in the future"));
    }
    let new = NewLink {
        id: ids.next(now),
        token: ids.secret(TOKEN_BYTES),
        department_id: body.department_id,
        customer_name: body.customer_name,
        customer_email: body.customer_email,
        customer_phone: body.customer_phone,
        expires_at: body.expires_at,
        single_use: body.single_use,
        priority: body.priority,
        required_skills: body.required_skills,
    };
    let link = links::create(&store, staff.tenant, new, now).await?.ok_or_else(ApiError::not_found)?;
    Ok(Created(AccessLink::new(link, &base)))
}

/// `POST /api/v1/access-links/:id/cancel`: nobody joins through it any more, and whoever waits through it is sent away.
/// Again is fine; a link that was used up stays so.
async fn cancel(
    State(state): State<AppState>,
    staff: Supervisor,
    base: BaseUrl,
    Ids(id): Ids<LinkId>,
) -> Result<Data<AccessLink>, ApiError> {
    let link =
        links::cancel(&state.store, staff.tenant, id, state.clock.now()).await?.ok_or_else(ApiError::not_found)?;
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
            assert!(!link.single_use);
            assert_eq!(link.priority, 0);
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
}
