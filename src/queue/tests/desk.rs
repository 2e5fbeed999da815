//! Owns the stage of one queue: the words its stories may use, and how what it does is told.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::story::{Stage, after, at, id, seconds, skills};
use crate::domain::call::{CallSnapshot, Caller, EndReason, Phase, Rank};
use crate::domain::clock::Timestamp;
use crate::domain::department::{Mode, Settings};
use crate::domain::ids::{CallId, DepartmentId, GrantId, PickId, UserId};
use crate::domain::transfer::Destination;
use crate::queue::command::{LinkUses, Transferring};
use crate::queue::event::{Said, Settled};
use crate::queue::exchange::{DemandSet, Grant, Handover, Return, RevokeReason, Staff, ToQueue, ToRoster};
use crate::queue::restore::Restored;
use crate::queue::{Command, Effect, NewCall, Party, Queue, Rejection, Reply, invariants};

/// One queue, and who is who.
pub(super) struct Desk {
    pub queue: Queue,
    now: Timestamp,
    names: BTreeMap<uuid::Uuid, String>,
    ranks: BTreeMap<Rank, String>,
    /// The record: the newest row of each call.
    rows: BTreeMap<CallId, Arc<CallSnapshot>>,
    number: i64,
    grants: u64,
    /// What was given away last.
    handed: Option<Box<Handover>>,
}

/// Tells a story of a queue with RULES.md's defaults.
pub(super) fn tell(story: &str) {
    super::story::tell(&mut Desk::new(), story);
}

impl Desk {
    pub fn new() -> Self {
        let settings = Settings::new(id("sales"), "Sales");
        let queue = Queue::new(settings, at(0.0));
        Self {
            queue,
            now: at(0.0),
            names: BTreeMap::new(),
            ranks: BTreeMap::new(),
            rows: BTreeMap::new(),
            number: 0,
            grants: 0,
            handed: None,
        }
    }

    fn named<T: From<uuid::Uuid> + Copy>(&mut self, name: &str) -> T {
        self.names.insert(id(name), name.to_string());
        id(name)
    }

    fn name(&self, id: uuid::Uuid) -> String {
        self.names.get(&id).cloned().unwrap_or_else(|| "nobody".into())
    }

    fn apply(&mut self, command: Command) -> Vec<String> {
        let mut seen = Vec::new();
        match self.queue.apply(self.now, command) {
            Ok(applied) => {
                match applied.reply {
                    Reply::Joined { position, queue_size, resumed, call, .. } => {
                        let again = if resumed { " again" } else { "" };
                        self.ranks.insert(call.rank(), self.name(call.id.0));
                        let place = position.map_or("none".into(), |place| format!("{place} of {queue_size}"));
                        seen.push(format!("place {place}{again}"));
                    }
                    Reply::Done | Reply::Call(_) | Reply::Deferred => {}
                }
                for effect in applied.effects {
                    seen.extend(self.tell(effect));
                }
            }
            Err(rejection) => seen.push(format!("no: {}", rejection.code())),
        }
        if let Err(violation) = invariants::check(&self.queue) {
            panic!("{violation:?}");
        }
        seen
    }

