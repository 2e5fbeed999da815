//! A busy hour pressed into a minute: three agents in two shared departments, three hundred customers, and everything that
//! people do: decline, overlook, answer too late, lose their connection, come back, give up. At the end nobody is lost,
//! nobody doubled, and whoever was passed was passed for a recorded reason.
//!
//! `BUSY_DAY_SEED` repeats one day's plan; what the threads make of it differs each time, which is the point.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::{join, join_all};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use vez::domain::ids::DepartmentId;
use vez::domain::role::Role;

use super::order;
use crate::harness::TestApp;
use crate::harness::builders::Member;
use crate::harness::socket::{Socket, Topic};
use crate::people::text;
use crate::record;

const CUSTOMERS: usize = 300;
/// Customers arrive within this.
const ARRIVALS: Duration = Duration::from_secs(22);
/// Offers ring for so long.
const OFFER_SECONDS: u64 = 1;
/// Whoever is away for longer gives the place up.
const GRACE_SECONDS: u64 = 3;
/// The day is over by then, or something hangs.
const DAY: Duration = Duration::from_secs(150);
/// How often an idle agent looks whether the day is over.
const LOOK: Duration = Duration::from_millis(500);
/// Links have priorities so that the order is not just that of the joins.
const PRIORITIES: [u8; 3] = [0, 0, 1];

/// What a customer will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plan {
    Stays,
    /// Joins twice with one key, as a page does that got no answer.
    JoinsTwice,
    /// Loses the connection once and is back soon.
    Reconnects,
    Leaves,
    /// Is never seen again.
    Vanishes,
}

/// What became of a customer, as he was told.
#[derive(Debug)]
struct Lived {
    call: String,
    plan: Plan,
    /// `call_ended`'s status, or what a reconnect found.
    told: Option<String>,
    heard_assigned: bool,
}

struct World<'a> {
    app: &'a TestApp,
    links: Vec<String>,
    agents: Vec<Member>,
    desk: DepartmentId,
    over: AtomicBool,
    oddities: std::sync::Mutex<Vec<String>>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_day_loses_nobody_doubles_nobody_and_keeps_the_order() {
    let seed = std::env::var("BUSY_DAY_SEED").ok().map_or(7, |text| text.parse().unwrap());
    let app = TestApp::builder().real_clock().start().await;
    let company = app.company("busy").await;
    let departments = [company.department("Sales").await, company.department("Support").await];
    let manager = company.user("Boss", Role::Manager).await;
    let mut agents = Vec::new();
    for name in ["Ana", "Bia", "Caio"] {
        agents.push(company.agent(name, &departments).await);
    }
    for department in departments {
        let settings = json!({ "department": {
            "offer_timeout_seconds": OFFER_SECONDS, "reconnect_grace_seconds": GRACE_SECONDS, "wrap_up_seconds": 0,
        }});
        manager.client.put(&format!("/api/v1/departments/{department}"), settings).await.expect(200);
    }
    let mut links = Vec::new();
    for department in departments {
        for priority in PRIORITIES {
            links.push(company.link_with(department, |link| link.priority = priority).await.1);
        }
    }
    let world = World {
        app: &app,
        links,
        agents,
        desk: departments[0],
        over: AtomicBool::new(false),
        oddities: std::sync::Mutex::default(),
    };

    let mut chance = StdRng::seed_from_u64(seed);
    let customers = join_all((0..CUSTOMERS).map(|index| live(&world, index, StdRng::seed_from_u64(chance.random()))));
    let staff: Vec<_> =
        world.agents.iter().map(|agent| (agent, StdRng::seed_from_u64(seed ^ agent.id.0.as_u128() as u64))).collect();
    let staff = join_all(staff.into_iter().map(|(agent, chance)| work(&world, agent, chance)));
    let day = async {
        let lives = customers.await;
        while record::open_count(&app, company.tenant).await > 0 {
            sleep(Duration::from_millis(100)).await;
        }
        world.over.store(true, Ordering::Relaxed);
        lives
    };
    let Ok((lives, _)) = timeout(DAY, join(day, staff)).await else {
        let open: Vec<_> =
            record::calls(&app, company.tenant).await.into_iter().filter(|row| row.phase != "ended").collect();
        panic!("not over within {DAY:?}; open: {open:#?}; {:?}", world.oddities.lock().unwrap());
    };

    let rows = record::calls(&app, company.tenant).await;
    let events = record::events(&app, company.tenant).await;
    let oddities = world.oddities.into_inner().unwrap();
    assert!(oddities.is_empty(), "{oddities:#?}");

    // Nobody lost, nobody doubled: every acknowledged join is one row, and there are no others.
    let joined: BTreeSet<String> = lives.iter().map(|life| life.call.clone()).collect();
    assert_eq!(joined.len(), CUSTOMERS);
    assert_eq!(rows.iter().map(|row| row.id.to_string()).collect::<BTreeSet<_>>(), joined);
    let by_id: HashMap<String, &record::CallRow> = rows.iter().map(|row| (row.id.to_string(), row)).collect();
    let mut ends: BTreeMap<(String, String), usize> = BTreeMap::new();
    for life in &lives {
        let row = by_id[&life.call];
        let end = row.end_reason.clone().unwrap();
        *ends.entry((format!("{:?}", life.plan), end.clone())).or_default() += 1;
        if let Some(told) = &life.told {
            assert_eq!(*told, row.status, "{life:?}");
        }
        if matches!(life.plan, Plan::Stays | Plan::JoinsTwice | Plan::Reconnects) {
            assert_eq!(end, "completed", "{life:?}");
            assert!(life.heard_assigned || life.plan == Plan::Reconnects, "{life:?}");
        }
    }
    let doubles = order::check_no_doubles(&events);
    assert!(doubles.is_empty(), "{doubles:#?}");
    let seqs: Vec<i64> = events.iter().map(|event| event.seq).collect();
    assert_eq!(seqs, (1..=events.len() as i64).collect::<Vec<_>>(), "the feed has gaps");

    let findings = order::check(&rows, &events);
    eprintln!("{} offers, passings {:?}, ends {ends:?}", findings.offers, findings.reasons);
    assert!(findings.problems.is_empty(), "{:#?}", findings.problems);
    assert!(findings.reasons.contains_key("excluded"), "the day was too quiet to prove anything: {findings:?}");
    app.stop().await;
}

