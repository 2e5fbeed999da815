//! `/api/v1/analytics/*`: days and hours of the company's clocks, ranges, roles, plans, and counting anew.

use std::time::Duration;

use serde_json::{Value, json};
use vez::domain::clock::{Clock, Timestamp};
use vez::domain::ids::DepartmentId;
use vez::domain::role::Role;
use vez::store::recount::{Recounted, recount};
use vez::store::tenants::Plan;

use super::{each, keys};
use crate::harness::builders::{Company, Member};
use crate::harness::client::{Answer, Client};
use crate::harness::{TestApp, eventually};
use crate::people::at_work;

const PATHS: [&str; 4] = ["overview", "hourly", "agents", "trends"];

fn at(text: &str) -> Timestamp {
    Timestamp::from(chrono::DateTime::parse_from_rfc3339(text).unwrap().to_utc())
}

async fn start_at(text: &str) -> TestApp {
    TestApp::builder().clock(Clock::manual(at(text))).start().await
}

/// Moves the clock to a moment.
async fn until(app: &TestApp, text: &str) {
    app.advance(at(text).since(app.now())).await;
}

struct Scene<'a> {
    app: &'a TestApp,
    company: Company<'a>,
    department: DepartmentId,
    link: String,
    boss: Member,
    agent: Member,
}

impl<'a> Scene<'a> {
    async fn new(app: &'a TestApp, zone: &str) -> Self {
        let company = app.company("acme").await;
        let department = company.department("Support").await;
        let link = company.link(department).await;
        let boss = company.user("Boss", Role::Manager).await;
        let agent = company.agent("Ana", &[department]).await;
        boss.client.put("/api/v1/company", json!({"company": {"time_zone": zone}})).await.expect(200);
        Self { app, company, department, link, boss, agent }
    }

    async fn client(&self, member: &Member) -> Client {
        self.app.client_of(&self.company.log_in(member.id, member.role).await.0)
    }

    async fn join(&self) -> String {
        self.app.client().join(&self.link, "Maria").await.expect(200).data("call_id").to_owned()
    }

    /// Waits so long, talks so long; together less than the minute and ten seconds after which a customer without a device is lost.
    async fn serve(&self, call: &str, wait_seconds: u64, talk_seconds: u64) {
        self.app.advance(Duration::from_secs(wait_seconds)).await;
        let agent = self.client(&self.agent).await;
        for action in ["assign", "start"] {
            agent.act(call, action).await.expect(200);
        }
        self.app.advance(Duration::from_secs(talk_seconds)).await;
        self.client(&self.agent).await.act(call, "complete").await.expect(200);
    }

