//! Owns the stage of a company: a roster and its queues, whose messages are delivered at once and in order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::domain::agent::{AgentSnapshot, AgentStatus, Intent};
use crate::domain::call::{CallSnapshot, Caller, Phase};
use crate::domain::clock::Timestamp;
use crate::domain::department::{RoutingStrategy, Settings};
use crate::domain::ids::{CallId, DepartmentId, GrantId, UserId};
use crate::domain::role::Role;
use crate::domain::rules::Rules;
use crate::queue::event::{Said as QueueSaid, Settled};
use crate::queue::exchange::{Envelope, Handover, ToQueue, ToRoster};
use crate::queue::restore::Restored;
use crate::queue::tests::story::{after, at, id, seconds, skills};
use crate::queue::{self, NewCall, Queue};
use crate::roster::effect::{PlannedWrapUp, RestoredAgent, RestoredCall, Said, StatusCause, Supervisor};
use crate::roster::state::Profile;
use crate::roster::{Command, Effect, Reply, Roster, invariants};

/// Messages of one line of a story; more is a ping-pong without end.
const MESSAGES_MAX: usize = 200;

/// A message on its way.
pub(super) enum Mail {
    ToRoster(DepartmentId, Envelope<ToRoster>),
    ToQueue(DepartmentId, Envelope<ToQueue>),
    /// From one queue to another.
    Handover(Box<Handover>),
}

/// A queue and how far its messages have come.
pub(super) struct Desk {
    pub queue: Queue,
    pub incarnation: u64,
    sent: u64,
}

/// A roster, its queues, and who is who.
pub(super) struct Company {
    pub roster: Roster,
    pub(super) desks: BTreeMap<DepartmentId, Desk>,
    settings: BTreeMap<DepartmentId, Settings>,
    profiles: BTreeMap<UserId, Profile>,
    pub(super) now: Timestamp,
    pub(super) names: BTreeMap<uuid::Uuid, String>,
    pub(super) homes: BTreeMap<CallId, DepartmentId>,
    offers: BTreeMap<UserId, VecDeque<(GrantId, DepartmentId)>>,
    rows: BTreeMap<CallId, Arc<CallSnapshot>>,
    agents: BTreeMap<UserId, Arc<AgentSnapshot>>,
    pub(super) mail: VecDeque<Mail>,
    /// Whether messages wait: what a dead queue said last may never be heard.
    pub(super) holds_mail: bool,
    pub(super) number: i64,
    grants: u128,
    incarnations: u64,
    pub(super) plan: Option<u32>,
    pub(super) seen: Vec<String>,
}

/// Tells a story of a company that begins with nobody.
pub(super) fn tell(story: &str) {
    crate::queue::tests::story::tell(&mut Company::new(), story);
}

impl Company {
    fn new() -> Self {
        Self {
            roster: Roster::new(at(0.0), None),
            desks: BTreeMap::new(),
            settings: BTreeMap::new(),
            profiles: BTreeMap::new(),
            now: at(0.0),
            names: BTreeMap::new(),
            homes: BTreeMap::new(),
            offers: BTreeMap::new(),
            rows: BTreeMap::new(),
            agents: BTreeMap::new(),
            mail: VecDeque::new(),
            holds_mail: false,
            number: 0,
            grants: 0,
            incarnations: 0,
            plan: None,
            seen: Vec::new(),
        }
    }

    fn named<T: From<uuid::Uuid>>(&mut self, name: &str) -> T {
        self.names.insert(id(name), name.to_string());
        id(name)
    }

    fn name(&self, id: uuid::Uuid) -> String {
        self.names.get(&id).cloned().unwrap_or_else(|| "nobody".into())
    }

    pub(super) fn roster(&mut self, command: Command) {
        self.roster_now(command);
        self.deliver();
    }

