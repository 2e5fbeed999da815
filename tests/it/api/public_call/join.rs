//! `POST /api/v1/call/:token/join`, the first time.

use std::time::Duration;

use serde_json::{Value, json};
use vez::domain::role::Role;
use vez::store::departments::DepartmentChange;

use super::super::keys;
use super::{NO_SUCH_LINK, Scene};
use crate::harness::TestApp;

#[tokio::test]
async fn a_customer_gets_a_place_and_a_way_to_watch_it() {
    let app = TestApp::start().await;
    let scene = Scene::new(&app).await;
    let first = app.client().join(&scene.link, "Maria").await.expect(200);
    assert_eq!(
        keys(&first.body["data"]),
        [
            "call_id",
            "estimated_wait_time",
            "estimated_wait_time_p90",
            "position",
            "protocol",
            "queue_size",
            "resumed",
            "status",
            "websocket_token",
            "websocket_url"
        ]
    );
    let data = &first.body["data"];
    assert_eq!((&data["status"], &data["position"], &data["queue_size"]), (&json!("queued"), &json!(1), &json!(1)));
    assert_eq!((&data["protocol"], &data["resumed"]), (&json!(1), &json!(false)));
    assert_eq!(first.data("websocket_url"), format!("ws://{}/socket/websocket", app.addr()));
    let second = app.client().join(&scene.link, "Bia").await.expect(200);
    assert_eq!((&second.body["data"]["position"], &second.body["data"]["queue_size"]), (&json!(2), &json!(2)));
    assert_ne!(first.data("call_id"), second.data("call_id"));

    let topic = app.topic(first.data("websocket_token"), &first.call_topic()).await;
    assert_eq!((&topic.reply["position"], &topic.reply["protocol"]), (&json!(1), &json!(1)));
    let other = app.socket(first.data("websocket_token")).await.join(&second.call_topic(), Value::Null).await;
    assert!(other.is_err(), "the token names one call");
}

#[tokio::test]
async fn what_the_customer_typed_reaches_the_staff() {
    let app = TestApp::start().await;
    let scene = Scene::new(&app).await;
    let path = format!("/api/v1/call/{}/join", scene.link);
    let body =
        json!({"name": "  Zoë 🙂 ", "email": "zoe@example.com", "phone": "+5511999998888", "reason": "É urgente"});
    let joined = app.client().post(&path, body).await.expect(200);
    let shown = scene.agent.client.get(&format!("/api/v1/calls/{}", joined.data("call_id"))).await.expect(200);
    for (field, value) in [
        ("customer_name", "Zoë 🙂"),
        ("customer_email", "zoe@example.com"),
        ("customer_phone", "+5511999998888"),
        ("reason", "É urgente"),
    ] {
        assert_eq!(shown.data(field), value);
    }
}

#[tokio::test]
async fn a_links_contacts_and_priority_are_the_calls() {
    let app = TestApp::start().await;
    let scene = Scene::new(&app).await;
    let (_, link) = scene
        .company
        .link_with(scene.line, |link| {
            link.customer_email = Some("vip@example.com".to_owned());
            link.priority = 10;
        })
        .await;
    app.client().join(&scene.link, "Maria").await.expect(200);
    app.advance(Duration::from_secs(5)).await;
    let vip = app.client().join(&link, "Vip").await.expect(200);
    assert_eq!(vip.body["data"]["position"], 1, "ten priorities are worth ten minutes");
    let shown = scene.agent.client.get(&format!("/api/v1/calls/{}", vip.data("call_id"))).await.expect(200);
    assert_eq!((shown.data("customer_email"), &shown.body["data"]["priority"]), ("vip@example.com", &json!(10)));
}

#[tokio::test]
async fn the_same_contact_is_the_same_customer() {
    let app = TestApp::start().await;
    let scene = Scene::new(&app).await;
    let path = format!("/api/v1/call/{}/join", scene.link);
    let mut customers = Vec::new();
    for (name, email) in [("Maria", "maria@example.com"), ("Maria S.", "MARIA@example.com"), ("Bia", "bia@example.com")]
    {
        let joined = app.client().post(&path, json!({"name": name, "email": email})).await.expect(200);
        let shown = scene.agent.client.get(&format!("/api/v1/calls/{}", joined.data("call_id"))).await.expect(200);
        customers.push(shown.data("customer_id").to_owned());
    }
    assert_eq!(customers[0], customers[1]);
    assert_ne!(customers[0], customers[2]);
}

