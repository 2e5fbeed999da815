//! Every number is the same number: after a random day through the real server, the wallboard's last push, the analytics, the
//! CSV and a fold of the event feed agree on every count and sum.
//!
//! `ONE_TRUTH_SEED` repeats one day.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use vez::domain::call::{EndReason, Phase, Status, status};
use vez::domain::clock::Timestamp;
use vez::domain::ids::DepartmentId;
use vez::domain::measures::{Answers, Figures, percent, tenths, whole};
use vez::domain::role::Role;

use crate::harness::TestApp;
use crate::harness::builders::{Company, Member};
use crate::harness::client::Client;
use crate::people;
use crate::record;

const STEPS: usize = 220;
/// Departments with the wait that is in time in each.
const DEPARTMENTS: [(&str, i64); 2] = [("Sales", 20), ("Support", 45)];
/// Who is away for longer gives his place up.
const GRACE_SECONDS: u64 = 120;
/// Seconds after which everything that could still end by itself has.
const SETTLED_SECONDS: u64 = 400;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wallboard_analytics_csv_and_feed_tell_the_same_of_a_random_day() {
    let seed = std::env::var("ONE_TRUTH_SEED").ok().map_or(11, |text| text.parse().unwrap());
    let app = TestApp::start().await;
    let company = app.company("truth").await;
    let mut departments = Vec::new();
    for (name, _) in DEPARTMENTS {
        departments.push(company.department(name).await);
    }
    let boss = company.user("Boss", Role::Manager).await;
    for (department, (_, in_time)) in departments.iter().zip(DEPARTMENTS) {
        let settings =
            json!({"department": {"service_level_seconds": in_time, "reconnect_grace_seconds": GRACE_SECONDS}});
        boss.client.put(&format!("/api/v1/departments/{department}"), settings).await.expect(200);
    }
    let mut agents = Vec::new();
    for name in ["Ana", "Bia", "Caio"] {
        agents.push(company.agent(name, &departments).await);
    }
    live(&app, &company, &departments, &agents, &boss, seed).await;

    let board = wallboard(&app, &company, &boss, &departments).await;
    let client = fresh(&app, &company, &boss).await;
    let calls = csv(&client).await;
    let folded = fold(&feed(&client).await);
    assert!(calls.len() > 40, "{} calls are no day", calls.len());

    // The feed and the file: call by call.
    assert_eq!(folded.keys().collect::<Vec<_>>(), calls.keys().collect::<Vec<_>>());
    let name_of = |id: &str| DEPARTMENTS[departments.iter().position(|known| known.to_string() == id).unwrap()].0;
    for (id, call) in &calls {
        assert_eq!(folded[id].row(name_of(&folded[id].department)), *call, "{id}");
    }
    // The analytics and the fold, of each department and of all.
    let mut every = Figures::default();
    for (index, department) in departments.iter().enumerate() {
        let in_time = |id: &str| DEPARTMENTS.iter().find(|known| known.0 == name_of(id)).unwrap().1;
        let own = figures(folded.values().filter(|call| call.department == department.to_string()), in_time);
        let overview =
            client.get(&format!("/api/v1/analytics/overview?department_id={department}")).await.expect(200).body;
        assert_overview(&overview["data"], &own);
        // The wallboard tells rates from 0 to 1.
        let (stats, abandoned) = (&board.queues[index], own.answers.abandoned);
        assert_rate(&stats["service_level"], own.answers.service_level());
        assert_eq!(stats["abandoned_today"], json!(abandoned));
        assert_eq!((&stats["queue_size"], &stats["active_calls"]), (&json!(0), &json!(0)));
        every = plus(&every, &own);
    }
    assert_overview(&client.get("/api/v1/analytics/overview").await.expect(200).body["data"], &every);
    let wait = every.answers.average_speed_of_answer_seconds().map(whole);
    assert_eq!(board.company["average_wait_time"], json!(wait), "{}", board.company);
    assert_rate(&board.company["abandonment_rate"], every.answers.abandonment_rate());

    // Hours, days and agents are parts of the same whole.
    for list in ["hourly", "trends"] {
        let rows = client.get(&format!("/api/v1/analytics/{list}")).await.expect(200).body;
        let sum =
            |field: &str| rows["data"].as_array().unwrap().iter().map(|row| row[field].as_u64().unwrap()).sum::<u64>();
        let told = ["total", "completed", "missed", "cancelled", "answered", "abandoned"].map(sum);
        let Answers { answered, abandoned, .. } = every.answers;
        let expected = [every.total(), every.completed, every.missed, every.cancelled, answered, abandoned];
        assert_eq!(told, expected, "{list}");
    }
    let rows = client.get("/api/v1/analytics/agents").await.expect(200).body;
    let sum =
        |field: &str| rows["data"].as_array().unwrap().iter().map(|row| row[field].as_u64().unwrap()).sum::<u64>();
    assert_eq!(sum("completed_calls"), every.completed);
    assert_eq!(sum("transfers"), every.transfers);

    // Counted anew from the rows themselves, nothing is different; also when the company lives by another clock.
    let recount = client.post("/api/v1/analytics/refresh-views", json!({})).await.expect(200);
    assert_eq!(recount.body["data"]["changed_rows"], json!(0), "{}", recount.body);
    app.stop().await;
}

