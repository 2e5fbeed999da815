//! Owns what goes wrong and how the server comes back: commits that are late, lost or refused, panics between two
//! effects, crashes of the whole process, rest and restart. Outages of Postgres are `outages`.

use std::time::Duration;

use vez::domain::call::Phase;
use vez::domain::clock::Timestamp;
use vez::domain::ids::DepartmentId;
use vez::domain::rules::Rules;
use vez::queue::Queue;
use vez::queue::restore::Restored;
use vez::queue::view::{Today, View};
use vez::roster::Roster;
use vez::roster::effect::{PlannedWrapUp, RestoredAgent, RestoredCall};

use crate::checks::Broken;
use crate::clients::ClientAct;
use crate::model::{Batch, Fate, Owner};
use crate::shells::{DeskState, QueueShell, RosterShell};
use crate::world::{Event, Mail, Route, World};

/// How often a living server says so in the record.
const HEARTBEAT: Duration = Duration::from_secs(5);
impl World {
    /// How many of `count` effects are performed before a panic; `None` when there is none.
    pub fn survives(&mut self, count: usize) -> Option<usize> {
        let panics = !self.calm && self.dice.chance(self.swarm.panics);
        panics.then(|| self.dice.below(count + 1))
    }

    /// Starts a commit of what is pending, unless one is under way.
    pub fn begin_commit(&mut self, tenant: usize) {
        let store = &self.tenants[tenant].store;
        if !self.up || store.pending.is_empty() || store.batch.is_some() {
            return;
        }
        let fate = if self.calm {
            Fate::Committed
        } else if self.dice.chance(self.swarm.refused) {
            Fate::Refused
        } else if self.dice.chance(self.swarm.unheard) {
            self.dice.one_of(&[Fate::CommittedUnheard, Fate::LostUnheard]).unwrap_or(Fate::Committed)
        } else {
            Fate::Committed
        };
        let count = 1 + self.dice.below(self.tenants[tenant].store.pending.len());
        self.tenants[tenant].store.batch = Some(Batch { count, fate, applied: false, unheard: false });
        let after = self.dice.delay(self.swarm.commit_delay);
        self.later(tenant, after, Event::Commit);
    }

    /// The batch under way comes back, or nothing is heard of it.
    pub fn commit(&mut self, tenant: usize) -> Result<(), Broken> {
        let Some(mut batch) = self.tenants[tenant].store.batch.filter(|_| self.up) else { return Ok(()) };
        if self.storage_away {
            self.later(tenant, Duration::from_millis(300), Event::Commit);
            return Ok(());
        }
        match (batch.fate, batch.unheard) {
            (Fate::Refused, _) => {
                self.say(|| format!("t{tenant} the record refuses"));
                self.tally.note("commits refused");
                self.tenants[tenant].store.forget_pending();
                if self.tenants[tenant].roster.is_some() {
                    self.tenant_dies(tenant)?;
                }
                return Ok(());
            }
            (Fate::Committed, _) | (Fate::CommittedUnheard, true) => {
                let store = &mut self.tenants[tenant].store;
                store.apply_batch()?;
                let done = store.finish_batch();
                let moved = std::mem::take(&mut store.moved);
                self.tenants[tenant].books.on_their_way.extend(moved);
                self.tally.note("commits");
                self.say(|| format!("t{tenant} committed {}", done.len()));
                for write in done {
                    self.tenants[tenant].books.committed(&write.entry);
                    if let (Owner::Queue(department, incarnation), Some(settled)) = (write.owner, write.settled)
                        && let Some(shell) = self.queue_mut(tenant, department)
                        && shell.incarnation == incarnation
                    {
                        shell.view.fold(&settled);
                        self.settled(tenant, &settled);
                    }
                }
                self.after_commit(tenant)?;
                self.release(tenant)?;
                self.begin_commit(tenant);
            }
            (Fate::CommittedUnheard, false) => {
                self.tenants[tenant].store.apply_batch()?;
                self.tally.note("commits unheard");
                let asked = self.dice.span(100_000, 5_000_000);
                self.unheard_batch(tenant, asked);
            }
            (Fate::LostUnheard, false) => {
                self.tally.note("commits lost");
                let asked = self.dice.span(100_000, 5_000_000);
                self.unheard_batch(tenant, asked);
            }
            (Fate::LostUnheard, true) => {
                batch.fate = Fate::Committed;
                self.tenants[tenant].store.batch = Some(batch);
                let after = self.dice.delay(self.swarm.commit_delay);
                self.later(tenant, after, Event::Commit);
            }
        }
        Ok(())
    }

