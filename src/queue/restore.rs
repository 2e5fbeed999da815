//! Owns how a queue comes back from the record: ordinary code whose effects are what must be done again.

use super::effect::Effect;
use super::exchange::{HeldGrant, ToRoster};
use super::state::{Call, Queue};
use crate::domain::call::{CallSnapshot, Phase};
use crate::domain::clock::Timestamp;
use crate::domain::department::Settings;

/// What the record holds of one queue.
#[derive(Clone, Debug)]
pub struct Restored {
    pub settings: Settings,
    /// Open calls, in any order.
    pub calls: Vec<CallSnapshot>,
    /// How long recent handled calls kept a slot busy, oldest first.
    pub handle_seconds: Vec<i64>,
    /// The latest join of the tenant: no later one may be earlier.
    pub joined_floor: Option<Timestamp>,
    /// Since when nobody served this queue; its deadlines are moved by the gap.
    pub served_until: Option<Timestamp>,
}

impl Queue {
    /// Rebuilds a queue. Customers count as away until a device comes back, with their full grace; no deadline ran while
    /// nobody served them.
    pub fn restore(restored: Restored, now: Timestamp) -> (Queue, Vec<Effect>) {
        let mut queue = Queue::new(restored.settings, now);
        queue.joined_floor = restored.joined_floor.unwrap_or(now).max(now);
        for seconds in restored.handle_seconds {
            queue.handle_times.note(seconds as f64);
        }
        let gap = restored.served_until.map(|until| now.since(until)).unwrap_or_default();
        let grace = u64::from(queue.settings.reconnect_grace_seconds);
        let mut held = Vec::new();
        for mut snapshot in restored.calls {
            if snapshot.phase == Phase::Ended {
                continue;
            }
            if snapshot.phase == Phase::Offered {
                snapshot.phase = Phase::Waiting;
            }
            snapshot.put_off(gap);
            // Whether a device came is not written by itself, so the benefit of the doubt is the customer's.
            snapshot.connected = true;
            let id = snapshot.id;
            if let (Some(link), Some(key)) = (snapshot.link_id, &snapshot.join_key) {
                queue.join_keys.insert((link, key.clone()), id);
            }
            let waited_from = match (snapshot.accepted_at, &snapshot.transfer) {
                (Some(_), _) => snapshot.changed_at,
                (None, Some(transfer)) => transfer.at(),
                (None, None) => snapshot.joined_at,
            };
            let mut call = Call::new(snapshot, now, waited_from + gap);
            call.present = false;
            call.grace_until = Some(now.plus_seconds(grace));
            if let (Phase::Assigned | Phase::Active, Some(grant), Some(user)) =
                (call.snapshot.phase, call.snapshot.grant_id, call.snapshot.user_id)
            {
                if call.snapshot.phase == Phase::Assigned {
                    let at = call
                        .snapshot
                        .assigned_at
                        .unwrap_or(now)
                        .plus_seconds(queue.settings.rules.start_timeout_seconds)
                        + gap;
                    call.start_by = Some(at.max(now.plus_seconds(queue.settings.rules.assigned_return_seconds)));
                }
                queue.grants.insert(grant, id);
                held.push(HeldGrant { grant, user, call: id });
            }
            queue.calls.insert(id, Box::new(call));
            queue.keep_waiting_for_a_grace(id);
            queue.reindex(id);
        }
        held.sort_by_key(|held| held.grant);
        queue.out.push(Effect::Roster(ToRoster::Holds(held)));
        queue.demand_changed = true;
        queue.settle();
        let effects = std::mem::take(&mut queue.out);
        (queue, effects)
    }
}
