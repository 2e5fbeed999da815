//! Owns the simulated world: its time, its mailboxes and timers, and the loop that lets one thing happen after another.
//! What happens is in `workload`, `faults` and `clients`; who is told is in `shells`; what must hold is in `checks`.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use vez::domain::clock::Timestamp;
use vez::domain::department::Settings;
use vez::domain::ids::{CallId, DepartmentId, LinkId, UserId};
use vez::queue::exchange::{Envelope, Handover, ToQueue, ToRoster};
use vez::roster::state::Profile;

use crate::books::Books;
use crate::checks::Broken;
use crate::clients::{AgentTruth, ClientAct, Customers, Request};
use crate::dice::Dice;
use crate::model::Store;
use crate::shells::{DeskState, RosterShell};

/// What this seed is about: each seed turns some dangers up and others off.
#[derive(Clone, Debug)]
pub struct Swarm {
    /// The longest a message between actors takes, in microseconds.
    pub mail_delay: u64,
    /// The longest a commit takes.
    pub commit_delay: u64,
    /// Chances in a thousand: per batch, per `apply`, per step.
    pub refused: u32,
    pub unheard: u32,
    pub panics: u32,
    pub crashes: u32,
    pub outages: u32,
    pub tenant_panics: u32,
    pub configures: u32,
    /// Agents decline or miss so many offers in a thousand.
    pub declines: u32,
    pub misses: u32,
    /// Steps are so dense: the longest usual pause between two, in microseconds.
    pub pause: u64,
    /// Weight of joins against everything else.
    pub joins: u32,
    pub picks: u32,
    pub transfers: u32,
}

impl Swarm {
    fn new(dice: &mut Dice) -> Self {
        let mut maybe = |chances: &[u32]| dice.one_of(chances).unwrap_or(0);
        Self {
            refused: maybe(&[0, 0, 3, 10]),
            unheard: maybe(&[0, 20, 100]),
            panics: maybe(&[0, 1, 4, 12]),
            crashes: maybe(&[0, 2, 6]),
            outages: maybe(&[0, 0, 4, 10]),
            tenant_panics: maybe(&[0, 0, 3]),
            configures: maybe(&[0, 10, 40]),
            declines: maybe(&[50, 150, 400]),
            misses: maybe(&[0, 100, 400]),
            joins: maybe(&[60, 150, 300]),
            picks: maybe(&[0, 30, 100]),
            transfers: maybe(&[0, 30, 120]),
            mail_delay: u64::from(maybe(&[50, 2_000, 50_000, 1_500_000])),
            commit_delay: u64::from(maybe(&[5_000, 200_000, 3_000_000])),
            pause: u64::from(maybe(&[20_000, 500_000, 4_000_000])),
        }
    }
}

