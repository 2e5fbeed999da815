//! `GET /api/v1/dialer/calls_history`: Evolux's sample, and which calls are on which page.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;
use vez::domain::clock::{Clock, Timestamp};
use vez::domain::role::Role;

use super::past_calls::{PastCall, change, compact, numbers, renumber};
use crate::harness::TestApp;
use crate::harness::client::{Answer, Client, send};

/// The route.
pub const PATH: &str = "/api/v1/dialer/calls_history";

/// Evolux's body of an error.
pub fn refusal(status: u16, message: &str) -> Value {
    json!({"meta": {"status": status, "message": message}})
}

/// Asks for the history.
pub async fn get(client: &Client, query: &str) -> Answer {
    client.get(&format!("{PATH}?{query}")).await
}

/// An application whose clock stands at this moment.
pub async fn app_at(text: &str) -> TestApp {
    let at = Timestamp::from(chrono::DateTime::parse_from_rfc3339(text).unwrap().to_utc());
    TestApp::builder()
        .clock(Clock::manual(at))
        .config(|config| config.server.public_url = Some("https://cliente.evolux.net.br".to_owned()))
        .start()
        .await
}

/// The seed's sample, put in as data, comes out byte by byte, in the sample's order of fields, but for these, in which it
/// contradicts itself or JSON:
///
/// 1. `uuid`: `0e4bccbe-3827-11ec-8190-5f7aar43ds2` and `01271e80-3827-11ec-bf38-5f7aa276gtr` are no UUIDs (too short, and not
///    hexadecimal): each letter above `f` is 0, and a 0 leads the last group.
/// 2. `hangup_cause` stands twice in each call: once, with the value that parsers of JSON keep, the last.
/// 3. The request asks for number 84999999999, yet the first call's is 8488888888: here both have the one asked for.
/// 4. `download_audio` is on a host of Evolux's own network: here on that of the request, as the other addresses.
#[tokio::test]
async fn the_pages_sample() {
    let app = app_at("2021-10-28T20:00:00Z").await;
    let company = app.company("cliente").await;
    let line = company.department("Campanha de Teste Evolux").await;
    renumber(&app, "departments", line.0, 376).await;
    let agent = company.agent("Atendente Evolux", &[line]).await;
    renumber(&app, "users", agent.id.0, 149).await;
    let boss = company.user("Boss", Role::Supervisor).await;
    let mut links = Vec::new();
    for (name, obs) in [("Pontal", "Analista de Professional S"), ("Provedor de Telefonia", "Analista de Suporte")] {
        let fields = [("type", "VIP"), ("site", "www.evolux.net.br"), ("obs", obs)];
        let fields = fields.map(|(name, text)| (name.to_owned(), text.to_owned()));
        let with = |link: &mut vez::store::links::NewLink| {
            link.name = Some(name.to_owned());
            link.custom_fields = fields.into();
        };
        links.push(company.link_with(line, with).await.0);
    }
    let times = ["2021-10-28T19:41:33Z", "2021-10-28T19:42:00Z", "2021-10-28T19:42:30Z"];
    let first = PastCall::answered(48_582_566, line, agent.id, times);
    let times = ["2021-10-28T19:41:11Z", "2021-10-28T19:41:33Z", "2021-10-28T19:41:46Z"];
    let second = PastCall::answered(48_582_498, line, agent.id, times);
    for call in [
        PastCall {
            id: Uuid::try_parse("0e4bccbe-3827-11ec-8190-05f7aa043d02").unwrap(),
            ended_by_agent: false,
            link: Some(links[0]),
            name: "Ronaldinho",
            document: Some("19191919"),
            ..first
        },
        PastCall {
            id: Uuid::try_parse("01271e80-3827-11ec-bf38-05f7aa276000").unwrap(),
            link: Some(links[1]),
            name: "Hulk",
            document: Some("20202020"),
            ..second
        },
    ] {
        let call = PastCall { phone: Some("84999999999"), wrap_up_seconds: 11, recorded: true, ..call };
        call.put(&app, &company).await;
    }
    let sample = r#"{
  "pagination": {
    "max_limit": 50, "limit": 50,
    "first_url": "https://cliente.evolux.net.br/api/v1/dialer/calls_history?number=84999999999&campaign_id=376&page=1",
    "next_url": null, "items": 2,
    "last_url": "https://cliente.evolux.net.br/api/v1/dialer/calls_history?number=84999999999&campaign_id=376&page=1",
    "total": 2,
    "current_url": "https://cliente.evolux.net.br/api/v1/dialer/calls_history?number=84999999999&campaign_id=376&page=1",
    "prev_url": null
  },
  "meta": { "status": 200, "message": "OK" },
  "data": [
    {
      "answer_time": "2021-10-28T19:42:00+00:00", "classification": "-", "hangup_cause": "Normal clearing",
      "uuid": "0e4bccbe-3827-11ec-8190-05f7aa043d02",
      "campaign": { "id": 376, "name": "Campanha de Teste Evolux" },
      "talking_duration": 30, "trunk_name": "Pontal", "start_time": "2021-10-28T19:41:33+00:00", "end_by": "Subscriber",
      "agent": { "id": 149, "name": "Atendente Evolux" },
      "billable_duration": 41.0,
      "subscriber": { "external_id": "19191919", "number": "84999999999", "name": "Ronaldinho" },
      "survey": { "csat": null, "nps": null },
      "end_time": "2021-10-28T19:42:30+00:00", "outcome": "-", "id": 48582566,
      "custom_fields": { "obs": "Analista de Professional S", "site": "www.evolux.net.br", "type": "VIP" },
      "download_audio": "https://cliente.evolux.net.br/api/v1/dialer/call/48582566/recording"
    },
    {
      "answer_time": "2021-10-28T19:41:33+00:00", "classification": "-", "hangup_cause": "Normal clearing",
      "uuid": "01271e80-3827-11ec-bf38-05f7aa276000",
      "campaign": { "id": 376, "name": "Campanha de Teste Evolux" },
      "talking_duration": 13, "trunk_name": "Provedor de Telefonia", "start_time": "2021-10-28T19:41:11+00:00",
      "end_by": "Agent",
      "agent": { "id": 149, "name": "Atendente Evolux" },
      "billable_duration": 24.0,
      "subscriber": { "external_id": "20202020", "number": "84999999999", "name": "Hulk" },
      "survey": { "csat": null, "nps": null },
      "end_time": "2021-10-28T19:41:46+00:00", "outcome": "-", "id": 48582498,
      "custom_fields": { "obs": "Analista de Suporte", "site": "www.evolux.net.br", "type": "VIP" },
      "download_audio": "https://cliente.evolux.net.br/api/v1/dialer/call/48582498/recording"
    }
  ]
}"#;
    // As the page's curl sends it: the token in its own header.
    let path = format!("{PATH}?number=84999999999&campaign_id=376");
    let answer = app.client().request(Method::GET, &path).header("token", &boss.token).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.text().await.unwrap(), compact(sample));
}

