//! Owns the shells: what `actors/` does around the pure core, without its threads. A command is applied, its effects are
//! performed in order, replies wait for the commit of everything recorded so far, one timer is armed.

use std::collections::VecDeque;

use vez::domain::clock::Timestamp;
use vez::domain::ids::{DepartmentId, GrantId};
use vez::domain::record::Entry;
use vez::queue::exchange::Envelope;
use vez::queue::view::View;
use vez::queue::{Effect, Queue, Rejection, Reply};
use vez::roster::Roster;

use crate::checks::{Broken, ensure};
use crate::clients::Request;
use crate::model::Owner;
use crate::world::{Event, Mail, Route, World};

/// What waits for a commit.
#[derive(Clone, Debug)]
pub enum Answer {
    Queue(Result<Reply, Rejection>),
    Pick(Result<vez::domain::ids::CallId, Rejection>),
    /// The agent's row must be at least this version by then.
    Roster(Result<i64, Rejection>),
}

/// One life of a queue and what its actor holds.
#[derive(Debug)]
pub struct QueueShell {
    pub queue: Queue,
    pub incarnation: u64,
    pub sent: u64,
    pub heard: u64,
    pub view: View,
    pub timer: Option<Timestamp>,
    pub held: VecDeque<(u64, Request, Answer)>,
    pub last_ticket: u64,
    /// How long this department was served by this life, in microseconds; stands still while frozen.
    pub served: i64,
    pub served_at: Timestamp,
}

/// A department's queue.
#[derive(Debug)]
pub enum DeskState {
    /// Nobody asked for it yet, or it rests.
    Asleep,
    /// Dead since then; the next life comes once what its tenant wrote is committed.
    Down {
        since: Timestamp,
    },
    Up(Box<QueueShell>),
}

/// The roster and what its actor holds.
#[derive(Debug)]
pub struct RosterShell {
    pub roster: Roster,
    pub timer: Option<Timestamp>,
    pub held: VecDeque<(u64, Request, Answer)>,
    pub last_ticket: u64,
}

impl World {
    /// The queue of a department, if it lives.
    pub fn queue(&self, tenant: usize, department: DepartmentId) -> Option<&QueueShell> {
        match self.tenants[tenant].desks.get(&department) {
            Some(DeskState::Up(shell)) => Some(shell),
            _ => None,
        }
    }

    pub fn queue_mut(&mut self, tenant: usize, department: DepartmentId) -> Option<&mut QueueShell> {
        match self.tenants[tenant].desks.get_mut(&department) {
            Some(DeskState::Up(shell)) => Some(shell),
            _ => None,
        }
    }

    /// One turn of a queue's actor.
    pub fn apply_queue(
        &mut self,
        tenant: usize,
        department: DepartmentId,
        command: vez::queue::Command,
        request: Option<Request>,
    ) -> Result<(), Broken> {
        let now = self.clock();
        let pick = match &command {
            vez::queue::Command::Pick { pick, .. } => Some(*pick),
            _ => None,
        };
        if self.queue(tenant, department).is_none() {
            self.wake_queue(tenant, department);
            return self.unheard(tenant, request);
        }
        if self.sent_on(tenant, department, &command) {
            return self.unheard(tenant, request);
        }
        if let (Some(pick), Some(request)) = (pick, &request) {
            self.tenants[tenant].customers.picks.insert(pick, request.clone());
        }
        let before = self.before_queue(tenant, department, &command);
        let again = (request.is_some() && self.dice.chance(40)).then(|| command.clone());
        self.say(|| format!("t{tenant} {department} <- {command:?}"));
        self.tally.note("commands to queues");
        let Some(shell) = self.queue_mut(tenant, department) else { return Ok(()) };
        if !shell.queue.is_frozen() {
            shell.served += now.micros() - shell.served_at.micros();
        }
        shell.served_at = now;
        let applied = match shell.queue.apply(now, command) {
            Ok(applied) => applied,
            Err(rejection) => {
                self.say(|| format!("    refused: {rejection:?}"));
                self.tenants[tenant].customers.forget_pick(pick);
                self.after_rejection(tenant, department, &before)?;
                self.arm_queue(tenant, department);
                return match request {
                    Some(request) => self.answer(tenant, request, Answer::Queue(Err(rejection))),
                    None => Ok(()),
                };
            }
        };
        self.after_queue(tenant, department, &before, &applied)?;
        if !matches!(applied.reply, Reply::Deferred) {
            self.tenants[tenant].customers.forget_pick(pick);
        }
        let effects = applied.effects;
        let survives = self.survives(effects.len());
        for effect in effects.into_iter().take(survives.unwrap_or(usize::MAX)) {
            self.perform_queue(tenant, department, effect)?;
        }
        if survives.is_some() {
            self.queue_dies(tenant, department)?;
            return self.unheard(tenant, request);
        }
        if let Some(again) = again {
            self.apply_again(tenant, department, again, &applied.reply)?;
        }
        if let (Some(request), false) = (request, matches!(applied.reply, Reply::Deferred)) {
            self.hold_queue(tenant, department, request, Answer::Queue(Ok(applied.reply)))?;
        }
        self.arm_queue(tenant, department);
        self.check_queue(tenant, department)
    }