/// What people do in a day, by chance. Whatever is refused is refused; everybody sees the same of what is not.
async fn live(
    app: &TestApp,
    company: &Company<'_>,
    departments: &[DepartmentId],
    agents: &[Member],
    boss: &Member,
    seed: u64,
) {
    let mut chance = StdRng::seed_from_u64(seed);
    let mut links = Vec::new();
    for department in departments {
        links.push(company.link(*department).await);
    }
    let (mut calls, mut talking): (Vec<String>, Vec<(usize, String)>) = (Vec::new(), Vec::new());
    for step in 0..STEPS {
        app.advance(Duration::from_secs(chance.random_range(0..12))).await;
        let pick = |chance: &mut StdRng, most: usize| chance.random_range(0..most.max(1));
        match chance.random_range(0..100) {
            0..35 => {
                let link = &links[pick(&mut chance, links.len())];
                let joined = app.client().join(link, &format!("Customer {step}")).await.expect(200);
                calls.push(joined.data("call_id").to_owned());
            }
            35..70 if !calls.is_empty() => {
                let (agent, call) = (pick(&mut chance, agents.len()), calls[pick(&mut chance, calls.len())].clone());
                let client = fresh(app, company, &agents[agent]).await;
                if client.act(&call, "assign").await.status == 200 && chance.random_range(0..10) > 0 {
                    app.advance(Duration::from_secs(chance.random_range(0..5))).await;
                    client.act(&call, "start").await;
                    talking.push((agent, call));
                }
            }
            70..84 if !talking.is_empty() => {
                let (agent, call) = talking.swap_remove(pick(&mut chance, talking.len()));
                fresh(app, company, &agents[agent]).await.act(&call, "complete").await;
            }
            84..88 if !talking.is_empty() => {
                let (agent, call) = talking.swap_remove(pick(&mut chance, talking.len()));
                let to = departments[pick(&mut chance, departments.len())];
                let path = format!("/api/v1/calls/{call}/transfer");
                fresh(app, company, &agents[agent]).await.post(&path, json!({"department_id": to})).await;
            }
            88..92 => {
                let one = people::customer(app, &links[pick(&mut chance, links.len())], "Hasty").await;
                app.advance(Duration::from_secs(chance.random_range(0..9))).await;
                one.topic.push("leave", Value::Null).await.unwrap();
            }
            92..95 if !calls.is_empty() => {
                let call = &calls[pick(&mut chance, calls.len())];
                fresh(app, company, boss).await.act(call, "cancel").await;
            }
            95.. if !calls.is_empty() => {
                let call = &calls[pick(&mut chance, calls.len())];
                let rating = json!({"rating": chance.random_range(1..=5)});
                app.client().post(&format!("/api/v1/call/evaluate/{call}"), rating).await;
            }
            _ => {}
        }
    }
    for (agent, call) in talking {
        fresh(app, company, &agents[agent]).await.act(&call, "complete").await;
    }
    // Nobody is there any more: whoever waits gives up.
    app.live_through(Duration::from_secs(SETTLED_SECONDS)).await;
    for _ in 0..200 {
        if record::open_count(app, company.tenant).await == 0 {
            return;
        }
        app.live_through(Duration::from_secs(5)).await;
    }
    panic!("seed {seed}: calls are still open");
}

