//! Owns who listens to what. Actors publish here without waiting; sessions subscribe here and read their outboxes. It asks
//! nobody's permission and keeps no state of its own but the rings of what was said lately.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicIsize, AtomicU64, Ordering};

use dashmap::DashMap;
use metrics::{Counter, counter};
use serde::Serialize;

use super::outbox::{Close, Offered, Outbox, Subscriber};
use super::push::{Push, Sequence, payload_json};
use super::ring::{RING_AGE, Ring};
use super::topic::Topic;
use crate::domain::clock::{Clock, Timestamp};
use crate::domain::ids::{CallId, DeviceId, SessionId, TenantId, UserId};

mod renewal;

/// Most bytes of payload all rings hold together: at some 200 bytes a push, 300 topics with full rings. Above it a ring
/// grows only by dropping its own oldest.
const RINGS_BYTES: isize = 64 << 20;
/// How often rings that nobody listens to are looked through, in microseconds.
const SWEEP_MICROS: i64 = 60_000_000;

/// Who listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SubscriberKind {
    /// The customer of the call.
    Customer,
    /// A member of staff.
    Staff { user: UserId },
}

/// To whom a socket belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketOwner {
    Customer { call: CallId },
    Staff { user: UserId, session: SessionId },
}

/// Whose sockets to close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// Every socket of that user.
    User(UserId),
    /// The sockets of one login of his.
    Session(SessionId),
}

/// Where a subscription delivers: a socket's outbox, under the session's own number of the channel.
#[derive(Clone, Debug)]
pub struct Sink {
    pub outbox: Arc<Outbox>,
    pub channel: u32,
}

/// The hub; clones share it.
#[derive(Clone)]
pub struct Hub(Arc<Inner>);

type Key = (TenantId, Topic);

struct Inner {
    rooms: DashMap<Key, Room>,
    sockets: DashMap<u64, Socket>,
    next_socket: AtomicU64,
    ring_bytes: AtomicIsize,
    swept_at: AtomicI64,
    clock: Clock,
    pushes: Counter,
    deliveries: Counter,
    lags: Counter,
}

#[derive(Default)]
struct Room {
    /// In the order of their joins: the last of a side is its active device.
    subscribers: Vec<Arc<Subscriber>>,
    /// Only sequenced topics have one.
    ring: Option<Box<RoomRing>>,
}

struct RoomRing {
    ring: Ring,
    /// When the last listener went; a topic without one for five minutes is forgotten.
    left_at: Timestamp,
}

struct Socket {
    tenant: TenantId,
    owner: SocketOwner,
    outbox: Arc<Outbox>,
}

/// A membership of a topic; it ends when this is dropped.
pub struct Subscription {
    hub: Hub,
    key: Key,
    subscriber: Arc<Subscriber>,
}

/// A socket the hub can close; forgotten when this is dropped.
pub struct SocketRegistration {
    hub: Hub,
    id: u64,
}

impl Hub {
    /// An empty hub. Build it after the metrics recorder is installed: its counters are resolved here once.
    pub fn new(clock: Clock) -> Self {
        Self(Arc::new(Inner {
            rooms: DashMap::new(),
            sockets: DashMap::new(),
            next_socket: AtomicU64::new(1),
            ring_bytes: AtomicIsize::new(0),
            swept_at: AtomicI64::new(clock.now().micros()),
            clock,
            pushes: counter!("vez_pushes_total"),
            deliveries: counter!("vez_push_deliveries_total"),
            lags: counter!("vez_push_lags_total"),
        }))
    }

    /// Says `event` to everybody on the topic. `payload` must serialise to an object. Without listeners this costs one look-up.
    pub fn publish(&self, tenant: TenantId, topic: Topic, event: &'static str, payload: &impl Serialize) {
        self.broadcast(tenant, topic, None, event, payload);
    }

    /// As [`Hub::publish`], to everybody but one device.
    pub fn publish_from(
        &self,
        tenant: TenantId,
        topic: Topic,
        device: DeviceId,
        event: &'static str,
        payload: &impl Serialize,
    ) {
        self.broadcast(tenant, topic, Some(device), event, payload);
    }

    fn broadcast(
        &self,
        tenant: TenantId,
        topic: Topic,
        but: Option<DeviceId>,
        event: &'static str,
        payload: &impl Serialize,
    ) {
        let Some(room) = self.0.rooms.get(&(tenant, topic)) else { return };
        let mut listeners = room.subscribers.iter().filter(|one| Some(one.device) != but).peekable();
        if listeners.peek().is_none() {
            return;
        }
        let Some(push) = encode(topic, event, payload, None) else { return };
        self.deliver(listeners, &push);
    }

