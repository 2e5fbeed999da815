//! Sequence and resync: nothing is missed and nothing comes twice, whatever a client's connection does.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Map, Value, json};
use tokio::time::timeout;
use vez::domain::role::Role;

use crate::harness::socket::Topic;
use crate::harness::{TestApp, eventually};
use crate::people::{at_work, customer};

#[tokio::test]
async fn who_was_away_for_a_moment_is_told_exactly_what_he_missed() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Line").await;
    let boss = company.user("Boss", Role::Supervisor).await;
    let link = company.link(line).await;
    let name = format!("queue:{line}");
    let mut before = app.topic(&boss.token, &name).await;
    let epoch = before.reply["epoch"].clone();
    customer(&app, &link, "Heard").await;
    let last = before.expect("customer_joined").await["seq"].as_u64().unwrap();
    drop(before);
    let first = customer(&app, &link, "Missed one").await;
    let second = customer(&app, &link, "Missed two").await;
    second.topic.push("leave", Value::Null).await.unwrap();

    let socket = app.socket(&boss.token).await;
    let wish = json!({ "last_epoch": epoch, "last_seq": last });
    let mut again = socket.join(&name, wish).await.unwrap();
    assert_eq!((&again.reply["epoch"], &again.reply["resynced"]), (&epoch, &json!(false)), "{}", again.reply);
    let mut seen = Vec::new();
    let mut expected = last + 1;
    while seen.last().is_none_or(|(event, _)| event != "customer_left") {
        let (event, push) = again.next().await.unwrap();
        assert_eq!(push["seq"], json!(expected), "{event}");
        expected += 1;
        if event != "queue_stats" {
            seen.push((event, push["call_id"].clone()));
        }
    }
    let joined = |call: &str| ("customer_joined".to_owned(), json!(call));
    let left = ("customer_left".to_owned(), json!(second.call));
    let seen: Vec<_> = seen.into_iter().filter(|(event, _)| event != "customer_presence").collect();
    assert_eq!(seen, [joined(&first.call), joined(&second.call), left]);

    // An epoch that is not this one's, or a place nobody can have reached: the whole state, and flagged.
    for wish in [json!({ "last_epoch": 7, "last_seq": 1 }), json!({ "last_epoch": epoch, "last_seq": 1_000_000 })] {
        let fresh = app.socket(&boss.token).await.join(&name, wish).await.unwrap();
        assert_eq!((&fresh.reply["resynced"], &fresh.reply["queue_size"]), (&json!(true), &json!(2)));
    }
    app.stop().await;
}

