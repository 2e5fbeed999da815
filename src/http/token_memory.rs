//! Owns a small memory of verified API tokens, so that an integration that asks often costs a look-up every few seconds.
//! What this process changes about tokens and their owners is effective at once; what another one changes (`vez token
//! revoke` beside a running server), after those seconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use uuid::Uuid;

use crate::auth::api_token;
use crate::domain::clock::{Clock, Timestamp};
use crate::domain::ids::UserId;
use crate::store::api_tokens::{self, TokenHolder};
use crate::store::{Result, Store};

/// How long a verified token is believed without asking again.
const KNOWN_SECONDS: u64 = 10;
/// Most tokens remembered, of about 300 bytes each.
const KNOWN_MAX: usize = 10_000;

/// The memory. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ApiTokens(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    clock: Clock,
    /// By the token's hash.
    known: DashMap<String, Known>,
    /// Raised by every change; what a look-up begun before it found is used once and not kept.
    changes: AtomicU64,
}

#[derive(Clone, Debug)]
struct Known {
    holder: Arc<TokenHolder>,
    until: Timestamp,
}

impl ApiTokens {
    /// An empty memory before the store.
    pub fn new(store: Store, clock: Clock) -> Self {
        Self(Arc::new(Inner { store, clock, known: DashMap::new(), changes: AtomicU64::new(0) }))
    }

    /// Whom `token` stands for now.
    pub async fn holder(&self, token: &str) -> Result<Option<Arc<TokenHolder>>> {
        let now = self.0.clock.now();
        let hash = api_token::hash(token);
        if let Some(known) = self.0.known.get(&hash).filter(|known| known.until > now) {
            return Ok(Some(Arc::clone(&known.holder)));
        }
        let changes = self.0.changes.load(Ordering::SeqCst);
        let Some(holder) = api_tokens::holder(&self.0.store, &hash, now).await? else { return Ok(None) };
        let holder = Arc::new(holder);
        self.remember(hash, &holder, changes, now);
        Ok(Some(holder))
    }

    fn remember(&self, hash: String, holder: &Arc<TokenHolder>, changes: u64, now: Timestamp) {
        if self.0.known.len() >= KNOWN_MAX {
            self.0.known.retain(|_, known| known.until > now);
            if self.0.known.len() >= KNOWN_MAX {
                return;
            }
        }
        let within = now.plus_seconds(KNOWN_SECONDS);
        let until = holder.expires_at.map_or(within, |at| at.min(within));
        self.0.known.insert(hash.clone(), Known { holder: Arc::clone(holder), until });
        // A change in between has cleared the memory either before this entry came or after it; here is the first case.
        if self.0.changes.load(Ordering::SeqCst) != changes {
            self.0.known.remove(&hash);
        }
    }

    /// A token was revoked. Call it after the commit.
    pub fn forget(&self, id: Uuid) {
        self.forget_those(|holder| holder.id == id);
    }

    /// A user was deactivated or has another role. Call it after the commit.
    pub fn forget_user(&self, user: UserId) {
        self.forget_those(|holder| holder.user == user);
    }

    fn forget_those(&self, meant: impl Fn(&TokenHolder) -> bool) {
        self.0.changes.fetch_add(1, Ordering::SeqCst);
        self.0.known.retain(|_, known| !meant(&known.holder));
    }
}
