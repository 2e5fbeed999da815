//! Owns Evolux's history of calls on the wire: its parameters, its page with absolute addresses, its fields, and the recording
//! each call's address leads to. Which calls and what is known of them is `reports::call_history`'s.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{self, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use chrono::SecondsFormat;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::calls::zone_of;
use super::recordings;
use crate::domain::call::EndReason;
use crate::domain::clock::Timestamp;
use crate::domain::ids::CallId;
use crate::domain::role::Role;
use crate::http::caller::{Staff, TokenHeader};
use crate::http::error::ApiError;
use crate::http::foreign_errors::{EvoluxError, EvoluxMeta};
use crate::http::input::{DayOrTime, NAME_CHARS_MAX, PAGE_MAX, PHONE_CHARS_MAX, Params, Query, QueryInput, day_of};
use crate::http::public_url::BaseUrl;
use crate::http::sending::OUTSIDE_DETAIL;
use crate::http::state::AppState;
use crate::reports::call_history::{self, Contact, Ender, HistoryFilter, HistoryPage, Numbered, PastCall};
use crate::store::calls;

/// Most calls of a page, and how many when nobody says (Evolux's documented limit).
const LIMIT_MAX: u32 = 50;
/// Most agents or departments that one request names: more than a company's screen shows at once.
const NUMBERS_MAX: usize = 100;
/// What stands where no text is (Evolux's sample).
const NOTHING: &str = "-";
/// The trunk of a call that came through no link with a name.
const WEB_TRUNK: &str = "web";
/// The path, as its own answers name it.
const PATH: &str = "/api/v1/dialer/calls_history";
/// What may stand in the addresses of other pages: whatever else a client sent, a secret perhaps, is not repeated.
const REPEATED: [&str; 8] =
    ["limit", "start_date", "end_date", "external_id", "agent_id", "number", "campaign_id", "contact_status"];

/// `/api/v1/dialer/*`.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(calls_history)).routes(routes!(call_recording))
}

/// Query of the history.
#[derive(Debug)]
pub struct HistoryQuery {
    limit: u32,
    page: u32,
    start_date: Option<DayOrTime>,
    end_date: Option<DayOrTime>,
    document: Option<String>,
    agents: Vec<i64>,
    number: Option<String>,
    campaigns: Vec<i64>,
    contact: Contact,
}

impl QueryInput for HistoryQuery {
    fn read(params: &mut Params) -> Result<Self, ApiError> {
        let limit = params.at_most("limit", LIMIT_MAX, LIMIT_MAX);
        // Some of its clients count pages from 0.
        let page = params.integer("page", 0..=i64::from(PAGE_MAX));
        let (start_date, end_date) = (params.day_or_time("start_date"), params.day_or_time("end_date"));
        let external_id = params.text("external_id", NAME_CHARS_MAX);
        let agents = params.integers("agent_id", NUMBERS_MAX);
        let number = params.text("number", PHONE_CHARS_MAX);
        let campaigns = params.integers("campaign_id", NUMBERS_MAX);
        let contact = params.word("contact_status");
        let number = number?.map(|number| digits(&number));
        if number.as_deref() == Some("") {
            return Err(ApiError::BadRequest("The parameter number is invalid".into()));
        }
        Ok(Self {
            limit: limit?,
            page: page?.and_then(|page| u32::try_from(page).ok()).unwrap_or(1).max(1),
            start_date: start_date?,
            end_date: end_date?,
            document: external_id?.map(|document| letters_and_digits(&document)),
            agents: agents?,
            number,
            campaigns: campaigns?,
            contact: contact?.unwrap_or(Contact::Success),
        })
    }
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

/// What documents are compared by.
fn letters_and_digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_uppercase()).collect()
}

/// Evolux's page of calls.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CallsHistory {
    pub pagination: Pagination,
    pub meta: EvoluxMeta,
    pub data: Vec<HistoryCall>,
}

