//! Owns what the checks remember between commands: offers and their outcomes, what was acknowledged, how long each
//! department was served. It looks at every command of a queue before and after, and at every reply.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use vez::domain::call::{EndReason, Phase, Rank};
use vez::domain::clock::Timestamp;
use vez::domain::ids::{CallId, DepartmentId, GrantId, UserId};
use vez::domain::record::{Entry, RecordEvent};
use vez::queue::event::{ReturnReason, Said, Settled};
use vez::queue::exchange::{ToQueue, ToRoster};
use vez::queue::{Applied, Command, Effect, Queue, Reply};

use crate::checks::{Broken, ensure, place_by_the_rules, same_call};
use crate::clients::{Asked, Request};
use crate::shells::{Answer, DeskState};
use crate::world::{GRACE_SECONDS_MIN, MAX_WAIT_SECONDS_MIN, World};

/// Who refused a call is not asked again for five seconds at least, less what the machine's clock may have been set back
/// by over a restart.
const EXCLUDED_MICROS: i64 = 1_000_000;

/// What one offer has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Standing,
    Over,
}

#[derive(Clone, Debug)]
pub struct Offered {
    pub department: DepartmentId,
    pub fate: Fate,
    /// It was made of no offer: a hand-pick.
    pub picked: bool,
    /// Who stood before the call without an offer when it was made, and the reasons that were true of each.
    passed: Vec<(CallId, &'static str)>,
}

/// What the checks remember of one tenant.
#[derive(Debug, Default)]
pub struct Books {
    pub offers: BTreeMap<GrantId, Offered>,
    /// The newest version of each call somebody was told of, and its place.
    pub acknowledged: BTreeMap<CallId, (i64, Rank)>,
    last_join: Timestamp,
    numbers: BTreeSet<i64>,
    /// How long each department was served, over all lives, in microseconds.
    pub served: BTreeMap<DepartmentId, i64>,
    /// The served time of each call's join, its last sign of life, and its restores since the join.
    pub signs: BTreeMap<CallId, Sign>,
    pub slots: BTreeMap<UserId, usize>,
    /// The served time when an agent last refused a call.
    refused: BTreeMap<(CallId, UserId), i64>,
    /// The same, written or not: a refusal that a crash took back is none.
    refusing: BTreeMap<(CallId, UserId), i64>,
    /// The place each customer was last told.
    pub told: BTreeMap<CallId, u32>,
    /// The served time of each department's last change of settings.
    configured: BTreeMap<DepartmentId, i64>,
    /// Calls that the record has in another department, whose queue does not know it yet.
    pub on_their_way: BTreeSet<CallId>,
    /// How long before it went a call showed a sign of life, and when it went.
    moving: BTreeMap<CallId, (i64, Timestamp)>,
    /// When the appointments of those who joined with one were due.
    pub due: BTreeMap<CallId, Timestamp>,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Sign {
    joined: i64,
    pub seen: i64,
    pub restored: i64,
    pub restores: u32,
}

/// What a queue was like before a command.
pub struct Before {
    earlier: Vec<(Rank, CallId, &'static str)>,
    picked: bool,
    sign_of: Option<CallId>,
    story: Option<String>,
    grants: usize,
    configures: bool,
}

/// What a roster was like before a command.
pub struct BeforeRoster {
    recorded: Option<(UserId, i64)>,
}

fn story(queue: &Queue) -> String {
    let calls: BTreeMap<CallId, String> =
        queue.open_calls().map(|call| (call.snapshot().id, format!("{call:?}"))).collect();
    format!("{calls:?} {:?} {:?} {}", queue.demand(), queue.next_deadline(), queue.queue_size())
}

impl World {
    /// Looks at a queue before a command.
    pub fn before_queue(&mut self, tenant: usize, department: DepartmentId, command: &Command) -> Before {
        let sampled = self.dice.chance(30);
        let now = self.clock();
        if let Command::Join(new) = command {
            self.tenants[tenant].books.due.extend(new.due_at.map(|due| (new.id, due)));
        }
        let Some(shell) = self.queue(tenant, department) else { unreachable!("asked only of living queues") };
        let queue = &shell.queue;
        let mut before =
            Before { earlier: Vec::new(), picked: false, sign_of: None, story: None, grants: 0, configures: false };
        match command {
            Command::Roster(ToQueue::Grant(grant)) => {
                before.grants = 1;
                before.picked = grant.pick.is_some();
                before.earlier = queue
                    .open_calls()
                    .filter(|call| call.phase() == Phase::Waiting)
                    .map(|call| {
                        let snapshot = call.snapshot();
                        let kept = call.kept_for().is_some_and(|(user, _)| user != grant.user);
                        let excluded = snapshot
                            .exclusions
                            .iter()
                            .any(|e| e.user_id == grant.user && e.until_micros > now.micros());
                        let reason = if !call.is_present() {
                            "away"
                        } else if excluded {
                            "excluded"
                        } else if !snapshot.requirements.iter().all(|skill| grant.skills.contains(skill)) {
                            "skill"
                        } else if kept {
                            // For somebody else, as if he had picked it.
                            "picked"
                        } else {
                            "none"
                        };
                        (place_by_the_rules(snapshot, &self.tenants[tenant].books.due), snapshot.id, reason)
                    })
                    .collect();
            }
            Command::Attach { call, .. } | Command::Detach { call, .. } | Command::Poll { call } => {
                // Whoever is away already shows nothing by going once more.
                let goes = matches!(command, Command::Detach { .. });
                let present = queue.call(*call).is_some_and(|call| call.is_present());
                before.sign_of = (!goes || present).then_some(*call);
            }
            Command::Configure(_) => before.configures = true,
            Command::Tick | Command::Roster(_) | Command::Freeze | Command::Thaw => {}
            _ if sampled => before.story = Some(story(queue)),
            _ => {}
        }
        before
    }