#[tokio::test]
async fn a_bad_join_names_every_fault_and_takes_no_place() {
    let app = TestApp::start().await;
    let scene = Scene::new(&app).await;
    let path = format!("/api/v1/call/{}/join", scene.link);
    let empty = app.client().post(&path, json!({})).await.expect(422);
    assert_eq!(empty.body, json!({"errors": {"name": ["can't be blank"]}}));
    let wrong =
        json!({"name": "  ", "email": "a@b@c", "phone": "1".repeat(41), "reason": 5, "join_key": "k".repeat(201)});
    assert_eq!(
        app.client().post(&path, wrong).await.expect(422).body,
        json!({"errors": {
            "name": ["can't be blank"], "email": ["has invalid format"], "phone": ["should be at most 40 character(s)"],
            "reason": ["is invalid"], "join_key": ["should be at most 200 character(s)"],
        }})
    );
    let nul = json!({"name": "Ma\u{0}ria", "reason": "\u{0}", "email": "a\u{0}@b", "phone": "\u{0}1"});
    let fault = json!(["must not contain a NUL character"]);
    assert_eq!(
        app.client().post(&path, nul).await.expect(422).body,
        json!({"errors": {"name": fault, "reason": fault, "email": fault, "phone": fault}})
    );
    app.client().join("nowhere", "Maria").await.expect_error(404, NO_SUCH_LINK);
    assert_eq!(scene.agent.client.get("/api/v1/calls").await.expect(200).body["meta"]["total_count"], 0);
    app.client().join(&scene.link, &"é".repeat(200)).await.expect(200);
}

#[tokio::test]
async fn a_full_or_inactive_department_takes_nobody() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let boss = company.user("Boss", Role::Supervisor).await;
    let change = DepartmentChange { max_queue_size: Some(Some(2)), ..Default::default() };
    let line = company.department_with("Support", change).await.id;
    let link = company.link(line).await;
    let path = format!("/api/v1/departments/{line}");
    for name in ["Maria", "Bia"] {
        app.client().join(&link, name).await.expect(200);
    }
    let full = app.client().join(&link, "Ivo").await.expect(422);
    assert_eq!(full.body, json!({"errors": {"detail": "The queue is full. Try again later.", "code": "queue_full"}}));
    boss.client.put(&path, json!({"max_queue_size": 3, "active": false})).await.expect(200);
    let closed = app.client().join(&link, "Ivo").await.expect(422);
    assert_eq!(closed.body["errors"]["code"], "department_inactive");
    let valid = async || {
        app.client().get(&format!("/api/v1/call/{link}/validate")).await.expect(200).body["data"]["valid"].clone()
    };
    assert_eq!(valid().await, false, "told before anybody types his name");
    boss.client.put(&path, json!({"active": true})).await.expect(200);
    assert_eq!(valid().await, true);
    let ivo = app.client().join(&link, "Ivo").await.expect(200);
    assert_eq!(ivo.body["data"]["position"], 3);
    boss.client.put(&path, json!({"max_queue_size": 1})).await.expect(200);
    assert_eq!(app.client().join(&link, "Eva").await.expect(422).body["errors"]["code"], "queue_full");
    assert_eq!(app.client().status(ivo.data("call_id")).await.body["data"]["position"], 3, "nobody is sent away");
    boss.client.put(&path, json!({"max_queue_size": null})).await.expect(200);
    app.client().join(&link, "Eva").await.expect(200);
}

#[tokio::test]
async fn a_crowd_at_one_moment_gets_places_without_doubles() {
    let app = TestApp::start().await;
    let scene = Scene::new(&app).await;
    let mut joins = tokio::task::JoinSet::new();
    for number in 0..50 {
        let (client, link) = (app.client(), scene.link.clone());
        joins.spawn(async move { client.join(&link, &format!("C{number}")).await.expect(200) });
    }
    let answers = joins.join_all().await;
    let mut places = Vec::new();
    for answer in &answers {
        let seen = app.client().status(answer.data("call_id")).await.expect(200);
        places
            .push((answer.body["data"]["protocol"].as_u64().unwrap(), seen.body["data"]["position"].as_u64().unwrap()));
    }
    places.sort_unstable();
    // The clock stands still, so the call's number alone decides.
    assert_eq!(places, (1..=50).map(|number| (number, number)).collect::<Vec<_>>());
}
