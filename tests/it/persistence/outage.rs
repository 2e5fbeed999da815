//! An outside Postgres that goes away under load, or hangs, and comes back: sockets stay, commands are refused in time and may be
//! repeated, nothing acknowledged is lost, nobody expires because of it, and everything flows again by itself.
//!
//! `OUTAGE_SECONDS` says for how long (default 4).

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};
use vez::store::departments::DepartmentChange;
use vez::store::embedded::Embedded;
use vez_loadtests::client::socket::SocketError;
use vez_loadtests::clock;

use crate::harness::builders::Member;
use crate::harness::socket::Topic;
use crate::harness::{TestApp, eventually};
use crate::people::{customer, text};
use crate::record;
use crate::scenarios::order;

/// Every command is answered by then (RULES.md says 3 s; the rest is this machine's).
const ANSWERED_WITHIN: Duration = Duration::from_millis(3_500);
/// Load before the outage.
const BEFORE: Duration = Duration::from_secs(2);
/// Load after it.
const AFTER: Duration = Duration::from_secs(2);
/// Time between two customers.
const BETWEEN: Duration = Duration::from_millis(150);
/// Everything is served by then.
const STORY: Duration = Duration::from_secs(120);
/// How often somebody with nothing to do looks up.
const LOOK: Duration = Duration::from_millis(200);

/// A Postgres of its own, to be stopped and started.
struct Outside {
    home: TempDir,
    running: Option<Embedded>,
}

impl Outside {
    async fn start() -> Self {
        // Root runs Postgres as another user, who has to pass through this folder.
        let home =
            tempfile::Builder::new().prefix("vez-out-").permissions(Permissions::from_mode(0o711)).tempdir().unwrap();
        let mut outside = Self { home, running: None };
        outside.go_on().await;
        outside
    }

    fn url(&self) -> String {
        self.running.as_ref().unwrap().database_url()
    }

    async fn stop(&mut self) {
        self.running.take().unwrap().stop().await;
    }

    async fn go_on(&mut self) {
        self.running = Some(Embedded::start(&self.home.path().join("data")).await.unwrap());
    }
}

/// What happens to Postgres.
#[derive(Clone, Copy)]
enum Trouble {
    Stops,
    /// Its processes are there, its sockets are open, and nothing answers.
    Hangs,
}

/// The processes of a private Postgres, stopped until this is dropped, however the test ends.
struct Frozen(Vec<Pid>);

impl Frozen {
    fn new(postgres: &Outside) -> Self {
        let postmaster = postgres.running.as_ref().unwrap().pid().unwrap();
        let mut frozen = Self(Vec::new());
        // The postmaster first, so that it starts nobody whom we do not see.
        frozen.stop(postmaster);
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
            let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
            // The parent is the second field after the name, which stands in brackets.
            let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
            if parent == Some(postmaster) {
                frozen.stop(pid);
            }
        }
        frozen
    }

    fn stop(&mut self, pid: u32) {
        let pid = Pid::from_raw(i32::try_from(pid).unwrap());
        self.0.push(pid);
        kill(pid, Signal::SIGSTOP).unwrap();
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        for pid in &self.0 {
            let _gone = kill(*pid, Signal::SIGCONT);
        }
    }
}

/// What everybody in the story shares.
struct Story<'a> {
    app: &'a TestApp,
    link: String,
    over: AtomicBool,
    /// Refusals because the storage was away, by who was refused.
    refused: Mutex<BTreeMap<&'static str, usize>>,
    slow: Mutex<Vec<String>>,
    odd: Mutex<Vec<String>>,
}

