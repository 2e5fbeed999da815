//! Owns what people and fate do at each step, and how a run comes to its good end.

use std::time::Duration;

use vez::domain::agent::{AgentStatus, Intent};
use vez::domain::call::{EndReason, Phase};
use vez::domain::department::Mode;
use vez::domain::ids::{DepartmentId, PickId, UserId};
use vez::domain::transfer::Destination;
use vez::queue::command::Transferring;
use vez::queue::{Command, Party};
use vez::roster::effect::Supervisor;

use crate::checks::{Broken, ensure};
use crate::clients::{Asked, ClientAct, Request};
use crate::world::{Event, World, profile, settings};

/// How long the calm at the end lasts at most, in seconds of the simulated world.
const CALM_SECONDS: u64 = 6_000;

impl World {
    /// One step: somebody does something, or something breaks.
    pub fn act(&mut self) -> Result<(), Broken> {
        if !self.up {
            return Ok(());
        }
        if self.dice.chance(self.swarm.crashes) {
            return self.crash();
        }
        if self.dice.chance(self.swarm.outages) {
            self.outage();
        }
        let tenant = self.dice.below(self.tenants.len());
        if self.dice.chance(self.swarm.tenant_panics) && self.tenants[tenant].roster.is_some() {
            return self.tenant_dies(tenant);
        }
        if self.dice.chance(self.swarm.configures) {
            self.configure(tenant);
        }
        if self.dice.chance(self.swarm.picks) {
            self.pick(tenant);
        }
        if self.dice.chance(self.swarm.transfers) {
            self.transfer(tenant);
        }
        let departments: Vec<DepartmentId> = self.tenants[tenant].departments.keys().copied().collect();
        let users: Vec<UserId> = self.tenants[tenant].agents.keys().copied().collect();
        let Some(department) = self.dice.one_of(&departments) else { return Ok(()) };
        let Some(user) = self.dice.one_of(&users) else { return Ok(()) };
        if self.dice.chance(self.swarm.joins) {
            let link = self.tenants[tenant].departments[&department].1;
            self.join(tenant, department, link);
            return Ok(());
        }
        match self.dice.below(100) {
            0..=16 => self.customer_moves(tenant),
            17..=34 => self.agent_moves(tenant, user),
            35..=52 => self.set_status(tenant, user),
            53..=74 => self.work(tenant),
            75..=82 => self.late(tenant),
            83..=86 => {
                if let Some(again) = self.tenants[tenant].customers.unanswered.pop() {
                    self.join_again(tenant, again.0, again.1);
                }
            }
            87..=89 => return self.rest(tenant, department),
            90 => self.ask_roster(tenant, vez::roster::Command::DayStarted, None),
            91 => {
                let link = self.tenants[tenant].departments[&department].1;
                if self.dice.chance(200) {
                    self.ask_other(tenant, department, Command::LinkCancelled { link });
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn customer_moves(&mut self, tenant: usize) {
        let Some((call, department)) = self.some_call(tenant) else { return };
        match self.dice.below(100) {
            0..=34 => self.attach_customer(tenant, call),
            35..=59 => self.detach_customer(tenant, call),
            60..=79 => self.ask_other(tenant, department, Command::Poll { call }),
            80..=89 => self.ask_other(tenant, department, Command::Leave { call }),
            90..=94 => {
                let by = self.dice.chance(300).then(|| self.tenants[tenant].agents.keys().next().copied()).flatten();
                self.ask_other(tenant, department, Command::End { call, reason: EndReason::Withdrawn, by });
            }
            _ => self.ask_other(tenant, department, Command::Finish { call, by: Party::Customer }),
        }
    }

    fn agent_moves(&mut self, tenant: usize, user: UserId) {
        let devices = self.tenants[tenant].agents[&user].devices.len();
        let attach = match devices {
            0 => 900,
            1 => 350,
            _ => 50,
        };
        if self.dice.chance(attach) {
            self.attach_agent(tenant, user);
        } else if self.dice.chance(500) {
            self.detach_agent(tenant, user);
        }
    }

    fn set_status(&mut self, tenant: usize, user: UserId) {
        let status = match self.dice.below(10) {
            0..=6 => AgentStatus::Available,
            7..=8 => AgentStatus::Paused,
            _ => AgentStatus::Offline,
        };
        let by = self.dice.chance(100).then(|| {
            let (user_id, agent) = self.tenants[tenant].agents.iter().next_back().expect("there are agents");
            Supervisor { user_id: *user_id, name: agent.profile.name.clone() }
        });
        let after_call = self.dice.chance(250);
        let command = vez::roster::Command::SetStatus { user, by, intent: Intent::plain(status), after_call };
        self.ask_roster(tenant, command, Some(Request { department: None, asked: Asked::Agent(user) }));
    }

    /// An agent goes on with a call of his, or somebody does it for him.
    fn work(&mut self, tenant: usize) {
        let Some(call) = self.some_running(tenant) else { return };
        let (id, department) = (call.id, call.department_id);
        let Some(user) = call.user_id else { return };
        match self.dice.below(10) {
            0..=4 if call.phase == Phase::Assigned => {
                let request = Request { department: Some(department), asked: Asked::Start(user, id) };
                self.ask_queue(tenant, department, Command::Start { call: id, user }, Some(request));
            }
            0..=3 => self.ask_other(tenant, department, Command::Complete { call: id, user, supervisor: false }),
            4 => {
                let boss = *self.tenants[tenant].agents.keys().next().expect("there are agents");
                self.ask_other(tenant, department, Command::Complete { call: id, user: boss, supervisor: true });
            }
            5 => self.ask_other(tenant, department, Command::Finish { call: id, by: Party::Agent(user) }),
            6 => self.detach_agent(tenant, user),
            _ => {}
        }
    }

    /// Commands about old offers: too late, twice, or of the wrong agent.
    fn late(&mut self, tenant: usize) {
        let seen: Vec<_> = self.tenants[tenant].customers.seen.iter().copied().collect();
        let Some(mut seen) = self.dice.one_of(&seen) else { return };
        if self.dice.chance(200) {
            let users: Vec<UserId> = self.tenants[tenant].agents.keys().copied().collect();
            seen.user = self.dice.one_of(&users).unwrap_or(seen.user);
        }
        match self.dice.below(4) {
            0 => self.accept(tenant, seen),
            1 => self.ask_other(tenant, seen.department, Command::Decline { grant: seen.grant, user: seen.user }),
            2 => self.ask_other(tenant, seen.department, Command::Start { call: seen.call, user: seen.user }),
            _ => {
                let command = Command::Complete { call: seen.call, user: seen.user, supervisor: false };
                self.ask_other(tenant, seen.department, command);
            }
        }
    }

    fn pick(&mut self, tenant: usize) {
        let Some((call, department)) = self.some_call(tenant) else { return };
        let users: Vec<UserId> = self.tenants[tenant].agents.keys().copied().collect();
        let (Some(user), Some(by)) = (self.dice.one_of(&users), self.dice.one_of(&users)) else { return };
        for _ in 0..if self.dice.chance(150) { 2 } else { 1 } {
            let pick: PickId = self.dice.id();
            let request = Request { department: Some(department), asked: Asked::Pick(user) };
            self.ask_queue(tenant, department, Command::Pick { pick, call, user, by }, Some(request));
        }
    }

    fn transfer(&mut self, tenant: usize) {
        let call = if self.dice.chance(500) {
            self.some_running(tenant).map(|call| (call.id, call.department_id, call.user_id))
        } else {
            self.some_call(tenant).map(|(id, department)| (id, department, None))
        };
        let Some((call, department, agent)) = call else { return };
        let departments: Vec<DepartmentId> = self.tenants[tenant].departments.keys().copied().collect();
        let users: Vec<UserId> = self.tenants[tenant].agents.keys().copied().collect();
        let (Some(to), Some(somebody)) = (self.dice.one_of(&departments), self.dice.one_of(&users)) else { return };
        let settings = &self.tenants[tenant].departments[&to].0;
        let keep_seconds = (settings.mode == Mode::Push).then_some(settings.offer_timeout_seconds);
        let user_id = self.dice.chance(400).then(|| self.dice.one_of(&users)).flatten();
        let command = Command::Transfer(Transferring {
            call,
            to: Destination { department_id: to, user_id },
            by: agent.filter(|_| self.dice.chance(700)).unwrap_or(somebody),
            supervisor: self.dice.chance(600),
            keep_seconds,
            reason: None,
        });
        self.ask_other(tenant, department, command);
    }

    fn configure(&mut self, tenant: usize) {
        let departments: Vec<DepartmentId> = self.tenants[tenant].departments.keys().copied().collect();
        let users: Vec<UserId> = self.tenants[tenant].agents.keys().copied().collect();
        match self.dice.below(10) {
            0..=3 => {
                let Some(department) = self.dice.one_of(&departments) else { return };
                let settings = settings(&mut self.dice, department, "again");
                let (strategy, weight) = (settings.routing_strategy, settings.weight);
                if let Some(known) = self.tenants[tenant].departments.get_mut(&department) {
                    known.0 = settings.clone();
                }
                self.ask_queue(tenant, department, Command::Configure(settings), None);
                self.ask_roster(tenant, vez::roster::Command::Department { department, strategy, weight }, None);
            }
            4..=8 => {
                let Some(user) = self.dice.one_of(&users) else { return };
                let profile = profile(&mut self.dice, user, "again", &departments);
                if let Some(agent) = self.tenants[tenant].agents.get_mut(&user) {
                    agent.capacity_most = agent.capacity_most.max(profile.capacity);
                    agent.profile = profile.clone();
                }
                self.ask_roster(
                    tenant,
                    vez::roster::Command::Configure { user, profile: Some(profile), snapshot: None },
                    None,
                );
            }
            _ => {
                let plan = self.dice.chance(500).then(|| self.dice.within(1, 5) as u32);
                self.tenants[tenant].plan = plan;
                self.ask_roster(tenant, vez::roster::Command::PlanLimit(plan), None);
            }
        }
    }

    /// Nothing breaks any more, everybody is there and willing: every call comes to its end.
    pub fn finish(&mut self) -> Result<(), Broken> {
        self.calm = true;
        self.swarm.mail_delay = 1_000;
        self.swarm.commit_delay = 5_000;
        for _ in 0..200 {
            if self.up && !self.storage_away && self.tenants.iter().all(|tenant| tenant.roster.is_some()) {
                break;
            }
            self.pass(Duration::from_secs(5))?;
        }
        // News of the last outage's end come to everybody.
        self.pass(Duration::from_secs(2))?;
        ensure(self.up && !self.storage_away, "the_server_comes_back", || "still down after the last fault".into())?;
        for tenant in 0..self.tenants.len() {
            let users: Vec<UserId> = self.tenants[tenant].agents.keys().copied().collect();
            let departments: Vec<DepartmentId> = self.tenants[tenant].departments.keys().copied().collect();
            for &department in &departments {
                let Some((settings, _)) = self.tenants[tenant].departments.get_mut(&department) else { continue };
                settings.mode = Mode::Push;
                let settings = settings.clone();
                self.ask_queue(tenant, department, Command::Configure(settings), None);
            }
            for user in users {
                let mut profile = self.tenants[tenant].agents[&user].profile.clone();
                profile.skills = {
                    let mut skills = crate::world::SKILLS.map(std::sync::Arc::from).to_vec();
                    skills.sort();
                    skills.into()
                };
                profile.departments = departments.iter().copied().collect();
                if let Some(agent) = self.tenants[tenant].agents.get_mut(&user) {
                    agent.profile = profile.clone();
                }
                self.tenants[tenant].plan = None;
                self.ask_roster(
                    tenant,
                    vez::roster::Command::Configure { user, profile: Some(profile), snapshot: None },
                    None,
                );
                self.ask_roster(tenant, vez::roster::Command::PlanLimit(None), None);
                let intent = Intent::plain(AgentStatus::Available);
                let command = vez::roster::Command::SetStatus { user, by: None, intent, after_call: false };
                self.ask_roster(tenant, command, None);
                self.attach_agent(tenant, user);
            }
        }
        for _ in 0..CALM_SECONDS / 20 {
            for tenant in 0..self.tenants.len() {
                self.nudge(tenant);
            }
            self.pass(Duration::from_secs(20))?;
            self.drain()?;
            self.check_everything()?;
            if self.tenants.iter().all(|tenant| tenant.store.calls.values().all(|call| call.phase == Phase::Ended)) {
                return self.check_end();
            }
        }
        let open: Vec<_> = self
            .tenants
            .iter()
            .flat_map(|tenant| tenant.store.calls.values())
            .filter(|call| call.phase != Phase::Ended)
            .collect();
        ensure(open.is_empty(), "every_call_comes_to_its_end", || format!("{open:?}"))
    }

    /// Customers look in, agents go on with what they have.
    fn nudge(&mut self, tenant: usize) {
        let open: Vec<_> = self.tenants[tenant]
            .store
            .calls
            .values()
            .filter(|call| call.phase != Phase::Ended)
            .map(|call| (call.id, call.department_id, call.phase, call.user_id))
            .collect();
        for (call, department, phase, user) in open {
            self.ask_queue(tenant, department, Command::Poll { call }, None);
            match (phase, user) {
                (Phase::Assigned, Some(user)) => self.later(
                    tenant,
                    Duration::from_secs(1),
                    Event::Client(ClientAct::Start { department, user, call }),
                ),
                (Phase::Active, Some(user)) => self.later(
                    tenant,
                    Duration::from_secs(2),
                    Event::Client(ClientAct::Complete { department, user, call }),
                ),
                _ => {}
            }
        }
    }
}
