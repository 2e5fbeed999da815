//! Owns the state of one queue and the indexes over it. Whoever changes a call calls [`Queue::reindex`] after it, and all
//! indexes agree again; nothing else edits them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::effect::Effect;
use super::exchange::{Staff, WithdrawReason};
use super::line::Line;
use super::positions::Announcer;
use super::recent::Recent;
use super::wait::{Estimate, HandleTimes, estimate};
use crate::domain::call::{CallSnapshot, OfferOutcome, Phase, Rank, Requirements};
use crate::domain::clock::Timestamp;
use crate::domain::department::Settings;
use crate::domain::ids::{CallId, DepartmentId, DeviceId, GrantId, LinkId, PickId, UserId};

/// An offer before an agent.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub grant: GrantId,
    pub user: UserId,
    pub user_name: Arc<str>,
    pub offered_at: Timestamp,
    pub expires_at: Timestamp,
    /// Nobody else could be offered this when it was made.
    pub alone: bool,
    /// Who stood before the call when it was offered, and why each was passed.
    pub passed: serde_json::Value,
}

/// A hand-pick waiting for its slot.
#[derive(Clone, Debug)]
pub(super) struct Pick {
    pub id: PickId,
    /// The agent who shall have the call, and who said so.
    pub user: UserId,
    pub by: UserId,
    pub until: Timestamp,
}

/// An open call: its persisted part and what lives only here.
#[derive(Clone, Debug)]
pub struct Call {
    pub(super) snapshot: CallSnapshot,
    pub(super) devices: Vec<DeviceId>,
    /// Whether the customer's device answers now.
    pub(super) present: bool,
    /// Present without a device until then: after a join or a poll.
    pub(super) present_until: Timestamp,
    /// While away: when the place is lost.
    pub(super) grace_until: Option<Timestamp>,
    /// Since when the wait limit is counted: the join, or the last return to the line.
    pub(super) wait_from: Timestamp,
    pub(super) offer: Option<Standing>,
    pub(super) picks: Vec<Pick>,
    /// While assigned: when the agent must have started.
    pub(super) start_by: Option<Timestamp>,
    /// While the agent's lease is gone: when the call goes back.
    pub(super) agent_lost_until: Option<Timestamp>,
    /// When the customer asked for another agent: asking again right after is the same wish, not a wish to leave.
    pub(super) asked_back_at: Option<Timestamp>,
    /// The position the customer was last told; 0 for none.
    pub(super) told_position: u32,
    /// Since when he could have been offered to somebody.
    pub(super) eligible_since: Timestamp,
    indexed: Indexed,
}

/// What the indexes say of a call now.
#[derive(Clone, Debug, Default)]
struct Indexed {
    in_line: bool,
    waiting: bool,
    offerable: Offerable,
    deadline: Option<Timestamp>,
}

/// Whom a call may be offered to now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Offerable {
    #[default]
    Nobody,
    /// To whoever has the skills.
    All,
    /// To the agent it is kept for.
    One,
}

/// One queue for agents within the queue: calls for one named agent, or for anyone with these skills.
pub(super) type Wanted = (Option<UserId>, Requirements);

impl Call {
    pub(super) fn new(snapshot: CallSnapshot, present_until: Timestamp, wait_from: Timestamp) -> Self {
        Self {
            snapshot,
            devices: Vec::new(),
            present: true,
            present_until,
            grace_until: None,
            wait_from,
            offer: None,
            picks: Vec::new(),
            start_by: None,
            agent_lost_until: None,
            asked_back_at: None,
            told_position: 0,
            eligible_since: wait_from,
            indexed: Indexed::default(),
        }
    }

    /// The persisted part as it is now.
    pub fn snapshot(&self) -> &CallSnapshot {
        &self.snapshot
    }

    /// Whether the customer's device answers now.
    pub fn is_present(&self) -> bool {
        self.present
    }