    fn tell(&mut self, effect: Effect) -> Option<String> {
        match effect {
            Effect::Record { entry, settled } => {
                if let Some(call) = &entry.call {
                    self.rows.insert(call.id, call.clone());
                }
                let name = self.name(settled.call().id.0);
                let agent = settled.call().user_id.map(|user| self.name(user.0)).unwrap_or_default();
                match &settled {
                    Settled::Joined(_) | Settled::Noted(_) => None,
                    Settled::Assigned(_) => {
                        let passed = &entry.events[0].data["passed"]["calls"];
                        let passed: Vec<String> = passed
                            .as_array()
                            .into_iter()
                            .flatten()
                            .map(|one| {
                                let id: CallId = serde_json::from_value(one["call_id"].clone()).unwrap();
                                format!(" past {} {}", self.name(id.0), one["reason"].as_str().unwrap())
                            })
                            .collect();
                        Some(format!("{agent} has {name}{}", passed.join("")))
                    }
                    Settled::Started(_) => Some(format!("{agent} {} {name}", entry.events[0].kind)),
                    Settled::Returned { reason, .. } => Some(format!("{name} back {}", reason.as_str())),
                    Settled::Transferred { call, from, handover } => {
                        self.handed = Some(handover.clone());
                        let from = from.map(|user| format!(" from {}", self.name(user.0))).unwrap_or_default();
                        Some(format!("{name} goes to {}{from}", self.name(call.department_id.0)))
                    }
                    Settled::Adopted(_) => unreachable!("an adoption is not recorded"),
                    Settled::Ended(call) => {
                        let reason = call.end_reason.unwrap();
                        Some(format!("{name} ended {} {}", reason.as_str(), call.status().as_str()))
                    }
                }
            }
            Effect::Tell(settled) => Some(format!("{} comes", self.name(settled.call().id.0))),
            Effect::Say(said) => match said {
                Said::Offered { call, grant, user, .. } => {
                    Some(format!("{} offers {} to {}", self.name(grant.0), self.name(call.0), self.name(user.0)))
                }
                Said::Presence { call, present } => {
                    Some(format!("{} {}", self.name(call.0), if present { "here" } else { "away" }))
                }
                Said::AgentAway { call, until } => {
                    Some(format!("{} waits for his agent until {}", self.name(call.0), seconds(until)))
                }
                Said::AgentBack { call } => Some(format!("{} has his agent back", self.name(call.0))),
                Said::Position { .. } => None,
            },
            Effect::Roster(message) => match message {
                ToRoster::Returned { grant, outcome } => {
                    let outcome = match outcome {
                        Return::HandedBack { rank: None, .. } => "handed back for nobody".into(),
                        Return::HandedBack { rank: Some(rank), .. } => {
                            format!("handed back for {}", self.ranks.get(&rank).unwrap())
                        }
                        Return::Declined => "declined".into(),
                        Return::TimedOut => "timed out".into(),
                        Return::Withdrawn(reason) => {
                            format!("withdrawn {}", serde_json::to_value(reason).unwrap().as_str().unwrap())
                        }
                        Return::CustomerLeft => "customer left".into(),
                        Return::AgentLost => "agent lost".into(),
                    };
                    Some(format!("{} {outcome}", self.name(grant.0)))
                }
                ToRoster::Ended { grant, wrap_up_ends_at: None, .. } => Some(format!("{} free", self.name(grant.0))),
                ToRoster::Ended { grant, wrap_up_ends_at: Some(until), .. } => {
                    Some(format!("{} wraps up until {}", self.name(grant.0), seconds(until)))
                }
                ToRoster::PickRequested { pick, user, .. } => {
                    Some(format!("{} asks for {}", self.name(pick.0), self.name(user.0)))
                }
                ToRoster::PickDropped { pick } => Some(format!("{} dropped", self.name(pick.0))),
                ToRoster::Holds(held) if held.is_empty() => None,
                ToRoster::Holds(held) => {
                    let held: Vec<String> = held.iter().map(|one| self.name(one.call.0)).collect();
                    Some(format!("holds {}", held.join(" ")))
                }
                ToRoster::Demand(_) | ToRoster::Offered(_) | ToRoster::Accepted { .. } => None,
            },
            Effect::Answer { pick, result } => Some(match result {
                Ok(call) => format!("{} gets {}", self.name(pick.0), self.name(call.0)),
                Err(rejection) => format!("{} no: {}", self.name(pick.0), rejection.code()),
            }),
        }
    }

