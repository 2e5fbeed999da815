//! `GET /api/v1/calls/export`: Burki's file of calls.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;
use vez::domain::role::Role;

use super::past_calls::{PastCall, change, numbers, renumber};
use crate::harness::TestApp;
use crate::harness::client::Client;

const PATH: &str = "/api/v1/calls/export";
const HEADER: &str = "\"Call ID\",\"Call SID\",\"Assistant Name\",\"Customer Phone\",\"Status\",\"Duration (seconds)\",\
    \"Started At\",\"Ended At\"\r\n";

async fn text(client: &Client, query: &str) -> String {
    let answer = client.request(Method::GET, &format!("{PATH}?{query}")).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{query}");
    answer.text().await.unwrap()
}

async fn found(client: &Client, query: &str) -> Vec<i64> {
    let answer = client.get(&format!("{PATH}?format=json&{query}")).await.expect(200);
    numbers(&answer.body)
}

/// The seed's samples, put in as data, come out byte by byte. What they cut short is completed by the nearest valid data:
///
/// 1. `"CA..."` and `"CAxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"` are no hexadecimal digits: here `CA` and those of an id of ours.
/// 2. `"+1555..."` is the JSON sample's `+15559876543`; the second customer's number is not shown at all.
/// 3. The two samples disagree on what is exported (two calls, one call): the JSON is asked for with the one's assistant.
#[tokio::test]
async fn the_pages_samples() {
    let app = TestApp::start().await;
    let company = app.company("burki").await;
    let line = company.department("Calls").await;
    let (support, sales) = (company.agent("Support Bot", &[line]).await, company.agent("Sales Rep", &[line]).await);
    let boss = company.user("Boss", Role::Supervisor).await;
    for (number, agent, joined, ended) in [
        (101, &support, "2023-10-30T10:00:00Z", "2023-10-30T10:05:00Z"),
        (102, &sales, "2023-10-30T11:00:00Z", "2023-10-30T11:07:30Z"),
    ] {
        let call = PastCall::answered(number, line, agent.id, [joined, joined, ended]);
        let id = Uuid::from_u128(0x1234_5678_9abc_7def_8123_4567_89ab_cd00 + number.unsigned_abs() as u128);
        PastCall { id, phone: Some("+15559876543"), ..call }.put(&app, &company).await;
    }
    let answer = boss.client.request(Method::GET, PATH).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/csv; charset=utf-8");
    assert_eq!(answer.headers()["content-disposition"], "attachment; filename=calls_export.csv");
    assert_eq!(
        answer.text().await.unwrap(),
        [
            HEADER,
            "101,\"CA123456789abc7def8123456789abcd65\",\"Support Bot\",\"+15559876543\",\"completed\",300,\
             \"2023-10-30T10:00:00\",\"2023-10-30T10:05:00\"\r\n",
            "102,\"CA123456789abc7def8123456789abcd66\",\"Sales Rep\",\"+15559876543\",\"completed\",450,\
             \"2023-10-30T11:00:00\",\"2023-10-30T11:07:30\"\r\n"
        ]
        .concat()
    );
    renumber(&app, "users", support.id.0, 7_000).await;
    let path = format!("{PATH}?format=json&assistant_id=7000");
    let answer = boss.client.request(Method::GET, &path).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/json");
    assert_eq!(answer.headers()["content-disposition"], "attachment; filename=calls_export.json");
    let sample = r#"[
  {
    "id": 101,
    "call_sid": "CA123456789abc7def8123456789abcd65",
    "assistant_name": "Support Bot",
    "customer_phone_number": "+15559876543",
    "status": "completed",
    "duration": 300,
    "started_at": "2023-10-30T10:00:00",
    "ended_at": "2023-10-30T10:05:00"
  }
]"#;
    assert_eq!(answer.text().await.unwrap(), sample);
}

