//! Owns webhooks on the wire: what a company has set up, and secrets. What was delivered is `webhook_deliveries`'.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::actors::webhooks::{
    PREFIX, SECRET_CHARS_MAX, SECRET_CHARS_MIN, URL_CHARS_MAX, generate, is_well_formed, seal_context,
};
use crate::domain::plan::PlanLimit;
use crate::domain::webhook::Event;
use crate::http::caller::Manager;
use crate::http::envelope::{Created, Data, Deleted, Page};
use crate::http::error::{ApiError, FieldErrors};
use crate::http::input::{Body, Fields, Ids, Input, Params, Query, QueryInput, TEXT_CHARS_MAX, described_bodies};
use crate::http::state::AppState;
use crate::store::webhooks::{self, NewWebhook, WEBHOOKS_MAX, Webhook, WebhookChange, WebhookSort};
use crate::store::{self, Sort, SortOrder, plans};

/// How long the former secret signs, too, after a rotation: time to bring the new one to every receiver.
const FORMER_SECRET_SECONDS: u64 = 24 * 60 * 60;
/// What is shown of a secret once it was told.
const MASK: &str = "********";

/// `/api/v1/webhooks/*`, deliveries apart.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show, update, remove))
        .routes(routes!(rotate_secret))
}

/// A webhook on the wire.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Webhook)]
pub struct ShownWebhook {
    #[serde(flatten)]
    webhook: Webhook,
    /// What deliveries are signed with; shown when the webhook is made or its secret rotated, then `********`.
    secret: String,
}

impl ShownWebhook {
    fn masked(webhook: Webhook) -> Self {
        Self { webhook, secret: MASK.to_owned() }
    }
}

/// Query of the list.
#[derive(Debug)]
pub struct WebhookList {
    sort: Sort<WebhookSort>,
    page: store::Page,
}

impl QueryInput for WebhookList {
    fn read(params: &mut Params) -> Result<Self, ApiError> {
        Ok(Self { sort: params.sort(WebhookSort::InsertedAt, SortOrder::Asc)?, page: params.page()? })
    }
}

/// Body of `POST /webhooks`.
#[derive(Debug)]
pub struct CreateWebhook {
    url: String,
    events: Vec<Event>,
    secret: Option<String>,
    active: bool,
    description: Option<String>,
}

impl Input for CreateWebhook {
    const WRAPPER: Option<&'static str> = Some("webhook");

    fn read(fields: &mut Fields) -> Self {
        Self {
            url: fields.required_text("url", URL_CHARS_MAX),
            events: fields.required_known_words("events"),
            secret: secret(fields),
            active: fields.boolean("active").unwrap_or(true),
            description: fields.text("description", TEXT_CHARS_MAX),
        }
    }
}

/// Body of `PUT /webhooks/:id`.
#[derive(Debug)]
pub struct UpdateWebhook {
    url: Option<String>,
    events: Option<Vec<Event>>,
    secret: Option<String>,
    active: Option<bool>,
    description: Option<Option<String>>,
}

impl Input for UpdateWebhook {
    const WRAPPER: Option<&'static str> = Some("webhook");

    fn read(fields: &mut Fields) -> Self {
        let events = fields.patch_known_words::<Event>("events");
        if events.as_ref().is_some_and(Vec::is_empty) {
            fields.fault("events", "can't be blank");
        }
        Self {
            url: fields.patch_required_text("url", URL_CHARS_MAX),
            events,
            secret: secret(fields),
            active: fields.boolean("active"),
            description: fields.patch_text("description", TEXT_CHARS_MAX),
        }
    }
}

/// Body of `POST /webhooks/:id/rotate-secret`.
#[derive(Debug)]
pub struct RotateSecret {
    secret: Option<String>,
}

impl Input for RotateSecret {
    const WRAPPER: Option<&'static str> = Some("webhook");