    fn unheard_batch(&mut self, tenant: usize, asked: Duration) {
        if let Some(batch) = self.tenants[tenant].store.batch.as_mut() {
            batch.unheard = true;
        }
        self.later(tenant, asked, Event::Commit);
    }

    /// A queue panicked: its tenant waits for what was written, and starts its next life.
    pub fn queue_dies(&mut self, tenant: usize, department: DepartmentId) -> Result<(), Broken> {
        let since = self.away_since.unwrap_or(self.clock());
        let Some(shell) = self.queue_mut(tenant, department) else { return Ok(()) };
        let incarnation = shell.incarnation;
        let held: Vec<_> = shell.held.drain(..).map(|(_, request, _)| request).collect();
        self.say(|| format!("t{tenant} {department} panics"));
        self.tally.note("queue panics");
        self.no_longer_served(tenant, department);
        self.tenants[tenant].desks.insert(department, DeskState::Down { since });
        for request in held {
            self.unheard(tenant, Some(request))?;
        }
        self.forget_picks(tenant, Some(department));
        self.post(Route { tenant, department, to_roster: true }, Mail::Stopped(incarnation));
        let after = self.dice.delay(500_000);
        let ticket = self.tenants[tenant].store.next_ticket;
        self.later(tenant, after, Event::StartQueue { department, ticket });
        Ok(())
    }

    /// Starts the queue of a department that rests.
    pub fn wake_queue(&mut self, tenant: usize, department: DepartmentId) {
        let since = self.clock();
        if let Some(desk @ DeskState::Asleep) = self.tenants[tenant].desks.get_mut(&department) {
            *desk = DeskState::Down { since };
            let ticket = self.tenants[tenant].store.next_ticket;
            self.later(tenant, Duration::from_millis(1), Event::StartQueue { department, ticket });
        }
    }

    /// The next life of a queue, once everything written up to `ticket` is committed.
    pub fn start_queue(&mut self, tenant: usize, department: DepartmentId, ticket: u64) -> Result<(), Broken> {
        let now = self.clock();
        let Some(DeskState::Down { since }) = self.tenants[tenant].desks.get(&department) else { return Ok(()) };
        let since = *since;
        if self.storage_away || self.tenants[tenant].store.through < ticket {
            self.later(tenant, Duration::from_millis(100), Event::StartQueue { department, ticket });
            return Ok(());
        }
        self.tenants[tenant].next_incarnation += 1;
        let incarnation = self.tenants[tenant].next_incarnation;
        let started = vez::roster::Command::QueueStarted { department, incarnation };
        self.apply_roster(tenant, started, None)?;
        let this = &mut self.tenants[tenant];
        if this.roster.is_none() {
            return Ok(());
        }
        let calls: Vec<_> = this.store.open(department).map(|call| (**call).clone()).collect();
        let view = View::restore(calls.iter(), Today::default(), Timestamp::default());
        let restored = Restored {
            settings: this.departments[&department].0.clone(),
            calls,
            handle_seconds: Vec::new(),
            joined_floor: this.store.last_join,
            served_until: Some(since),
        };
        let (queue, effects) = Queue::restore(restored, now);
        let shell = QueueShell {
            queue,
            incarnation,
            sent: 0,
            heard: 0,
            view,
            timer: None,
            held: Default::default(),
            last_ticket: 0,
            served: 0,
            served_at: now,
        };
        this.desks.insert(department, DeskState::Up(Box::new(shell)));
        self.say(|| format!("t{tenant} {department} starts as {incarnation}"));
        self.tally.note("queues started");
        self.after_restore(tenant, department, &effects)?;
        for effect in effects {
            self.perform_queue(tenant, department, effect)?;
        }
        self.claim(tenant, department);
        for handover in self.tenants[tenant].handed.remove(&department).unwrap_or_default() {
            self.adopt(tenant, handover)?;
        }
        if self.queue(tenant, department).is_none() {
            return Ok(());
        }
        self.arm_queue(tenant, department);
        self.check_queue(tenant, department)?;
        // The sockets are still there: their topics hear of the new life.
        let connected: Vec<_> = self.tenants[tenant]
            .customers
            .list
            .iter()
            .filter(|(_, customer)| customer.department == department)
            .flat_map(|(id, customer)| customer.devices.iter().map(|device| (*id, *device)))
            .collect();
        for (call, device) in connected {
            self.ask_queue(tenant, department, vez::queue::Command::Attach { call, device }, None);
        }
        Ok(())
    }

