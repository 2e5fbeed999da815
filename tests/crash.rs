//! `kill -9` in the middle of load, again and again on the same folder: whatever was acknowledged is still true.
//!
//! `CRASH_ROUNDS` says how often (default 2; `make crash ROUNDS=20` runs more). The bots note every acknowledgement in
//! the load tester's ledger; after each restart, before any bot is back, every note is held against the server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

mod demo_server;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use demo_server::{DemoServer, STOP};
use futures_util::{StreamExt, stream};
use rand::RngExt;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;
use vez_loadtests::agents::Behaviour;
use vez_loadtests::client::http::RestError;
use vez_loadtests::departments::Supervisor;
use vez_loadtests::ledger::CallRecord;
use vez_loadtests::run::{Staff, served_links, world_of};
use vez_loadtests::target::{Link, Target, User};
use vez_loadtests::world::World;
use vez_loadtests::{clock, customers, invariants};

const AGENTS: usize = 20;
/// Customers a second: more than the agents take, so that a line is standing at each kill.
const RATE: f64 = 120.0;
/// So that calls are found in every phase.
const TALK: Duration = Duration::from_millis(150);
/// A round's load lasts between these, in milliseconds, so that kills hit different moments.
const LOAD_MILLIS: std::ops::Range<u64> = 1000..2500;
/// One customer in so many opens a socket, and rates.
const SOCKET_EVERY: u64 = 3;
/// An agent without a device loses an `assigned` call 15 s after the restart; until then it has to be his.
const ASSIGNED_HOLDS: Duration = Duration::from_secs(13);
/// Longest time until everybody who still waits has been served in the end.
const LAST_SERVICE: Duration = Duration::from_secs(60);
/// Customers who wait without a socket show that they are there by asking for their status.
const POLL: Duration = Duration::from_secs(4);
/// Questions to the server at one time.
const QUESTIONS: usize = 16;
/// Longest page the list of calls gives.
const PAGE: usize = 100;

#[tokio::test]
async fn a_killed_server_keeps_every_promise() {
    let rounds: u32 =
        std::env::var("CRASH_ROUNDS").ok().map_or(2, |text| text.parse().expect("CRASH_ROUNDS is a number"));
    let mut server = DemoServer::start(AGENTS).await;
    let target = Target::from_demo(&server.demo_json()).unwrap();
    let agents = target.attendants();
    let links = served_links(&target, &agents);
    let world = world_of(&target, &agents).unwrap();
    let supervisor = Supervisor::login(&world.rest, &target).await.unwrap();
    let department_ids: Vec<_> = links.iter().map(|link| Arc::clone(&link.department_id)).collect();
    supervisor.drop_wrap_ups(&department_ids).await.unwrap();
    supervisor.lengthen_grace(&department_ids).await.unwrap();

    for round in 1..=rounds {
        let staff = Staff::hire(&world, &agents, behaviour(TALK)).await.unwrap();
        let (stop, stopped) = watch::channel(false);
        let arrivals = tokio::spawn(arrive(Arc::clone(&world), links.clone(), stopped));
        let load = Duration::from_millis(rand::rng().random_range(LOAD_MILLIS));
        tokio::time::sleep(load).await;
        server.kill();
        let killed_at = clock::now();
        stop.send(true).unwrap();
        arrivals.await.unwrap();
        staff.dismiss().await;
        server.start_again().await;
        let restarted = clock::now() - killed_at;

        let told =
            Told { world: &world, agents: &agents, supervisor: Supervisor::login(&world.rest, &target).await.unwrap() };
        let restart_at = clock::now();
        let problems = told.hold_against_the_server(restart_at).await;
        assert!(problems.is_empty(), "round {round}, killed after {load:?}:\n{}", problems.join("\n"));
        eprintln!(
            "round {round}: killed after {load:?}, up again after {restarted:?}; {} joins and {} completions acknowledged, {} open",
            world.ledger.acknowledged_count(),
            world.ledger.completed_count(),
            world.ledger.open_count()
        );
    }

    // Nobody who survived was forgotten: everybody is served in the end.
    let staff = Staff::hire(&world, &agents, behaviour(Duration::ZERO)).await.unwrap();
    serve_the_rest(&world).await;
    staff.dismiss().await;
    let verdict = invariants::judge(&world.ledger, &world.rest).await;
    assert_eq!((verdict.lost, verdict.doubled, verdict.still_waiting), (0, 0, 0), "{:?}", verdict.examples);

    let (status, took) = server.stop().await;
    assert_eq!(status.code(), Some(0), "{}", server.log());
    assert!(took <= STOP, "stopping took {took:?}");
    assert!(server.postgres().is_none(), "the embedded Postgres is still there after an orderly stop");
}

