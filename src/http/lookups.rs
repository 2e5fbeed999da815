//! Owns two small memories that spare the hot public routes a round trip: link rows by token, for seconds, and calls'
//! tenants, which never change. Nothing here is the truth; losing it all costs a look-up.

use std::sync::Arc;

use dashmap::DashMap;

use crate::domain::clock::{Clock, Timestamp};
use crate::domain::ids::{CallId, TenantId};
use crate::store::links::{self, Link, LinkStatus};
use crate::store::{Result, Store, calls, in_time};

/// How long a link row is believed. Long enough that a crowd at one link costs one look-up, short enough that a link
/// changed by another way than ours is noticed.
const LINK_SECONDS: u64 = 3;
/// Most link rows kept, of about 500 bytes each.
const LINKS_MAX: usize = 10_000;
/// Most calls whose tenant is kept, of about 50 bytes each.
const CALLS_MAX: usize = 100_000;

/// The memories. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Lookups(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Clock,
    links: DashMap<Arc<str>, Known>,
    tenants: DashMap<CallId, TenantId>,
}

/// A link as it was a moment ago.
#[derive(Clone, Debug)]
struct Known {
    tenant: TenantId,
    link: Arc<Link>,
    until: Timestamp,
}

impl Lookups {
    /// Empty memories.
    pub fn new(clock: Clock) -> Self {
        Self(Arc::new(Inner { clock, links: DashMap::new(), tenants: DashMap::new() }))
    }

    /// The link with this token, its status as of now. Its `used` status may be some seconds behind.
    pub async fn link(&self, store: &Store, token: &str) -> Result<Option<(TenantId, Arc<Link>)>> {
        let now = self.0.clock.now();
        if let Some(known) = self.0.links.get(token).filter(|known| known.until > now) {
            return Ok(Some((known.tenant, current(&known.link, now))));
        }
        let Some((tenant, link)) = in_time(links::by_token(store, token, now)).await? else { return Ok(None) };
        let link = Arc::new(link);
        self.remember(tenant, &link, now, false);
        Ok(Some((tenant, link)))
    }

    /// Notes a link that was just changed. What a look-up begun earlier finds does not overrule it.
    pub fn link_changed(&self, tenant: TenantId, link: &Link) {
        self.remember(tenant, &Arc::new(link.clone()), self.0.clock.now(), true);
    }

    fn remember(&self, tenant: TenantId, link: &Arc<Link>, now: Timestamp, changed: bool) {
        if self.0.links.len() >= LINKS_MAX {
            self.0.links.retain(|_, known| known.until > now);
            // Still full: this one is looked up again next time. A change must be kept, or an old row would stand.
            if self.0.links.len() >= LINKS_MAX && !changed {
                return;
            }
        }
        let known = Known { tenant, link: link.clone(), until: now.plus_seconds(LINK_SECONDS) };
        self.0
            .links
            .entry(Arc::from(link.token.as_str()))
            .and_modify(|old| {
                if changed || old.until <= now {
                    *old = known.clone();
                }
            })
            .or_insert(known);
    }

    /// The tenant of a call; `None` when there is no such call.
    pub async fn tenant_of_call(&self, store: &Store, call: CallId) -> Result<Option<TenantId>> {
        if let Some(tenant) = self.0.tenants.get(&call) {
            return Ok(Some(*tenant));
        }
        let tenant = in_time(calls::tenant_of(store, call)).await?;
        if let Some(tenant) = tenant {
            self.call_joined(tenant, call);
        }
        Ok(tenant)
    }

    /// Notes whose a call is.
    pub fn call_joined(&self, tenant: TenantId, call: CallId) {
        if self.0.tenants.len() >= CALLS_MAX {
            // Starting over is cheaper than knowing which are oldest, and costs each live call one look-up.
            self.0.tenants.clear();
        }
        self.0.tenants.insert(call, tenant);
    }
}

/// The link with its status as of `now`: the only change that needs no statement is to expire.
fn current(link: &Arc<Link>, now: Timestamp) -> Arc<Link> {
    if link.status == LinkStatus::Active && link.expires_at.is_some_and(|at| at <= now) {
        Arc::new(Link { status: LinkStatus::Expired, ..Link::clone(link) })
    } else {
        link.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::domain::ids::{DepartmentId, LinkId};

    fn link(status: LinkStatus, expires_at: Option<Timestamp>) -> Link {
        Link {
            id: LinkId(Uuid::from_u128(1)),
            name: None,
            token: "t".to_owned(),
            status,
            department_id: DepartmentId(Uuid::from_u128(2)),
            department_name: "Support".to_owned(),
            customer_name: None,
            customer_email: None,
            customer_phone: None,
            expires_at,
            used_at: None,
            inserted_at: Timestamp::default(),
            single_use: false,
            max_uses: None,
            use_count: 0,
            priority: 0,
            required_skills: Vec::new(),
            customer_id: None,
            tag_ids: Vec::new(),
            custom_fields: Default::default(),
            call_id: None,
            due: None,
        }
    }

    #[test]
    fn a_cancelled_link_is_not_overruled_by_an_older_look_up() {
        let clock = Clock::manual(Timestamp::from_micros(1_000_000));
        let lookups = Lookups::new(clock.clone());
        let tenant = TenantId(Uuid::from_u128(3));
        let status = || lookups.0.links.get("t").map(|known| known.link.status);
        lookups.link_changed(tenant, &link(LinkStatus::Cancelled, None));
        lookups.remember(tenant, &Arc::new(link(LinkStatus::Active, None)), clock.now(), false);
        assert_eq!(status(), Some(LinkStatus::Cancelled));
        clock.advance(Duration::from_secs(LINK_SECONDS));
        lookups.remember(tenant, &Arc::new(link(LinkStatus::Active, None)), clock.now(), false);
        assert_eq!(status(), Some(LinkStatus::Active));
    }

    #[test]
    fn a_remembered_link_expires_on_time() {
        let at = Timestamp::from_micros(5_000_000);
        let active = Arc::new(link(LinkStatus::Active, Some(at)));
        assert_eq!(current(&active, Timestamp::from_micros(4_999_999)).status, LinkStatus::Active);
        assert_eq!(current(&active, at).status, LinkStatus::Expired);
    }
}