    /// The same command of the same party, at once: it hears the same, and nothing changes.
    fn apply_again(
        &mut self,
        tenant: usize,
        department: DepartmentId,
        command: vez::queue::Command,
        first: &Reply,
    ) -> Result<(), Broken> {
        use vez::queue::Command::{Join, LinkCancelled, Pick};
        let keyed = !matches!(&command, Join(new) if new.join_key.is_none());
        if !keyed || matches!(command, Pick { .. } | LinkCancelled { .. }) {
            return Ok(());
        }
        let now = self.clock();
        self.say(|| format!("    again: {command:?}"));
        let text = format!("{command:?}");
        let Some(shell) = self.queue_mut(tenant, department) else { return Ok(()) };
        let applied = shell.queue.apply(now, command);
        if matches!((&applied, first), (Err(Rejection::Moved), Reply::Call(_))) {
            // A transfer elsewhere: the shell sends whoever asks again after it.
            return Ok(());
        }
        let same = match (&applied, first) {
            (Ok(applied), first) => {
                let recorded = applied.effects.iter().any(|effect| matches!(effect, Effect::Record { .. }));
                let told = match (&applied.reply, first) {
                    (Reply::Call(one), Reply::Call(other)) => one.id == other.id && one.version == other.version,
                    (Reply::Joined { call: one, .. }, Reply::Joined { call: other, .. }) => one.id == other.id,
                    (Reply::Done, Reply::Done) => true,
                    _ => false,
                };
                told && !recorded
            }
            (Err(_), _) => false,
        };
        ensure(same, "the_same_command_twice_means_once", || format!("{text}: {first:?}, then {applied:?}"))?;
        for effect in applied.map(|applied| applied.effects).unwrap_or_default() {
            self.perform_queue(tenant, department, effect)?;
        }
        Ok(())
    }

    pub fn arm_queue(&mut self, tenant: usize, department: DepartmentId) {
        let late = self.dice.delay(20_000);
        let (now, skew) = (self.now, self.skew);
        if let Some(shell) = self.queue_mut(tenant, department) {
            shell.timer =
                shell.queue.next_deadline().map(|at| Timestamp::from_micros(at.micros() - skew).max(now) + late);
        }
    }

    pub fn perform_queue(&mut self, tenant: usize, department: DepartmentId, effect: Effect) -> Result<(), Broken> {
        self.say(|| format!("    {department} {effect:?}"));
        let Some(shell) = self.queue_mut(tenant, department) else { return Ok(()) };
        let incarnation = shell.incarnation;
        match effect {
            Effect::Tell(settled) => {
                shell.view.fold(&settled);
            }
            Effect::Record { entry, settled } => {
                if let vez::queue::event::Settled::Joined(call) = &settled {
                    self.tenants[tenant].homes.insert(call.id, department);
                }
                let owner = Owner::Queue(department, incarnation);
                let ticket = self.write(tenant, owner, entry, Some(settled));
                if let Some(shell) = self.queue_mut(tenant, department) {
                    shell.last_ticket = ticket;
                }
            }
            Effect::Say(_) => {}
            Effect::Roster(message) => {
                shell.sent += 1;
                let envelope = Envelope { incarnation, sequence: shell.sent, message };
                self.post(Route { tenant, department, to_roster: true }, Mail::ToRoster(envelope));
            }
            Effect::Answer { pick, result } => {
                let request = self.tenants[tenant].customers.picks.remove(&pick);
                let Some(request) = request else {
                    return ensure(false, "every_pick_is_answered", || format!("{pick:?} once more: {result:?}"));
                };
                self.hold_queue(tenant, department, request, Answer::Pick(result))?;
            }
        }
        Ok(())
    }

    fn hold_queue(
        &mut self,
        tenant: usize,
        department: DepartmentId,
        request: Request,
        answer: Answer,
    ) -> Result<(), Broken> {
        let through = self.tenants[tenant].store.through;
        let Some(shell) = self.queue_mut(tenant, department) else { return Ok(()) };
        if shell.last_ticket <= through {
            return self.answer(tenant, request, answer);
        }
        shell.held.push_back((shell.last_ticket, request, answer));
        Ok(())
    }