#[tokio::test]
async fn filters_narrow_and_what_is_nobodys_finds_nothing() {
    let app = app_at("2024-01-02T15:00:00Z").await;
    let (company, other) = (app.company("acme").await, app.company("other").await);
    let (sales, support) = (company.department("Vendas").await, company.department("Suporte").await);
    let (ana, bia) = (company.agent("Ana", &[sales]).await, company.agent("Bia", &[sales]).await);
    let boss = company.user("Boss", Role::Supervisor).await;
    let times = ["2024-01-02T12:00:00Z", "2024-01-02T12:00:10Z", "2024-01-02T12:00:20Z"];
    let call = |number, line, agent| PastCall::answered(number, line, agent, times);
    let of_ana = PastCall { phone: Some("+55 (84) 99999-9999"), ..call(1, sales, ana.id) };
    of_ana.put(&app, &company).await;
    PastCall { document: Some("123.456.789-00"), ..call(2, support, bia.id) }.put(&app, &company).await;
    PastCall { document: Some("12.ABC.345/01DE-35"), ..call(3, sales, bia.id) }.put(&app, &company).await;
    PastCall::missed(4, sales, times[0], times[2]).put(&app, &company).await;
    PastCall { status: "active", end_reason: None, ended: None, ..call(5, sales, ana.id) }.put(&app, &company).await;
    // Another company's, with the same numbers.
    let foreign = other.department("Vendas").await;
    let stranger = other.agent("Stranger", &[foreign]).await;
    let theirs = PastCall { id: Uuid::from_u128(77), ..PastCall::answered(1, foreign, stranger.id, times) };
    theirs.put(&app, &other).await;
    let numbered = async |client: &Client, query: &str| numbers(&get(client, query).await.expect(200).body["data"]);
    let (sales, support) = (1, 2);
    for (id, number) in [(ana.id, 11), (bia.id, 12)] {
        renumber(&app, "users", id.0, number).await;
    }
    for (query, expected) in [
        (String::new(), &[3, 2, 1][..]),
        ("contact_status=both".to_owned(), &[4, 3, 2, 1]),
        ("contact_status=error".to_owned(), &[4]),
        ("agent_id=11".to_owned(), &[1]),
        ("agent_id=11&agent_id=12".to_owned(), &[3, 2, 1]),
        (format!("agent_id=12&campaign_id={sales}"), &[3]),
        (format!("campaign_id={sales}&campaign_id={support}"), &[3, 2, 1]),
        ("agent_id=999".to_owned(), &[]),
        ("campaign_id=999".to_owned(), &[]),
        ("number=5584999999999".to_owned(), &[1]),
        ("number=%2B55+84+99999.9999".to_owned(), &[1]),
        ("number=999999999".to_owned(), &[]),
        ("external_id=12345678900".to_owned(), &[2]),
        ("external_id=123.456.789-00".to_owned(), &[2]),
        ("external_id=12abc34501de35".to_owned(), &[3]),
        ("external_id=123450135".to_owned(), &[]),
        ("external_id=-".to_owned(), &[]),
        // Blanks say nothing; of what is one, the last counts; what is unknown is ignored.
        ("agent_id=&number=&page=&contact_status=&start_date=&x=y".to_owned(), &[3, 2, 1]),
        ("contact_status=error&contact_status=success".to_owned(), &[3, 2, 1]),
    ] {
        assert_eq!(numbered(&boss.client, &query).await, expected, "{query}");
    }
    let stranger = other.user("Boss", Role::Supervisor).await;
    assert_eq!(numbered(&stranger.client, "contact_status=both").await, [1]);
    // Who was merged into another is found by his old document, too.
    let survivor = Uuid::from_u128(of_ana.id.as_u128() ^ (1 << 100));
    let merge = format!(
        "UPDATE customers SET merged_into = '{survivor}', document = '555' WHERE name = 'Carlos' AND document LIKE '123%'"
    );
    change(&app, &merge).await;
    assert_eq!(numbered(&boss.client, "external_id=555").await, [1]);
}