/// What a run did, to see that it did something.
#[derive(Clone, Debug, Default)]
pub struct Tally(pub BTreeMap<&'static str, u64>);

impl Tally {
    pub fn note(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    pub fn add(&mut self, other: &Tally) {
        for (what, count) in &other.0 {
            *self.0.entry(what).or_default() += count;
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, count) in &self.0 {
            writeln!(f, "{count:>10} {what}")?;
        }
        Ok(())
    }
}

/// Something on its way between a queue and its roster.
#[derive(Clone, Debug)]
pub enum Mail {
    ToRoster(Envelope<ToRoster>),
    ToQueue(Envelope<ToQueue>),
    /// From one queue to another: a call that was given to it.
    Handover(Box<Handover>),
    /// The roster hears that this life of the queue is dead; may overtake what that life sent.
    Stopped(u64),
}

/// An address: one mailbox per direction keeps its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    pub tenant: usize,
    pub department: DepartmentId,
    pub to_roster: bool,
}

/// Something that happens later. Those of a dead life of the tenant are dropped.
#[derive(Clone, Debug)]
pub enum Event {
    Queue { department: DepartmentId, command: vez::queue::Command, request: Option<Request> },
    Roster { command: vez::roster::Command, request: Option<Request> },
    Commit,
    StartQueue { department: DepartmentId, ticket: u64 },
    StartTenant,
    Boot,
    OutageOver,
    Heartbeat,
    Client(ClientAct),
}

/// One company, as it is outside and inside the server.
#[derive(Debug)]
pub struct Tenant {
    pub departments: BTreeMap<DepartmentId, (Settings, LinkId)>,
    pub agents: BTreeMap<UserId, AgentTruth>,
    pub customers: Customers,
    pub plan: Option<u32>,
    pub store: Store,
    /// Counts the lives of the tenant's actors.
    pub life: u64,
    pub roster: Option<RosterShell>,
    pub desks: BTreeMap<DepartmentId, DeskState>,
    /// The department each open call is asked for at.
    pub homes: BTreeMap<CallId, DepartmentId>,
    /// Calls given to queues that are starting.
    #[allow(clippy::vec_box, reason = "boxed as the effect brings it")]
    pub handed: BTreeMap<DepartmentId, Vec<Box<Handover>>>,
    pub books: Books,
    /// When its actors died while the process lived on.
    pub died_at: Option<Timestamp>,
    pub next_incarnation: u64,
    pub next_number: i64,
}

/// The world.
#[derive(Debug)]
pub struct World {
    pub dice: Dice,
    pub now: Timestamp,
    /// The server's clock less the true time, in microseconds: another one after every start.
    pub skew: i64,
    pub swarm: Swarm,
    pub tenants: Vec<Tenant>,
    pub up: bool,
    pub storage_away: bool,
    /// When the outage began, while actors live that saw it.
    pub away_since: Option<Timestamp>,
    /// No more faults: the run comes to its end.
    pub calm: bool,
    pub step: usize,
    pub trace: Vec<String>,
    pub traced: bool,
    pub tally: Tally,
    /// The most messages any drain took.
    pub most_messages: usize,
    events: BTreeMap<(Timestamp, u64), (usize, u64, Event)>,
    pub mail: BTreeMap<(Timestamp, u64), (Route, u64, Mail)>,
    last_mail: BTreeMap<Route, Timestamp>,
    order: u64,
}

/// Mailboxes may take so many messages to come to rest: more is a ping-pong without end.
pub const DRAIN_MESSAGES_MAX: usize = 600;

impl World {
    pub fn new(seed: u64, traced: bool) -> Self {
        let mut dice = Dice::new(seed);
        let swarm = Swarm::new(&mut dice);
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        let count = 1 + dice.below(2);
        let tenants = (0..count).map(|_| new_tenant(&mut dice)).collect();
        let mut world = Self {
            dice,
            now,
            skew: 0,
            swarm,
            tenants,
            up: false,
            storage_away: false,
            away_since: None,
            calm: false,
            step: 0,
            trace: Vec::new(),
            traced,
            tally: Tally::default(),
            most_messages: 0,
            events: BTreeMap::new(),
            mail: BTreeMap::new(),
            last_mail: BTreeMap::new(),
            order: 0,
        };
        if traced {
            world.say(|| format!("seed {seed}"));
        }
        world
    }

    /// The server's clock.
    pub fn clock(&self) -> Timestamp {
        Timestamp::from_micros(self.now.micros() + self.skew)
    }

    pub fn say(&mut self, line: impl FnOnce() -> String) {
        if self.traced {
            let at = (self.now.micros() - 1_700_000_000_000_000) as f64 / 1e6;
            self.trace.push(format!("{at:>12.6} {}", line()));
        }
    }

    /// Lets `event` happen in `after`, unless that tenant's actors have died by then.
    pub fn later(&mut self, tenant: usize, after: Duration, event: Event) {
        self.order += 1;
        let life = self.tenants[tenant].life;
        self.events.insert((self.now + after, self.order), (tenant, life, event));
    }

    /// Puts a message into the mailbox of the other side; order is kept per sender and receiver.
    pub fn post(&mut self, route: Route, mail: Mail) {
        let after = self.dice.delay(self.swarm.mail_delay);
        let mut at = self.now + after;
        if !matches!(mail, Mail::Stopped(_)) {
            // News of a death come by another way and may overtake.
            at = at.max(self.last_mail.get(&route).copied().unwrap_or_default());
            self.last_mail.insert(route, at);
        }
        self.order += 1;
        let life = self.tenants[route.tenant].life;
        self.mail.insert((at, self.order), (route, life, mail));
    }

    /// Runs `steps` steps, then lets everything come to a good end.
    pub fn run(&mut self, steps: usize) -> Result<(), Broken> {
        self.boot()?;
        for step in 0..steps {
            self.step = step;
            let pause = match self.dice.below(100) {
                0..=59 => self.dice.span(0, 50_000),
                60..=89 => self.dice.span(0, self.swarm.pause),
                90..=97 => self.dice.span(0, 8_000_000),
                _ => self.dice.span(10_000_000, 70_000_000),
            };
            self.pass(pause)?;
            self.act()?;
            if self.dice.chance(150) {
                self.drain()?;
                self.check_everything()?;
            }
        }
        self.step = steps;
        self.finish()
    }

    /// Lets time pass, and everything that falls due.
    pub fn pass(&mut self, span: Duration) -> Result<(), Broken> {
        let until = self.now + span;
        while let Some((at, what)) = self.next_due().filter(|(at, _)| *at <= until) {
            self.now = self.now.max(at);
            match what {
                Due::Mail => self.deliver_first()?,
                Due::Event => {
                    if let Some((_, (tenant, life, event))) = self.events.pop_first() {
                        let lives = self.tenants[tenant].life == life;
                        if lives || matches!(event, Event::Boot | Event::OutageOver | Event::Commit | Event::Client(_))
                        {
                            self.happen(tenant, event)?;
                        }
                    }
                }
                Due::QueueTimer(tenant, department) => {
                    self.apply_queue(tenant, department, vez::queue::Command::Tick, None)?;
                }
                Due::RosterTimer(tenant) => self.apply_roster(tenant, vez::roster::Command::Tick, None)?,
            }
        }
        self.now = until;
        Ok(())
    }

    fn next_due(&self) -> Option<(Timestamp, Due)> {
        let mut best: Option<(Timestamp, Due)> = None;
        let mut offer = |at: Timestamp, due: Due| {
            if best.as_ref().is_none_or(|(known, _)| at < *known) {
                best = Some((at, due));
            }
        };
        if let Some(((at, _), _)) = self.mail.first_key_value() {
            offer(*at, Due::Mail);
        }
        if let Some(((at, _), _)) = self.events.first_key_value() {
            offer(*at, Due::Event);
        }
        for (index, tenant) in self.tenants.iter().enumerate() {
            if let Some(at) = tenant.roster.as_ref().and_then(|shell| shell.timer) {
                offer(at, Due::RosterTimer(index));
            }
            for (department, desk) in &tenant.desks {
                if let DeskState::Up(shell) = desk
                    && let Some(at) = shell.timer
                {
                    offer(at, Due::QueueTimer(index, *department));
                }
            }
        }
        best
    }

    fn deliver_first(&mut self) -> Result<(), Broken> {
        if let Some((_, (route, life, mail))) = self.mail.pop_first()
            && self.tenants[route.tenant].life == life
        {
            self.tally.note("messages between actors");
            self.deliver(route, mail)?;
        }
        Ok(())
    }

    /// Delivers every message now, until all mailboxes are empty.
    pub fn drain(&mut self) -> Result<(), Broken> {
        let mut messages = 0;
        while !self.mail.is_empty() {
            self.deliver_first()?;
            messages += 1;
            self.most_messages = self.most_messages.max(messages);
            crate::checks::ensure(messages <= DRAIN_MESSAGES_MAX, "mailboxes_come_to_rest", || {
                format!("still {:?}", self.mail.values().take(4).collect::<Vec<_>>())
            })?;
        }
        Ok(())
    }

    fn happen(&mut self, tenant: usize, event: Event) -> Result<(), Broken> {
        match event {
            Event::Queue { department, command, request } => self.apply_queue(tenant, department, command, request),
            Event::Roster { command, request } => self.apply_roster(tenant, command, request),
            Event::Commit => self.commit(tenant),
            Event::StartQueue { department, ticket } => self.start_queue(tenant, department, ticket),
            Event::StartTenant => self.start_tenant(tenant),
            Event::Boot => self.boot(),
            Event::OutageOver => self.outage_over(),
            Event::Heartbeat => self.heartbeat(tenant),
            Event::Client(act) => self.client_acts(tenant, act),
        }
    }
}

enum Due {
    Mail,
    Event,
    QueueTimer(usize, DepartmentId),
    RosterTimer(usize),
}

fn new_tenant(dice: &mut Dice) -> Tenant {
    let mut departments = BTreeMap::new();
    for index in 0..dice.within(2, 4) {
        let id: DepartmentId = dice.id();
        departments.insert(id, (settings(dice, id, &format!("D{index}")), dice.id()));
    }
    let mut agents = BTreeMap::new();
    for index in 0..dice.within(2, 6) {
        let user: UserId = dice.id();
        let profile = profile(dice, user, &format!("A{index}"), &departments.keys().copied().collect::<Vec<_>>());
        agents.insert(user, AgentTruth { profile, devices: Vec::new(), capacity_most: 0 });
    }
    for agent in agents.values_mut() {
        agent.capacity_most = agent.profile.capacity;
    }
    let plan = dice.chance(200).then(|| dice.within(1, 4) as u32);
    Tenant {
        departments,
        agents,
        customers: Customers::default(),
        plan,
        store: Store::default(),
        life: 0,
        roster: None,
        desks: BTreeMap::new(),
        homes: BTreeMap::new(),
        handed: BTreeMap::new(),
        books: Books::default(),
        died_at: None,
        next_incarnation: 0,
        next_number: 0,
    }
}

/// The least of each setting, so that checks know what to hold against.
pub const GRACE_SECONDS_MIN: u32 = 10;
pub const MAX_WAIT_SECONDS_MIN: u32 = 60;

/// Settings of a department.
pub fn settings(dice: &mut Dice, id: DepartmentId, name: &str) -> Settings {
    let mut settings = Settings::new(id, name);
    settings.active = !dice.chance(30);
    settings.max_queue_size = dice.chance(200).then(|| dice.within(3, 10) as u32);
    settings.max_wait_seconds = dice.chance(300).then(|| dice.within(u64::from(MAX_WAIT_SECONDS_MIN), 400) as u32);
    settings.offer_timeout_seconds = dice.within(5, 20) as u32;
    settings.wrap_up_seconds = if dice.chance(300) { 0 } else { dice.within(1, 20) as u32 };
    settings.reconnect_grace_seconds = dice.within(u64::from(GRACE_SECONDS_MIN), 60) as u32;
    settings.routing_strategy = match dice.below(3) {
        0 => vez::domain::department::RoutingStrategy::LongestIdle,
        1 => vez::domain::department::RoutingStrategy::RoundRobin,
        _ => vez::domain::department::RoutingStrategy::FewestCalls,
    };
    if dice.chance(100) {
        settings.mode = vez::domain::department::Mode::Pull;
    }
    if dice.chance(300) {
        settings.weight = dice.within(0, 20) as i8 - 10;
    }
    settings
}

/// Skills in this world.
pub const SKILLS: [&str; 2] = ["english", "libras"];

/// An agent's profile.
pub fn profile(dice: &mut Dice, user: UserId, name: &str, departments: &[DepartmentId]) -> Profile {
    let mut mine: std::collections::BTreeSet<DepartmentId> =
        departments.iter().copied().filter(|_| dice.chance(600)).collect();
    mine.extend(dice.one_of(departments));
    let skills: Vec<std::sync::Arc<str>> =
        SKILLS.iter().filter(|_| dice.chance(400)).map(|skill| std::sync::Arc::from(*skill)).collect();
    Profile {
        user_id: user,
        name: std::sync::Arc::from(name),
        role: if dice.chance(200) { vez::domain::role::Role::Supervisor } else { vez::domain::role::Role::Attendant },
        capacity: dice.one_of(&[1, 1, 1, 2, 3]).unwrap_or(1),
        skills: skills.into(),
        departments: mine,
    }
}