    /// As [`Hub::publish`] on a sequenced topic: `seq` becomes the payload's first member and the push is kept for replay. The
    /// topic's owner calls it in order of `seq`, which grows by one within an `epoch`.
    pub fn publish_sequenced(
        &self,
        tenant: TenantId,
        topic: Topic,
        epoch: u64,
        seq: u64,
        event: &'static str,
        payload: &impl Serialize,
    ) {
        let Some(mut room) = self.0.rooms.get_mut(&(tenant, topic)) else { return };
        let sequence = Sequence { epoch, seq };
        // A push that cannot be encoded leaves a gap, which the sessions notice and mend by a `resync`.
        let Some(push) = encode(topic, event, payload, Some(sequence)) else { return };
        if let Some(kept) = &mut room.ring {
            let full = self.0.ring_bytes.load(Ordering::Relaxed) > RINGS_BYTES;
            let grown = kept.ring.record(self.0.clock.now(), sequence, &push, full);
            self.0.ring_bytes.fetch_add(grown, Ordering::Relaxed);
        }
        self.deliver(room.subscribers.iter(), &push);
    }

    fn deliver<'a>(&self, listeners: impl Iterator<Item = &'a Arc<Subscriber>>, push: &Arc<Push>) {
        let (mut queued, mut lagged) = (0, 0);
        for listener in listeners {
            match listener.offer(push) {
                Offered::Queued => queued += 1,
                Offered::Lagged => lagged += 1,
                Offered::Missed => {}
            }
        }
        self.0.pushes.increment(1);
        self.0.deliveries.increment(queued);
        if lagged > 0 {
            self.0.lags.increment(lagged);
        }
    }

    /// Says `event` to one device. It is never dropped: a device whose outbox is full loses its socket instead. False when
    /// the device is not on the topic, or just lost its socket.
    pub fn publish_to(
        &self,
        tenant: TenantId,
        topic: Topic,
        device: DeviceId,
        event: &'static str,
        payload: &impl Serialize,
    ) -> bool {
        let Some(room) = self.0.rooms.get(&(tenant, topic)) else { return false };
        let Some(listener) = room.subscribers.iter().find(|one| one.device == device) else { return false };
        let Some(push) = encode(topic, event, payload, None) else { return false };
        self.0.pushes.increment(1);
        let taken = listener.must_take(&push);
        if taken {
            self.0.deliveries.increment(1);
        } else {
            self.0.lags.increment(1);
        }
        taken
    }

    /// Whether anybody would hear or could replay a push: callers may spare themselves building a costly payload.
    pub fn is_heard(&self, tenant: TenantId, topic: Topic) -> bool {
        self.0.rooms.contains_key(&(tenant, topic))
    }

    /// What was said on the topic after `after_seq` of `epoch`; `None` when not all of it is held any more.
    pub fn replay(&self, tenant: TenantId, topic: Topic, epoch: u64, after_seq: u64) -> Option<Vec<Arc<Push>>> {
        let room = self.0.rooms.get(&(tenant, topic))?;
        room.ring.as_ref()?.ring.since(self.0.clock.now(), epoch, after_seq)
    }

    /// Begins a membership. Take the snapshot after this, and drop pushes up to the snapshot's `seq`: no gap, no double.
    pub fn subscribe(
        &self,
        tenant: TenantId,
        topic: Topic,
        sink: Sink,
        kind: SubscriberKind,
        device: DeviceId,
    ) -> Subscription {
        self.sweep();
        let subscriber = Arc::new(Subscriber::new(sink.outbox, sink.channel, device, kind));
        let mut room = self.0.rooms.entry((tenant, topic)).or_default();
        if topic.is_sequenced() && room.ring.is_none() {
            room.ring = Some(Box::new(RoomRing { ring: Ring::default(), left_at: self.0.clock.now() }));
        }
        // Exactly one more: nearly all topics are calls, with one listener.
        room.subscribers.reserve_exact(1);
        room.subscribers.push(Arc::clone(&subscriber));
        Subscription { hub: self.clone(), key: (tenant, topic), subscriber }
    }

    /// Who is on the topic, in the order of their joins.
    pub fn devices(&self, tenant: TenantId, topic: Topic) -> Vec<(DeviceId, SubscriberKind)> {
        match self.0.rooms.get(&(tenant, topic)) {
            Some(room) => room.subscribers.iter().map(|one| (one.device, one.kind)).collect(),
            None => Vec::new(),
        }
    }

    /// Ends memberships of the topic, all of them or only one user's: their sockets send `phx_close`.
    pub fn close_topic(&self, tenant: TenantId, topic: Topic, user: Option<UserId>, reason: &'static str) {
        let Some(mut room) = self.0.rooms.get_mut(&(tenant, topic)) else { return };
        room.close(user, reason, self.0.clock.now());
        drop(room);
        self.forget_if_done((tenant, topic));
    }

    /// Ends one user's memberships of every topic that `forbidden` names: his role or his departments changed.
    pub fn close_topics_of(
        &self,
        tenant: TenantId,
        user: UserId,
        reason: &'static str,
        forbidden: impl Fn(Topic) -> bool,
    ) {
        let now = self.0.clock.now();
        for mut room in self.0.rooms.iter_mut() {
            let (of, topic) = *room.key();
            if of == tenant && forbidden(topic) {
                room.close(Some(user), reason, now);
            }
        }
    }

    /// Makes a socket known, so that it can be closed from here.
    pub fn register_socket(&self, tenant: TenantId, owner: SocketOwner, outbox: Arc<Outbox>) -> SocketRegistration {
        let id = self.0.next_socket.fetch_add(1, Ordering::Relaxed);
        self.0.sockets.insert(id, Socket { tenant, owner, outbox });
        SocketRegistration { hub: self.clone(), id }
    }

    /// Closes the sockets of a user or of one of his logins.
    pub fn close_sockets(&self, tenant: TenantId, login: Login, close: Close) {
        for socket in self.0.sockets.iter() {
            let SocketOwner::Staff { user, session } = socket.owner else { continue };
            let meant = match login {
                Login::User(id) => id == user,
                Login::Session(id) => id == session,
            };
            if socket.tenant == tenant && meant {
                socket.outbox.close(close);
            }
        }
    }

    /// Tells every socket that the server stops.
    pub fn close_all(&self, close: Close) {
        for socket in self.0.sockets.iter() {
            socket.outbox.close(close);
        }
    }

    /// How many sockets are open.
    pub fn socket_count(&self) -> usize {
        self.0.sockets.len()
    }

    /// Forgets, at most once a minute, the topics nobody has listened to for five.
    fn sweep(&self) {
        let now = self.0.clock.now();
        let swept_at = self.0.swept_at.load(Ordering::Relaxed);
        let due = now.micros() - swept_at >= SWEEP_MICROS;
        let order = Ordering::Relaxed;
        if !due || self.0.swept_at.compare_exchange(swept_at, now.micros(), order, order).is_err() {
            return;
        }
        self.0.rooms.retain(|_, room| {
            if !room.is_done(now) {
                return true;
            }
            self.0.ring_bytes.fetch_sub(room.ring_bytes(), Ordering::Relaxed);
            false
        });
    }

    fn forget_if_done(&self, key: Key) {
        let now = self.0.clock.now();
        if let Some((_, room)) = self.0.rooms.remove_if(&key, |_, room| room.is_done(now)) {
            self.0.ring_bytes.fetch_sub(room.ring_bytes(), Ordering::Relaxed);
        }
    }
}

