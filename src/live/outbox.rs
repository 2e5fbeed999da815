//! Owns the bounded queue before one socket. A broadcast that finds it full mutes that subscriber and leaves a marker, so
//! that the session sends one `resync` in place of what was dropped; a directed message that finds it full closes the
//! socket. It never waits and never writes to the network.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::hub::SubscriberKind;
use super::push::Push;
use crate::domain::ids::DeviceId;

/// How many frames wait before one socket unless configured otherwise: a second of a busy queue, or a whole negotiation.
pub const OUTBOX_FRAMES: usize = 256;
/// An emptied outbox keeps at most this much room, so that ten thousand quiet sockets do not hold what a burst once took.
const KEPT_CAPACITY: usize = 8;

/// What a session finds in its outbox.
#[derive(Debug)]
pub enum Delivery {
    /// A message on one of the socket's channels.
    Push { channel: u32, push: Arc<Push> },
    /// From here on broadcasts of this channel were dropped; the subscriber stays muted until the session unmutes it.
    Lagged { channel: u32 },
    /// The server took the topic away.
    TopicClosed { channel: u32, reason: &'static str },
    /// The server closes the socket; nothing comes after it.
    SocketClosed(Close),
}

/// Why and how a socket is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Close {
    pub code: u16,
    pub reason: &'static str,
}

impl Close {
    /// The login is over. 1000 tells the official client not to dial again.
    pub const LOGGED_OUT: Close = Close { code: 1000, reason: "logged_out" };
    /// The user's role changed; the client shall dial again, and is then let in with the new one.
    pub const ROLE_CHANGED: Close = Close { code: 4005, reason: "role_changed" };
    /// The server stops; the client shall dial again.
    pub const GOING_AWAY: Close = Close { code: 1001, reason: "server_restarting" };
    /// A message that must not be dropped found the outbox full, or the socket took nothing for too long.
    pub const LAGGING: Close = Close { code: 4003, reason: "lagging" };
}

/// The queue before one socket: many publishers, one session.
#[derive(Debug)]
pub struct Outbox {
    state: Mutex<State>,
    frames: usize,
}

#[derive(Debug, Default)]
struct State {
    items: VecDeque<Delivery>,
    waker: Option<Waker>,
    close: Option<Close>,
}

impl Outbox {
    /// An empty outbox for at most `frames` messages. Nothing is allocated for them until they come.
    pub fn new(frames: usize) -> Self {
        Self { state: Mutex::default(), frames }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The critical sections below cannot panic halfway, so a poisoned state is a whole one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the next delivery, or registers the session to be woken for it.
    pub fn poll_next(&self, context: &mut Context<'_>) -> Poll<Delivery> {
        let mut state = self.state();
        match state.take() {
            Some(delivery) => Poll::Ready(delivery),
            None => {
                if !state.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
                    state.waker = Some(context.waker().clone());
                }
                Poll::Pending
            }
        }
    }

    /// Takes the next delivery if there is one.
    pub fn try_next(&self) -> Option<Delivery> {
        self.state().take()
    }

    /// Waits for the next delivery. Dropping the future loses nothing.
    pub async fn next(&self) -> Delivery {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    /// Closes the socket: what waits is dropped, the first reason holds.
    pub fn close(&self, close: Close) {
        let mut state = self.state();
        if state.close.is_none() {
            state.close = Some(close);
            state.items = VecDeque::new();
        }
        wake(state);
    }

    /// Tells the session that the server took a topic away.
    pub fn close_topic(&self, channel: u32, reason: &'static str) {
        let mut state = self.state();
        state.items.push_back(Delivery::TopicClosed { channel, reason });
        wake(state);
    }

    /// How many deliveries wait.
    pub fn len(&self) -> usize {
        self.state().items.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl State {
    fn take(&mut self) -> Option<Delivery> {
        if let Some(close) = self.close {
            return Some(Delivery::SocketClosed(close));
        }
        let delivery = self.items.pop_front();
        if self.items.is_empty() && self.items.capacity() > KEPT_CAPACITY {
            self.items = VecDeque::new();
        }
        delivery
    }
}

/// Wakes the session after the lock is released.
fn wake(mut state: MutexGuard<'_, State>) {
    let waker = state.waker.take();
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// One socket's membership of one topic, shared by the hub and the session.
#[derive(Debug)]
pub struct Subscriber {
    pub(super) outbox: Arc<Outbox>,
    /// The session's own number of the channel.
    pub(super) channel: u32,
    pub(super) device: DeviceId,
    pub(super) kind: SubscriberKind,
    muted: AtomicBool,
    missed: AtomicU32,
}

/// What became of a message at one subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offered {
    Queued,
    /// Dropped: the subscriber is muted and will be told by a `resync`.
    Missed,
    /// Dropped, and this drop muted the subscriber.
    Lagged,
}

impl Subscriber {
    pub(super) fn new(outbox: Arc<Outbox>, channel: u32, device: DeviceId, kind: SubscriberKind) -> Self {
        Self { outbox, channel, device, kind, muted: AtomicBool::new(false), missed: AtomicU32::new(0) }
    }

    /// A broadcast: dropped when the subscriber is muted or the outbox full.
    pub(super) fn offer(&self, push: &Arc<Push>) -> Offered {
        if self.muted.load(Ordering::Acquire) {
            self.missed.fetch_add(1, Ordering::Relaxed);
            return Offered::Missed;
        }
        let mut state = self.outbox.state();
        if state.close.is_some() {
            return Offered::Missed;
        }
        if state.items.len() >= self.outbox.frames {
            self.missed.fetch_add(1, Ordering::Relaxed);
            // Two publishers may meet here; the lock lets one of them leave the marker.
            if self.muted.swap(true, Ordering::AcqRel) {
                return Offered::Missed;
            }
            state.items.push_back(Delivery::Lagged { channel: self.channel });
            wake(state);
            return Offered::Lagged;
        }
        state.items.push_back(Delivery::Push { channel: self.channel, push: Arc::clone(push) });
        wake(state);
        Offered::Queued
    }

    /// What was said before may not be all that happened: broadcasts are dropped until the session has taken a fresh
    /// state, which it does at once.
    pub(super) fn renew(&self) {
        let mut state = self.outbox.state();
        // One that is muted will take a fresh state anyway.
        if state.close.is_some() || self.muted.swap(true, Ordering::AcqRel) {
            return;
        }
        state.items.push_back(Delivery::Lagged { channel: self.channel });
        wake(state);
    }

    /// A directed message: never dropped while the socket lives. False when the outbox was full and the socket is closed.
    pub(super) fn must_take(&self, push: &Arc<Push>) -> bool {
        let mut state = self.outbox.state();
        if state.close.is_some() {
            return false;
        }
        if state.items.len() >= self.outbox.frames {
            drop(state);
            self.outbox.close(Close::LAGGING);
            return false;
        }
        state.items.push_back(Delivery::Push { channel: self.channel, push: Arc::clone(push) });
        wake(state);
        true
    }

    /// Stops broadcasts to this subscriber; they are counted instead. Directed messages still come.
    pub fn mute(&self) {
        self.muted.store(true, Ordering::Release);
    }

    /// Lets broadcasts in again. Call it before taking the snapshot that stands for what was missed.
    pub fn unmute(&self) {
        self.muted.store(false, Ordering::Release);
    }

    /// How many broadcasts were dropped since the last time this was asked.
    pub fn take_missed(&self) -> u32 {
        self.missed.swap(0, Ordering::Relaxed)
    }
}