    async fn ask(&self, what: &str) -> Answer {
        let client = self.client(&self.boss).await;
        for _ in 0..100 {
            let answer = client.get(&format!("/api/v1/analytics/{what}")).await;
            // A company that just moved is counted anew.
            if answer.status != 503 {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the figures are not counted anew");
    }

    async fn data(&self, what: &str) -> Value {
        self.ask(what).await.expect(200).body["data"].take()
    }
}

/// The rows of a list that have calls, as `(key, total)`.
fn busy(rows: &Value, key: &str) -> Vec<(Value, u64)> {
    let rows = rows.as_array().unwrap().iter().map(|row| (row[key].clone(), row["total"].as_u64().unwrap()));
    rows.filter(|(_, total)| *total > 0).collect()
}

#[tokio::test]
async fn figures_are_vokis_and_the_fields_standard_ones() {
    let app = TestApp::start().await;
    let scene = Scene::new(&app, "America/Sao_Paulo").await;
    for (wait, talk) in [(10, 50), (30, 30)] {
        scene.serve(&scene.join().await, wait, talk).await;
        app.advance(Duration::from_secs(60)).await;
    }
    let cancelled = scene.join().await;
    scene.client(&scene.boss).await.act(&cancelled, "cancel").await.expect(200);

    let overview = scene.data("overview").await;
    for (name, value) in [
        ("total_calls", json!(3)),
        ("completed_calls", json!(2)),
        ("missed_calls", json!(0)),
        ("cancelled_calls", json!(1)),
        ("avg_duration", json!(40)),
        ("avg_wait_time", json!(20)),
        ("avg_rating", Value::Null),
        ("total_customers", json!(3)),
        ("new_customers", json!(3)),
        ("completion_rate", json!(66.7)),
        ("satisfaction_rate", Value::Null),
        ("answered_calls", json!(2)),
        ("service_level", json!(50.0)),
        ("abandonment_rate", json!(0.0)),
        // The default wrap-up is 15 seconds.
        ("avg_wrap_up_time", json!(15)),
        ("avg_handle_time", json!(55)),
        ("longest_wait", json!(30)),
        ("wait_percentiles", json!({"p50": 10, "p90": 30, "p95": 30, "p99": 30})),
        ("date_from", json!("2025-05-03")),
        ("date_to", json!("2025-06-02")),
        ("time_zone", json!("America/Sao_Paulo")),
    ] {
        assert_eq!(overview[name], value, "{name} of {overview}");
    }
    let hours = scene.data("hourly").await;
    assert_eq!(hours.as_array().unwrap().len(), 24);
    assert_eq!(busy(&hours, "hour"), [(json!(9), 3)]);
    assert_eq!(busy(&scene.data("trends").await, "date"), [(json!("2025-06-02"), 3)]);
    let agents = scene.data("agents").await;
    assert_eq!(each(&agents, "name"), ["Ana", "Boss"]);
    assert_eq!((&agents[0]["completed_calls"], &agents[0]["talk_seconds"]), (&json!(2), &json!(80)));
    assert_eq!(keys(&agents[0]).len(), 24);
    app.stop().await;
}

#[tokio::test]
async fn a_call_over_midnight_belongs_to_the_day_it_joined_on_wallboard_and_analytics_alike() {
    // 23:59:30 in São Paulo.
    let app = start_at("2025-06-03T02:59:30Z").await;
    let scene = Scene::new(&app, "America/Sao_Paulo").await;
    let call = scene.join().await;
    scene.serve(&call, 40, 20).await;
    assert_eq!(busy(&scene.data("trends").await, "date"), [(json!("2025-06-02"), 1)]);
    assert_eq!(busy(&scene.data("hourly").await, "hour"), [(json!(23), 1)]);
    assert_eq!(scene.data("overview?date_from=2025-06-03&date_to=2025-06-03").await["total_calls"], json!(0));
    let token = scene.company.log_in(scene.boss.id, Role::Manager).await.0;
    let board = app.topic(&token, &format!("queue:{}", scene.department)).await;
    assert_eq!(board.reply["stats"]["service_level"], Value::Null, "today nobody joined yet");
    app.stop().await;
}

#[tokio::test]
async fn days_on_which_clocks_change_have_the_hours_people_saw() {
    // In New York, 2 November 2025 has the hour from one to two twice.
    let app = start_at("2025-11-02T05:30:00Z").await;
    let scene = Scene::new(&app, "America/New_York").await;
    scene.serve(&scene.join().await, 5, 5).await;
    until(&app, "2025-11-02T06:30:00Z").await;
    scene.serve(&scene.join().await, 5, 5).await;
    // The last minute of that day, which has 25 hours.
    until(&app, "2025-11-03T04:59:00Z").await;
    scene.serve(&scene.join().await, 5, 5).await;
    let day = "?date_from=2025-11-02&date_to=2025-11-02";
    assert_eq!(busy(&scene.data(&format!("hourly{day}")).await, "hour"), [(json!(1), 2), (json!(23), 1)]);
    assert_eq!(busy(&scene.data(&format!("trends{day}")).await, "date"), [(json!("2025-11-02"), 3)]);
    // On 8 March 2026 there is no hour from two to three.
    until(&app, "2026-03-08T06:59:00Z").await;
    scene.serve(&scene.join().await, 5, 5).await;
    until(&app, "2026-03-08T07:01:00Z").await;
    scene.serve(&scene.join().await, 5, 5).await;
    let hours = scene.data("hourly?date_from=2026-03-08&date_to=2026-03-08").await;
    assert_eq!(busy(&hours, "hour"), [(json!(1), 1), (json!(3), 1)]);
    // Two years in one answer.
    let trends = scene.data("trends?date_from=2024-03-09&date_to=2026-03-08").await;
    assert_eq!(trends.as_array().unwrap().len(), 730);
    assert_eq!(busy(&trends, "date"), [(json!("2025-11-02"), 3), (json!("2026-03-08"), 2)]);
    app.stop().await;
}

#[tokio::test]
async fn ranges_are_checked_and_empty_ones_are_empty() {
    let app = TestApp::start().await;
    let scene = Scene::new(&app, "America/Sao_Paulo").await;
    for what in PATHS {
        let inverted = scene.ask(&format!("{what}?date_from=2025-06-02&date_to=2025-06-01")).await.expect(400);
        assert_eq!(inverted.body, json!({"errors": {"date_from": ["must not be after date_to"]}}));
        let long = scene.ask(&format!("{what}?date_from=2010-01-01&date_to=2025-06-01")).await.expect(400);
        assert_eq!(keys(&long.body["errors"]), ["date_from"]);
        for wrong in ["date_from=soon", "date_to=2025-13-01", "department_id=x"] {
            scene.ask(&format!("{what}?{wrong}")).await.expect(400);
        }
    }
    let empty = scene.data("overview?date_from=2024-01-01&date_to=2024-01-31").await;
    assert_eq!((&empty["total_calls"], &empty["completion_rate"]), (&json!(0), &Value::Null));
    assert_eq!((&empty["total_customers"], &empty["occupancy"]), (&json!(0), &Value::Null));
    app.stop().await;
}

#[tokio::test]
async fn only_managers_of_a_full_plan_see_agents_and_trends() {
    let app = TestApp::start().await;
    let company = app.company_on("small", Plan::Basic).await;
    let (boss, sue) = (company.user("Boss", Role::Manager).await, company.user("Sue", Role::Supervisor).await);
    for what in PATHS {
        sue.client.get(&format!("/api/v1/analytics/{what}")).await.expect(403);
    }
    for what in ["overview", "hourly"] {
        boss.client.get(&format!("/api/v1/analytics/{what}")).await.expect(200);
    }
    for what in ["agents", "trends"] {
        let answer = boss.client.get(&format!("/api/v1/analytics/{what}")).await;
        answer.expect_plan_limit("Plan limit reached: the basic plan includes only the basic analytics");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_company_that_moves_is_counted_by_its_new_clocks() {
    let app = TestApp::start().await;
    let scene = Scene::new(&app, "America/Sao_Paulo").await;
    scene.serve(&scene.join().await, 5, 5).await;
    // Nepal is 5:45 ahead of UTC.
    for (zone, hour) in [("Asia/Kathmandu", 17), ("Pacific/Auckland", 0), ("America/Sao_Paulo", 9)] {
        let company = json!({"company": {"time_zone": zone}});
        scene.client(&scene.boss).await.put("/api/v1/company", company).await.expect(200);
        assert_eq!(busy(&scene.data("hourly").await, "hour"), [(json!(hour), 1)], "{zone}");
    }
    let recount = scene.client(&scene.boss).await.post("/api/v1/analytics/refresh-views", json!({})).await.expect(200);
    assert_eq!(recount.body["data"]["changed_rows"], json!(0), "{}", recount.body);
    app.stop().await;
}

#[tokio::test]
async fn counting_anew_mends_what_was_wrong_and_says_how_much() {
    let app = TestApp::start().await;
    let scene = Scene::new(&app, "America/Sao_Paulo").await;
    scene.serve(&scene.join().await, 5, 5).await;
    let before = scene.data("overview").await;
    let (store, tenant) = (app.app.store(), scene.company.tenant);
    for damage in [
        "UPDATE call_hours SET completed = completed + 7",
        "DELETE FROM wait_days",
        "DELETE FROM agent_days",
        "DELETE FROM agent_months",
        "UPDATE customer_days SET customers = 0",
    ] {
        sqlx::query(damage).execute(store.system()).await.unwrap();
    }
    assert_ne!(scene.data("overview").await, before);
    let recount_of = async || recount(store, tenant).await.unwrap();
    let changed = Recounted {
        call_hours: 1,
        wait_days: 1,
        agent_days: 1,
        agent_months: 1,
        customer_days: 1,
        ..Recounted::default()
    };
    assert_eq!(recount_of().await, Some(changed));
    assert_eq!(scene.data("overview").await, before);
    assert_eq!(recount_of().await, Some(Recounted::default()));
    app.stop().await;
}

#[tokio::test]
async fn agents_times_are_those_of_their_recorded_statuses() {
    let app = TestApp::start().await;
    let scene = Scene::new(&app, "America/Sao_Paulo").await;
    let desk = at_work(&app, &scene.agent, scene.department).await;
    app.live_through(Duration::from_secs(40)).await;
    desk.set_status("paused").await;
    app.live_through(Duration::from_secs(30)).await;
    desk.set_status("available").await;
    app.live_through(Duration::from_secs(20)).await;
    let agents = scene.data("agents").await;
    let times = |name: &str| agents[0][name].as_u64().unwrap();
    // The one under way counts up to now.
    assert_eq!((times("available_seconds"), times("paused_seconds")), (60, 30), "{agents}");
    assert_eq!((times("held_seconds"), times("disconnected_seconds")), (0, 0), "{agents}");
    assert_eq!(agents[0]["occupancy"], json!(0.0));
    app.stop().await;
}

#[tokio::test]
async fn another_capacity_counts_from_then_on() {
    let app = TestApp::start().await;
    let scene = Scene::new(&app, "America/Sao_Paulo").await;
    let desk = at_work(&app, &scene.agent, scene.department).await;
    app.live_through(Duration::from_secs(40)).await;
    let ana = format!("/api/v1/users/{}", scene.agent.id);
    scene.client(&scene.boss).await.put(&ana, json!({"user": {"capacity": 10}})).await.expect(200);
    app.live_through(Duration::from_secs(10)).await;
    desk.set_status("paused").await;
    let capacities = "SELECT capacity, extract(epoch FROM ended_at - started_at)::bigint FROM agent_intervals
                      WHERE status = 'available' ORDER BY started_at";
    let times: Vec<(i16, i64)> = sqlx::query_as(capacities).fetch_all(app.app.store().system()).await.unwrap();
    assert_eq!(times, [(1, 40), (10, 10)]);
    let sum = "SELECT sum(capacity_seconds)::bigint FROM agent_status_days";
    let sum: i64 = sqlx::query_scalar(sum).fetch_one(app.app.store().system()).await.unwrap();
    assert_eq!(sum, 40 + 100);
    app.stop().await;
}

#[tokio::test]
async fn who_is_told_that_an_agent_is_free_counts_for_no_estimate() {
    let app = TestApp::start().await;
    let scene = Scene::new(&app, "America/Sao_Paulo").await;
    let mut desk = at_work(&app, &scene.agent, scene.department).await;
    let call = scene.join().await;
    let offer = desk.offer().await;
    app.live_through(Duration::from_secs(3)).await;
    desk.accept(&offer).await.unwrap();
    desk.start(&call).await;
    desk.complete(&call).await;
    let told = "SELECT estimated_wait_p90_seconds, (accepted_at - inserted_at) > interval '2 s' FROM calls";
    let told: (Option<i32>, bool) = sqlx::query_as(told).fetch_one(app.app.store().system()).await.unwrap();
    assert_eq!(told, (Some(0), true));
    assert_eq!(scene.data("overview").await["wait_estimate_coverage"], Value::Null);
    app.stop().await;
}

#[tokio::test]
async fn seconds_are_the_difference_of_the_times_that_are_shown() {
    let app = start_at("2025-06-02T12:00:00.900Z").await;
    let scene = Scene::new(&app, "America/Sao_Paulo").await;
    let call = scene.join().await;
    app.advance(Duration::from_millis(300)).await;
    let agent = scene.client(&scene.agent).await;
    for action in ["assign", "start"] {
        agent.act(&call, action).await.expect(200);
    }
    app.advance(Duration::from_millis(29_800)).await;
    scene.client(&scene.agent).await.act(&call, "complete").await.expect(200);
    // From 12:00:00.9 to 12:00:01.2 to 12:00:31.0.
    let shown = scene.client(&scene.boss).await.get(&format!("/api/v1/calls/{call}")).await.expect(200);
    assert_eq!((&shown.body["data"]["wait_time"], &shown.body["data"]["duration"]), (&json!(1), &json!(30)));
    let overview = scene.data("overview").await;
    assert_eq!((&overview["avg_wait_time"], &overview["avg_duration"]), (&json!(1), &json!(30)));
    app.stop().await;
}

#[tokio::test]
async fn after_a_restart_the_wallboard_shows_the_day_before_any_queue_runs() {
    let app = TestApp::start().await;
    let scene = Scene::new(&app, "America/Sao_Paulo").await;
    scene.serve(&scene.join().await, 7, 5).await;
    let left = scene.join().await;
    app.live_through(Duration::from_secs(90)).await;
    let boss = scene.client(&scene.boss).await;
    eventually("he who never came is recorded as missed", async || {
        let call = boss.get(&format!("/api/v1/calls/{left}")).await.expect(200);
        (call.data("status") == "missed").then_some(())
    })
    .await;
    let (boss, tenant) = (scene.boss.id, scene.company.tenant);
    drop(scene);
    let app = app.restart_after(Duration::from_secs(60)).await;
    let token = app.company_of(tenant, "acme").log_in(boss, Role::Manager).await.0;
    let board = app.topic(&token, &format!("tenant:{tenant}")).await.reply;
    assert_eq!((&board["average_wait_time"], &board["abandonment_rate"]), (&json!(7), &json!(0.5)), "{board}");
    // Midnight in São Paulo.
    let mut board = app.topic(&token, &format!("tenant:{tenant}")).await;
    until(&app, "2025-06-03T03:00:01Z").await;
    let next = board.expect("dashboard").await;
    assert_eq!((&next["average_wait_time"], &next["abandonment_rate"]), (&Value::Null, &Value::Null), "{next}");
    app.stop().await;
}

#[tokio::test]
async fn a_wrap_up_counts_as_long_as_it_was() {
    let app = TestApp::start().await;
    let scene = Scene::new(&app, "America/Sao_Paulo").await;
    let mut desk = at_work(&app, &scene.agent, scene.department).await;
    let call = scene.join().await;
    assert_eq!(desk.take_next().await, call);
    desk.start(&call).await;
    app.live_through(Duration::from_secs(20)).await;
    desk.complete(&call).await;
    app.live_through(Duration::from_secs(4)).await;
    desk.own.push("wrap_up_end", json!({"call_id": call})).await.unwrap();
    let overview = scene.data("overview").await;
    assert_eq!((&overview["avg_wrap_up_time"], &overview["avg_duration"]), (&json!(4), &json!(20)), "{overview}");
    app.stop().await;
}