#[tokio::test]
async fn calls_that_were_not_answered_have_their_join_and_no_duration() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Calls").await;
    let boss = company.user("Boss", Role::Supervisor).await;
    let missed = PastCall::missed(1, line, "2024-02-29T23:59:59Z", "2024-03-01T00:00:31Z");
    missed.put(&app, &company).await;
    let waiting = PastCall { status: "queued", end_reason: None, ended: None, ..missed.clone() };
    PastCall { number: 2, id: Uuid::from_u128(2), joined: "2024-03-01T10:00:00.999999Z", ..waiting }
        .put(&app, &company)
        .await;
    let sid = missed.id.simple();
    assert_eq!(
        text(&boss.client, "").await,
        format!(
            "{HEADER}1,\"CA{sid}\",\"\",\"\",\"missed\",0,\"2024-02-29T23:59:59\",\"2024-03-01T00:00:31\"\r\n\
             2,\"CA00000000000000000000000000000002\",\"\",\"\",\"queued\",0,\"2024-03-01T10:00:00\",\"\"\r\n"
        )
    );
    let expected = json!([
        {"id": 1, "call_sid": format!("CA{sid}"), "assistant_name": null, "customer_phone_number": null, "status": "missed",
         "duration": null, "started_at": "2024-02-29T23:59:59", "ended_at": "2024-03-01T00:00:31"},
        {"id": 2, "call_sid": "CA00000000000000000000000000000002", "assistant_name": null, "customer_phone_number": null,
         "status": "queued", "duration": null, "started_at": "2024-03-01T10:00:00", "ended_at": null}]);
    assert_eq!(serde_json::from_str::<Value>(&text(&boss.client, "format=json").await).unwrap(), expected);
}

#[tokio::test]
async fn texts_are_quoted_and_formulas_are_not_run() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Calls").await;
    let boss = company.user("Boss", Role::Supervisor).await;
    let agent = company.agent("Ana", &[line]).await;
    change(&app, &format!("UPDATE users SET name = '=1+\"é\", 😀\nb' WHERE id = '{}'", agent.id)).await;
    let times = ["2024-02-29T10:00:00Z", "2024-02-29T10:00:00Z", "2024-02-29T10:00:01Z"];
    for (number, phone) in [(1, "5511999998888"), (2, "+55 (11) 99999-8888"), (3, "=HYPERLINK(\"x\")"), (4, "@me")] {
        let call = PastCall::answered(number, line, agent.id, times);
        PastCall { phone: Some(phone), ..call }.put(&app, &company).await;
    }
    let file = text(&boss.client, "").await;
    assert_eq!(file.matches("\"'=1+\"\"é\"\", 😀\nb\"").count(), 4, "{file}");
    for cell in ["\"5511999998888\"", "\"+55 (11) 99999-8888\"", "\"'=HYPERLINK(\"\"x\"\")\"", "\"'@me\""] {
        assert!(file.contains(&format!(",{cell},")), "{cell}: {file}");
    }
    // What a program reads is what is stored.
    let list: Value = serde_json::from_str(&text(&boss.client, "format=json").await).unwrap();
    assert_eq!(list[0]["assistant_name"], "=1+\"é\", 😀\nb");
    assert_eq!(list[2]["customer_phone_number"], "=HYPERLINK(\"x\")");
}

