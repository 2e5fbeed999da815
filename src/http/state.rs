//! Owns what every route may reach. It is put together once, by `app`; routes take the parts they need.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::FromRef;
use axum::http::HeaderValue;
use metrics_exporter_prometheus::PrometheusHandle;

use super::caller::Callers;
use super::lookups::Lookups;
use super::public_url::{MailBase, PublicUrl};
use super::rate_limit::RateLimits;
use super::token_memory::ApiTokens;
use crate::actors::handle::Queues;
use crate::actors::recounting::Recounts;
use crate::actors::webhooks::Webhooks;
use crate::auth::{Lockouts, Passwords, Revocations, Seal, Tokens};
use crate::config::{Config, Turn};
use crate::domain::clock::Clock;
use crate::domain::ids::IdSource;
use crate::files::Files;
use crate::live::hub::Hub;
use crate::reports::Reports;
use crate::store::Store;

/// The parts a route may take. Cheap to clone.
#[derive(Clone, FromRef)]
pub struct AppState {
    pub store: Store,
    /// Questions that may take long.
    pub reports: Reports,
    pub recounts: Recounts,
    pub queues: Queues,
    /// Sockets that end with a login or a membership.
    pub hub: Hub,
    pub tokens: Tokens,
    /// Who sends a request.
    pub callers: Callers,
    /// Access tokens that are believed no longer.
    pub revocations: Revocations,
    pub passwords: Passwords,
    /// Accounts that were tried in vain.
    pub lockouts: Lockouts,
    /// What is kept so that only this server reads it.
    pub seal: Seal,
    /// The bytes of attachments and recordings.
    pub files: Files,
    pub webhooks: Webhooks,
    pub limits: RateLimits,
    pub clock: Clock,
    pub ids: IdSource,
    pub lookups: Lookups,
    pub readiness: Readiness,
    pub public_url: PublicUrl,
    /// Servers for the media of calls.
    pub turn: Arc<Turn>,
    /// What links in mails start with.
    pub mail_base: MailBase,
    /// What `/metrics` renders; without one it is empty.
    pub metrics: Option<PrometheusHandle>,
    /// Web origins that may call from a browser, besides our own.
    pub origins: Arc<[HeaderValue]>,
    /// Largest body; read once, when the router is built.
    #[from_ref(skip)]
    pub body_bytes_max: usize,
    /// Minutes before an appointment at which it is reminded of.
    #[from_ref(skip)]
    pub reminder_minutes: Arc<[u32]>,
}

/// What `app` made before: the parts that others have, too.
pub struct StateParts {
    pub store: Store,
    pub reports: Reports,
    pub recounts: Recounts,
    pub queues: Queues,
    pub hub: Hub,
    pub tokens: Tokens,
    pub revocations: Revocations,
    pub passwords: Passwords,
    pub seal: Seal,
    pub files: Files,
    pub webhooks: Webhooks,
    pub metrics: Option<PrometheusHandle>,
    pub readiness: Readiness,
    pub clock: Clock,
    pub ids: IdSource,
}

impl AppState {
    /// Puts the parts together; what is wrong with the settings is told by its text.
    pub fn new(config: &Config, parts: StateParts) -> Result<Self, String> {
        let StateParts {
            store,
            reports,
            recounts,
            queues,
            hub,
            tokens,
            revocations,
            passwords,
            seal,
            files,
            webhooks,
            metrics,
            readiness,
            clock,
            ids,
        } = parts;
        let origins = config
            .server
            .origins
            .iter()
            .map(|origin| HeaderValue::from_str(origin.trim()).map_err(|_| format!("{origin:?} is no web origin")))
            .collect::<Result<Vec<_>, _>>()?;
        if config.turn.turn_urls.iter().any(|url| !url.trim().is_empty()) && config.turn.turn_secret.is_none() {
            return Err("TURN servers need their secret: set --turn-secret, or leave --turn-urls empty".to_owned());
        }
        let api_tokens = ApiTokens::new(store.clone(), clock.clone());
        Ok(Self {
            store,
            reports,
            recounts,
            queues,
            hub,
            callers: Callers::new(tokens.clone(), revocations.clone(), Some(api_tokens)),
            tokens,
            revocations,
            passwords,
            lockouts: Lockouts::new(clock.clone(), config.auth.lockout_failures),
            seal,
            files,
            webhooks,
            limits: RateLimits::new(&config.limits, &config.server, clock.clone())?,
            lookups: Lookups::new(clock.clone()),
            clock,
            ids,
            readiness,
            public_url: PublicUrl::new(config.server.public_url.as_deref())?,
            turn: Arc::new(config.turn.clone()),
            mail_base: MailBase::new(&config.server),
            metrics,
            origins: origins.into(),
            body_bytes_max: config.server.body_bytes_max,
            reminder_minutes: config.mail.reminder_minutes.as_slice().into(),
        })
    }
}

/// Whether this server should be sent requests, as far as it knows itself. Set by `app`, read by `/health/ready`.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    restored: AtomicBool,
    stopping: AtomicBool,
}

impl Readiness {
    /// Every queue with an open call stands again.
    pub fn set_restored(&self) {
        self.0.restored.store(true, Ordering::Release);
    }

    /// The server is going down and takes nothing new.
    pub fn set_stopping(&self) {
        self.0.stopping.store(true, Ordering::Release);
    }

    /// Why it is not ready; empty when it is.
    pub fn reasons(&self) -> Vec<&'static str> {
        let mut reasons = Vec::new();
        if !self.0.restored.load(Ordering::Acquire) {
            reasons.push("queues are being restored");
        }
        if self.0.stopping.load(Ordering::Acquire) {
            reasons.push("the server is stopping");
        }
        reasons
    }
}