#[tokio::test]
async fn dates_are_the_companys_and_both_ends_belong_to_them() {
    let app = app_at("2024-01-03T02:30:00Z").await;
    let company = app.company("acme").await;
    let line = company.department("Suporte").await;
    let boss = company.user("Boss", Role::Supervisor).await;
    // In São Paulo: 1 January 23:59:59, 2 January 00:00 and 23:59:59 (which is now), 3 January 00:00.
    let joins = ["2024-01-02T02:59:59Z", "2024-01-02T03:00:00Z", "2024-01-03T02:59:59.9Z", "2024-01-03T03:00:00Z"];
    for (number, joined) in (1..).zip(joins) {
        PastCall::missed(number, line, joined, "2024-01-04T00:00:00Z").put(&app, &company).await;
    }
    let of = async |query: &str| {
        numbers(&get(&boss.client, &format!("contact_status=both&{query}")).await.expect(200).body["data"])
    };
    for (query, expected) in [
        ("", &[3, 2][..]),
        ("start_date=2024-01-01", &[3, 2, 1]),
        ("end_date=2024-01-03", &[4, 3, 2]),
        ("start_date=2024-01-01&end_date=2024-01-01", &[1]),
        ("start_date=2024-01-02T03:00:00%2B00:00&end_date=2024-01-03T02:59:59Z", &[3, 2]),
        ("start_date=2024-01-02T03:00:00+00:00&end_date=2024-01-03T02:59:58Z", &[2]),
        ("start_date=2024-01-02T00:00:00.000-03:00&end_date=2024-01-02T23:59:59.999999-03:00", &[3, 2]),
        // Without an offset it is what the company's clocks show.
        ("start_date=2024-01-02T00:00:00&end_date=2024-01-02T23:59:58", &[2]),
        ("start_date=2024-01-02%2000:00&end_date=2024-01-03T00:00", &[4, 3, 2]),
        ("start_date=2000-01-01&end_date=2023-12-31", &[]),
    ] {
        assert_eq!(of(query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn days_are_as_long_as_the_companys_clocks_make_them() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    change(&app, "UPDATE tenants SET time_zone = 'Europe/Lisbon'").await;
    let line = company.department("Suporte").await;
    let boss = company.user("Boss", Role::Supervisor).await;
    // 31 March 2024 had 23 hours there, from 00:00Z to 23:00Z; 27 October had 25, from 26 October 23:00Z.
    let joins = [
        "2024-03-31T00:00:00Z",
        "2024-03-31T22:59:59Z",
        "2024-03-31T23:00:00Z",
        "2024-10-26T23:00:00Z",
        "2024-10-27T00:30:00Z",
        "2024-10-27T01:30:00Z",
        "2024-10-27T23:59:59Z",
    ];
    for (number, joined) in (1..).zip(joins) {
        PastCall::missed(number, line, joined, "2024-11-01T00:00:00Z").put(&app, &company).await;
    }
    let of = async |from: &str, to: &str| {
        let query = format!("contact_status=both&start_date={from}&end_date={to}");
        numbers(&get(&boss.client, &query).await.expect(200).body["data"])
    };
    assert_eq!(of("2024-03-31", "2024-03-31").await, [2, 1]);
    assert_eq!(of("2024-10-27", "2024-10-27").await, [7, 6, 5, 4]);
    // 01:30 was shown twice: a range to it holds both.
    assert_eq!(of("2024-10-27T01:30:00", "2024-10-27T01:30:00").await, [6, 5]);
}

#[tokio::test]
async fn pages_are_linked_by_addresses_that_repeat_the_request() {
    let app = app_at("2024-01-02T15:00:00Z").await;
    let company = app.company("acme").await;
    let line = company.department("Suporte").await;
    let boss = company.user("Boss", Role::Supervisor).await;
    for number in 1..=5 {
        PastCall::missed(number, line, "2024-01-02T12:00:00Z", "2024-01-02T12:01:00Z").put(&app, &company).await;
    }
    let base = "https://cliente.evolux.net.br/api/v1/dialer/calls_history?";
    let urls = |pagination: &Value| {
        ["first_url", "prev_url", "current_url", "next_url", "last_url"]
            .map(|name| pagination[name].as_str().map(|url| url.strip_prefix(base).unwrap().to_owned()))
    };
    // Values are percent-encoded however they came; neither the token nor anything unknown is repeated.
    let asked = "limit=2&contact_status=both&start_date=2024-01-02T00:00:00%2B00:00&end_date=2024-01-02T23:59:59+00:00\
        &token=secret&Token=secret&access_token=secret&agent_id=&page=";
    let kept = "limit=2&contact_status=both&start_date=2024-01-02T00%3A00%3A00%2B00%3A00\
        &end_date=2024-01-02T23%3A59%3A59%2000%3A00&agent_id=&page=";
    let at = |page: u32| Some(format!("{kept}{page}"));
    for (page, items, prev, next) in [
        (1, &[5, 4][..], None, at(2)),
        (2, &[3, 2], at(1), at(3)),
        (3, &[1], at(2), None),
        (4, &[], at(3), None),
        (9, &[], at(3), None),
    ] {
        let answer = get(&boss.client, &format!("{asked}{page}")).await.expect(200);
        assert!(!answer.body.to_string().contains("secret"), "{answer:?}");
        let pagination = &answer.body["pagination"];
        assert_eq!(numbers(&answer.body["data"]), items, "{page}");
        assert_eq!(urls(pagination), [at(1), prev, at(page), next, at(3)], "{page}");
        assert_eq!((&pagination["items"], &pagination["total"]), (&json!(items.len()), &json!(5)), "{page}");
        assert_eq!((&pagination["limit"], &pagination["max_limit"]), (&json!(2), &json!(50)));
    }
    // An address leads where it says.
    let next =
        get(&boss.client, &format!("{asked}1")).await.body["pagination"]["next_url"].as_str().unwrap().to_owned();
    let followed = boss.client.get(next.strip_prefix("https://cliente.evolux.net.br").unwrap()).await.expect(200);
    assert_eq!(numbers(&followed.body["data"]), [3, 2]);
    // Nothing at all is one empty page.
    let empty = get(&boss.client, "").await.expect(200).body;
    let one = Some("page=1".to_owned());
    assert_eq!(urls(&empty["pagination"]), [one.clone(), None, one.clone(), None, one]);
    // What is above the limit is cut to it, and said.
    let cut = get(&boss.client, "limit=500&contact_status=both").await.expect(200).body;
    assert_eq!((&cut["pagination"]["limit"], &cut["pagination"]["items"]), (&json!(50), &json!(5)));
    assert_eq!(get(&boss.client, "limit=99999999999").await.expect(200).body["pagination"]["limit"], 50);
}

#[tokio::test]
async fn errors_are_evoluxs() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let (boss, agent) = (company.user("Boss", Role::Supervisor).await, company.agent("Ana", &[]).await);
    let with =
        async |token: &str, path: &str| send(app.client().request(Method::GET, path).header("token", token)).await;
    for path in [PATH, "/api/v1/dialer/call/1/recording"] {
        assert_eq!(app.client().get(path).await.expect(400).body, refusal(400, "Missing token."));
        assert_eq!(with("", path).await.expect(400).body, refusal(400, "Missing token."));
        assert_eq!(app.client().get(&format!("{path}?token=x")).await.expect(400).body, refusal(400, "Missing token."));
        assert_eq!(with("vez_nonsense", path).await.expect(401).body, refusal(401, "Unauthorized."));
        assert_eq!(app.client_of("x").get(path).await.expect(401).body, refusal(401, "Unauthorized."));
        assert_eq!(with(&agent.token, path).await.expect(403).body, refusal(403, "Forbidden."));
    }
    for (query, name) in [
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=ten", "limit"),
        ("page=-1", "page"),
        ("page=1.5", "page"),
        ("page=1000001", "page"),
        ("start_date=yesterday", "start_date"),
        ("end_date=2024-02-30", "end_date"),
        ("start_date=0001-01-01", "start_date"),
        ("agent_id=x", "agent_id"),
        ("agent_id=1&agent_id=x", "agent_id"),
        ("agent_id=1,2", "agent_id"),
        ("campaign_id=00000000-0000-4000-8000-000000000000", "campaign_id"),
        ("contact_status=ok", "contact_status"),
        ("number=abc", "number"),
        ("number=%00", "number"),
        ("external_id=%00", "external_id"),
    ] {
        let answer = get(&boss.client, query).await.expect(400);
        assert_eq!(answer.body, refusal(400, &format!("The parameter {name} is invalid.")), "{query}");
    }
    let many = "agent_id=1&".repeat(101);
    assert_eq!(get(&boss.client, &many).await.expect(400).body, refusal(400, "The parameter agent_id is invalid."));
    for query in ["start_date=2025-06-02&end_date=2025-06-01", "end_date=2025-06-01", "start_date=2025-06-03"] {
        assert_eq!(
            get(&boss.client, query).await.expect(400).body,
            refusal(400, "start_date is after end_date."),
            "{query}"
        );
    }
}
