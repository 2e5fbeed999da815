//! Holds the hub to its promises: one encoding, lag and `resync` markers, replay, closing.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::domain::ids::{DepartmentId, IdSource};
use crate::live::outbox::Delivery;

struct Desk {
    hub: Hub,
    clock: Clock,
    ids: IdSource,
    tenant: TenantId,
    topic: Topic,
}

impl Desk {
    fn new() -> Self {
        let clock = Clock::manual(Timestamp::from_micros(1_700_000_000_000_000));
        let ids = IdSource::seeded(1);
        let now = clock.now();
        Self {
            hub: Hub::new(clock.clone()),
            tenant: ids.next(now),
            topic: Topic::Queue(ids.next::<DepartmentId>(now)),
            clock,
            ids,
        }
    }

    fn outbox(&self, frames: usize) -> Arc<Outbox> {
        Arc::new(Outbox::new(frames))
    }

    fn join(&self, outbox: &Arc<Outbox>, kind: SubscriberKind) -> Subscription {
        let sink = Sink { outbox: Arc::clone(outbox), channel: 1 };
        self.hub.subscribe(self.tenant, self.topic, sink, kind, self.ids.next(self.clock.now()))
    }

    fn staff(&self) -> SubscriberKind {
        SubscriberKind::Staff { user: self.ids.next(self.clock.now()) }
    }

    fn say(&self, seq: u64) {
        self.hub.publish_sequenced(self.tenant, self.topic, 1, seq, "x", &json!({}));
    }
}

fn pushed(delivery: Option<Delivery>) -> Arc<Push> {
    match delivery {
        Some(Delivery::Push { push, .. }) => push,
        other => panic!("expected a push, found {other:?}"),
    }
}

#[test]
fn everybody_hears_the_same_bytes_and_other_tenants_nothing() {
    let desk = Desk::new();
    let (a, b, c) = (desk.outbox(8), desk.outbox(8), desk.outbox(8));
    let _a = desk.join(&a, desk.staff());
    let _b = desk.join(&b, desk.staff());
    let other: TenantId = desk.ids.next(desk.clock.now());
    let sink = Sink { outbox: Arc::clone(&c), channel: 1 };
    let _c = desk.hub.subscribe(other, desk.topic, sink, SubscriberKind::Customer, desk.ids.next(desk.clock.now()));
    desk.hub.publish(desk.tenant, desk.topic, "x", &json!({"a": 1}));
    assert!(Arc::ptr_eq(&pushed(a.try_next()), &pushed(b.try_next())));
    assert!(c.try_next().is_none());
}

#[test]
fn a_full_outbox_mutes_leaves_one_marker_and_counts_what_was_missed() {
    let desk = Desk::new();
    let outbox = desk.outbox(2);
    let membership = desk.join(&outbox, desk.staff());
    for seq in 1..=5 {
        desk.say(seq);
    }
    assert_eq!(pushed(outbox.try_next()).sequence.unwrap().seq, 1);
    assert_eq!(pushed(outbox.try_next()).sequence.unwrap().seq, 2);
    assert!(matches!(outbox.try_next(), Some(Delivery::Lagged { channel: 1 })));
    desk.say(6);
    assert!(outbox.try_next().is_none(), "muted until the session resyncs");
    assert_eq!(membership.take_missed(), 4);
    membership.unmute();
    desk.say(7);
    assert_eq!(pushed(outbox.try_next()).sequence.unwrap().seq, 7);
    assert!(outbox.try_next().is_none());
}

#[test]
fn a_directed_message_passes_a_mute_and_closes_a_full_socket() {
    let desk = Desk::new();
    let outbox = desk.outbox(2);
    let membership = desk.join(&outbox, SubscriberKind::Customer);
    let send = || desk.hub.publish_to(desk.tenant, desk.topic, membership.device(), "signal", &json!({}));
    membership.mute();
    assert!(send());
    assert!(send());
    assert!(!send());
    assert!(matches!(outbox.try_next(), Some(Delivery::SocketClosed(Close::LAGGING))));
    let stranger = desk.ids.next(desk.clock.now());
    assert!(!desk.hub.publish_to(desk.tenant, desk.topic, stranger, "signal", &json!({})));
}

