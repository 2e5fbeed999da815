//! Owns the people outside: customers and agents with their devices, what they were told, and what they do next. They
//! know nothing of the inside; a reply that never came leaves them in doubt, as in life.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use vez::domain::call::{CallSnapshot, Caller, Phase, Requirements};
use vez::domain::ids::{CallId, CustomerId, DepartmentId, DeviceId, GrantId, LinkId, PickId, UserId};
use vez::queue::command::LinkUses;
use vez::queue::{Command, NewCall, Reply};
use vez::roster::effect::Said;
use vez::roster::state::Profile;

use crate::checks::Broken;
use crate::shells::Answer;
use crate::world::{Event, World};

/// An agent as the company knows him, and his connected devices.
#[derive(Clone, Debug)]
pub struct AgentTruth {
    pub profile: Profile,
    pub devices: Vec<DeviceId>,
    /// The most slots he ever had: a capacity lowered under running calls does not end them.
    pub capacity_most: u8,
}

/// A customer who was told a place.
#[derive(Clone, Debug)]
pub struct Customer {
    pub department: DepartmentId,
    pub devices: Vec<DeviceId>,
}

/// An offer somebody was shown once; late commands about it come from here.
#[derive(Clone, Copy, Debug)]
pub struct SeenOffer {
    pub department: DepartmentId,
    pub grant: GrantId,
    pub user: UserId,
    pub call: CallId,
}

/// How many old offers are remembered for late commands.
const SEEN_MAX: usize = 30;

/// Everybody outside.
#[derive(Debug, Default)]
pub struct Customers {
    pub list: BTreeMap<CallId, Customer>,
    /// Joins that were never answered: the same people try again with the same key.
    pub unanswered: Vec<(DepartmentId, NewCall)>,
    pub picks: BTreeMap<PickId, Request>,
    pub seen: VecDeque<SeenOffer>,
}

/// A command of a client, whose reply is looked at.
#[derive(Clone, Debug)]
pub struct Request {
    pub department: Option<DepartmentId>,
    pub asked: Asked,
}

/// What was asked.
#[derive(Clone, Debug)]
pub enum Asked {
    Join(NewCall),
    Accept(UserId),
    Start(UserId, CallId),
    Pick(UserId),
    /// Something of the roster, about this agent.
    Agent(UserId),
    Other,
}

/// What somebody outside does, later.
#[derive(Clone, Debug)]
pub enum ClientAct {
    React(SeenOffer),
    Start { department: DepartmentId, user: UserId, call: CallId },
    Complete { department: DepartmentId, user: UserId, call: CallId },
    AgentAttach { user: UserId },
    CustomerAttach { call: CallId },
    EndWrapUp { user: UserId, call: CallId },
    ExtendWrapUp { user: UserId, call: CallId },
}

impl Customers {
    /// The pick was answered at once, or never heard.
    pub fn forget_pick(&mut self, pick: Option<PickId>) {
        if let Some(pick) = pick {
            self.picks.remove(&pick);
        }
    }
}