    fn roster_now(&mut self, command: Command) {
        let mut grants = self.grants;
        let mut new_grant = || {
            grants += 1;
            GrantId(uuid::Uuid::from_u128(grants))
        };
        let outcome = self.roster.apply(self.now, command, &mut new_grant);
        self.grants = grants;
        match outcome {
            Ok(applied) => {
                if let Reply::WrapUp(until) = applied.reply {
                    self.seen.push(format!("until {}", seconds(until)));
                }
                for effect in applied.effects {
                    self.roster_did(effect);
                }
            }
            Err(rejection) => self.seen.push(format!("no: {}", rejection.code())),
        }
        invariants::check(&self.roster).unwrap();
    }

    fn roster_did(&mut self, effect: Effect) {
        match effect {
            Effect::Record { entry, changed } => {
                let agent = entry.agent.unwrap();
                if let Some(changed) = changed {
                    let held = if agent.held.is_some() { " held" } else { "" };
                    let cause = match changed.cause {
                        StatusCause::You => String::new(),
                        StatusCause::MissedOffers => " missed_offers".into(),
                        StatusCause::Supervisor(name) => format!(" by {name}"),
                        StatusCause::AfterCall => " after_call".into(),
                    };
                    let status = agent.intent.status.as_str();
                    self.seen.push(format!("{} is {status}{held}{cause}", self.name(agent.user_id.0)));
                }
                let before = self.agents.insert(agent.user_id, agent.clone());
                assert!(before.is_none_or(|before| before.version < agent.version), "{agent:?} would never be written");
            }
            Effect::Say(Said::Offered(offer)) => {
                self.offers.entry(offer.user).or_default().push_back((offer.grant, offer.department_id));
                let text = format!("{} is offered {}", self.name(offer.user.0), self.name(offer.call_id.0));
                self.seen.push(text);
            }
            Effect::Say(Said::OfferWithdrawn { user, offer, reason }) => {
                self.offers.entry(user).or_default().retain(|(grant, _)| *grant != offer.grant);
                // That the taker's own other devices hear of it needs no telling here.
                if reason.as_str() != "taken"
                    || self.desks[&offer.department_id]
                        .queue
                        .call(offer.call_id)
                        .and_then(|call| call.snapshot().user_id)
                        != Some(user)
                {
                    let name = self.name(offer.call_id.0);
                    self.seen.push(format!("{} loses {name} {}", self.name(user.0), reason.as_str()));
                }
            }
            Effect::Say(Said::WrapUp { user, ends_at, .. }) => {
                self.seen.push(format!("{} wraps up until {}", self.name(user.0), seconds(ends_at)));
            }
            Effect::Say(Said::Presence { .. }) => {}
            Effect::Queue { department, envelope } => self.mail.push_back(Mail::ToQueue(department, envelope)),
        }
    }

    pub(super) fn queue(&mut self, department: DepartmentId, command: queue::Command) {
        self.queue_now(department, command);
        self.deliver();
    }

    fn queue_now(&mut self, department: DepartmentId, command: queue::Command) {
        let Some(desk) = self.desks.get_mut(&department) else { return };
        match desk.queue.apply(self.now, command) {
            Ok(applied) => {
                for effect in applied.effects {
                    self.queue_did(department, effect);
                }
            }
            Err(rejection) => self.seen.push(format!("no: {}", rejection.code())),
        }
        queue::invariants::check(&self.desks[&department].queue).unwrap();
    }