/// A client whose token is of this moment.
async fn fresh(app: &TestApp, company: &Company<'_>, member: &Member) -> Client {
    app.client_of(&company.log_in(member.id, member.role).await.0)
}

struct Board {
    company: Value,
    /// The stats of each department.
    queues: Vec<Value>,
}

async fn wallboard(app: &TestApp, company: &Company<'_>, boss: &Member, departments: &[DepartmentId]) -> Board {
    let socket = app.socket(&company.log_in(boss.id, boss.role).await.0).await;
    let mut tenant = socket.join(&format!("tenant:{}", company.tenant), Value::Null).await.unwrap();
    let mut queues = Vec::new();
    for department in departments {
        let queue = socket.join(&format!("queue:{department}"), Value::Null).await.unwrap();
        queues.push(queue.reply["stats"].clone());
    }
    // A company nobody was at for minutes starts when somebody comes; its queues tell their numbers within a second.
    let mut told = tenant.reply.clone();
    while told["abandonment_rate"].is_null() {
        app.advance(Duration::from_secs(1)).await;
        told = tenant.expect("dashboard").await;
    }
    Board { company: told, queues }
}

/// A call as its row of the file has it: status, department, talk, wait, rating.
type Row = (String, String, Option<i64>, Option<i64>, Option<i64>);

async fn csv(client: &Client) -> BTreeMap<String, Row> {
    let text = client.get("/api/v1/export/calls.csv").await.expect(200).body;
    let mut reader = csv::Reader::from_reader(text.as_str().unwrap().as_bytes());
    let headers = reader.headers().unwrap().clone();
    let mut rows = BTreeMap::new();
    for record in reader.records() {
        let record = record.unwrap();
        let cell = |name: &str| record.get(headers.iter().position(|header| header == name).unwrap()).unwrap();
        let number = |name: &str| cell(name).parse().ok();
        let row = (
            cell("status").to_owned(),
            cell("department").to_owned(),
            number("duration"),
            number("wait_time"),
            number("rating"),
        );
        rows.insert(cell("id").to_owned(), row);
    }
    rows
}

/// A call as the facts tell it.
#[derive(Debug, Default)]
struct Folded {
    department: String,
    /// Where it was answered; what was in time there stays in time.
    answered_in: String,
    joined: Option<Timestamp>,
    accepted: Option<Timestamp>,
    started: Option<Timestamp>,
    ended: Option<(Timestamp, EndReason)>,
    rating: Option<i64>,
    transfers: u64,
}

/// The whole feed, page by page, as an integrator reads it who was offline.
async fn feed(client: &Client) -> Vec<Value> {
    let (mut facts, mut after) = (Vec::new(), 0);
    loop {
        let page = client.get(&format!("/api/v1/events?after={after}&limit=100")).await.expect(200).body;
        facts.extend(page["data"].as_array().unwrap().iter().cloned());
        after = page["meta"]["after"].as_i64().unwrap();
        if page["meta"]["has_more"] == json!(false) {
            return facts;
        }
    }
}

fn fold(feed: &[Value]) -> BTreeMap<String, Folded> {
    let mut calls: BTreeMap<String, Folded> = BTreeMap::new();
    for event in feed {
        let Some(id) = event["call_id"].as_str() else { continue };
        let call = calls.entry(id.to_owned()).or_default();
        let own = event["department_id"].as_str().map(str::to_owned);
        let at = chrono::DateTime::parse_from_rfc3339(event["at"].as_str().unwrap()).unwrap();
        let at = Timestamp::from(at.to_utc());
        match event["kind"].as_str().unwrap() {
            "call_joined" => (call.department, call.joined) = (own.unwrap(), Some(at)),
            "call_assigned" if call.started.is_none() => call.accepted = Some(at),
            "call_started" if call.started.is_none() => {
                (call.started, call.answered_in) = (Some(at), call.department.clone());
            }
            "call_transferred" => {
                call.department = event["data"]["to_department_id"].as_str().unwrap().to_owned();
                call.transfers += 1;
            }
            "call_ended" => {
                let reason = EndReason::parse(event["data"]["end_reason"].as_str().unwrap()).unwrap();
                call.ended = Some((at, reason));
            }
            "call_rated" => call.rating = event["data"]["rating"].as_i64(),
            _ => {}
        }
    }
    calls
}