    fn read(fields: &mut Fields) -> Self {
        Self { secret: secret(fields) }
    }
}

described_bodies!(CreateWebhook, UpdateWebhook, RotateSecret);

fn secret(fields: &mut Fields) -> Option<String> {
    let secret = fields.long_text("secret", SECRET_CHARS_MIN..=SECRET_CHARS_MAX)?;
    if !is_well_formed(&secret) {
        fields.fault("secret", format!("must be base64 after {PREFIX}"));
    }
    Some(secret)
}

/// List webhooks
#[utoipa::path(get, path = "/api/v1/webhooks", tag = "Webhooks", security(("staff" = ["manager"])),
    params(Query<WebhookList>), responses((status = 200, body = Page<ShownWebhook>)))]
async fn list(
    State(state): State<AppState>,
    staff: Manager,
    Query(query): Query<WebhookList>,
) -> Result<Page<ShownWebhook>, ApiError> {
    let found = webhooks::list(&state.store, staff.tenant, query.sort, query.page).await?;
    Ok(found.map(ShownWebhook::masked).into())
}

/// Create a webhook
///
/// Every event of the kinds in `events` is sent to `url` by POST as
/// `{"event": "call.completed", "timestamp": "2026-02-20T14:30:00Z", "data": {...}}`, where `data` is the call, customer or
/// appointment as it was at that moment. Plans `advanced`, `professional` and `enterprise` have webhooks; a company may have
/// 20.
///
/// `url` must be `https` and must not lead to a private address. `secret` is yours to choose (16 to 94 characters) or made
/// here; it is shown only now. Each delivery is signed twice: by the headers of Standard Webhooks (`webhook-id`,
/// `webhook-timestamp`, `webhook-signature`), and by `X-Voki-Signature: sha256=<hexadecimal HMAC-SHA256(secret, body)>`.
/// A secret that is base64, with or without `whsec_` before it, is decoded for the first; the second takes its text.
///
/// Answer with any 2xx within 10 seconds. Everything else, redirects included, is tried again up to eleven times within about
/// a day, then given up until you replay it. Deliveries come at least once, so look at `webhook-id`: it is the same whenever
/// the same event is sent. Events of one call come in order. A webhook that has only failed for 5 days is switched off, and
/// managers are told.
#[utoipa::path(post, path = "/api/v1/webhooks", tag = "Webhooks", security(("staff" = ["manager"])),
    request_body = CreateWebhook, responses((status = 201, body = Data<ShownWebhook>)))]
async fn create(
    State(state): State<AppState>,
    staff: Manager,
    Body(body): Body<CreateWebhook>,
) -> Result<Created<ShownWebhook>, ApiError> {
    check_url(&state, &body.url).await?;
    let mut work = state.creation(&staff).await?;
    plans::check(&mut work, PlanLimit::Webhooks).await??;
    let id: Uuid = state.ids.next(work.now);
    let secret = body.secret.unwrap_or_else(|| generate(&state.ids));
    let new = NewWebhook {
        id,
        url: body.url,
        events: body.events,
        active: body.active,
        description: body.description,
        secret: state.seal.seal(&seal_context(id), secret.as_bytes(), &state.ids),
    };
    let webhook = webhooks::create(&mut work, new).await?.ok_or_else(|| ApiError::Rejected {
        code: "too_many_webhooks",
        detail: format!("A company may have {WEBHOOKS_MAX} webhooks").into(),
    })?;
    state.created(work, &staff, ShownWebhook { webhook, secret }).await
}

/// Show a webhook
#[utoipa::path(get, path = "/api/v1/webhooks/{id}", tag = "Webhooks", security(("staff" = ["manager"])),
    responses((status = 200, body = Data<ShownWebhook>)))]
async fn show(
    State(state): State<AppState>,
    staff: Manager,
    Ids(id): Ids<Uuid>,
) -> Result<Data<ShownWebhook>, ApiError> {
    let webhook = webhooks::find(&state.store, staff.tenant, id).await?;
    webhook.map(ShownWebhook::masked).map(Data::new).ok_or_else(ApiError::not_found)
}