    /// A rejection changes nothing.
    pub fn after_rejection(&mut self, tenant: usize, department: DepartmentId, before: &Before) -> Result<(), Broken> {
        if let (Some(story_before), Some(shell)) = (&before.story, self.queue(tenant, department)) {
            let now = story(&shell.queue);
            ensure(*story_before == now, "a_rejection_changes_nothing", || format!("{story_before}\n{now}"))?;
        }
        Ok(())
    }

    /// Looks at what a queue did.
    pub fn after_queue(
        &mut self,
        tenant: usize,
        department: DepartmentId,
        before: &Before,
        applied: &Applied,
    ) -> Result<(), Broken> {
        let now = self.clock();
        let this = &mut self.tenants[tenant];
        let Some(DeskState::Up(shell)) = this.desks.get_mut(&department) else { return Ok(()) };
        let books = &mut this.books;
        let served = books.served.entry(department).or_default();
        *served += std::mem::take(&mut shell.served);
        let served = *served;
        if let Some(call) = before.sign_of
            && let Some(sign) = books.signs.get_mut(&call)
        {
            sign.seen = served;
        }
        if let Reply::Joined { call, .. } = &applied.reply
            && let Some(sign) = books.signs.get_mut(&call.id)
        {
            sign.seen = served;
        }
        if let Reply::Joined { call, position, .. } = &applied.reply {
            books.told.extend(position.map(|position| (call.id, position)));
        }
        if before.configures {
            books.configured.insert(department, served);
        }
        let mut demands = 0;
        for effect in &applied.effects {
            match effect {
                Effect::Say(Said::Offered { call, grant, user, .. }) => {
                    let refused = books.refused.get(&(*call, *user)).copied();
                    ensure(
                        refused.is_none_or(|at| served - at >= EXCLUDED_MICROS),
                        "who_refused_is_not_asked_again",
                        || format!("{call:?} to {user:?}, who refused at {refused:?}, now {served}"),
                    )?;
                    let rank = shell.queue.call(*call).map(|call| place_by_the_rules(call.snapshot(), &books.due));
                    // It may have ended within the same command.
                    let Some(rank) = rank else { continue };
                    let kept = shell.queue.call(*call).and_then(|call| call.kept_for());
                    let kept = kept.is_some_and(|(meant, _)| meant == *user);
                    let earlier = before.earlier.iter().filter(|(other, ..)| *other < rank);
                    let reason = |reason: &'static str| if kept { "picked" } else { reason };
                    let passed: Vec<_> = earlier.map(|(_, id, why)| (*id, reason(why))).collect();
                    ensure(
                        passed.iter().all(|(_, reason)| *reason != "none"),
                        "nobody_is_passed_without_a_reason",
                        || format!("{call:?} before {passed:?}"),
                    )?;
                    let offered = Offered { department, fate: Fate::Standing, picked: false, passed };
                    let known = books.offers.insert(*grant, offered);
                    ensure(known.is_none(), "a_grant_is_offered_once", || format!("{grant:?}"))?;
                }
                Effect::Record { entry, settled } => {
                    for event in &entry.events {
                        if let Some(pair) = refusal(event) {
                            books.refusing.insert(pair, served);
                        }
                        if let Some(offer) = event.data.get("offer_id") {
                            books.outcome(department, before, event.kind, offer, &event.data)?;
                        }
                    }
                    books.change(settled, served)?;
                    if let Settled::Transferred { call, .. } = settled {
                        let seen = books.signs.get(&call.id).map_or(served, |sign| sign.seen);
                        books.moving.insert(call.id, (served - seen, now));
                    }
                    if let Some(transfer) = settled.call().transfer.as_ref().filter(|it| it.at_micros == now.micros()) {
                        // Each department counts its own served time, and whoever is named is asked again at once.
                        let (call, moves) = (settled.call(), matches!(settled, Settled::Transferred { .. }));
                        let stays = |(id, user): &(CallId, UserId)| {
                            *id != call.id || !(moves || Some(*user) == transfer.to_user_id)
                        };
                        books.refused.retain(|pair, _| stays(pair));
                        books.refusing.retain(|pair, _| stays(pair));
                    }
                    if let Settled::Returned { call, .. } = settled {
                        // `call_returned_to_queue` tells the place.
                        books.told.extend(shell.queue.position(call.id).map(|position| (call.id, position)));
                    }
                }
                Effect::Tell(Settled::Adopted(call)) => {
                    books.told.extend(shell.queue.position(call.id).map(|position| (call.id, position)));
                    let (lag, left) = books.moving.remove(&call.id).unwrap_or((0, now));
                    let on_the_way = now.micros() - left.micros();
                    let sign = books.signs.entry(call.id).or_default();
                    *sign = Sign { joined: served - on_the_way, seen: served - lag - on_the_way, ..Sign::default() };
                }
                Effect::Roster(ToRoster::Demand(_)) => demands += 1,
                Effect::Say(Said::Position { call, position, .. }) => {
                    books.told.insert(*call, *position);
                }
                _ => {}
            }
        }
        ensure(demands <= 1, "one_demand_per_command", || format!("{:?}", applied.effects))?;
        ensure(before.grants == 0 || demands == 1, "a_grant_is_answered_with_a_demand", || {
            format!("{:?}", applied.effects)
        })
    }