impl World<'_> {
    fn odd(&self, what: String) {
        self.oddities.lock().unwrap().push(what);
    }
}

async fn live(world: &World<'_>, index: usize, mut chance: StdRng) -> Lived {
    sleep(ARRIVALS.mul_f64(chance.random::<f64>())).await;
    let plan = match chance.random_range(0..100) {
        0..60 => Plan::Stays,
        60..70 => Plan::JoinsTwice,
        70..85 => Plan::Reconnects,
        85..93 => Plan::Leaves,
        _ => Plan::Vanishes,
    };
    let link = &world.links[chance.random_range(0..world.links.len())];
    let path = format!("/api/v1/call/{link}/join");
    let body = json!({ "name": format!("Customer {index}"), "join_key": format!("key-{index}") });
    let rest = world.app.client();
    let answer = if plan == Plan::JoinsTwice {
        let (first, second) = join(rest.post(&path, body.clone()), rest.post(&path, body)).await;
        let (first, second) = (first.expect(200), second.expect(200));
        if first.data("call_id") != second.data("call_id") {
            world.odd(format!("one key, two calls: {first:?} {second:?}"));
        }
        first
    } else {
        rest.post(&path, body).await.expect(200)
    };
    let mut life = Lived { call: answer.data("call_id").to_owned(), plan, told: None, heard_assigned: false };
    let token = answer.data("websocket_token").to_owned();
    let name = answer.call_topic();
    let mut topic = world.app.topic(&token, &name).await;
    match plan {
        Plan::Stays | Plan::JoinsTwice => {}
        Plan::Reconnects => {
            sleep(Duration::from_millis(chance.random_range(0..2_500))).await;
            drop(topic);
            sleep(Duration::from_millis(chance.random_range(0..1_500))).await;
            topic = world.app.topic(&token, &name).await;
        }
        Plan::Leaves => {
            sleep(Duration::from_millis(chance.random_range(0..3_000))).await;
            // Too late is no fault: the call may be running or over.
            let _ = topic.push("leave", Value::Null).await;
        }
        Plan::Vanishes => return life,
    }
    if topic.reply["end_reason"].is_string() {
        life.told = Some(text(&topic.reply["status"]));
        return life;
    }
    // Whoever is slow to connect finds himself assigned already.
    life.heard_assigned = matches!(topic.reply["phase"].as_str(), Some("assigned" | "active"));
    let ended = hear_out(&mut topic, &mut life);
    if timeout(DAY, ended).await.is_err() {
        world.odd(format!("{life:?} never heard of an end"));
    }
    life
}