    /// One turn of the tenant's actor.
    pub fn apply_roster(
        &mut self,
        tenant: usize,
        command: vez::roster::Command,
        request: Option<Request>,
    ) -> Result<(), Broken> {
        let now = self.clock();
        if self.tenants[tenant].roster.is_none() {
            return self.unheard(tenant, request);
        }
        self.say(|| format!("t{tenant} roster <- {command:?}"));
        self.tally.note("commands to rosters");
        let before = self.before_roster(tenant, &command);
        let (Some(shell), dice) = (self.tenants[tenant].roster.as_mut(), &mut self.dice) else { return Ok(()) };
        let mut new_grant = || dice.id::<GrantId>();
        let applied = match shell.roster.apply(now, command, &mut new_grant) {
            Ok(applied) => applied,
            Err(rejection) => {
                self.say(|| format!("    refused: {rejection:?}"));
                self.arm_roster(tenant);
                return match request {
                    Some(request) => self.answer(tenant, request, Answer::Roster(Err(rejection))),
                    None => Ok(()),
                };
            }
        };
        let version = self.after_roster(tenant, before)?;
        let survives = if self.dice.chance(50) { self.survives(applied.effects.len()) } else { None };
        for effect in applied.effects.into_iter().take(survives.unwrap_or(usize::MAX)) {
            self.perform_roster(tenant, effect)?;
        }
        if survives.is_some() {
            self.tenant_dies(tenant)?;
            return self.unheard(tenant, request);
        }
        if let Some(request) = request {
            let through = self.tenants[tenant].store.through;
            let answer = Answer::Roster(Ok(version));
            match self.tenants[tenant].roster.as_mut() {
                Some(shell) if shell.last_ticket > through => {
                    shell.held.push_back((shell.last_ticket, request, answer));
                }
                _ => self.answer(tenant, request, answer)?,
            }
        }
        self.arm_roster(tenant);
        self.check_roster(tenant)
    }

    pub fn arm_roster(&mut self, tenant: usize) {
        let late = self.dice.delay(20_000);
        let (now, skew) = (self.now, self.skew);
        if let Some(shell) = self.tenants[tenant].roster.as_mut() {
            shell.timer =
                shell.roster.next_deadline().map(|at| Timestamp::from_micros(at.micros() - skew).max(now) + late);
        }
    }

    pub fn perform_roster(&mut self, tenant: usize, effect: vez::roster::Effect) -> Result<(), Broken> {
        self.say(|| format!("    roster {effect:?}"));
        match effect {
            vez::roster::Effect::Record { entry, .. } => {
                let ticket = self.write(tenant, Owner::Roster, entry, None);
                if let Some(shell) = self.tenants[tenant].roster.as_mut() {
                    shell.last_ticket = ticket;
                }
            }
            vez::roster::Effect::Say(said) => self.agent_hears(tenant, said),
            vez::roster::Effect::Queue { department, envelope } => {
                self.post(Route { tenant, department, to_roster: false }, Mail::ToQueue(envelope));
            }
        }
        Ok(())
    }

    fn write(&mut self, tenant: usize, owner: Owner, entry: Entry, settled: Option<vez::queue::event::Settled>) -> u64 {
        let ticket = self.tenants[tenant].store.push(owner, entry, settled);
        self.begin_commit(tenant);
        ticket
    }

    /// A message has come to its reader.
    pub fn deliver(&mut self, route: Route, mail: Mail) -> Result<(), Broken> {
        let Route { tenant, department, .. } = route;
        match mail {
            Mail::ToRoster(envelope) => {
                let command = vez::roster::Command::Queue { department, envelope };
                self.apply_roster(tenant, command, None)
            }
            Mail::Handover(handover) => self.adopt(tenant, handover),
            Mail::Stopped(incarnation) => {
                let command = vez::roster::Command::QueueStopped { department, incarnation };
                self.apply_roster(tenant, command, None)
            }
            Mail::ToQueue(envelope) => {
                let Some(shell) = self.queue_mut(tenant, department) else { return Ok(()) };
                if shell.incarnation != envelope.incarnation || envelope.sequence <= shell.heard {
                    return Ok(());
                }
                ensure(envelope.sequence == shell.heard + 1, "messages_come_in_order", || format!("{envelope:?}"))?;
                shell.heard = envelope.sequence;
                self.apply_queue(tenant, department, vez::queue::Command::Roster(envelope.message), None)
            }
        }
    }

    /// Releases what waited for commits up to `through`.
    pub fn release(&mut self, tenant: usize) -> Result<(), Broken> {
        let through = self.tenants[tenant].store.through;
        let mut ready = Vec::new();
        let held = self.tenants[tenant].roster.iter_mut().map(|shell| &mut shell.held);
        for held in held {
            while held.front().is_some_and(|(ticket, ..)| *ticket <= through) {
                ready.extend(held.pop_front());
            }
        }
        for desk in self.tenants[tenant].desks.values_mut() {
            if let DeskState::Up(shell) = desk {
                while shell.held.front().is_some_and(|(ticket, ..)| *ticket <= through) {
                    ready.extend(shell.held.pop_front());
                }
            }
        }
        for (_, request, answer) in ready {
            self.answer(tenant, request, answer)?;
        }
        Ok(())
    }

    /// Sends a command to a queue as a client's or staff's request, over a network that takes its time.
    pub fn ask_queue(
        &mut self,
        tenant: usize,
        department: DepartmentId,
        command: vez::queue::Command,
        request: Option<Request>,
    ) {
        let after = self.dice.delay(400_000);
        self.later(tenant, after, Event::Queue { department, command, request });
    }

    pub fn ask_roster(&mut self, tenant: usize, command: vez::roster::Command, request: Option<Request>) {
        let after = self.dice.delay(400_000);
        self.later(tenant, after, Event::Roster { command, request });
    }
}