    fn queue_did(&mut self, department: DepartmentId, effect: queue::Effect) {
        match effect {
            queue::Effect::Record { entry, settled } => {
                if let Some(call) = entry.call {
                    self.rows.insert(call.id, call);
                }
                let call = settled.call();
                let name = self.name(call.id.0);
                match &settled {
                    Settled::Assigned(call) => {
                        self.seen.push(format!("{} has {name}", self.name(call.user_id.unwrap().0)));
                    }
                    Settled::Returned { reason, .. } => self.seen.push(format!("{name} back {}", reason.as_str())),
                    Settled::Ended(call) => {
                        self.seen.push(format!("{name} ended {}", call.end_reason.unwrap().as_str()));
                    }
                    Settled::Transferred { call, handover, .. } => {
                        self.seen.push(format!("{name} goes to {}", self.name(call.department_id.0)));
                        self.homes.insert(call.id, call.department_id);
                        self.mail.push_back(Mail::Handover(handover.clone()));
                    }
                    Settled::Joined(_) | Settled::Started(_) | Settled::Noted(_) | Settled::Adopted(_) => {}
                }
            }
            queue::Effect::Tell(_) => {}
            queue::Effect::Say(QueueSaid::AgentAway { call, until }) => {
                self.seen.push(format!("{} waits for his agent until {}", self.name(call.0), seconds(until)));
            }
            queue::Effect::Say(QueueSaid::AgentBack { call }) => {
                self.seen.push(format!("{} has his agent back", self.name(call.0)));
            }
            queue::Effect::Say(_) => {}
            queue::Effect::Roster(message) => {
                let desk = self.desks.get_mut(&department).unwrap();
                desk.sent += 1;
                let envelope = Envelope { incarnation: desk.incarnation, sequence: desk.sent, message };
                self.mail.push_back(Mail::ToRoster(department, envelope));
            }
            queue::Effect::Answer { result, .. } => {
                if let Err(rejection) = result {
                    self.seen.push(format!("no: {}", rejection.code()));
                }
            }
        }
    }

    pub(super) fn deliver(&mut self) {
        let mut count = 0;
        while !self.holds_mail
            && let Some(mail) = self.mail.pop_front()
        {
            count += 1;
            assert!(count <= MESSAGES_MAX, "messages without end");
            match mail {
                Mail::ToRoster(department, envelope) => self.roster_now(Command::Queue { department, envelope }),
                Mail::Handover(handover) => {
                    let department = handover.call.department_id;
                    self.queue_now(department, queue::Command::Adopt(handover));
                }
                Mail::ToQueue(department, envelope) => {
                    if self.desks.get(&department).is_some_and(|desk| desk.incarnation == envelope.incarnation) {
                        self.queue_now(department, queue::Command::Roster(envelope.message));
                    }
                }
            }
        }
    }

    /// Opens a department, or changes its settings.
    pub(super) fn department(&mut self, words: &[&str]) {
        let department: DepartmentId = self.named(words[1]);
        let mut settings =
            self.settings.get(&department).cloned().unwrap_or_else(|| Settings::new(department, words[1]));
        if let Some(strategy) = after(words, "by") {
            settings.routing_strategy = RoutingStrategy::parse(strategy).unwrap();
        }
        if let Some(wrap_up) = after(words, "wrap_up") {
            settings.wrap_up_seconds = wrap_up.parse().unwrap();
        }
        if let Some(timeout) = after(words, "offer_timeout") {
            settings.offer_timeout_seconds = timeout.parse().unwrap();
        }
        if let Some(weight) = after(words, "weighs") {
            settings.weight = weight.parse().unwrap();
        }
        if let Some(mode) = after(words, "mode") {
            settings.mode = crate::domain::department::Mode::parse(mode).unwrap();
        }
        self.settings.insert(department, settings.clone());
        let (strategy, weight) = (settings.routing_strategy, settings.weight);
        self.roster(Command::Department { department, strategy, weight });
        if self.desks.contains_key(&department) {
            self.queue(department, queue::Command::Configure(settings));
        } else {
            self.start_queue(department, None);
        }
    }

    pub(super) fn start_queue(&mut self, department: DepartmentId, served_until: Option<Timestamp>) {
        self.incarnations += 1;
        let incarnation = self.incarnations;
        self.roster_now(Command::QueueStarted { department, incarnation });
        let rows = self.rows.values().filter(|row| row.department_id == department && row.phase != Phase::Ended);
        let restored = Restored {
            settings: self.settings[&department].clone(),
            calls: rows.map(|row| (**row).clone()).collect(),
            handle_seconds: Vec::new(),
            joined_floor: None,
            served_until,
        };
        let (queue, effects) = Queue::restore(restored, self.now);
        self.desks.insert(department, Desk { queue, incarnation, sent: 0 });
        for effect in effects {
            self.queue_did(department, effect);
        }
        self.deliver();
    }