fn behaviour(talk: Duration) -> Behaviour {
    Behaviour { talk, ends_wrap_up: false, watches_presence: false }
}

/// Customers come at a fixed rate until told to stop; then all of them are gone.
async fn arrive(world: Arc<World>, links: Vec<Link>, mut stopped: watch::Receiver<bool>) {
    let mut customers = JoinSet::new();
    let mut ticks = tokio::time::interval(Duration::from_secs_f64(1.0 / RATE));
    for (index, link) in (0_u64..).zip(links.iter().cycle()) {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stopped.wait_for(|stopped| *stopped) => break,
        }
        let opens_socket = index % SOCKET_EVERY == 0;
        let plan = customers::Plan {
            link: link.clone(),
            name: format!("Customer {index}"),
            intended_at: clock::now(),
            measured: false,
            opens_socket,
            rating: opens_socket.then(|| rand::rng().random_range(1..=5)),
        };
        customers.spawn(customers::live(Arc::clone(&world), plan, stopped.clone()));
    }
    while customers.join_next().await.is_some() {}
}

/// Keeps those who wait present until nobody waits any more.
async fn serve_the_rest(world: &World) {
    let late_at = clock::now() + LAST_SERVICE;
    while world.ledger.open_count() > 0 && clock::now() < late_at {
        let open: Vec<_> = world
            .ledger
            .calls()
            .into_iter()
            .filter(|(_, record)| record.is_acknowledged() && !record.is_ended())
            .map(|(call_id, _)| call_id)
            .collect();
        stream::iter(open)
            .for_each_concurrent(QUESTIONS, |call_id| async move {
                if let Ok(status) = world.rest.status(&call_id).await
                    && matches!(status.status.as_str(), "completed" | "missed" | "cancelled")
                {
                    world.ledger.ended(&call_id, &status.status);
                }
            })
            .await;
        tokio::time::sleep(POLL).await;
    }
}

/// A waiting customer, as the server and the ledger place him.
struct Place {
    call_id: String,
    position: u64,
    protocol: Option<u64>,
    sent_at: Instant,
    acknowledged_at: Instant,
}

/// What the bots were told, to be held against the server.
struct Told<'a> {
    world: &'a World,
    agents: &'a [User],
    supervisor: Supervisor,
}