impl World {
    /// A reply has come.
    pub fn answer(&mut self, tenant: usize, request: Request, answer: Answer) -> Result<(), Broken> {
        self.say(|| format!("    t{tenant} reply to {:?}: {answer:?}", request.asked));
        self.check_answer(tenant, &request, &answer)?;
        let department = request.department;
        let talk = |world: &mut World, user: UserId, call: CallId| {
            let Some(department) = department else { return };
            if world.calm || world.dice.chance(920) {
                let after = world.dice.span(100_000, if world.calm { 300_000 } else { 40_000_000 });
                world.later(tenant, after, Event::Client(ClientAct::Start { department, user, call }));
            }
        };
        match (request.asked, answer) {
            (Asked::Join(_), Answer::Queue(Ok(Reply::Joined { call, .. }))) => {
                let department = call.department_id;
                self.tally.note("joins acknowledged");
                self.tenants[tenant]
                    .customers
                    .list
                    .entry(call.id)
                    .or_insert(Customer { department, devices: Vec::new() });
                if self.dice.chance(900) {
                    let after = self.dice.delay(12_000_000);
                    self.later(tenant, after, Event::Client(ClientAct::CustomerAttach { call: call.id }));
                }
            }
            (Asked::Accept(user), Answer::Queue(Ok(Reply::Call(call)))) => {
                self.tally.note("accepts acknowledged");
                talk(self, user, call.id);
            }
            (Asked::Pick(user), Answer::Queue(Ok(Reply::Call(call)))) => talk(self, user, call.id),
            (Asked::Pick(user), Answer::Pick(Ok(call))) => {
                self.tally.note("picks acknowledged");
                talk(self, user, call);
            }
            (Asked::Start(user, call), Answer::Queue(Ok(_))) => {
                self.tally.note("starts acknowledged");
                if let (Some(department), true) = (department, self.calm || self.dice.chance(900)) {
                    let after = self.dice.span(500_000, if self.calm { 1_000_000 } else { 60_000_000 });
                    self.later(tenant, after, Event::Client(ClientAct::Complete { department, user, call }));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// No reply will come: the client is in doubt.
    pub fn unheard(&mut self, tenant: usize, request: Option<Request>) -> Result<(), Broken> {
        let Some(request) = request else { return Ok(()) };
        self.tally.note("replies lost");
        if let (Asked::Join(new), Some(department)) = (request.asked, request.department)
            && new.join_key.is_some()
        {
            self.tenants[tenant].customers.unanswered.push((department, new));
        }
        Ok(())
    }

    /// Hand-picks of a dead life get no answer.
    pub fn forget_picks(&mut self, tenant: usize, department: Option<DepartmentId>) {
        self.tenants[tenant]
            .customers
            .picks
            .retain(|_, request| department.is_some() && request.department != department);
    }

    /// A push comes to an agent's devices.
    pub fn agent_hears(&mut self, tenant: usize, said: Said) {
        match said {
            Said::Offered(offer) => {
                let department = offer.department_id;
                let seen = SeenOffer { department, grant: offer.grant, user: offer.user, call: offer.call_id };
                let customers = &mut self.tenants[tenant].customers;
                customers.seen.push_back(seen);
                if customers.seen.len() > SEEN_MAX {
                    customers.seen.pop_front();
                }
                if !self.tenants[tenant].agents.get(&offer.user).is_none_or(|agent| agent.devices.is_empty()) {
                    let after =
                        if self.calm { self.dice.span(1_000, 900_000) } else { self.dice.span(1_000, 14_000_000) };
                    self.later(tenant, after, Event::Client(ClientAct::React(seen)));
                }
            }
            Said::WrapUp { user, call, .. } => {
                let after = self.dice.delay(10_000_000);
                if self.dice.chance(200) {
                    self.later(tenant, after, Event::Client(ClientAct::EndWrapUp { user, call }));
                } else if self.dice.chance(150) {
                    self.later(tenant, after, Event::Client(ClientAct::ExtendWrapUp { user, call }));
                }
            }
            Said::OfferWithdrawn { .. } | Said::Presence { .. } => {}
        }
    }

    /// Somebody outside does what he had in mind.
    pub fn client_acts(&mut self, tenant: usize, act: ClientAct) -> Result<(), Broken> {
        if !self.up {
            if matches!(act, ClientAct::AgentAttach { .. } | ClientAct::CustomerAttach { .. }) {
                self.later(tenant, Duration::from_secs(2), Event::Client(act));
            }
            return Ok(());
        }
        match act {
            ClientAct::React(seen) => self.react(tenant, seen),
            ClientAct::Start { department, user, call } => {
                let request = Request { department: Some(department), asked: Asked::Start(user, call) };
                self.ask_queue(tenant, department, Command::Start { call, user }, Some(request));
            }
            ClientAct::Complete { department, user, call } => {
                let command = Command::Complete { call, user, supervisor: false };
                self.ask_other(tenant, department, command);
            }
            ClientAct::AgentAttach { user } => self.attach_agent(tenant, user),
            ClientAct::CustomerAttach { call } => self.attach_customer(tenant, call),
            ClientAct::EndWrapUp { user, call } => {
                let request = Request { department: None, asked: Asked::Agent(user) };
                self.ask_roster(tenant, vez::roster::Command::WrapUpEnd { user, call: Some(call) }, Some(request));
            }
            ClientAct::ExtendWrapUp { user, call } => {
                let seconds = self.dice.within(1, 30);
                let command = vez::roster::Command::WrapUpExtend { user, call: None, seconds };
                let named = vez::roster::Command::WrapUpExtend { user, call: Some(call), seconds };
                let command = if self.dice.chance(500) { command } else { named };
                self.ask_roster(tenant, command, Some(Request { department: None, asked: Asked::Agent(user) }));
            }
        }
        Ok(())
    }

    /// Asks a queue for something whose reply needs no follow-up.
    pub fn ask_other(&mut self, tenant: usize, department: DepartmentId, command: Command) {
        let request = Request { department: Some(department), asked: Asked::Other };
        self.ask_queue(tenant, department, command, Some(request));
    }

    fn react(&mut self, tenant: usize, seen: SeenOffer) {
        let SeenOffer { department, grant, user, .. } = seen;
        let (declines, misses) = if self.calm { (0, 0) } else { (self.swarm.declines, self.swarm.misses) };
        if self.dice.chance(declines) {
            self.ask_other(tenant, department, Command::Decline { grant, user });
        } else if !self.dice.chance(misses) {
            self.accept(tenant, seen);
        }
    }

    pub fn accept(&mut self, tenant: usize, seen: SeenOffer) {
        let SeenOffer { department, grant, user, .. } = seen;
        let request = Request { department: Some(department), asked: Asked::Accept(user) };
        self.ask_queue(tenant, department, Command::Accept { grant, user }, Some(request.clone()));
        if !self.calm && self.dice.chance(80) {
            // A second device, or a retry.
            self.ask_queue(tenant, department, Command::Accept { grant, user }, Some(request));
        }
    }

    pub fn attach_agent(&mut self, tenant: usize, user: UserId) {
        let device: DeviceId = self.dice.id();
        let Some(agent) = self.tenants[tenant].agents.get_mut(&user) else { return };
        agent.devices.push(device);
        self.ask_roster(tenant, vez::roster::Command::Attach { user, device }, None);
    }

    pub fn detach_agent(&mut self, tenant: usize, user: UserId) {
        let Some(device) = self.tenants[tenant].agents.get_mut(&user).and_then(|agent| agent.devices.pop()) else {
            return;
        };
        self.ask_roster(tenant, vez::roster::Command::Detach { user, device }, None);
    }

    pub fn attach_customer(&mut self, tenant: usize, call: CallId) {
        let device: DeviceId = self.dice.id();
        let Some(customer) = self.tenants[tenant].customers.list.get_mut(&call) else { return };
        customer.devices.push(device);
        let department = customer.department;
        self.ask_queue(tenant, department, Command::Attach { call, device }, None);
    }

    pub fn detach_customer(&mut self, tenant: usize, call: CallId) {
        let Some(customer) = self.tenants[tenant].customers.list.get_mut(&call) else { return };
        let Some(device) = customer.devices.pop() else { return };
        let department = customer.department;
        self.ask_queue(tenant, department, Command::Detach { call, device }, None);
    }

    /// A stranger asks for a place.
    pub fn join(&mut self, tenant: usize, department: DepartmentId, link: LinkId) {
        let requirements: Requirements = match self.dice.below(10) {
            0 => vec![Arc::from(crate::world::SKILLS[0])].into(),
            1 => vec![Arc::from(crate::world::SKILLS[1])].into(),
            2 => crate::world::SKILLS.iter().map(|skill| Arc::from(*skill)).collect::<Vec<_>>().into(),
            _ => Vec::new().into(),
        };
        let key = self.dice.roll();
        let now = self.clock().micros();
        let due_at = self.dice.chance(120).then(|| {
            // Up to half an hour late or early.
            vez::domain::clock::Timestamp::from_micros(now + self.dice.within(0, 3_600_000_000) as i64 - 1_800_000_000)
        });
        let this = &mut self.tenants[tenant];
        this.next_number += 1 + self.dice.below(3) as i64;
        let new = NewCall {
            id: self.dice.id(),
            number: this.next_number,
            link_id: Some(link),
            link_uses: self.dice.chance(100).then_some(LinkUses { max: 1_000, used: 0 }),
            caller: Arc::new(Caller {
                customer_id: self.dice.id::<CustomerId>(),
                name: Arc::from("c"),
                email: None,
                phone: None,
                reason: None,
            }),
            priority: if self.dice.chance(200) { self.dice.below(12) as u8 } else { 0 },
            due_at,
            requirements,
            join_key: self.dice.chance(700).then(|| Arc::from(format!("{key:x}"))),
        };
        self.tally.note("joins");
        let request = Request { department: Some(department), asked: Asked::Join(new.clone()) };
        self.ask_queue(tenant, department, Command::Join(new.clone()), Some(request.clone()));
        if new.join_key.is_some() && self.dice.chance(80) {
            // The same person, impatient: a new id of the server's, the same key.
            self.join_again(tenant, department, new);
        }
    }

    /// The same person asks again, with the same key.
    pub fn join_again(&mut self, tenant: usize, department: DepartmentId, mut new: NewCall) {
        let this = &mut self.tenants[tenant];
        this.next_number += 1;
        new.id = self.dice.id();
        new.number = this.next_number;
        // The door looks the key up in the record first, as for the calls that have ended or gone elsewhere.
        let elsewhere = |call: &CallSnapshot| call.phase == Phase::Ended || call.department_id != department;
        let known = this.store.calls.values().any(|call| call.join_key == new.join_key && elsewhere(call));
        if !known {
            let request = Request { department: Some(department), asked: Asked::Join(new.clone()) };
            self.ask_queue(tenant, department, Command::Join(new), Some(request));
        }
    }

    /// A call somebody may still do something about, or could until lately.
    pub fn some_call(&mut self, tenant: usize) -> Option<(CallId, DepartmentId)> {
        let list = &self.tenants[tenant].customers.list;
        let skip = list.len().saturating_sub(25);
        let open: Vec<(CallId, DepartmentId)> = list
            .iter()
            .filter(|(id, _)| self.tenants[tenant].store.calls.get(id).is_some_and(|call| call.phase != Phase::Ended))
            .map(|(id, customer)| (*id, customer.department))
            .collect();
        if self.dice.chance(60) {
            let any: Vec<_> = list.iter().skip(skip).map(|(id, customer)| (*id, customer.department)).collect();
            return self.dice.one_of(&any);
        }
        self.dice.one_of(&open)
    }

    /// A call an agent works on, by the record.
    pub fn some_running(&mut self, tenant: usize) -> Option<Arc<CallSnapshot>> {
        let running: Vec<Arc<CallSnapshot>> = self.tenants[tenant]
            .store
            .calls
            .values()
            .filter(|call| matches!(call.phase, Phase::Assigned | Phase::Active))
            .cloned()
            .collect();
        self.dice.one_of(&running)
    }
}