#[test]
fn a_ring_outlives_its_listeners_for_five_minutes() {
    let desk = Desk::new();
    desk.say(1);
    assert!(!desk.hub.is_heard(desk.tenant, desk.topic), "nobody ever listened");
    let outbox = desk.outbox(8);
    let membership = desk.join(&outbox, desk.staff());
    desk.say(2);
    drop(membership);
    desk.say(3);
    assert_eq!(desk.hub.replay(desk.tenant, desk.topic, 1, 1).unwrap().len(), 2);
    assert!(desk.hub.replay(desk.tenant, desk.topic, 1, 0).is_none());
    assert!(desk.hub.replay(desk.tenant, desk.topic, 2, 2).is_none());
    desk.clock.advance(Duration::from_secs(301));
    // Any later join sweeps.
    let now = desk.clock.now();
    let sink = Sink { outbox: desk.outbox(1), channel: 1 };
    let elsewhere = Topic::Call(desk.ids.next(now));
    drop(desk.hub.subscribe(desk.tenant, elsewhere, sink, SubscriberKind::Customer, desk.ids.next(now)));
    assert!(!desk.hub.is_heard(desk.tenant, desk.topic));
    assert!(!desk.hub.is_heard(desk.tenant, elsewhere), "an unsequenced topic goes with its last listener");
    assert_eq!(desk.hub.0.ring_bytes.load(Ordering::Relaxed), 0);
}

#[test]
fn devices_come_in_the_order_of_their_joins() {
    let desk = Desk::new();
    let outbox = desk.outbox(8);
    let first = desk.join(&outbox, SubscriberKind::Customer);
    let staff = desk.staff();
    let second = desk.join(&outbox, staff);
    let third = desk.join(&outbox, SubscriberKind::Customer);
    let customer = SubscriberKind::Customer;
    assert_eq!(
        desk.hub.devices(desk.tenant, desk.topic),
        [(first.device(), customer), (second.device(), staff), (third.device(), customer)]
    );
    drop(first);
    assert_eq!(desk.hub.devices(desk.tenant, desk.topic).len(), 2);
}

#[test]
fn closing_a_topic_for_one_user_leaves_the_others() {
    let desk = Desk::new();
    let (theirs, ours) = (desk.outbox(8), desk.outbox(8));
    let user = desk.ids.next(desk.clock.now());
    let _agent = desk.join(&theirs, SubscriberKind::Staff { user });
    let _customer = desk.join(&ours, SubscriberKind::Customer);
    desk.hub.close_topic(desk.tenant, desk.topic, Some(user), "returned");
    desk.hub.publish(desk.tenant, desk.topic, "x", &json!({}));
    assert!(matches!(theirs.try_next(), Some(Delivery::TopicClosed { channel: 1, reason: "returned" })));
    assert!(theirs.try_next().is_none());
    pushed(ours.try_next());
}

#[test]
fn closing_a_login_closes_its_sockets_only() {
    let desk = Desk::new();
    let now = desk.clock.now();
    let (user, session, other) = (desk.ids.next(now), desk.ids.next(now), desk.ids.next(now));
    let outboxes = [desk.outbox(1), desk.outbox(1), desk.outbox(1)];
    let owners = [
        SocketOwner::Staff { user, session },
        SocketOwner::Staff { user, session: other },
        SocketOwner::Customer { call: desk.ids.next(now) },
    ];
    let _kept: Vec<_> = outboxes
        .iter()
        .zip(owners)
        .map(|(outbox, owner)| desk.hub.register_socket(desk.tenant, owner, Arc::clone(outbox)))
        .collect();
    let closed = || outboxes.each_ref().map(|one| matches!(one.try_next(), Some(Delivery::SocketClosed(_))));
    desk.hub.close_sockets(desk.ids.next(now), Login::User(user), Close::LOGGED_OUT);
    assert_eq!(closed(), [false, false, false]);
    desk.hub.close_sockets(desk.tenant, Login::Session(session), Close::LOGGED_OUT);
    assert_eq!(closed(), [true, false, false]);
    desk.hub.close_sockets(desk.tenant, Login::User(user), Close::LOGGED_OUT);
    assert_eq!(closed(), [true, true, false]);
    desk.hub.close_all(Close::GOING_AWAY);
    assert_eq!(closed(), [true, true, true]);
}

#[tokio::test]
async fn a_waiting_session_is_woken() {
    let desk = Desk::new();
    let outbox = desk.outbox(8);
    let _membership = desk.join(&outbox, SubscriberKind::Customer);
    let waiting = tokio::spawn({
        let outbox = Arc::clone(&outbox);
        async move { outbox.next().await }
    });
    tokio::task::yield_now().await;
    desk.say(1);
    let delivery = tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap();
    assert_eq!(pushed(Some(delivery)).event, "x");
}