fn encode(
    topic: Topic,
    event: &'static str,
    payload: &impl Serialize,
    sequence: Option<Sequence>,
) -> Option<Arc<Push>> {
    match payload_json(payload, sequence.map(|sequence| sequence.seq)) {
        Ok(json) => Some(Arc::new(Push::new(topic, event, json, sequence))),
        Err(error) => {
            tracing::error!(%topic, event, %error, "a push was lost");
            None
        }
    }
}

impl Room {
    fn close(&mut self, user: Option<UserId>, reason: &'static str, now: Timestamp) {
        self.subscribers.retain(|one| {
            let meant = match user {
                None => true,
                Some(user) => one.kind == SubscriberKind::Staff { user },
            };
            if meant {
                one.outbox.close_topic(one.channel, reason);
            }
            !meant
        });
        self.note_left(now);
    }

    fn note_left(&mut self, now: Timestamp) {
        if self.subscribers.is_empty()
            && let Some(kept) = &mut self.ring
        {
            kept.left_at = now;
        }
    }

    fn is_done(&self, now: Timestamp) -> bool {
        self.subscribers.is_empty() && self.ring.as_ref().is_none_or(|kept| now.since(kept.left_at) > RING_AGE)
    }

    fn ring_bytes(&self) -> isize {
        self.ring.as_ref().map_or(0, |kept| kept.ring.bytes() as isize)
    }
}

impl Subscription {
    /// The topic.
    pub fn topic(&self) -> Topic {
        self.key.1
    }

    /// The device this membership is.
    pub fn device(&self) -> DeviceId {
        self.subscriber.device
    }

    /// Stops broadcasts to this membership, to be followed by a `resync`.
    pub fn mute(&self) {
        self.subscriber.mute();
    }

    /// Lets broadcasts in again; call it before taking the snapshot.
    pub fn unmute(&self) {
        self.subscriber.unmute();
    }

    /// How many broadcasts were dropped since the last time this was asked.
    pub fn take_missed(&self) -> u32 {
        self.subscriber.take_missed()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(mut room) = self.hub.0.rooms.get_mut(&self.key) {
            room.subscribers.retain(|one| !Arc::ptr_eq(one, &self.subscriber));
            room.note_left(self.hub.0.clock.now());
        }
        self.hub.forget_if_done(self.key);
    }
}

impl Drop for SocketRegistration {
    fn drop(&mut self) {
        self.hub.0.sockets.remove(&self.id);
    }
}

#[cfg(test)]
#[path = "hub_tests.rs"]
mod tests;