impl Folded {
    fn status(&self) -> Status {
        status(Phase::Ended, Some(self.ended.unwrap().1), self.started.is_some())
    }

    fn wait(&self) -> Option<i64> {
        Some(self.accepted?.seconds_since(self.joined?))
    }

    fn talk(&self) -> Option<i64> {
        Some(self.ended?.0.seconds_since(self.started?))
    }

    fn row(&self, department: &str) -> Row {
        (self.status().as_str().to_owned(), department.to_owned(), self.talk(), self.wait(), self.rating)
    }
}

/// The sums of `domain::measures`, from facts alone.
fn figures<'a>(calls: impl Iterator<Item = &'a Folded>, in_time_seconds: impl Fn(&str) -> i64) -> Figures {
    let mut sum = Figures::default();
    for call in calls {
        match call.status() {
            Status::Completed => sum.completed += 1,
            Status::Missed => sum.missed += 1,
            _ => sum.cancelled += 1,
        }
        if call.started.is_some() {
            let wait = call.wait().unwrap();
            sum.answers.answered += 1;
            sum.answers.answered_in_time += u64::from(wait <= in_time_seconds(&call.answered_in));
            sum.answers.wait_seconds += wait.unsigned_abs();
            sum.handled += 1;
            sum.talk_seconds += call.talk().unwrap().unsigned_abs();
        } else if call.status() == Status::Missed && call.ended.unwrap().1 != EndReason::CustomerLost {
            let waited = call.ended.unwrap().0.seconds_since(call.joined.unwrap());
            sum.answers.abandoned += 1;
            sum.answers.abandoned_short += u64::from(waited < 5);
        }
        if let Some(rating) = call.rating {
            sum.rated += 1;
            sum.rating_total += rating.unsigned_abs();
            sum.satisfied += u64::from(rating >= 4);
        }
        sum.transfers += call.transfers;
    }
    sum
}

fn plus(one: &Figures, other: &Figures) -> Figures {
    Figures {
        answers: one.answers.plus(&other.answers),
        completed: one.completed + other.completed,
        missed: one.missed + other.missed,
        cancelled: one.cancelled + other.cancelled,
        handled: one.handled + other.handled,
        talk_seconds: one.talk_seconds + other.talk_seconds,
        rated: one.rated + other.rated,
        rating_total: one.rating_total + other.rating_total,
        satisfied: one.satisfied + other.satisfied,
        transfers: one.transfers + other.transfers,
        ..Figures::default()
    }
}

#[track_caller]
fn assert_overview(told: &Value, sum: &Figures) {
    let whole = |seconds: Option<f64>| json!(seconds.map(|seconds| seconds.round() as u64));
    let expected = [
        ("total_calls", json!(sum.total())),
        ("completed_calls", json!(sum.completed)),
        ("missed_calls", json!(sum.missed)),
        ("cancelled_calls", json!(sum.cancelled)),
        ("answered_calls", json!(sum.answers.answered)),
        ("abandoned_calls", json!(sum.answers.abandoned)),
        ("short_abandoned_calls", json!(sum.answers.abandoned_short)),
        ("avg_duration", whole(sum.average_talk_seconds())),
        ("avg_wait_time", whole(sum.answers.average_speed_of_answer_seconds())),
        ("avg_rating", json!(sum.average_rating().map(tenths))),
        ("completion_rate", json!(sum.completion_rate().map(percent))),
        ("satisfaction_rate", json!(sum.satisfaction_rate().map(percent))),
        ("service_level", json!(sum.answers.service_level().map(percent))),
        ("abandonment_rate", json!(sum.answers.abandonment_rate().map(percent))),
    ];
    for (name, value) in expected {
        assert_eq!(told[name], value, "{name} of {told}");
    }
}

/// A rate as it came through JSON, whose reader may lose the last of its 53 bits.
#[track_caller]
fn assert_rate(told: &Value, rate: Option<f64>) {
    match (told.as_f64(), rate) {
        (Some(told), Some(rate)) => assert!((told - rate).abs() < 1e-12, "{told} is not {rate}"),
        (told, rate) => assert_eq!(told, rate),
    }
}