    /// What the machine does with the call now; unlike the record's, this one says `offered`.
    pub fn phase(&self) -> Phase {
        if self.offer.is_some() { Phase::Offered } else { self.snapshot.phase }
    }

    /// The standing offer's grant, and the agent it is before.
    pub fn offered_to(&self) -> Option<(GrantId, UserId)> {
        self.offer.as_ref().map(|offer| (offer.grant, offer.user))
    }

    /// Until when the customer waits for an agent who is away.
    pub fn agent_away_until(&self) -> Option<Timestamp> {
        self.agent_lost_until
    }

    pub(super) fn in_line(&self) -> bool {
        self.snapshot.phase == Phase::Waiting
    }

    /// The agent the call is kept for after a transfer, and until when.
    pub fn kept_for(&self) -> Option<(UserId, Timestamp)> {
        self.snapshot.transfer.as_ref().and_then(|transfer| transfer.kept_for())
    }

    /// Nobody is preferred any more.
    pub(super) fn open_to_all(&mut self) {
        if let Some(transfer) = &mut self.snapshot.transfer {
            transfer.kept_until_micros = None;
        }
    }

    pub(super) fn offerable(&self) -> Offerable {
        match (self.in_line() && self.offer.is_none() && self.present, self.kept_for()) {
            (false, _) => Offerable::Nobody,
            (true, None) => Offerable::All,
            (true, Some(_)) => Offerable::One,
        }
    }

    /// Where among the eligible it is listed. Whoever keeps a call for somebody chose him knowing his skills.
    pub(super) fn wanted(&self, offerable: Offerable) -> Option<Wanted> {
        match offerable {
            Offerable::Nobody => None,
            Offerable::All => Some((None, self.snapshot.requirements.clone())),
            Offerable::One => Some((self.snapshot.transfer.as_ref()?.to_user_id, Requirements::default())),
        }
    }

    pub(super) fn excludes(&self, user: UserId, now: Timestamp) -> bool {
        self.snapshot.exclusions.iter().any(|e| e.user_id == user && e.until_micros > now.micros())
    }

    /// When something about this call falls due; `None` only for an agent and a customer who are talking.
    pub(super) fn deadline(&self, settings: &Settings) -> Option<Timestamp> {
        let presence = if !self.present {
            self.grace_until
        } else if self.devices.is_empty() {
            Some(self.present_until)
        } else {
            None
        };
        let wait = match settings.max_wait_seconds {
            Some(seconds) if self.in_line() && self.offer.is_none() => {
                Some(self.wait_from.plus_seconds(u64::from(seconds)))
            }
            _ => None,
        };
        let kept = match self.kept_for() {
            Some((_, until)) if self.in_line() && self.offer.is_none() => Some(until),
            _ => None,
        };
        let exclusion = if self.in_line() {
            self.snapshot.exclusions.iter().map(|e| Timestamp::from_micros(e.until_micros)).min()
        } else {
            None
        };
        [
            presence,
            wait,
            kept,
            exclusion,
            self.offer.as_ref().map(|o| o.expires_at),
            self.picks.iter().map(|p| p.until).min(),
            self.start_by,
            self.agent_lost_until,
        ]
        .into_iter()
        .flatten()
        .min()
    }
}