impl Told<'_> {
    /// Everything that is not as it was acknowledged, in words.
    async fn hold_against_the_server(&self, restart_at: Instant) -> Vec<String> {
        let calls: Vec<_> =
            self.world.ledger.calls().into_iter().filter(|(_, record)| record.is_acknowledged()).collect();
        // Those in an agent's hands first: that promise runs out while nobody is back.
        let (held, others): (Vec<_>, Vec<_>) = calls.iter().partition(|(_, record)| !record.accepts.is_empty());
        let mut problems = Vec::new();
        for group in [held, others] {
            let answers =
                stream::iter(group.into_iter().map(|(call_id, record)| self.compare(call_id, record, restart_at)));
            problems.extend(answers.buffer_unordered(QUESTIONS).collect::<Vec<_>>().await.into_iter().flatten());
        }
        problems.extend(self.compare_order(&calls).await);
        problems.extend(self.agents_with_two_calls().await);
        problems
    }

    async fn compare(&self, call_id: &str, record: &CallRecord, restart_at: Instant) -> Option<String> {
        let call = match self.world.rest.call(self.supervisor.access_token(), call_id).await {
            Ok(call) => call,
            Err(error) => return Some(format!("{call_id}: acknowledged, and now {error}")),
        };
        let says = |field: &str| call[field].as_str().unwrap_or_default().to_owned();
        let (status, phase, user_id) = (says("status"), says("phase"), says("user_id"));
        let agent = |index: usize| self.agents[index].id.as_str();
        let accepted_by = record.accepts.last().map(|accept| agent(accept.agent));
        let asked = |user_id: &str| record.accept_attempts.iter().any(|index| agent(*index) == user_id);
        let wrong = |expected: &str| {
            Some(format!(
                "{call_id}: {expected}, and now status {status}, phase {phase}, agent {user_id}; noted: {record:?}"
            ))
        };

        if let Some(rating) = record.rating
            && call["rating"].as_u64() != Some(u64::from(rating))
        {
            return wrong(&format!("rating {rating} was acknowledged, not {}", call["rating"]));
        }
        if let Some(outcome) = &record.outcome
            && *outcome != status
        {
            return wrong(&format!("the customer was told {outcome}"));
        }
        if record.completed_at.is_some() {
            let holds = status == "completed" && accepted_by.is_none_or(|agent| agent == user_id);
            return if holds { None } else { wrong("its completion was acknowledged") };
        }
        if record.outcome.is_some() {
            return None;
        }
        // A complete that was asked for and not answered may have happened or not.
        let may_have_ended = record.complete_attempted && status == "completed";
        if let Some(accepted_by) = accepted_by {
            let in_time = clock::now() < restart_at + ASSIGNED_HOLDS;
            let holds = match phase.as_str() {
                "active" => user_id == accepted_by,
                "assigned" => user_id == accepted_by && record.started_at.is_none(),
                "ended" => user_id == accepted_by && may_have_ended,
                _ => record.started_at.is_none() && !in_time,
            };
            return if holds { None } else { wrong("an accept or start was acknowledged") };
        }
        let holds = match phase.as_str() {
            "waiting" | "offered" => status == "queued",
            // An accept that was asked for and not answered.
            "assigned" | "active" => asked(&user_id),
            _ => may_have_ended && asked(&user_id),
        };
        if holds { None } else { wrong("the join was acknowledged") }
    }

    /// Whoever was told "you are in" before another even asked is before him, in the department where both wait; and
    /// where numbers are known, positions follow them.
    async fn compare_order(&self, calls: &[(String, CallRecord)]) -> Vec<String> {
        let waiting = calls.iter().filter(|(_, record)| !record.is_ended());
        let answers = stream::iter(waiting.map(|(call_id, record)| async move {
            let status = match self.world.rest.status(call_id).await {
                Ok(status) => status,
                Err(error @ RestError::Refused { .. }) => return Err(format!("{call_id}: its status answers {error}")),
                Err(error) => return Err(format!("{call_id}: no status: {error}")),
            };
            let (Some(position), Some(join)) = (status.position, &record.join) else { return Ok(None) };
            let place = Place {
                call_id: call_id.clone(),
                position,
                protocol: record.protocol,
                sent_at: join.sent_at,
                acknowledged_at: join.acknowledged_at,
            };
            Ok(Some((record.department_id.clone().unwrap_or_default(), place)))
        }));
        let mut problems = Vec::new();
        let mut lines: BTreeMap<Arc<str>, Vec<Place>> = BTreeMap::new();
        for answer in answers.buffer_unordered(QUESTIONS).collect::<Vec<_>>().await {
            match answer {
                Ok(Some((department_id, place))) => lines.entry(department_id).or_default().push(place),
                Ok(None) => {}
                Err(problem) => problems.push(problem),
            }
        }
        for line in lines.values_mut() {
            line.sort_by_key(|place| place.position);
            for pair in line.windows(2) {
                let (ahead, behind) = (&pair[0], &pair[1]);
                if ahead.position == behind.position {
                    problems.push(format!(
                        "{} and {} both have position {}",
                        ahead.call_id, behind.call_id, ahead.position
                    ));
                }
                if let (Some(first), Some(second)) = (ahead.protocol, behind.protocol)
                    && first > second
                {
                    problems.push(format!("number {first} stands before number {second}"));
                }
            }
            let mut earliest_behind: Option<Instant> = None;
            for place in line.iter().rev() {
                if earliest_behind.is_some_and(|acknowledged_at| acknowledged_at < place.sent_at) {
                    problems.push(format!("{} joined after somebody who now stands behind him", place.call_id));
                }
                earliest_behind = [earliest_behind, Some(place.acknowledged_at)].into_iter().flatten().min();
            }
        }
        problems
    }

    async fn agents_with_two_calls(&self) -> Vec<String> {
        let mut held: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for status in ["active", "queued"] {
            for page in 1.. {
                let query = format!("status={status}&page={page}&page_size={PAGE}");
                let rows: Vec<Value> = self.world.rest.calls(self.supervisor.access_token(), &query).await.unwrap();
                for row in &rows {
                    if let (Some("assigned" | "active"), Some(user_id)) =
                        (row["phase"].as_str(), row["user_id"].as_str())
                    {
                        held.entry(user_id.to_owned()).or_default().push(row["id"].to_string());
                    }
                }
                if rows.len() < PAGE {
                    break;
                }
            }
        }
        let doubled = held.into_iter().filter(|(_, calls)| calls.len() > 1);
        doubled.map(|(user_id, calls)| format!("agent {user_id} has two calls: {calls:?}")).collect()
    }
}