/// Listens until the call has ended.
async fn hear_out(topic: &mut Topic, life: &mut Lived) {
    loop {
        match timeout(LOOK, topic.next()).await {
            Err(_) => {}
            Ok(None) => return,
            Ok(Some((event, payload))) => match event.as_str() {
                "call_assigned" => life.heard_assigned = true,
                "call_ended" => {
                    life.told = Some(text(&payload["status"]));
                    return;
                }
                _ => {}
            },
        }
    }
}

/// What an agent does with an offer.
enum Answer {
    Accepts,
    AcceptsTwice,
    Declines,
    Overlooks,
    AcceptsTooLate,
    LosesConnection,
}

async fn work(world: &World<'_>, agent: &Member, mut chance: StdRng) {
    while !world.over.load(Ordering::Relaxed) {
        let socket = world.app.socket(&agent.token).await;
        let mut own = socket.join(&agent.topic(), Value::Null).await.unwrap();
        if own.reply["status"] != "available" || !own.reply["held"].is_null() {
            available(world, &socket).await;
        }
        // Whoever reconnects sees what he had.
        let calls: Vec<Value> = own.reply["calls"].as_array().unwrap().clone();
        let mut connected = true;
        for call in calls {
            connected &= serve(&mut own, &text(&call["call_id"]), &mut chance).await;
        }
        let standing: Vec<Value> = own.reply["offers"].as_array().unwrap().clone();
        for offer in standing {
            connected &= answer(world, &mut own, &offer, &mut chance).await;
        }
        while connected && !world.over.load(Ordering::Relaxed) {
            match timeout(LOOK, own.next()).await {
                Err(_) => {}
                Ok(None) => {
                    world.odd(format!("{agent}'s socket closed: {}", own.until_closed().await));
                    break;
                }
                Ok(Some((event, payload))) => match event.as_str() {
                    "call_offered" => connected = answer(world, &mut own, &payload, &mut chance).await,
                    "status_changed" if !payload["held"].is_null() => available(world, &socket).await,
                    _ => {}
                },
            }
        }
        drop((own, socket));
        sleep(Duration::from_millis(chance.random_range(50..400))).await;
    }
}

async fn available(world: &World<'_>, socket: &Socket) {
    let presence = socket.join(&format!("presence:{}", world.desk), Value::Null).await.unwrap();
    presence.push("set_status", json!({ "status": "available" })).await.unwrap();
    presence.leave().await;
}

/// Answers an offer; false when the connection is to be dropped.
async fn answer(world: &World<'_>, own: &mut Topic, offer: &Value, chance: &mut StdRng) -> bool {
    let how = match chance.random_range(0..100) {
        0..83 => Answer::Accepts,
        83..86 => Answer::AcceptsTwice,
        86..90 => Answer::Declines,
        90..93 => Answer::Overlooks,
        93..96 => Answer::AcceptsTooLate,
        _ => Answer::LosesConnection,
    };
    let (id, call) = (json!({ "offer_id": offer["offer_id"] }), text(&offer["call_id"]));
    match how {
        Answer::Accepts => {
            // Refused when the customer left just now.
            if own.push("accept", id).await.is_ok() {
                return serve(own, &call, chance).await;
            }
        }
        Answer::AcceptsTwice => {
            let (first, second) = join(own.push("accept", id.clone()), own.push("accept", id)).await;
            if first.is_ok() != second.is_ok() {
                world.odd(format!("accepting twice: {first:?} and {second:?}"));
            }
            if first.is_ok() {
                return serve(own, &call, chance).await;
            }
        }
        Answer::Declines => {
            let _ = own.push("decline", id).await;
        }
        Answer::Overlooks => {}
        Answer::AcceptsTooLate => {
            sleep(Duration::from_millis(OFFER_SECONDS * 1_000 + 100)).await;
            if let Ok(reply) = own.push("accept", id).await {
                world.odd(format!("an expired offer was accepted: {reply}"));
            }
        }
        Answer::LosesConnection => return false,
    }
    true
}

/// Starts and completes a call; false when the connection drops in between, and the call is taken up again.
async fn serve(own: &mut Topic, call: &str, chance: &mut StdRng) -> bool {
    let id = json!({ "call_id": call });
    if chance.random_range(0..100) < 3 {
        return false;
    }
    // Refused when the customer was lost or left meanwhile: the record will say so.
    if own.push("start", id.clone()).await.is_ok() {
        sleep(Duration::from_millis(chance.random_range(20..200))).await;
        if chance.random_range(0..100) < 3 {
            return false;
        }
        let _ = own.push("complete", id).await;
    }
    true
}
