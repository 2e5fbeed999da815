//! Owns what listeners are told when a topic's owner begins a new life: to take the whole state anew. It says nothing itself.

use std::sync::atomic::Ordering;

use super::{Hub, Room};
use crate::domain::ids::TenantId;
use crate::live::topic::Topic;

impl Hub {
    /// The topic's owner begins a new life, and what it said last may not be all that happened: nothing is replayed any
    /// more, and whoever listens is given the present state by a `resync`.
    pub fn renew(&self, tenant: TenantId, topic: Topic) {
        if let Some(mut room) = self.0.rooms.get_mut(&(tenant, topic)) {
            self.renew_room(&mut room);
        }
    }

    /// As [`Hub::renew`] for every topic of a tenant that `meant` names.
    pub fn renew_all(&self, tenant: TenantId, meant: impl Fn(Topic) -> bool) {
        for mut room in self.0.rooms.iter_mut() {
            let (of, topic) = *room.key();
            if of == tenant && meant(topic) {
                self.renew_room(&mut room);
            }
        }
    }

    fn renew_room(&self, room: &mut Room) {
        if let Some(kept) = &mut room.ring {
            self.0.ring_bytes.fetch_sub(kept.ring.forget() as isize, Ordering::Relaxed);
        }
        room.subscribers.iter().for_each(|one| one.renew());
    }
}