/// Where the page stands, with the addresses of its neighbours.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Pagination {
    /// The largest `limit` there is.
    #[schema(example = 50)]
    pub max_limit: u32,
    /// The one in effect.
    #[schema(example = 50)]
    pub limit: u32,
    pub first_url: String,
    /// Null on the last page and after it.
    pub next_url: Option<String>,
    /// Calls on this page.
    pub items: usize,
    pub last_url: String,
    /// Calls on all pages.
    pub total: u64,
    pub current_url: String,
    /// Null on the first page; after the end, the last.
    pub prev_url: Option<String>,
}

/// A number and a name.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct HistoryName {
    #[schema(example = 376)]
    pub id: i64,
    pub name: String,
}

impl From<Numbered> for HistoryName {
    fn from(numbered: Numbered) -> Self {
        Self { id: numbered.number, name: numbered.name }
    }
}

/// The customer.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct HistorySubscriber {
    /// His document as it is kept; null without one.
    #[schema(example = "19191919")]
    pub external_id: Option<String>,
    /// The digits of the telephone he gave; null without one.
    #[schema(example = "84999999999")]
    pub number: Option<String>,
    pub name: String,
}

/// What the customer said afterwards.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct HistorySurvey {
    /// The rating, 1 to 5.
    pub csat: Option<i16>,
    /// Always null: nobody is asked for it.
    #[schema(value_type = Option<i16>)]
    pub nps: Option<i16>,
}

/// A call as Evolux shows it, its fields in the order of Evolux's sample.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct HistoryCall {
    /// When the agent started it; null when nobody did.
    #[schema(example = "2021-10-28T19:42:00+00:00")]
    pub answer_time: Option<String>,
    /// The tags above those of `outcome`; `-` without any.
    #[schema(example = "-")]
    pub classification: String,
    #[schema(example = "Normal clearing")]
    pub hangup_cause: &'static str,
    pub uuid: CallId,
    /// The department.
    pub campaign: Option<HistoryName>,
    /// Whole seconds from `answer_time` to `end_time`; 0 of a call that was not answered.
    #[schema(example = 30)]
    pub talking_duration: i64,
    /// What staff call the link it came through, or `web`.
    #[schema(example = "web")]
    pub trunk_name: String,
    /// When the customer joined.
    #[schema(example = "2021-10-28T19:41:33+00:00")]
    pub start_time: String,
    #[schema(example = "Subscriber")]
    pub end_by: &'static str,
    /// Null when nobody took it.
    pub agent: Option<HistoryName>,
    /// Seconds of talk and of the wrap-up after it.
    #[schema(example = 41.0)]
    pub billable_duration: f64,
    pub subscriber: HistorySubscriber,
    pub survey: HistorySurvey,
    #[schema(example = "2021-10-28T19:42:30+00:00")]
    pub end_time: String,
    /// The call's tags; `-` without any.
    #[schema(example = "-")]
    pub outcome: String,
    #[schema(example = 48_582_566)]
    pub id: i64,
    /// Empty unless the request names a campaign.
    pub custom_fields: BTreeMap<String, String>,
    /// Where its recording is, for the same token; null without one.
    #[schema(example = "https://queue.example.com/api/v1/dialer/call/48582566/recording")]
    pub download_audio: Option<String>,
}

impl HistoryCall {
    fn new(call: PastCall, base: &BaseUrl) -> Self {
        let download = || format!("{}/api/v1/dialer/call/{}/recording", base.as_str(), call.number);
        Self {
            answer_time: call.started_at.map(time),
            classification: call.parent_tags.unwrap_or_else(|| NOTHING.to_owned()),
            hangup_cause: hangup_cause(call.end_reason),
            uuid: call.id,
            campaign: call.department.map(HistoryName::from),
            talking_duration: call.talk_seconds,
            trunk_name: call.link_name.unwrap_or_else(|| WEB_TRUNK.to_owned()),
            start_time: time(call.joined_at),
            end_by: end_by(call.ended_by),
            agent: call.agent.map(HistoryName::from),
            billable_duration: (call.talk_seconds + call.wrap_up_seconds) as f64,
            subscriber: HistorySubscriber {
                external_id: call.customer_document,
                number: call.customer_phone.as_deref().map(digits).filter(|number| !number.is_empty()),
                name: call.customer_name,
            },
            survey: HistorySurvey { csat: call.rating, nps: None },
            end_time: time(call.ended_at),
            outcome: call.tags.unwrap_or_else(|| NOTHING.to_owned()),
            id: call.number,
            custom_fields: call.custom_fields,
            download_audio: call.recorded.then(download),
        }
    }
}