    /// The tenant's actor died, and its queues with it: the next life comes once what was written is committed or failed.
    pub fn tenant_dies(&mut self, tenant: usize) -> Result<(), Broken> {
        self.say(|| format!("t{tenant} dies"));
        self.tally.note("tenants died");
        self.forget_actors(tenant)?;
        self.tenants[tenant].died_at = Some(self.away_since.unwrap_or(self.clock()));
        self.later(tenant, Duration::from_millis(5), Event::StartTenant);
        Ok(())
    }

    /// Everything in memory of a tenant is gone.
    fn forget_actors(&mut self, tenant: usize) -> Result<(), Broken> {
        let departments: Vec<DepartmentId> = self.tenants[tenant].departments.keys().copied().collect();
        let mut held = Vec::new();
        for department in departments {
            self.no_longer_served(tenant, department);
            if let Some(DeskState::Up(shell)) = self.tenants[tenant].desks.insert(department, DeskState::Asleep) {
                held.extend(shell.held.into_iter().map(|(_, request, _)| request));
            }
        }
        if let Some(shell) = self.tenants[tenant].roster.take() {
            held.extend(shell.held.into_iter().map(|(_, request, _)| request));
        }
        self.tenants[tenant].life += 1;
        self.forget_picks(tenant, None);
        for request in held {
            self.unheard(tenant, Some(request))?;
        }
        Ok(())
    }

    /// A tenant's actors are restored from the record.
    pub fn start_tenant(&mut self, tenant: usize) -> Result<(), Broken> {
        let now = self.clock();
        let this = &mut self.tenants[tenant];
        if !self.up || this.roster.is_some() {
            return Ok(());
        }
        if self.storage_away || !this.store.pending.is_empty() {
            self.later(tenant, Duration::from_millis(50), Event::StartTenant);
            return Ok(());
        }
        let served_until = this.died_at.take().or(this.store.served_until).map(|at| at.min(now));
        let gap = served_until.map(|until| now.since(until)).unwrap_or_default();
        let agents: Vec<RestoredAgent> = this
            .agents
            .iter()
            .map(|(user, truth)| {
                let of_agent = || this.store.calls.values().filter(|call| call.user_id == Some(*user));
                RestoredAgent {
                    profile: truth.profile.clone(),
                    removed: false,
                    snapshot: this.store.agents.get(user).map(|snapshot| (**snapshot).clone()),
                    planned_wrap_ups: of_agent()
                        .filter(|call| call.phase == Phase::Ended)
                        .filter_map(|call| {
                            let ends_at = call.wrap_up_ends_at.filter(|at| *at + gap > now)?;
                            Some(PlannedWrapUp { call: call.id, department: call.department_id, ends_at })
                        })
                        .collect(),
                    running: of_agent()
                        .filter(|call| matches!(call.phase, Phase::Assigned | Phase::Active))
                        .filter_map(|call| {
                            Some(RestoredCall { grant: call.grant_id?, call: call.id, department: call.department_id })
                        })
                        .collect(),
                }
            })
            .collect();
        let departments: Vec<_> =
            this.departments.iter().map(|(id, (s, _))| (*id, s.routing_strategy, s.weight)).collect();
        let (roster, effects) = Roster::restore(departments, agents, this.plan, Rules::default(), served_until, now);
        let open = this.store.calls.values().filter(|call| call.phase != Phase::Ended);
        this.homes = open.map(|call| (call.id, call.department_id)).collect();
        this.handed.clear();
        this.books.on_their_way.clear();
        this.store.moved.clear();
        // Joins that were lost promised nothing.
        this.books.forget_lost_joins(this.store.last_join);
        this.books.forget_slots(&roster);
        self.after_roster_restore(tenant, &roster)?;
        let this = &mut self.tenants[tenant];
        this.roster = Some(RosterShell { roster, timer: None, held: Default::default(), last_ticket: 0 });
        self.say(|| format!("t{tenant} starts, unserved for {gap:?}"));
        self.tally.note("tenants started");
        for effect in effects {
            self.perform_roster(tenant, effect)?;
        }
        self.arm_roster(tenant);
        self.check_roster(tenant)?;
        let departments: Vec<DepartmentId> = self.tenants[tenant].departments.keys().copied().collect();
        for department in departments {
            let open = self.tenants[tenant].store.open(department).next().is_some();
            let state = if open || self.dice.chance(300) {
                let after = self.dice.delay(300_000);
                self.later(tenant, after, Event::StartQueue { department, ticket: 0 });
                DeskState::Down { since: served_until.unwrap_or(now) }
            } else {
                DeskState::Asleep
            };
            self.tenants[tenant].desks.insert(department, state);
        }
        // Sockets that survived are joined to their topics again.
        let connected: Vec<_> = self.tenants[tenant]
            .agents
            .iter()
            .flat_map(|(user, truth)| truth.devices.iter().map(|device| (*user, *device)))
            .collect();
        for (user, device) in connected {
            self.ask_roster(tenant, vez::roster::Command::Attach { user, device }, None);
        }
        self.later(tenant, HEARTBEAT, Event::Heartbeat);
        Ok(())
    }