    fn grant(&mut self, words: &[&str]) -> Command {
        let user: UserId = self.named(words[0]);
        let grant: GrantId = self.named(words[2]);
        self.grants += 1;
        let alternative =
            after(words, "alternative").map(|time| Rank { at: at(time.parse().unwrap()).micros(), number: 0 });
        Command::Roster(ToQueue::Grant(Grant {
            grant,
            number: self.grants,
            user,
            user_name: Arc::from(words[0]),
            skills: skills(after(words, "skilled")),
            alternative,
            alone: words.contains(&"alone"),
            ready_since: self.now,
            pick: after(words, "for").map(id),
        }))
    }

    fn join(&mut self, words: &[&str]) -> Command {
        let name = words[0];
        let new = after(words, "as").unwrap_or(name);
        self.number += 1;
        let call: CallId = self.named(new);
        self.named::<CallId>(name);
        Command::Join(NewCall {
            id: call,
            number: self.number,
            link_id: Some(id("link")),
            // Two uses in all; "used 1" is what the record says at the time.
            link_uses: after(words, "used").map(|used| LinkUses { max: 2, used: used.parse().unwrap() }),
            caller: Arc::new(Caller {
                customer_id: id(name),
                name: Arc::from(name),
                email: None,
                phone: None,
                reason: None,
            }),
            priority: after(words, "priority").map_or(0, |text| text.parse().unwrap()),
            due_at: after(words, "due").map(|time| at(time.parse().unwrap())),
            requirements: skills(after(words, "needs")),
            join_key: after(words, "key").map(Arc::from),
        })
    }

    /// The process dies and another starts `gap` seconds later, from the record alone.
    fn restart(&mut self, gap: f64) -> Vec<String> {
        let died = self.now;
        self.now = Timestamp::from_micros(died.micros() + (gap * 1e6) as i64);
        let restored = Restored {
            settings: self.queue.settings().clone(),
            calls: self.rows.values().filter(|row| row.phase != Phase::Ended).map(|row| (**row).clone()).collect(),
            handle_seconds: Vec::new(),
            joined_floor: self.rows.values().map(|row| row.joined_at).max(),
            served_until: Some(died),
        };
        let (queue, effects) = Queue::restore(restored, self.now);
        self.queue = queue;
        self.grants = 0;
        let seen = effects.into_iter().filter_map(|effect| self.tell(effect)).collect();
        invariants::check(&self.queue).unwrap();
        seen
    }

    fn set(&mut self, setting: &str, value: &str) -> Vec<String> {
        let mut settings = self.queue.settings().clone();
        let number = value.parse().ok();
        match setting {
            "max_wait" => settings.max_wait_seconds = number,
            "max_queue" => settings.max_queue_size = number,
            "grace" => settings.reconnect_grace_seconds = number.unwrap(),
            "offer_timeout" => settings.offer_timeout_seconds = number.unwrap(),
            "wrap_up" => settings.wrap_up_seconds = number.unwrap(),
            "active" => settings.active = value == "yes",
            "mode" => settings.mode = Mode::parse(value).unwrap(),
            other => panic!("no setting {other}"),
        }
        self.apply(Command::Configure(settings))
    }
}