#[tokio::test]
async fn a_socket_that_lags_gets_one_full_state_in_place_of_what_it_missed() {
    let app = TestApp::builder().config(|config| config.limits.outbox_frames_max = 4).start().await;
    let company = app.company("acme").await;
    let line = company.department("Line").await;
    let boss = company.user("Boss", Role::Supervisor).await;
    let link = company.link(line).await;
    let mut queue = app.topic(&boss.token, &format!("queue:{line}")).await;
    // One commit releases all of these at one stroke, before the socket's task gets its turn.
    let client = app.client();
    let joins = (0..30).map(|index| {
        let (client, link) = (client.clone(), link.clone());
        async move { client.join(&link, &format!("Customer {index}")).await.expect(200) }
    });
    futures_util::future::join_all(joins).await;
    let state = queue.expect("resync").await;
    let mut fold = Fold::of(&state);
    while fold.waiting.len() < 30 {
        let (event, push) = queue.next().await.unwrap();
        fold.take(&event, &push);
    }
    let fresh = app.topic(&boss.token, &format!("queue:{line}")).await;
    assert_eq!(fold.shown(), Fold::of(&fresh.reply).shown());
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fold_of_snapshot_and_pushes_equals_a_fresh_snapshot() {
    let app = TestApp::start_real_clock().await;
    let company = app.company("acme").await;
    let line = company.department("Line").await;
    let boss = company.user("Boss", Role::Supervisor).await;
    let agents = [company.agent("Ana", &[line]).await, company.agent("Bia", &[line]).await];
    let links = [company.link(line).await, company.link_with(line, |link| link.priority = 3).await.1];
    let name = format!("queue:{line}");
    let watching = app.socket(&boss.token).await;
    let mut plain = watching.join(&name, Value::Null).await.unwrap();
    let mut batching = app.socket(&boss.token).await.join(&name, json!({ "batch": true })).await.unwrap();
    let (mut plain_fold, mut batch_fold) = (Fold::of(&plain.reply), Fold::of(&batching.reply));

    // Ninety customers at once and in a hurry: some leave, some go away, the agents take what they can.
    let load = async {
        let customers = (0..90).map(|index| {
            let (app, link) = (&app, &links[index % 2]);
            async move {
                let mut chance = StdRng::seed_from_u64(index as u64);
                tokio::time::sleep(Duration::from_millis(chance.random_range(0..1_500))).await;
                let person = customer(app, link, &format!("Customer {index}")).await;
                tokio::time::sleep(Duration::from_millis(chance.random_range(0..800))).await;
                if chance.random_range(0..3) == 0 {
                    let _ = person.topic.push("leave", Value::Null).await;
                }
                person
            }
        });
        let work = agents.iter().map(|agent| async {
            let mut desk = at_work(&app, agent, line).await;
            let mut completed = 0;
            for _ in 0..8 {
                let offer = desk.offer().await;
                // Whoever is offered or taken may have left meanwhile, so each step may be refused.
                let _ = desk.accept(&offer).await;
                let mut done = true;
                for step in ["start", "complete"] {
                    done &= desk.own.push(step, json!({ "call_id": offer["call_id"] })).await.is_ok();
                }
                completed += u32::from(done);
                let _ = desk.own.push("wrap_up_end", Value::Null).await;
            }
            assert!(completed > 0, "some had the patience");
            desk.set_status("offline").await;
            desk
        });
        tokio::join!(futures_util::future::join_all(customers), futures_util::future::join_all(work))
    };
    let watch_plain = follow(&mut plain, &mut plain_fold);
    let watch_batch = follow(&mut batching, &mut batch_fold);
    let (people, desks) = tokio::select! {
        done = load => done,
        () = watch_plain => unreachable!("it follows for ever"),
        () = watch_batch => unreachable!("it follows for ever"),
    };

    // Once it is quiet, everybody who watched knows what somebody new is told.
    eventually("the watchers know what a newcomer is told", async || {
        for (topic, fold) in [(&mut plain, &mut plain_fold), (&mut batching, &mut batch_fold)] {
            while let Ok(Some((event, push))) = timeout(Duration::from_millis(20), topic.next()).await {
                fold.take(&event, &push);
            }
        }
        let fresh = Fold::of(&app.topic(&boss.token, &name).await.reply).shown();
        (plain_fold.shown() == fresh && batch_fold.shown() == fresh).then_some(())
    })
    .await;
    assert!(batch_fold.resyncs == 0, "a batching client needs no resync: {}", batch_fold.resyncs);
    eprintln!(
        "{} pushes folded plainly with {} resyncs, {} in batches",
        plain_fold.pushes, plain_fold.resyncs, batch_fold.pushes
    );
    drop((people, desks));
    app.stop().await;
}

async fn follow(topic: &mut Topic, fold: &mut Fold) {
    loop {
        let (event, push) = topic.next().await.unwrap();
        fold.take(&event, &push);
    }
}

/// A client's idea of a queue.
#[derive(Debug, Default)]
struct Fold {
    epoch: u64,
    seq: u64,
    waiting: Vec<Map<String, Value>>,
    active: Vec<Map<String, Value>>,
    pushes: usize,
    resyncs: usize,
}

/// What two ideas of a queue are compared by.
type Shown = (Vec<(String, String)>, Vec<(String, String)>);

impl Fold {
    fn of(state: &Value) -> Self {
        let list = |name: &str| {
            let list = state[name].as_array().unwrap_or_else(|| panic!("no {name} in {state}"));
            list.iter().map(|item| item.as_object().unwrap().clone()).collect()
        };
        Self {
            epoch: state["epoch"].as_u64().unwrap(),
            seq: state["seq"].as_u64().unwrap(),
            waiting: list("waiting"),
            active: list("active"),
            ..Self::default()
        }
    }

    fn take(&mut self, event: &str, push: &Value) {
        match event {
            "resync" => {
                let (pushes, resyncs) = (self.pushes, self.resyncs + 1);
                *self = Self { pushes, resyncs, ..Self::of(push) };
            }
            "events" => {
                assert_eq!((&push["epoch"], &push["first_seq"]), (&json!(self.epoch), &json!(self.seq + 1)));
                for event in push["events"].as_array().unwrap() {
                    self.step(event[0].as_str().unwrap(), &event[1]);
                }
                assert_eq!(push["last_seq"], json!(self.seq));
            }
            event => self.step(event, push),
        }
    }

    fn step(&mut self, event: &str, push: &Value) {
        assert_eq!(push["seq"], json!(self.seq + 1), "{event}: {push}");
        self.seq += 1;
        self.pushes += 1;
        let push = push.as_object().unwrap();
        let is_it = |call: &Map<String, Value>| call["call_id"] == push["call_id"];
        match event {
            "customer_joined" => {
                let place = push["position"].as_u64().unwrap() as usize - 1;
                self.active.retain(|call| !is_it(call));
                self.waiting.insert(place.min(self.waiting.len()), push.clone());
            }
            "customer_left" => self.waiting.retain(|call| !is_it(call)),
            "customer_presence" => {
                for call in self.waiting.iter_mut().filter(|call| is_it(call)) {
                    call["presence"] = push["presence"].clone();
                }
            }
            "call_assigned" => {
                self.waiting.retain(|call| !is_it(call));
                let mut call = push.clone();
                call.insert("phase".to_owned(), json!("assigned"));
                self.active.push(call);
            }
            "call_started" => {
                for call in self.active.iter_mut().filter(|call| is_it(call)) {
                    call["phase"] = json!("active");
                }
            }
            "call_completed" => self.active.retain(|call| !is_it(call)),
            "call_offered" | "queue_stats" => {}
            other => panic!("{other} is not of this topic"),
        }
    }

    fn shown(&self) -> Shown {
        let text = |call: &Map<String, Value>, name: &str| call[name].as_str().unwrap().to_owned();
        let waiting = self.waiting.iter().map(|call| (text(call, "call_id"), text(call, "presence"))).collect();
        let mut active: Vec<_> = self.active.iter().map(|call| (text(call, "call_id"), text(call, "phase"))).collect();
        active.sort();
        (waiting, active)
    }
}