    pub fn heartbeat(&mut self, tenant: usize) -> Result<(), Broken> {
        if self.up && !self.storage_away {
            let now = self.clock();
            self.tenants[tenant].store.served_until = Some(now);
        }
        self.later(tenant, HEARTBEAT, Event::Heartbeat);
        Ok(())
    }

    /// `kill -9`: whatever is not in the record is gone, and so is every socket.
    pub fn crash(&mut self) -> Result<(), Broken> {
        if !self.up {
            return Ok(());
        }
        self.up = false;
        self.tally.note("crashes");
        let down = match self.dice.below(3) {
            0 => self.dice.span(100_000, 2_000_000),
            1 => self.dice.span(2_000_000, 30_000_000),
            _ => self.dice.span(30_000_000, 900_000_000),
        };
        self.say(|| format!("CRASH for {down:?}"));
        for tenant in 0..self.tenants.len() {
            self.forget_actors(tenant)?;
            // The COMMIT under way may still arrive.
            let arrives = !self.storage_away && self.dice.chance(500);
            let store = &mut self.tenants[tenant].store;
            if arrives && store.batch.is_some_and(|batch| batch.fate != Fate::Refused && !batch.unheard) {
                store.apply_batch()?;
            }
            store.forget_pending();
            self.tenants[tenant].died_at = None;
            for agent in self.tenants[tenant].agents.values_mut() {
                agent.devices.clear();
            }
            for customer in self.tenants[tenant].customers.list.values_mut() {
                customer.devices.clear();
            }
        }
        self.mail.clear();
        // The next life measures from its heartbeat, whatever the outage did.
        self.away_since = None;
        self.later(0, down, Event::Boot);
        Ok(())
    }

    /// The server starts; its clock is the machine's, which may have been set meanwhile.
    pub fn boot(&mut self) -> Result<(), Broken> {
        if self.up {
            return Ok(());
        }
        self.up = true;
        self.skew = if self.dice.chance(700) { 0 } else { self.dice.within(0, 4_000_000) as i64 - 2_000_000 };
        for tenant in 0..self.tenants.len() {
            self.start_tenant(tenant)?;
            let users: Vec<_> = self.tenants[tenant].agents.keys().copied().collect();
            for user in users {
                if self.dice.chance(850) {
                    let after = self.dice.delay(60_000_000);
                    self.later(tenant, after, Event::Client(ClientAct::AgentAttach { user }));
                }
            }
            let calls: Vec<_> =
                self.tenants[tenant].store.calls.values().filter(|c| c.phase != Phase::Ended).cloned().collect();
            for call in calls {
                if self.dice.chance(850) {
                    let after = self.dice.delay(60_000_000);
                    self.later(tenant, after, Event::Client(ClientAct::CustomerAttach { call: call.id }));
                }
            }
        }
        Ok(())
    }

    /// A queue with nothing to do rests, if nothing is lent to it or on its way.
    pub fn rest(&mut self, tenant: usize, department: DepartmentId) -> Result<(), Broken> {
        let through = self.tenants[tenant].store.through;
        let Some(shell) = self.queue(tenant, department) else { return Ok(()) };
        let incarnation = shell.incarnation;
        let lends = self.tenants[tenant].roster.as_ref().is_none_or(|shell| shell.roster.lends_to(department));
        let mailed = self.mail.values().any(|(route, ..)| route.tenant == tenant && route.department == department);
        if !shell.queue.is_idle() || shell.last_ticket > through || !shell.held.is_empty() || lends || mailed {
            return Ok(());
        }
        self.tally.note("queues rested");
        self.no_longer_served(tenant, department);
        self.tenants[tenant].desks.insert(department, DeskState::Asleep);
        self.apply_roster(tenant, vez::roster::Command::QueueStopped { department, incarnation }, None)
    }
}
