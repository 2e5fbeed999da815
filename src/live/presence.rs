//! Owns the Phoenix presence map of one department: who is there, under one meta each, and the merged difference since it
//! was last told. Pure: it knows no clock and sends nothing; the tenant's actor flushes the difference.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::domain::ids::UserId;

/// Who is there. `M` is what is shown of each user: `{name, status, activity, pause_reason, held, since}`.
#[derive(Clone, Debug)]
pub struct Presence<M> {
    /// Sets the refs of this map apart from those of an earlier one that clients may still hold.
    incarnation: u64,
    next_ref: u64,
    present: BTreeMap<UserId, Entry<M>>,
    /// What clients were last told of each user touched since.
    told: BTreeMap<UserId, Option<Entry<M>>>,
}

/// The payload of `presence_state`, and each half of a difference: `{user_id: {metas: [{phx_ref, ...}]}}`.
pub type PresenceState<M> = BTreeMap<UserId, Entry<M>>;

/// One user's presence on the wire.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry<M> {
    /// Always exactly one.
    metas: [Meta<M>; 1],
}

/// What is shown of a user, under the ref by which clients merge differences.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Meta<M> {
    pub phx_ref: Arc<str>,
    /// The ref this one replaces, as Phoenix's own tracker says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phx_ref_prev: Option<Arc<str>>,
    #[serde(flatten)]
    pub shown: M,
}

/// The payload of `presence_diff`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PresenceDiff<M> {
    pub joins: PresenceState<M>,
    pub leaves: PresenceState<M>,
}

impl<M> Entry<M> {
    /// The one meta.
    pub fn meta(&self) -> &Meta<M> {
        let [meta] = &self.metas;
        meta
    }
}

impl<M: Clone + PartialEq> Presence<M> {
    /// An empty map. `incarnation` should differ from that of the map it replaces (an epoch, a start time).
    pub fn new(incarnation: u64) -> Self {
        Self { incarnation, next_ref: 0, present: BTreeMap::new(), told: BTreeMap::new() }
    }

    /// The user is there and shows this; new, changed or the same. Returns whether anything changed.
    pub fn track(&mut self, user: UserId, shown: M) -> bool {
        let before = self.present.get(&user);
        if before.is_some_and(|entry| entry.meta().shown == shown) {
            return false;
        }
        let phx_ref_prev = before.map(|entry| Arc::clone(&entry.meta().phx_ref));
        self.next_ref += 1;
        let phx_ref = Arc::from(format!("{:x}-{:x}", self.incarnation, self.next_ref));
        let before = self.present.insert(user, Entry { metas: [Meta { phx_ref, phx_ref_prev, shown }] });
        self.told.entry(user).or_insert(before);
        true
    }

    /// As [`Presence::track`], but only for a user who is there.
    pub fn update(&mut self, user: UserId, shown: M) -> bool {
        self.present.contains_key(&user) && self.track(user, shown)
    }

    /// The user is gone. Returns whether he was there.
    pub fn untrack(&mut self, user: UserId) -> bool {
        let Some(before) = self.present.remove(&user) else { return false };
        self.told.entry(user).or_insert(Some(before));
        true
    }

    /// Everybody who is there, for `presence_state`.
    pub fn state(&self) -> &PresenceState<M> {
        &self.present
    }

    /// Whether a user is there.
    pub fn contains(&self, user: UserId) -> bool {
        self.present.contains_key(&user)
    }

    /// How many are there.
    pub fn len(&self) -> usize {
        self.present.len()
    }

    /// Whether nobody is there.
    pub fn is_empty(&self) -> bool {
        self.present.is_empty()
    }

    /// Whether there is something to tell.
    pub fn has_changed(&self) -> bool {
        !self.told.is_empty()
    }

    /// What changed since this was last asked, merged: whoever came and went in between is not mentioned, and each user's
    /// changes are one leave of what clients hold and one join of what holds now.
    pub fn take_diff(&mut self) -> Option<PresenceDiff<M>> {
        let mut diff = PresenceDiff { joins: BTreeMap::new(), leaves: BTreeMap::new() };
        for (user, before) in std::mem::take(&mut self.told) {
            if let Some(entry) = self.present.get(&user) {
                diff.joins.insert(user, entry.clone());
            }
            if let Some(before) = before {
                diff.leaves.insert(user, before);
            }
        }
        let changed = !diff.joins.is_empty() || !diff.leaves.is_empty();
        changed.then_some(diff)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;
    use serde_json::json;
    use uuid::Uuid;

    #[derive(Clone, Debug, PartialEq, Serialize)]
    struct Shown {
        status: &'static str,
    }

    fn user(n: u128) -> UserId {
        UserId(Uuid::from_u128(n))
    }

    const AVAILABLE: Shown = Shown { status: "available" };
    const PAUSED: Shown = Shown { status: "paused" };

    #[test]
    fn state_and_diff_have_phoenix_shapes() {
        let mut presence = Presence::new(10);
        assert!(presence.track(user(1), AVAILABLE));
        let key = user(1).to_string();
        let entry = json!({"metas": [{"phx_ref": "a-1", "status": "available"}]});
        assert_eq!(serde_json::to_value(presence.state()).unwrap(), json!({ key.as_str(): entry }));
        assert_eq!(
            serde_json::to_value(presence.take_diff().unwrap()).unwrap(),
            json!({"joins": { key.as_str(): entry }, "leaves": {}})
        );
        assert!(presence.take_diff().is_none());
    }

    #[test]
    fn an_update_leaves_the_old_ref_and_joins_the_new_one() {
        let mut presence = Presence::new(10);
        presence.track(user(1), AVAILABLE);
        presence.take_diff();
        assert!(!presence.track(user(1), AVAILABLE), "the same again is no change");
        assert!(presence.take_diff().is_none());
        assert!(presence.update(user(1), PAUSED));
        assert!(!presence.update(user(2), PAUSED), "only those who are there");
        let diff = presence.take_diff().unwrap();
        let (left, joined) = (diff.leaves[&user(1)].meta(), diff.joins[&user(1)].meta());
        assert_eq!((&*left.phx_ref, left.shown.status), ("a-1", "available"));
        assert_eq!((&*joined.phx_ref, joined.shown.status), ("a-2", "paused"));
        assert_eq!(joined.phx_ref_prev.as_deref(), Some("a-1"));
    }

    #[test]
    fn changes_between_two_flushes_merge() {
        let mut presence = Presence::new(10);
        presence.track(user(1), AVAILABLE);
        presence.track(user(3), AVAILABLE);
        presence.take_diff();
        // Changes twice: clients hold a-1, and hear of the last one only.
        presence.update(user(1), PAUSED);
        presence.update(user(1), AVAILABLE);
        // Comes and goes: nobody needs to know.
        presence.track(user(2), AVAILABLE);
        assert!(presence.untrack(user(2)));
        assert!(!presence.untrack(user(2)));
        // Goes and comes back: one leave, one join.
        presence.untrack(user(3));
        presence.track(user(3), PAUSED);
        let diff = presence.take_diff().unwrap();
        assert_eq!(diff.leaves.keys().copied().collect::<Vec<_>>(), [user(1), user(3)]);
        assert_eq!(diff.joins.keys().copied().collect::<Vec<_>>(), [user(1), user(3)]);
        assert_eq!(&*diff.leaves[&user(1)].meta().phx_ref, "a-1");
        assert_eq!(diff.joins[&user(3)].meta().shown, PAUSED);
        assert!(!presence.has_changed());
    }
}