/// One department's line, offers and calls. See the module's contract in `queue/mod.rs`.
#[derive(Clone, Debug)]
pub struct Queue {
    pub(super) settings: Settings,
    pub(super) now: Timestamp,
    /// `joined_at` never runs back within a tenant: the next one is at least this.
    pub(super) joined_floor: Timestamp,
    pub(super) calls: HashMap<CallId, Box<Call>>,
    /// Waiting and offered calls, in order.
    pub(super) line: Line,
    /// Calls in line without an offer.
    pub(super) waiting: BTreeMap<Rank, CallId>,
    /// Those of them whose customer is present, by what they require.
    pub(super) eligible: BTreeMap<Wanted, BTreeMap<Rank, CallId>>,
    /// When those in line joined, oldest first.
    pub(super) arrivals: BTreeSet<(Timestamp, i64)>,
    /// The call each grant stands before or runs.
    pub(super) grants: BTreeMap<GrantId, CallId>,
    pub(super) picks: BTreeMap<PickId, CallId>,
    pub(super) deadlines: BTreeSet<(Timestamp, CallId)>,
    pub(super) join_keys: HashMap<(LinkId, Arc<str>), CallId>,
    /// Ended calls, and who ended each.
    pub(super) ended: Recent<CallId, (Arc<CallSnapshot>, Option<UserId>)>,
    /// Links cancelled lately: a join that was on its way meanwhile comes too late.
    pub(super) cancelled_links: Recent<LinkId, ()>,
    /// Calls given to another department lately: which, and at what version.
    pub(super) moved: Recent<CallId, (DepartmentId, i64)>,
    /// The keys they were joined with.
    pub(super) moved_keys: Recent<(LinkId, Arc<str>), CallId>,
    /// How often links with a bound were used when they were used last, joins counted that nobody can have read yet.
    pub(super) used_links: Recent<LinkId, u32>,
    pub(super) outcomes: Recent<GrantId, (UserId, OfferOutcome, Option<WithdrawReason>)>,
    pub(super) demand_version: u64,
    pub(super) grants_seen: u64,
    pub(super) demand_changed: bool,
    pub(super) frozen_since: Option<Timestamp>,
    pub(super) staff: Staff,
    pub(super) handle_times: HandleTimes,
    pub(super) announcer: Announcer,
    pub(super) out: Vec<Effect>,
}

impl Queue {
    /// An empty queue.
    pub fn new(settings: Settings, now: Timestamp) -> Self {
        Self {
            settings,
            now,
            joined_floor: now,
            calls: HashMap::new(),
            line: Line::default(),
            waiting: BTreeMap::new(),
            eligible: BTreeMap::new(),
            arrivals: BTreeSet::new(),
            grants: BTreeMap::new(),
            picks: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            join_keys: HashMap::new(),
            ended: Recent::new(),
            cancelled_links: Recent::new(),
            moved: Recent::new(),
            moved_keys: Recent::new(),
            used_links: Recent::new(),
            outcomes: Recent::new(),
            demand_version: 0,
            grants_seen: 0,
            demand_changed: true,
            frozen_since: None,
            staff: Staff::default(),
            handle_times: HandleTimes::default(),
            announcer: Announcer::default(),
            out: Vec::new(),
        }
    }

    /// When `Tick` must be applied next; valid until the next `apply`.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let announce = self.announcer.next_due();
        if self.frozen_since.is_some() {
            return announce;
        }
        let call = self.deadlines.first().map(|(at, _)| *at);
        match (call, announce) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// An open call.
    pub fn call(&self, id: CallId) -> Option<&Call> {
        self.calls.get(&id).map(|call| &**call)
    }

    /// Open calls, in no particular order.
    pub fn open_calls(&self) -> impl Iterator<Item = &Call> {
        self.calls.values().map(|call| &**call)
    }

    /// How many calls are in line, offered ones included.
    pub fn queue_size(&self) -> u32 {
        self.line.len()
    }

    /// Whether nothing is open and nothing will fall due.
    pub fn is_idle(&self) -> bool {
        self.calls.is_empty()
    }

    /// The settings obeyed now.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether Postgres is away.
    pub fn is_frozen(&self) -> bool {
        self.frozen_since.is_some()
    }

    /// The agents of this department in numbers, as the roster last said.
    pub fn staff(&self) -> Staff {
        self.staff
    }

    /// A call's position from 1; `None` once it is not in line.
    pub fn position(&self, id: CallId) -> Option<u32> {
        let call = self.calls.get(&id)?;
        call.in_line().then(|| self.line.position(call.snapshot.rank())).flatten()
    }