    /// A reply promises only what is in the record.
    pub fn check_answer(&mut self, tenant: usize, request: &Request, answer: &Answer) -> Result<(), Broken> {
        let this = &mut self.tenants[tenant];
        let call = match answer {
            Answer::Queue(Ok(Reply::Joined { call, .. } | Reply::Call(call))) => Some(call),
            _ => None,
        };
        if let Some(call) = call {
            let row = this.store.calls.get(&call.id);
            let written = row.is_some_and(|row| row.version > call.version || same_call(row, call));
            ensure(written, "acknowledged_means_recorded", || format!("{request:?}: {call:?}\nrecord: {row:?}"))?;
            let known = this.books.acknowledged.entry(call.id).or_insert((0, call.rank()));
            known.0 = known.0.max(call.version);
            ensure(known.1 == call.rank(), "acknowledged_places_keep_their_order", || format!("{call:?}"))?;
        }
        match (&request.asked, answer) {
            (Asked::Accept(user), Answer::Queue(Ok(Reply::Call(call)))) => {
                ensure(call.user_id == Some(*user), "an_accepted_call_is_his", || format!("{call:?}"))?;
            }
            (Asked::Start(_, id), Answer::Queue(Ok(_))) => {
                let row = this.store.calls.get(id);
                ensure(row.is_some_and(|row| row.started_at.is_some()), "acknowledged_means_recorded", || {
                    format!("started: {row:?}")
                })?;
            }
            (Asked::Pick(user), Answer::Pick(Ok(id))) => {
                let taken = this.store.calls.get(id).is_some_and(|row| row.version > 1);
                ensure(taken, "acknowledged_means_recorded", || format!("picked by {user:?}: {id:?}"))?;
            }
            (Asked::Join(new), Answer::Queue(Ok(Reply::Joined { call, .. }))) => {
                let mine =
                    this.store.calls.values().filter(|row| {
                        new.join_key.is_some() && row.join_key == new.join_key && row.phase != Phase::Ended
                    });
                let mine: Vec<CallId> = mine.map(|row| row.id).collect();
                ensure(mine.len() <= 1, "one_key_is_one_open_call", || format!("{call:?} {mine:?}"))?;
            }
            _ => {}
        }
        if let (Answer::Roster(Ok(version)), Asked::Agent(user)) = (answer, &request.asked) {
            let row = this.store.agents.get(user);
            let written = row.map_or(0, |row| row.version) >= *version;
            ensure(written, "acknowledged_means_recorded", || format!("{request:?}: {version}, record: {row:?}"))?;
        }
        Ok(())
    }