#[tokio::test]
async fn filters_narrow_and_what_is_nobodys_finds_nothing() {
    let app = TestApp::start().await;
    let (company, other) = (app.company("acme").await, app.company("other").await);
    let (line, foreign) = (company.department("Calls").await, other.department("Calls").await);
    let boss = company.user("Boss", Role::Supervisor).await;
    let ana = company.agent("Ana", &[line]).await;
    renumber(&app, "users", ana.id.0, 9).await;
    let times = ["2024-01-02T10:00:00Z", "2024-01-02T10:00:40Z", "2024-01-02T10:05:00Z"];
    PastCall::answered(1, line, ana.id, times).put(&app, &company).await;
    // 23:30 of 2 January in São Paulo.
    PastCall::missed(2, line, "2024-01-03T02:30:00Z", "2024-01-03T02:31:00Z").put(&app, &company).await;
    PastCall::missed(3, line, "2024-01-03T03:00:00Z", "2024-01-03T03:01:00Z").put(&app, &company).await;
    PastCall { id: Uuid::from_u128(7), ..PastCall::missed(1, foreign, times[0], times[2]) }.put(&app, &other).await;
    let stranger = other.user("Stranger", Role::Supervisor).await;
    assert_eq!(found(&stranger.client, "").await, [1]);
    for (query, expected) in [
        ("", &[1, 2, 3][..]),
        ("status=missed", &[2, 3]),
        ("status=completed&assistant_id=9", &[1]),
        ("status=missed&assistant_id=9", &[]),
        ("status=ongoing", &[]),
        ("assistant_id=1000", &[]),
        ("assistant_id=-1", &[]),
        // A bare date is the company's day, and a moment includes its second.
        ("date_from=2024-01-02&date_to=2024-01-02", &[1, 2]),
        ("date_from=2024-01-03", &[3]),
        ("date_to=2024-01-01", &[]),
        // It joined at 10:00:00; what counts is what the file shows.
        ("date_from=2024-01-02T10:00:40&date_to=2024-01-02T10:00:40", &[1]),
        ("date_from=2024-01-02T10:00:00&date_to=2024-01-02T10:00:39", &[]),
        ("date_from=2024-01-02T10:00:41", &[2, 3]),
        ("date_from=2024-01-02T23:30:00-03:00&date_to=2024-01-03T02:30:00Z", &[2]),
        ("date_from=2024-01-03T02:30:00%2B00:00", &[2, 3]),
        ("date_from=2024-01-03T02:30:00+00:00", &[2, 3]),
        ("date_from=2024-01-03%2003:00:00", &[3]),
        // The last of several counts, and blanks say nothing.
        ("status=missed&status=completed", &[1]),
        ("status=&assistant_id=&date_from=", &[1, 2, 3]),
        ("assistant_id=0", &[1, 2, 3]),
    ] {
        assert_eq!(found(&boss.client, query).await, expected, "{query}");
    }
    assert_eq!(text(&boss.client, "status=ongoing").await, HEADER);
    assert_eq!(text(&boss.client, "status=ongoing&format=json").await, "[]");
}

#[tokio::test]
async fn errors_are_fastapis() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let boss = company.user("Boss", Role::Supervisor).await;
    let agent = company.agent("Ana", &[]).await;
    for client in [app.client(), app.client_of("vez_nonsense")] {
        let answer = client.get(PATH).await.expect(401);
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        assert_eq!(
            answer.body,
            json!({"detail": "Authentication required. Provide a valid API key or login session."})
        );
    }
    assert_eq!(agent.client.get(PATH).await.expect(403).body, json!({"detail": "Forbidden"}));
    let query = "format=CSV&assistant_id=1.5&date_from=garbage&date_to=2023-02-30";
    let answer = boss.client.get(&format!("{PATH}?{query}")).await.expect(422);
    assert_eq!(
        answer.body,
        json!({"detail": [
            {"loc": ["query", "format"], "msg": "String should match pattern '^(csv|json)$'",
             "type": "string_pattern_mismatch"},
            {"loc": ["query", "assistant_id"], "type": "int_parsing",
             "msg": "Input should be a valid integer, unable to parse string as an integer"},
            {"loc": ["query", "date_from"], "msg": "Input should be a valid datetime or date",
             "type": "datetime_from_date_parsing"},
            {"loc": ["query", "date_to"], "msg": "Input should be a valid datetime or date",
             "type": "datetime_from_date_parsing"}]})
    );
    let answer = boss.client.get(&format!("{PATH}?date_from=2024-01-02&date_to=2024-01-01")).await.expect(422);
    assert_eq!(answer.body["detail"][0]["loc"], json!(["query", "date_from"]));
    // The route of one call is another's, with our own errors.
    boss.client.get("/api/v1/calls/exports").await.expect_error(404, "Not found");
}

#[tokio::test]
async fn a_token_for_programs_may_export() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let owner = company.user("Owner", Role::Owner).await;
    let body = json!({"name": "CRM", "role": "supervisor"});
    let token = owner.client.post("/api/v1/api-tokens", body).await.expect(201);
    let token = token.data("token");
    assert_eq!(text(&app.client_of(token), "").await, HEADER);
    // Evolux's header is not Burki's.
    let answer = app.client().request(Method::GET, PATH).header("token", token).send().await.unwrap();
    assert_eq!(answer.status(), 401);
}