    pub(super) fn profile(&mut self, words: &[&str]) {
        let user: UserId = self.named(words[0]);
        let known = self.profiles.get(&user);
        let departments: BTreeSet<DepartmentId> = match after(words, "serves") {
            Some(text) => text.split(',').map(id).collect(),
            None => known.map(|known| known.departments.clone()).unwrap_or_default(),
        };
        let profile = Profile {
            user_id: user,
            name: Arc::from(words[0]),
            role: if words.contains(&"supervisor") { Role::Supervisor } else { Role::Attendant },
            capacity: after(words, "slots").map_or(1, |text| text.parse().unwrap()),
            skills: skills(after(words, "skilled")),
            departments,
        };
        self.profiles.insert(user, profile.clone());
        self.roster(Command::Configure { user, profile: Some(profile), snapshot: None });
    }

    pub(super) fn status(&mut self, words: &[&str]) {
        let user: UserId = id(words[0]);
        let status = AgentStatus::parse(words[2]).unwrap();
        let by = after(words, "by").map(|name| Supervisor { user_id: id(name), name: Arc::from(name) });
        let after_call = words.contains(&"after_call");
        self.roster(Command::SetStatus { user, by, intent: Intent::plain(status), after_call });
    }

    pub(super) fn join(&mut self, words: &[&str]) {
        self.number += 1;
        let call: CallId = self.named(words[0]);
        let department: DepartmentId = id(words[2]);
        self.homes.insert(call, department);
        let new = NewCall {
            id: call,
            number: self.number,
            link_id: None,
            link_uses: None,
            caller: Arc::new(Caller {
                customer_id: id(words[0]),
                name: Arc::from(words[0]),
                email: None,
                phone: None,
                reason: None,
            }),
            priority: after(words, "priority").map_or(0, |text| text.parse().unwrap()),
            due_at: after(words, "due").map(|time| at(time.parse().unwrap())),
            requirements: skills(after(words, "needs")),
            join_key: None,
        };
        self.queue(department, queue::Command::Join(new));
        self.queue(department, queue::Command::Attach { call, device: id(words[0]) });
    }

    /// Everything dies, and starts again `gap` seconds later from the record. Sockets are gone.
    pub(super) fn restart(&mut self, gap: f64) {
        let died = self.now;
        self.now = Timestamp::from_micros(died.micros() + (gap * 1e6) as i64);
        self.mail.clear();
        self.offers.clear();
        let rows: Vec<Arc<CallSnapshot>> = self.rows.values().cloned().collect();
        let agents = self.profiles.values().map(|profile| {
            let mine = || rows.iter().filter(|row| row.user_id == Some(profile.user_id));
            RestoredAgent {
                profile: profile.clone(),
                removed: false,
                snapshot: self.agents.get(&profile.user_id).map(|row| (**row).clone()),
                planned_wrap_ups: mine()
                    .filter_map(|row| Some((row, row.wrap_up_ends_at?)))
                    .map(|(row, ends_at)| PlannedWrapUp { call: row.id, department: row.department_id, ends_at })
                    .collect(),
                running: mine()
                    .filter(|row| matches!(row.phase, Phase::Assigned | Phase::Active))
                    .map(|row| RestoredCall {
                        grant: row.grant_id.unwrap(),
                        call: row.id,
                        department: row.department_id,
                    })
                    .collect(),
            }
        });
        let departments = self.settings.values().map(|one| (one.department_id, one.routing_strategy, one.weight));
        let agents: Vec<RestoredAgent> = agents.collect();
        let (roster, effects) =
            Roster::restore(departments.collect::<Vec<_>>(), agents, self.plan, Rules::default(), Some(died), self.now);
        self.roster = roster;
        for effect in effects {
            self.roster_did(effect);
        }
        self.desks.clear();
        invariants::check(&self.roster).unwrap();
    }

    pub(super) fn standing(&self, user: UserId) -> (GrantId, DepartmentId) {
        *self.offers.get(&user).and_then(|offers| offers.front()).unwrap_or_else(|| panic!("no offer before him"))
    }
}