    pub fn before_roster(&self, tenant: usize, command: &vez::roster::Command) -> BeforeRoster {
        let user = match command {
            vez::roster::Command::SetStatus { user, .. } | vez::roster::Command::WrapUpExtend { user, .. } => {
                Some(*user)
            }
            _ => None,
        };
        let shell = self.tenants[tenant].roster.as_ref();
        let recorded = user.and_then(|user| Some((user, self.version(shell?.roster.agent(user)?))));
        BeforeRoster { recorded }
    }

    fn version(&self, agent: &vez::roster::state::Agent) -> i64 {
        agent.snapshot(self.clock()).version
    }

    /// A change of an agent's facts that somebody asked for is written down.
    pub fn after_roster(&mut self, tenant: usize, before: BeforeRoster) -> Result<i64, Broken> {
        let Some((user, version)) = before.recorded else { return Ok(0) };
        let shell = self.tenants[tenant].roster.as_ref();
        let now = shell.and_then(|shell| shell.roster.agent(user)).map_or(0, |agent| self.version(agent));
        ensure(now > version, "acknowledged_means_recorded", || format!("{user:?} was changed and not recorded"))?;
        Ok(now)
    }
}

/// Who refused which call, if the event says so.
fn refusal(event: &RecordEvent) -> Option<(CallId, UserId)> {
    let refused = matches!(event.kind, "offer_declined" | "offer_timed_out" | "call_returned");
    if refused { event.call_id.zip(event.user_id) } else { None }
}

impl Books {
    /// Exclusions were moved by the outage, and only their queue knows: its next life may ask again early.
    pub fn forget_refusals(&mut self) {
        self.refused.clear();
        self.refusing.clear();
    }

    /// An entry is in the record.
    pub fn committed(&mut self, entry: &Entry) {
        for pair in entry.events.iter().filter_map(refusal) {
            self.refused.extend(self.refusing.get(&pair).map(|at| (pair, *at)));
        }
    }