/// To the second, with the offset in digits.
fn time(at: Timestamp) -> String {
    at.to_utc().to_rfc3339_opts(SecondsFormat::Secs, false)
}

/// Why it ended, in the words of telephone switches (Q.850, FreeSWITCH), as in Evolux's sample.
const fn hangup_cause(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Completed => "Normal clearing",
        EndReason::Left | EndReason::Abandoned => "Originator cancel",
        EndReason::NeverConnected => "Subscriber absent",
        EndReason::TimedOut => "No answer",
        EndReason::Withdrawn | EndReason::LinkCancelled => "Call rejected",
        EndReason::CustomerLost | EndReason::AgentLost => "Media timeout",
        EndReason::SystemError => "Normal temporary failure",
    }
}

const fn end_by(ender: Ender) -> &'static str {
    match ender {
        Ender::Customer => "Subscriber",
        Ender::Staff => "Agent",
        Ender::System => "System",
        Ender::Unknown => NOTHING,
    }
}

/// The addresses of the pages: what the client asked for, then `page`.
struct Addresses {
    start: String,
}

impl Addresses {
    fn new(base: &BaseUrl, pairs: &[(String, String)]) -> Self {
        let mut start = format!("{}{PATH}?", base.as_str());
        for (name, value) in pairs.iter().filter(|(name, _)| REPEATED.contains(&name.as_str())) {
            start.push_str(name);
            start.push('=');
            push_encoded(&mut start, value);
            start.push('&');
        }
        Self { start }
    }

    fn page(&self, page: u64) -> String {
        format!("{}page={page}", self.start)
    }
}

/// All but the unreserved characters of RFC 3986 as `%XX`.
fn push_encoded(url: &mut String, text: &str) {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            url.extend(['%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
    }
}

impl Pagination {
    fn new(found: &HistoryPage, addresses: &Addresses, page: u32, limit: u32) -> Self {
        let page = u64::from(page);
        let last = found.total.div_ceil(u64::from(limit)).max(1);
        Self {
            max_limit: LIMIT_MAX,
            limit,
            first_url: addresses.page(1),
            next_url: (page < last).then(|| addresses.page(page + 1)),
            items: found.calls.len(),
            last_url: addresses.page(last),
            total: found.total,
            current_url: addresses.page(page),
            prev_url: (page > 1).then(|| addresses.page((page - 1).min(last))),
        }
    }
}

fn supervisor(token: Result<TokenHeader, ApiError>) -> Result<Staff, ApiError> {
    let TokenHeader(staff) = token?;
    staff.require(Role::Supervisor)?;
    Ok(staff)
}

/// List past calls (Evolux)
///
/// The calls that are over, newest first, in the format of Evolux's `dialer/calls_history`, so that its clients only change the
/// host. The API token is sent in the header `token`, or as everywhere else; never in the query.
///
/// - `start_date`, `end_date`: of the join, both included; today when absent. A day, or a time with or without an offset; days
///   and times without one are the company's own. The first after the last is 400, and so is an `end_date` in the past alone.
/// - `contact_status`: `success` are the calls that an agent started, `error` the others that are over, `both` is both.
/// - `agent_id`, `campaign_id`: numbers of users and departments; repeat the parameter for several, at most 100. Numbers of
///   nobody find nothing. A transferred call is its last department's and agent's.
/// - `number`: the customer's telephone by its digits, all of them. `external_id`: his document, however it is punctuated.
/// - `limit`: 50 at most; more is taken as 50, which `pagination.limit` says. A page after the end is empty.
///
/// The addresses hold the request's parameters (none that is not named here), then `page`.
///
/// `hangup_cause` is `Normal clearing` (completed), `Originator cancel` (the customer left, or was away too long),
/// `Subscriber absent` (he never connected), `No answer` (the department's longest wait was over), `Call rejected` (staff took it
/// out of the line, or cancelled its link), `Media timeout` (a connection was lost for good), `Normal temporary failure` (a
/// fault of the server). `end_by` is `Subscriber`, `Agent` (any member of staff), `System`, or `-` when it is known no longer.
/// `outcome` are the call's tags, `classification` the tags above them. `custom_fields` are shown only when the request names a
/// campaign. Of a call that was not answered `answer_time` is null and the durations are 0.
#[utoipa::path(get, path = "/api/v1/dialer/calls_history", tag = "Calls",
    security(("staff" = ["supervisor"]), ("token" = ["supervisor"])),
    params(Query<HistoryQuery>), responses((status = 200, body = CallsHistory)))]