impl Stage for Desk {
    fn pass(&mut self, until: f64) -> Vec<String> {
        let until = at(until);
        let mut seen = Vec::new();
        while let Some(due) = self.queue.next_deadline().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            let told = self.apply(Command::Tick);
            seen.extend(told.into_iter().map(|text| format!("@{} {text}", seconds(self.now))));
        }
        self.now = self.now.max(until);
        seen
    }

    fn act(&mut self, words: &[&str]) -> Vec<String> {
        let (who, verb, what) = (words[0], *words.get(1).unwrap_or(&""), *words.get(2).unwrap_or(&""));
        let device = |name: &str| id(&format!("device {}", if what.is_empty() { name } else { what }));
        let command = match (who, verb) {
            ("line", _) => {
                let line = self.queue.queue_size();
                let mut names = vec![String::new(); line as usize];
                for call in self.queue.open_calls() {
                    if let Some(place) = self.queue.position(call.snapshot().id) {
                        names[place as usize - 1] = self.name(call.snapshot().id.0);
                    }
                }
                return if names.is_empty() { Vec::new() } else { vec![names.join(" ")] };
            }
            ("demand", _) => {
                let demand = self.queue.demand();
                let sets = demand.sets.iter();
                let wanted = |set: &DemandSet| match set.named {
                    Some(user) => format!("for {}", self.name(user.0)),
                    None => format!("{:?}", set.requirements),
                };
                return sets.map(|set| format!("{} x{}", wanted(set), set.count)).collect();
            }
            ("queue", "freezes") => Command::Freeze,
            ("queue", "thaws") => Command::Thaw,
            ("queue", "restarts") => return self.restart(after(words, "after").unwrap().parse().unwrap()),
            ("set", setting) => return self.set(setting, what),
            ("staff", "withdraw") => Command::End { call: id(what), reason: EndReason::Withdrawn, by: Some(id("Sue")) },
            // What was given away is given back; `again` is the same news twice.
            ("queue", "adopts") => {
                let mut handover = self.handed.clone().expect("something was given away");
                if what != "again" {
                    let mut row = (*handover.call).clone();
                    row.department_id = id("sales");
                    row.version += 1;
                    handover.call = Arc::new(row);
                    self.handed = Some(handover.clone());
                }
                Command::Adopt(handover)
            }
            (name, "transfers" | "moves") => {
                let department = after(words, "to").unwrap_or("sales");
                self.named::<DepartmentId>(department);
                Command::Transfer(Transferring {
                    call: id(what),
                    to: Destination {
                        department_id: id(department),
                        user_id: after(words, "for").map(|name| self.named(name)),
                    },
                    by: self.named(name),
                    supervisor: verb == "moves",
                    keep_seconds: Some(20),
                    reason: None,
                })
            }
            ("link", "cancelled") => Command::LinkCancelled { link: id("link") },
            ("roster", "pauses") => {
                Command::Roster(ToQueue::Revoke { grant: id(what), reason: RevokeReason::AgentPaused })
            }
            ("roster", "revokes") => {
                Command::Roster(ToQueue::Revoke { grant: id(what), reason: RevokeReason::AgentLost })
            }
            ("roster", "loses") => Command::Roster(ToQueue::AgentLost { grant: id(what) }),
            ("roster", "finds") => Command::Roster(ToQueue::AgentBack { grant: id(what) }),
            ("roster", "refuses") => {
                Command::Roster(ToQueue::PickRefused { pick: id(what), reason: Rejection::NoFreeSlot })
            }
            ("roster", "counts") => {
                Command::Roster(ToQueue::Staff(Staff { online: 1, available: 0, serving_slots: 1 }))
            }
            (_, "joins") => self.join(words),
            (name, "attaches") => Command::Attach { call: id(name), device: device(name) },
            (name, "detaches") => Command::Detach { call: id(name), device: device(name) },
            (name, "polls") => Command::Poll { call: id(name) },
            (name, "leaves") => Command::Leave { call: id(name) },
            (name, "ends") if what.is_empty() => Command::Finish { call: id(name), by: Party::Customer },
            (name, "ends") => Command::Finish { call: id(what), by: Party::Agent(id(name)) },
            (_, "granted") => self.grant(words),
            (name, "accepts") => Command::Accept { grant: id(what), user: self.named(name) },
            (name, "declines") => Command::Decline { grant: id(what), user: self.named(name) },
            (name, "starts") => Command::Start { call: id(what), user: self.named(name) },
            (name, "completes") => Command::Complete { call: id(what), user: self.named(name), supervisor: false },
            (name, "supervises") => Command::Complete { call: id(what), user: self.named(name), supervisor: true },
            (name, "picks") => {
                let pick: PickId = self.named(after(words, "as").unwrap());
                Command::Pick { pick, call: id(what), user: self.named(name), by: self.named(name) }
            }
            _ => panic!("what does {words:?} mean?"),
        };
        self.apply(command)
    }
}