    pub fn forget_lost_joins(&mut self, last: Option<Timestamp>) {
        self.last_join = last.unwrap_or_default();
    }

    /// What the record says an agent has, he has; only from there on his slots may not grow beyond his capacity.
    pub fn forget_slots(&mut self, roster: &vez::roster::Roster) {
        self.slots = roster.agents().map(|agent| (agent.profile().user_id, agent.slots().len())).collect();
    }

    fn outcome(
        &mut self,
        department: DepartmentId,
        before: &Before,
        kind: &str,
        offer: &Value,
        data: &Value,
    ) -> Result<(), Broken> {
        let Ok(grant) = serde_json::from_value::<GrantId>(offer.clone()) else {
            return ensure(false, "events_name_their_offer", || format!("{data}"));
        };
        let passed = match self.offers.get_mut(&grant) {
            Some(known) => {
                ensure(known.fate == Fate::Standing, "one_offer_one_outcome", || format!("{kind} {data}"))?;
                known.fate = Fate::Over;
                known.passed.clone()
            }
            None => {
                ensure(before.picked && kind == "call_assigned", "one_offer_one_outcome", || format!("{kind} {data}"))?;
                self.offers.insert(grant, Offered { department, fate: Fate::Over, picked: true, passed: Vec::new() });
                return Ok(());
            }
        };
        let listed = data["passed"]["calls"].as_array().cloned().unwrap_or_default();
        let told: BTreeMap<CallId, String> = listed
            .iter()
            .filter_map(|one| {
                let id = serde_json::from_value::<CallId>(one["call_id"].clone()).ok()?;
                Some((id, one["reason"].as_str()?.to_string()))
            })
            .collect();
        let same = told.len() == passed.len()
            && passed.iter().all(|(id, reason)| told.get(id).is_some_and(|told| told == reason));
        ensure(same, "every_passing_has_its_reason", || format!("{passed:?} was told as {told:?}"))
    }

    fn change(&mut self, settled: &Settled, served: i64) -> Result<(), Broken> {
        let call = settled.call();
        match settled {
            Settled::Joined(_) => {
                ensure(call.joined_at >= self.last_join, "joins_never_run_back", || {
                    format!("{:?} after {:?}", call.joined_at, self.last_join)
                })?;
                self.last_join = call.joined_at;
                ensure(self.numbers.insert(call.number), "numbers_are_unique", || format!("{}", call.number))?;
                self.signs.insert(call.id, Sign { joined: served, seen: served, ..Sign::default() });
            }
            Settled::Ended(_) => {
                let sign = self.signs.get(&call.id).copied().unwrap_or_default();
                let grace = i64::from(GRACE_SECONDS_MIN) * 1_000_000;
                let fair = match call.end_reason {
                    Some(EndReason::Abandoned | EndReason::NeverConnected | EndReason::CustomerLost) => {
                        served - sign.seen >= grace
                    }
                    Some(EndReason::TimedOut) => {
                        let most = i64::from(MAX_WAIT_SECONDS_MIN) * 1_000_000;
                        // Of more than one gap only the last is known; the grace after it is what remains sure.
                        let since = served - sign.restored;
                        let moved = self.configured.get(&call.department_id).is_some_and(|at| *at >= sign.restored);
                        served - sign.joined >= most || (sign.restores > 0 && (since >= grace || moved))
                    }
                    _ => true,
                };
                ensure(fair, "nobody_is_ended_while_not_served", || format!("served {served} {sign:?}: {call:?}"))?;
            }
            Settled::Returned { reason: ReturnReason::NotStarted, .. } => {
                let sign = self.signs.get(&call.id).copied().unwrap_or_default();
                ensure(
                    served - sign.restored >= 14_000_000 || sign.restores == 0,
                    "nobody_is_ended_while_not_served",
                    || format!("served {served} {sign:?}: {call:?}"),
                )?;
            }
            _ => {}
        }
        Ok(())
    }
}