async fn calls_history(
    State(state): State<AppState>,
    token: Result<TokenHeader, ApiError>,
    base: Result<BaseUrl, ApiError>,
    query: Result<Query<HistoryQuery>, ApiError>,
    pairs: Result<extract::Query<Vec<(String, String)>>, extract::rejection::QueryRejection>,
) -> Result<Json<CallsHistory>, EvoluxError> {
    let staff = supervisor(token)?;
    let (base, Query(query)) = (base?, query?);
    let extract::Query(pairs) = pairs.unwrap_or_default();
    let zone = zone_of(&state.store, staff.tenant).await?;
    let today = DayOrTime::Day(day_of(state.clock.now(), zone));
    let from = query.start_date.unwrap_or(today).start(zone);
    let to = query.end_date.unwrap_or(today).end(zone);
    if from >= to {
        return Err(ApiError::BadRequest("start_date is after end_date".into()).into());
    }
    let filter = HistoryFilter {
        from,
        to,
        contact: query.contact,
        agents: query.agents,
        departments: query.campaigns,
        phone: query.number,
        document: query.document,
    };
    let found = call_history::page(&state.reports, staff.tenant, &filter, query.page, query.limit).await?;
    Ok(Json(CallsHistory {
        pagination: Pagination::new(&found, &Addresses::new(&base, &pairs), query.page, query.limit),
        meta: EvoluxMeta { status: StatusCode::OK.as_u16(), message: "OK".to_owned() },
        data: found.calls.into_iter().map(|call| HistoryCall::new(call, &base)).collect(),
    }))
}

/// Download a recording (Evolux)
///
/// Where `download_audio` leads: the recording of the call with this number, as
/// `GET /api/v1/calls/{call_id}/recording/download` sends it.
#[utoipa::path(get, path = "/api/v1/dialer/call/{id}/recording", tag = "Recordings",
    security(("staff" = ["supervisor"]), ("token" = ["supervisor"])),
    params(("id" = i64, Path, description = "The call's number.", example = 48_582_566),
        ("Range" = Option<String>, Header, description = "`bytes=first-last`, `bytes=first-` or `bytes=-count`.",
            example = "bytes=0-1023"),
        ("If-Range" = Option<String>, Header, description = "The `ETag` for which the range is meant.", example = "\"4c5d\"")),
    responses((status = 200, description = "The recording.", body = String, content_type = "*/*"),
        (status = 206, description = "The range.", body = String, content_type = "*/*")))]
async fn call_recording(
    State(state): State<AppState>,
    token: Result<TokenHeader, ApiError>,
    number: Result<extract::Path<i64>, extract::rejection::PathRejection>,
    asked: HeaderMap,
) -> Result<Response, EvoluxError> {
    let staff = supervisor(token)?;
    let missing = || ApiError::NotFound(recordings::NOT_FOUND.into());
    let extract::Path(number) = number.map_err(|_| missing())?;
    let call = calls::by_number(&state.store, staff.tenant, number).await?.ok_or_else(missing)?;
    let sent = recordings::download(&state, &staff, call, &asked).await?;
    if sent.status() != StatusCode::RANGE_NOT_SATISFIABLE {
        return Ok(sent);
    }
    let meta = EvoluxMeta { status: sent.status().as_u16(), message: format!("{OUTSIDE_DETAIL}.") };
    let said = Json(serde_json::json!({ "meta": meta })).into_response();
    let (mut parts, _) = sent.into_parts();
    parts.headers.remove(axum::http::header::CONTENT_LENGTH);
    Ok(Response::from_parts(parts, said.into_body()))
}