impl Story<'_> {
    fn note(&self, who: &'static str, began: Instant) {
        *self.refused.lock().unwrap().entry(who).or_default() += 1;
        self.answered(who, began);
    }

    fn answered(&self, what: &str, began: Instant) {
        let took = clock::now() - began;
        if took > ANSWERED_WITHIN {
            self.slow.lock().unwrap().push(format!("{what} took {took:?}"));
        }
    }

    fn odd(&self, what: String) {
        self.odd.lock().unwrap().push(what);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_may_go_away_and_come_back() {
    let seconds = std::env::var("OUTAGE_SECONDS").ok().map_or(4, |text| text.parse().unwrap());
    tell(Trouble::Stops, Duration::from_secs(seconds)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_may_hang_and_go_on() {
    tell(Trouble::Hangs, Duration::from_secs(6)).await;
}

async fn tell(kind: Trouble, outage: Duration) {
    let mut postgres = Outside::start().await;
    let app = TestApp::builder().real_clock().on(&postgres.url()).start().await;
    let company = app.company("acme").await;
    // All shorter than the outage, so that whatever ran on during it would show.
    let change = DepartmentChange {
        offer_timeout_seconds: Some(2),
        reconnect_grace_seconds: Some(2),
        wrap_up_seconds: Some(0),
        ..DepartmentChange::default()
    };
    let quiet = company.department_with("Quiet", change.clone()).await.id;
    let line = company.department_with("Line", change).await.id;
    let agents = [company.agent("Ana", &[line]).await, company.agent("Bia", &[line]).await];
    let link = company.link(line).await;
    let story = Story {
        app: &app,
        link,
        over: AtomicBool::new(false),
        refused: Mutex::default(),
        slow: Mutex::default(),
        odd: Mutex::default(),
    };
    // Nobody serves this one: he only waits, all the time.
    let mut witness = customer(&app, &company.link(quiet).await, "Witness").await;
    let count = ((BEFORE + outage + AFTER).as_millis() / BETWEEN.as_millis()) as usize;
    let staff = join_all(agents.iter().map(|agent| work(&story, agent, &line)));
    let customers = join_all((0..count).map(|index| live(&story, index)));
    let trouble = async {
        sleep(BEFORE).await;
        let frozen = match kind {
            Trouble::Stops => {
                postgres.stop().await;
                None
            }
            Trouble::Hangs => Some(Frozen::new(&postgres)),
        };
        eventually("the server says that it is not ready", async || {
            (app.client().get("/health/ready").await.status == 503).then_some(())
        })
        .await;
        // The line is frozen, not silent: whoever waits is still told his place.
        let until = clock::now() + outage;
        while clock::now() < until {
            let began = clock::now();
            let answer = app.client().status(&witness.call).await;
            story.answered("status", began);
            if answer.status != 200 || answer.body["data"]["position"] != 1 {
                story.odd(format!("status: {answer:?}"));
            }
            let began = clock::now();
            let list = agents[0].client.get("/api/v1/calls?phase=waiting").await;
            story.answered("list", began);
            if ![200, 503].contains(&list.status) {
                story.odd(format!("list: {list:?}"));
            }
            sleep(LOOK).await;
        }
        match kind {
            Trouble::Stops => postgres.go_on().await,
            Trouble::Hangs => drop(frozen),
        }
    };
    let day = async {
        let (calls, ()) = join(customers, trouble).await;
        // All but the witness.
        while record::open_count(&app, company.tenant).await > 1 {
            sleep(LOOK).await;
        }
        story.over.store(true, Ordering::Relaxed);
        calls
    };
    let Ok((calls, _)) = timeout(STORY, join(day, staff)).await else {
        panic!("it does not flow again: {:?}", story.odd.lock().unwrap());
    };

    let (slow, odd) = (story.slow.into_inner().unwrap(), story.odd.into_inner().unwrap());
    assert!(slow.is_empty(), "{slow:#?}");
    assert!(odd.is_empty(), "{odd:#?}");
    let refused = story.refused.into_inner().unwrap();
    eprintln!("refused while Postgres was away for {outage:?}: {refused:?}");
    assert!(refused.contains_key("join"), "{refused:?}");

    let mut rows = record::calls(&app, company.tenant).await;
    let waits = rows.iter().position(|row| row.id.to_string() == witness.call).unwrap();
    assert_eq!(rows.remove(waits).phase, "waiting");
    witness.topic.push("leave", Value::Null).await.unwrap();
    assert_eq!(witness.end_reason().await, "left");
    let known: BTreeSet<String> = rows.iter().map(|row| row.id.to_string()).collect();
    assert_eq!(known, calls.into_iter().collect::<BTreeSet<_>>());
    assert_eq!(known.len(), count);
    for row in &rows {
        assert_eq!(row.end_reason.as_deref(), Some("completed"), "{row:?}");
    }
    let events = record::events(&app, company.tenant).await;
    let doubles = order::check_no_doubles(&events);
    assert!(doubles.is_empty(), "{doubles:#?}");
    let findings = order::check(&rows, &events);
    assert!(findings.problems.is_empty(), "{:#?}", findings.problems);
    app.stop().await;
    postgres.stop().await;
}

/// Joins however long it takes, waits at a socket that must not close, and is served. Gives the call.
async fn live(story: &Story<'_>, index: usize) -> String {
    sleep(BETWEEN * u32::try_from(index).unwrap()).await;
    let path = format!("/api/v1/call/{}/join", story.link);
    let body = json!({ "name": format!("Customer {index}"), "join_key": format!("key-{index}") });
    let joined = loop {
        let began = clock::now();
        let answer = story.app.client().post(&path, body.clone()).await;
        match answer.status {
            200 => {
                story.answered("join", began);
                break answer;
            }
            503 => {
                story.note("join", began);
                if answer.header("retry-after").is_none() {
                    story.odd(format!("503 without Retry-After: {answer:?}"));
                }
            }
            _ => story.odd(format!("join: {answer:?}")),
        }
        sleep(LOOK).await;
    };
    let call = joined.data("call_id").to_owned();
    let mut topic = story.app.topic(joined.data("websocket_token"), &joined.call_topic()).await;
    if topic.reply["end_reason"].is_string() {
        return call;
    }
    loop {
        match timeout(LOOK, topic.next()).await {
            Ok(Some((event, _))) if event == "call_ended" => return call,
            Ok(Some(_)) => {}
            Ok(None) => {
                story.odd(format!("a customer's socket closed: {}", topic.until_closed().await));
                return call;
            }
            Err(_) => {}
        }
    }
}

/// Serves whatever is offered, on one socket that must not close, repeating what the storage refused.
async fn work(story: &Story<'_>, agent: &Member, line: &vez::domain::ids::DepartmentId) {
    let socket = story.app.socket(&agent.token).await;
    let mut own = socket.join(&agent.topic(), Value::Null).await.unwrap();
    let presence = socket.join(&format!("presence:{line}"), Value::Null).await.unwrap();
    presence.push("set_status", json!({ "status": "available" })).await.unwrap();
    presence.leave().await;
    while !story.over.load(Ordering::Relaxed) {
        match timeout(LOOK, own.next()).await {
            Err(_) => {}
            Ok(None) => return story.odd(format!("{agent}'s socket closed: {}", own.until_closed().await)),
            Ok(Some((event, offer))) if event == "call_offered" => {
                let call = json!({ "call_id": offer["call_id"] });
                if repeat(story, "accept", &own, "accept", json!({ "offer_id": offer["offer_id"] })).await
                    && repeat(story, "start", &own, "start", call.clone()).await
                {
                    sleep(Duration::from_millis(50)).await;
                    if !repeat(story, "complete", &own, "complete", call.clone()).await {
                        story.odd(format!("{} could not be completed", text(&offer["call_id"])));
                    }
                }
            }
            Ok(Some((event, push))) if event == "status_changed" => {
                if !push["held"].is_null() {
                    story.odd(format!("{agent} is held for what Postgres did: {push}"));
                }
            }
            Ok(Some(_)) => {}
        }
    }
}

/// Pushes until the answer is not that the storage is away; whether it was accepted.
async fn repeat(story: &Story<'_>, who: &'static str, own: &Topic, event: &'static str, payload: Value) -> bool {
    loop {
        let began = clock::now();
        match own.push(event, payload.clone()).await {
            Ok(_) => {
                story.answered(event, began);
                return true;
            }
            Err(SocketError::Refused(refusal)) if refusal.reason == "storage_unavailable" => {
                story.note(who, began);
                sleep(LOOK).await;
            }
            // An offer that the outage withdrew.
            Err(SocketError::Refused(refusal)) if refusal.reason == "offer_expired" => {
                story.answered(event, began);
                return false;
            }
            Err(other) => {
                story.odd(format!("{event}: {other}"));
                return false;
            }
        }
    }
}