/// Change a webhook
///
/// What is absent stays as it is. A webhook that is switched off (`active: false`) is told nothing of what happens
/// meanwhile; what waits for it already is sent when it is switched on. A `secret` given here replaces the present one at
/// once; `rotate-secret` lets both sign for a day.
#[utoipa::path(put, path = "/api/v1/webhooks/{id}", tag = "Webhooks", security(("staff" = ["manager"])),
    request_body = UpdateWebhook, responses((status = 200, body = Data<ShownWebhook>)))]
async fn update(
    State(state): State<AppState>,
    staff: Manager,
    Ids(id): Ids<Uuid>,
    Body(body): Body<UpdateWebhook>,
) -> Result<Data<ShownWebhook>, ApiError> {
    if let Some(url) = &body.url {
        check_url(&state, url).await?;
    }
    let mut work = state.work(&staff).await?;
    let switched_on = body.active == Some(true);
    if switched_on {
        plans::check(&mut work, PlanLimit::Webhooks).await??;
    }
    let change = WebhookChange {
        url: body.url,
        events: body.events,
        active: body.active,
        description: body.description,
        secret: body.secret.map(|secret| state.seal.seal(&seal_context(id), secret.as_bytes(), &state.ids)),
    };
    let webhook = webhooks::update(&mut work, id, change).await?.ok_or_else(ApiError::not_found)?;
    work.commit().await?;
    if switched_on {
        state.store.bells().webhooks.wake_for_all();
    }
    Ok(Data::new(ShownWebhook::masked(webhook)))
}

/// Delete a webhook
///
/// Nothing more is sent to it, and what was sent is no longer shown.
#[utoipa::path(delete, path = "/api/v1/webhooks/{id}", tag = "Webhooks", security(("staff" = ["manager"])),
    responses((status = 200, body = Data<Deleted>)))]
async fn remove(State(state): State<AppState>, staff: Manager, Ids(id): Ids<Uuid>) -> Result<Data<Deleted>, ApiError> {
    let mut work = state.work(&staff).await?;
    if !webhooks::remove(&mut work, id).await? {
        return Err(ApiError::not_found());
    }
    work.commit().await?;
    Ok(Deleted::of(id))
}

/// Rotate the secret of a webhook
///
/// Answers with the new secret, which is shown only now. For 24 hours `webhook-signature` holds a signature by each of
/// the two, so that receivers can be changed meanwhile; `X-Voki-Signature` has room for one and is made with the new one.
#[utoipa::path(post, path = "/api/v1/webhooks/{id}/rotate-secret", tag = "Webhooks", security(("staff" = ["manager"])),
    request_body = RotateSecret, responses((status = 200, body = Data<ShownWebhook>)))]
async fn rotate_secret(
    State(state): State<AppState>,
    staff: Manager,
    Ids(id): Ids<Uuid>,
    Body(body): Body<RotateSecret>,
) -> Result<Data<ShownWebhook>, ApiError> {
    let mut work = state.work(&staff).await?;
    let secret = body.secret.unwrap_or_else(|| generate(&state.ids));
    let sealed = state.seal.seal(&seal_context(id), secret.as_bytes(), &state.ids);
    let former_until = work.now.plus_seconds(FORMER_SECRET_SECONDS);
    let webhook =
        webhooks::rotate_secret(&mut work, id, sealed, former_until).await?.ok_or_else(ApiError::not_found)?;
    work.commit().await?;
    Ok(Data::new(ShownWebhook { webhook, secret }))
}

async fn check_url(state: &AppState, url: &str) -> Result<(), ApiError> {
    let checked = state.webhooks.check(url).await;
    checked.map_err(|refusal| ApiError::Invalid(FieldErrors::of("url", refusal.to_string())))
}