    /// The department a call was given to that was here lately and is no more.
    pub fn moved_to(&self, id: CallId) -> Option<DepartmentId> {
        let (department, _) = self.moved.get(&id)?;
        let gone = !self.calls.contains_key(&id) && self.ended.get(&id).is_none();
        gone.then_some(*department)
    }

    /// The call a grant stands before or runs.
    pub fn call_of(&self, grant: GrantId) -> Option<CallId> {
        self.grants.get(&grant).copied()
    }

    /// The call whose deadline is next.
    pub fn next_due(&self) -> Option<CallId> {
        self.deadlines.first().map(|(_, call)| *call)
    }

    /// The wait to expect at a position.
    pub fn estimate_at(&self, position: u32) -> Estimate {
        // One's own wait so far says nothing of the wait to come.
        let ahead = if position > 1 { self.arrivals.first() } else { None };
        let head = ahead.map(|(joined, _)| self.now.since(*joined).as_secs());
        estimate(position, self.staff.available, self.staff.serving_slots, self.handle_times.mean_seconds(), head)
    }

    /// The call still open that was joined with this key.
    pub fn by_join_key(&self, link: LinkId, key: &Arc<str>) -> Option<CallId> {
        self.join_keys.get(&(link, key.clone())).copied()
    }

    /// Brings every index in line with the call as it is now; a call that has ended leaves them all.
    pub(super) fn reindex(&mut self, id: CallId) {
        let Some(call) = self.calls.get(&id) else { return };
        let open = call.snapshot.phase != Phase::Ended;
        let new = Indexed {
            in_line: call.in_line(),
            waiting: call.in_line() && call.offer.is_none(),
            offerable: call.offerable(),
            deadline: if open { call.deadline(&self.settings) } else { None },
        };
        self.index(id, new);
    }

    /// Takes a call that goes elsewhere out of every index.
    pub(super) fn unindex(&mut self, id: CallId) {
        self.index(id, Indexed::default());
    }

    fn index(&mut self, id: CallId, new: Indexed) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let rank = call.snapshot.rank();
        let old = std::mem::replace(&mut call.indexed, new.clone());
        let joined = call.snapshot.joined_at;
        if old.in_line != new.in_line {
            if new.in_line {
                self.line.insert(rank, id);
                self.arrivals.insert((joined, rank.number));
                self.announcer.changed_from(self.line.before(rank) + 1);
            } else {
                self.announcer.changed_from(self.line.before(rank) + 1);
                self.line.remove(rank);
                self.arrivals.remove(&(joined, rank.number));
            }
        }
        if old.waiting != new.waiting {
            if new.waiting {
                self.waiting.insert(rank, id);
            } else {
                self.waiting.remove(&rank);
            }
        }
        if old.offerable != new.offerable {
            self.demand_changed = true;
            if let Some(wanted) = call.wanted(old.offerable)
                && let Some(set) = self.eligible.get_mut(&wanted)
            {
                set.remove(&rank);
                if set.is_empty() {
                    self.eligible.remove(&wanted);
                }
            }
            if let Some(wanted) = call.wanted(new.offerable) {
                call.eligible_since = self.now;
                // Somebody became offerable: hand-backs made before this say nothing any more.
                self.demand_version += 1;
                self.eligible.entry(wanted).or_default().insert(rank, id);
            }
        }
        if old.deadline != new.deadline {
            if let Some(at) = old.deadline {
                self.deadlines.remove(&(at, id));
            }
            if let Some(at) = new.deadline {
                self.deadlines.insert((at, id));
            }
        }
    }

    /// What the indexes hold of a call: (in line, waiting, offerable, deadline). For the invariants only.
    pub(super) fn indexed(call: &Call) -> (bool, bool, Offerable, Option<Timestamp>) {
        (call.indexed.in_line, call.indexed.waiting, call.indexed.offerable, call.indexed.deadline)
    }
}
