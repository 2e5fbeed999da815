//! Owns how calls get from one queue to another in this world: what the shells of `actors/` do about transfers.

use vez::domain::call::Phase;
use vez::domain::ids::DepartmentId;
use vez::queue::Command;
use vez::queue::event::Settled;
use vez::queue::exchange::Handover;

use crate::checks::Broken;
use crate::shells::DeskState;
use crate::world::{Event, Mail, Route, World};

impl World {
    /// A change is committed, and the queue that made it lives.
    pub fn settled(&mut self, tenant: usize, settled: &Settled) {
        match settled {
            Settled::Transferred { handover, .. } => {
                self.tally.note("calls given away");
                let department = handover.call.department_id;
                self.post(Route { tenant, department, to_roster: false }, Mail::Handover(handover.clone()));
            }
            Settled::Ended(call) => {
                self.tenants[tenant].homes.remove(&call.id);
            }
            _ => {}
        }
    }

    /// A call comes to its new queue, wherever that is in its life.
    pub fn adopt(&mut self, tenant: usize, handover: Box<Handover>) -> Result<(), Broken> {
        let (call, department) = (handover.call.id, handover.call.department_id);
        match self.tenants[tenant].desks.get(&department) {
            Some(DeskState::Up(_)) => {}
            _ => {
                self.tenants[tenant].handed.entry(department).or_default().push(handover);
                self.wake_queue(tenant, department);
                return Ok(());
            }
        }
        let here = self.queue(tenant, department).is_some_and(|shell| shell.queue.call(call).is_some());
        let comes = self.tenants[tenant].homes.get(&call).is_some_and(|home| *home != department);
        if !here && !comes {
            return Ok(());
        }
        self.tally.note("calls adopted");
        self.comes_home(tenant, call, department);
        self.apply_queue(tenant, department, Command::Adopt(handover), None)
    }

    fn comes_home(&mut self, tenant: usize, call: vez::domain::ids::CallId, department: DepartmentId) {
        let this = &mut self.tenants[tenant];
        this.homes.insert(call, department);
        this.books.on_their_way.remove(&call);
        if let Some(customer) = this.customers.list.get_mut(&call) {
            customer.department = department;
        }
    }

    /// A new life of a queue says which calls are its own; those that an earlier life gave away are handed over now.
    pub fn claim(&mut self, tenant: usize, department: DepartmentId) {
        let Some(shell) = self.queue(tenant, department) else { return };
        let open: Vec<_> = shell.queue.open_calls().map(|call| call.snapshot().id).collect();
        for call in &open {
            self.comes_home(tenant, *call, department);
        }
        let homes = &self.tenants[tenant].homes;
        let gone: Vec<_> =
            homes.iter().filter(|(id, home)| **home == department && !open.contains(id)).map(|(id, _)| *id).collect();
        for id in gone {
            let row = self.tenants[tenant].store.calls.get(&id).cloned();
            let elsewhere = row.filter(|row| row.phase != Phase::Ended && row.department_id != department);
            let Some(row) = elsewhere else {
                self.tenants[tenant].homes.remove(&id);
                continue;
            };
            let devices = self.tenants[tenant].customers.list.get(&id).map(|one| one.devices.clone());
            let handover = Handover {
                devices: devices.unwrap_or_default(),
                present_until: self.clock().plus_seconds(10),
                grace_until: None,
                call: row.clone(),
            };
            if let Some(shell) = self.queue_mut(tenant, department) {
                shell.queue.gone(&row);
            }
            let to = row.department_id;
            self.post(Route { tenant, department: to, to_roster: false }, Mail::Handover(Box::new(handover)));
        }
    }

    /// Whether a command is about a call that was given away: then it goes where the call went.
    pub fn sent_on(&mut self, tenant: usize, department: DepartmentId, command: &Command) -> bool {
        let Some(call) = command.call() else { return false };
        if matches!(command, Command::Adopt(_)) {
            return false;
        }
        let to = self.queue(tenant, department).and_then(|shell| shell.queue.moved_to(call));
        let Some(to) = to else { return false };
        self.tally.note("commands sent on");
        if !matches!(command, Command::Pick { .. } | Command::Transfer(_)) {
            let after = self.dice.delay(400_000);
            self.later(tenant, after, Event::Queue { department: to, command: command.clone(), request: None });
        }
        true
    }
}
