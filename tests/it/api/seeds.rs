//! The examples of Voki's own pages (the manual's REST chapter, the page on appointments): an integrator who wrote a client from
//! them changes the host and goes on. Ids and dates are replaced by ones that exist; nothing else is.

use reqwest::Method;
use serde_json::{Value, json};
use vez::domain::role::Role;

use crate::harness::TestApp;
use crate::harness::builders::{Member, PASSWORD};
use crate::harness::client::{Answer, send};

/// As the pages send it: both headers, the body if there is one.
async fn curl(member: &Member, method: Method, path: &str, body: Option<Value>) -> Answer {
    let request = member.client.request(method, path).header("X-Tenant", "avanter");
    match body {
        Some(body) => send(request.header("Content-Type", "application/json").body(body.to_string())).await,
        None => send(request).await,
    }
}

/// That `answer` has what the page's sample has, and each of the same kind. A sample's null stands for anything.
fn has_all_of(answer: &Value, sample: &Value, at: &str) {
    match (answer, sample) {
        (_, Value::Null) => {}
        (Value::Object(answer), Value::Object(sample)) => {
            for (name, value) in sample {
                let found = answer.get(name).unwrap_or_else(|| panic!("{at}.{name} is missing"));
                has_all_of(found, value, &format!("{at}.{name}"));
            }
        }
        (Value::Array(answer), Value::Array(sample)) => {
            for (index, value) in sample.iter().enumerate() {
                let found = answer.get(index).unwrap_or_else(|| panic!("{at}[{index}] is missing"));
                has_all_of(found, value, &format!("{at}[{index}]"));
            }
        }
        (Value::String(_), Value::String(_))
        | (Value::Number(_), Value::Number(_))
        | (Value::Bool(_), Value::Bool(_)) => {}
        _ => panic!("{at} is {answer}, the page shows {sample}"),
    }
}

#[tokio::test]
async fn the_manuals_login() {
    let app = TestApp::start().await;
    let manager = app.company("avanter").await.user("User Name", Role::Manager).await;
    let body = json!({"email": manager.email, "password": PASSWORD, "tenant": "avanter"});
    let answer = app.client().post("/api/auth/login", body).await.expect(200);
    let bare = json!({"access_token": "t", "refresh_token": "t",
        "user": {"id": "uuid", "name": "User Name", "email": "user@company.com", "role": "manager"}});
    has_all_of(&answer.body, &bare, "");
    // The documentation's own pages show the same in the envelope.
    has_all_of(&answer.body["data"], &bare, "data");
    assert_eq!(answer.body["data"]["access_token"], answer.body["access_token"]);
    let token = answer.body["access_token"].as_str().unwrap();
    let me = app.client_of(token).get("/api/v1/users/me").await.expect(200);
    assert_eq!(me.body["data"]["email"], json!(manager.email));
}

/// The page's sample of one appointment.
fn sample() -> Value {
    json!({
        "id": "x", "title": "x", "description": null, "status": "scheduled", "scheduled_at": "x", "duration_minutes": 30,
        "department_id": "x", "department_name": "x", "user_id": "x", "user_name": "x", "customer_id": "x",
        "customer_name": "x", "customer_email": "x", "customer_phone": "x", "notes": null, "inserted_at": "x",
        "updated_at": "x",
    })
}

#[tokio::test]
async fn the_page_on_appointments() {
    let app = TestApp::start().await;
    let company = app.company("avanter").await;
    let department = company.department("Suporte Técnico").await;
    let joao = company.agent("João Silva", &[department]).await;
    let post = Method::POST;

    let presentation = json!({"appointment": {
        "title": "Presentation meeting", "scheduled_at": "2026-02-25T14:00:00Z", "duration_minutes": 45,
        "department_id": department, "customer_name": "Roberto Lima", "customer_email": "roberto@email.com",
        "customer_phone": "+5511966665544",
    }});
    let made = curl(&joao, post.clone(), "/api/v1/appointments", Some(presentation)).await.expect(201);
    has_all_of(&made.body["data"], &sample(), "data");
    let expected = json!({"title": "Presentation meeting", "status": "scheduled", "scheduled_at": "2026-02-25T14:00:00Z",
        "duration_minutes": 45, "department_name": "Suporte Técnico", "user_id": joao.id, "user_name": "João Silva",
        "customer_name": "Roberto Lima", "customer_email": "roberto@email.com", "customer_phone": "+5511966665544"});
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&made.body["data"][name], value, "{name}");
    }
    assert!(made.body["data"]["customer_id"].is_string(), "a customer is made of the name");

    let list = "/api/v1/appointments?date_from=2026-02-18&status=scheduled";
    let list = curl(&joao, Method::GET, list, None).await.expect(200).body;
    let page = json!({"data": [sample()],
        "meta": {"current_page": 1, "page_size": 20, "total_pages": 1, "total_count": 1}});
    has_all_of(&list, &page, "");
    assert_eq!(list["meta"], page["meta"]);

    let conflicts = async |at: &str| {
        let path = format!("/api/v1/appointments/conflicts?user_id={}&scheduled_at={at}&duration_minutes=45", joao.id);
        curl(&joao, Method::GET, &path, None).await.expect(200).body
    };
    let none = json!({"data": {"has_conflicts": false, "conflicts": []}});
    assert_eq!(conflicts("2026-02-25T15:00:00Z").await, none);
    assert_eq!(conflicts("2026-02-25T14:30:00Z").await["data"]["has_conflicts"], true);

    let path = format!("/api/v1/appointments/{}", made.id());
    assert_eq!(
        curl(&joao, post.clone(), &format!("{path}/confirm"), None).await.expect(200).data("status"),
        "confirmed"
    );
    let reason = json!({"reason": "Customer requested rescheduling"});
    let cancelled = curl(&joao, post.clone(), &format!("{path}/cancel"), Some(reason)).await.expect(200);
    assert_eq!(cancelled.data("status"), "cancelled");

    for (action, status) in [("complete", "completed"), ("no-show", "no_show")] {
        let again = json!({"appointment": {"title": "Again", "scheduled_at": "2026-02-26T14:00:00Z",
            "department_id": department, "customer_id": made.body["data"]["customer_id"]}});
        let made = curl(&joao, post.clone(), "/api/v1/appointments", Some(again)).await.expect(201);
        assert_eq!(made.body["data"]["duration_minutes"], 30, "the default");
        let path = format!("/api/v1/appointments/{}/{action}", made.id());
        assert_eq!(curl(&joao, post.clone(), &path, None).await.expect(200).data("status"), status);
    }
}

/// Every endpoint of the manual's tables that is served already: routed, with this method, for staff or the public.
#[tokio::test]
async fn the_manuals_endpoints_are_all_there() {
    let app = TestApp::start().await;
    let document = app.client().get("/api/openapi.json").await.expect(200).body;
    let table = include_str!("seeds.txt");
    for line in table.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (method, path) = line.split_once(' ').unwrap();
        let known = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .any(|(known, methods)| shape(known) == shape(path) && methods.get(method.to_lowercase()).is_some());
        assert!(known, "{line} is not served");
    }
}

/// The path with its parameters unnamed.
fn shape(path: &str) -> String {
    let parts = path.split('/').map(|part| if part.starts_with([':', '{']) { "*" } else { part });
    parts.collect::<Vec<_>>().join("/")
}
