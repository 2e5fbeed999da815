//! `/api/v1/customers/*`.

use std::time::Duration;

use serde_json::{Value, json};
use vez::domain::ids::DepartmentId;
use vez::domain::role::Role;

use super::{NOBODY, each};
use crate::harness::TestApp;
use crate::harness::builders::{Company, Member};

/// A company with a line, its agent, and a link to it.
struct Scene<'a> {
    app: &'a TestApp,
    company: Company<'a>,
    line: DepartmentId,
    agent: Member,
    boss: Member,
    link: String,
}

impl Scene<'_> {
    async fn new(app: &TestApp) -> Scene<'_> {
        let company = app.company("acme").await;
        let line = company.department("Suporte").await;
        let agent = company.agent("Ana", &[line]).await;
        let boss = company.user("Boss", Role::Supervisor).await;
        let link = company.link(line).await;
        Scene { app, company, line, agent, boss, link }
    }

    async fn customer(&self, fields: Value) -> String {
        self.agent.client.post("/api/v1/customers", fields).await.expect(201).id().to_owned()
    }

    /// Joins with these contacts; the id of the call.
    async fn join(&self, contacts: Value) -> String {
        let path = format!("/api/v1/call/{}/join", self.link);
        self.app.client().post(&path, contacts).await.expect(200).data("call_id").to_owned()
    }

    async fn serve(&self, call: &str) {
        for action in ["assign", "start", "complete"] {
            self.agent.client.act(call, action).await.expect(200);
        }
        self.app.advance(Duration::from_secs(20)).await;
    }

    async fn call(&self, call: &str) -> Value {
        self.agent.client.get(&format!("/api/v1/calls/{call}")).await.expect(200).body["data"].clone()
    }

    async fn shown(&self, customer: &str) -> Value {
        self.agent.client.get(&format!("/api/v1/customers/{customer}")).await.expect(200).body["data"].clone()
    }

    async fn merge(&self, customer: &str, duplicates: &[&str]) -> crate::harness::client::Answer {
        let body = json!({"customer_id": customer, "duplicate_ids": duplicates});
        self.boss.client.post("/api/v1/customers/merge", body).await
    }
}

#[tokio::test]
async fn a_customer_is_made_shown_and_changed() {
    let app = TestApp::start().await;
    let scene = Scene::new(&app).await;
    let client = &scene.agent.client;
    let body = json!({"customer": {"name": "Carlos Ferreira", "email": "carlos@email.com", "phone": "+5511999998888",
        "document": "123.456.789-00", "notes": "Prefers mornings"}});
    let made = client.post("/api/v1/customers", body).await.expect(201);
    let now = app.now().to_string();
    let mut expected = json!({"data": {"id": made.id(), "name": "Carlos Ferreira", "email": "carlos@email.com",
        "phone": "+5511999998888", "document": "123.456.789-00", "notes": "Prefers mornings", "call_count": 0,
        "last_call_at": null, "inserted_at": now, "updated_at": now}});
    assert_eq!(made.body, expected);
    let path = format!("/api/v1/customers/{}", made.id());
    assert_eq!(client.get(&path).await.expect(200).body, expected);
    app.advance(Duration::from_secs(1)).await;
    expected["data"]["name"] = json!("Carlos");
    expected["data"]["notes"] = json!(null);
    expected["data"]["updated_at"] = json!(app.now().to_string());
    assert_eq!(client.put(&path, json!({"name": "Carlos", "notes": null})).await.expect(200).body, expected);
    let wrong = client.put(&path, json!({"customer": {"name": "", "email": "nowhere"}})).await.expect(422);
    assert_eq!(wrong.body, json!({"errors": {"name": ["can't be blank"], "email": ["has invalid format"]}}));
    assert_eq!(client.get(&path).await.expect(200).body, expected);
    client.get(&format!("/api/v1/customers/{NOBODY}")).await.expect_error(404, "Not found");
    client.put(&format!("/api/v1/customers/{NOBODY}"), json!({"name": "x"})).await.expect_error(404, "Not found");
}

#[tokio::test]
async fn the_list_is_searched_sorted_and_paged() {
    let app = TestApp::start().await;
    let scene = Scene::new(&app).await;
    for (name, email, phone) in [
        ("Bia", "z@email.com", "+55 (11) 98888-7777"),
        ("ana 100%", "y@email.com", "+5521911112222"),
        ("Carlos", "x@email.com", "0800"),
    ] {
        scene.customer(json!({"name": name, "email": email, "phone": phone})).await;
        app.advance(Duration::from_secs(1)).await;
    }
    let names = async |query: &str| {
        let list = scene.agent.client.get(&format!("/api/v1/customers?{query}")).await.expect(200).body;
        each(&list["data"], "name").iter().map(|name| name.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("").await, ["ana 100%", "Bia", "Carlos"]);
    assert_eq!(names("sort_by=email").await, ["Carlos", "ana 100%", "Bia"]);
    assert_eq!(names("sort_by=inserted_at&sort_order=desc&page_size=2").await, ["Carlos", "ana 100%"]);
    assert_eq!(names("search=Y@email").await, ["ana 100%"]);
    assert_eq!(names("search=100%25").await, ["ana 100%"]);
    assert_eq!(names("search=%25").await, ["ana 100%"]);
    // What means something elsewhere means itself here.
    for typed in ["%5B", "(%2B", "%5C", "**", "(%3F%3Aana)", "a%7B2%7D", "%5Cm", "%F0%9F%98%80"] {
        assert_eq!(names(&format!("search={typed}")).await, [] as [&str; 0], "{typed}");
    }
    // However it was typed.
    assert_eq!(names("search=11988887777").await, ["Bia"]);
    assert_eq!(names("search=(21)%2091111-2222").await, ["ana 100%"]);
    assert_eq!(names("search=nobody").await, [] as [&str; 0]);
    // Accents neither send a name to the end nor hide it.
    scene.customer(json!({"name": "Álvaro"})).await;
    assert_eq!(names("").await, ["Álvaro", "ana 100%", "Bia", "Carlos"]);
    for typed in ["alvaro", "%C3%81LVARO", "%C3%A1lv"] {
        assert_eq!(names(&format!("search={typed}")).await, ["Álvaro"], "{typed}");
    }
    scene
        .agent
        .client
        .get("/api/v1/customers?sort_by=phone")
        .await
        .expect_error(400, "The parameter sort_by is invalid");
}

#[tokio::test]
async fn those_who_share_a_document_an_address_or_a_telephone_are_candidates_for_a_merge() {
    let app = TestApp::start().await;
    let scene = Scene::new(&app).await;
    let carlos =
        json!({"name": "Carlos", "email": "carlos@email.com", "phone": "+5511999998888", "document": "123.456.789-00"});
    let carlos = scene.customer(carlos).await;
    scene.customer(json!({"name": "By document", "document": "12345678900"})).await;
    scene.customer(json!({"name": "By email", "email": "CARLOS@email.com"})).await;
    scene.customer(json!({"name": "By phone", "phone": "+55 11 99999-8888"})).await;
    scene.customer(json!({"name": "Nobody", "phone": "none", "document": "none"})).await;
    scene.customer(json!({"name": "Nobody else", "phone": "-", "document": "-"})).await;
    let path = format!("/api/v1/customers?duplicates_of={carlos}");
    let list = scene.agent.client.get(&path).await.expect(200).body;
    assert_eq!(each(&list["data"], "name"), ["By document", "By email", "By phone"]);
    assert_eq!(list["meta"]["total_count"], 3);
    let none = scene.agent.client.get(&format!("/api/v1/customers?duplicates_of={NOBODY}")).await.expect(200);
    assert_eq!(none.body["data"], json!([]));
}

#[tokio::test]
async fn calls_are_counted_open_ones_included() {
    let app = TestApp::start().await;
    let scene = Scene::new(&app).await;
    let first = scene.join(json!({"name": "Maria", "phone": "+5511999998888"})).await;
    let maria = scene.call(&first).await["customer_id"].as_str().unwrap().to_owned();
    let joined = app.now();
    let seen = scene.shown(&maria).await;
    assert_eq!((&seen["call_count"], &seen["last_call_at"]), (&json!(1), &json!(joined.to_string())));
    app.advance(Duration::from_secs(5)).await;
    let started = app.now();
    scene.serve(&first).await;
    let seen = scene.shown(&maria).await;
    // The pages' samples show the start of the call.
    assert_eq!((&seen["call_count"], &seen["last_call_at"]), (&json!(1), &json!(started.to_string())));
    let second = scene.join(json!({"name": "Maria S.", "phone": "11 99999 8888", "email": "m@email.com"})).await;
    assert_ne!(scene.call(&second).await["customer_id"], json!(maria), "another number, and an address nobody had");
    let third = scene.join(json!({"name": "M", "phone": "+55 (11) 99999-8888"})).await;
    assert_eq!(scene.call(&third).await["customer_id"], json!(maria), "the same digits");
    let list = scene.agent.client.get("/api/v1/customers?search=Maria").await.expect(200).body;
    assert_eq!(each(&list["data"], "call_count"), [2, 1]);
}

#[tokio::test]
async fn an_erased_customer_leaves_calls_without_name_and_contacts() {
    let app = TestApp::start().await;
    let scene = Scene::new(&app).await;
    let call = scene
        .join(
            json!({"name": "Maria", "phone": "+5511999998888", "email": "m@email.com", "reason": "My second invoice"}),
        )
        .await;
    let maria = scene.call(&call).await["customer_id"].as_str().unwrap().to_owned();
    let (link, _) = scene.company.link_with(scene.line, |link| link.customer_email = Some("M@email.com".into())).await;
    let path = format!("/api/v1/customers/{maria}");
    let refused = scene.agent.client.delete(&path).await.expect(422);
    assert_eq!(refused.body["errors"]["code"], "customer_in_call");
    scene.agent.client.act(&call, "assign").await.expect(200);
    scene.agent.client.delete(&path).await.expect(422);
    for action in ["start", "complete"] {
        scene.agent.client.act(&call, action).await.expect(200);
    }
    let rating = json!({"rating": 4, "comment": "Thank you, Maria"});
    app.client().post(&format!("/api/v1/call/evaluate/{call}"), rating).await.expect(200);
    let before = scene.call(&call).await;
    assert_eq!(scene.agent.client.delete(&path).await.expect(200).body, json!({"data": {"id": maria}}));
    scene.agent.client.get(&path).await.expect_error(404, "Not found");
    scene.agent.client.delete(&path).await.expect_error(404, "Not found");
    let mut expected = before.clone();
    expected["customer_name"] = json!("");
    for field in ["customer_email", "customer_phone", "reason", "rating_comment"] {
        assert!(before[field].is_string(), "{field}");
        expected[field] = json!(null);
    }
    assert_eq!(scene.call(&call).await, expected, "when, who served, how it ended and the rating stay");
    let link = scene.boss.client.get(&format!("/api/v1/access-links/{link}")).await.expect(200);
    assert_eq!(link.body["data"]["customer_email"], json!(null));
    // Whoever comes back is somebody new.
    let again = scene.join(json!({"name": "Maria", "phone": "+5511999998888"})).await;
    assert_ne!(scene.call(&again).await["customer_id"], json!(maria));
}

#[tokio::test]
async fn a_merge_moves_everything_and_leaves_a_redirect() {
    let app = TestApp::start().await;
    let scene = Scene::new(&app).await;
    let ended = scene.join(json!({"name": "Maria", "phone": "+5511999998888"})).await;
    scene.serve(&ended).await;
    let open = scene.join(json!({"name": "Maria", "phone": "+5511999998888"})).await;
    let duplicate = scene.call(&open).await["customer_id"].as_str().unwrap().to_owned();
    let survivor = scene.customer(json!({"name": "Maria Silva", "email": "m@email.com", "notes": "one"})).await;
    let third = scene.customer(json!({"name": "M.", "document": "1", "notes": "two"})).await;
    let body = json!({"department_id": scene.line, "customer_id": duplicate});
    let link = scene.boss.client.post("/api/v1/access-links", body).await.expect(201);
    assert_eq!(link.data("customer_name"), "Maria", "the customer's, since the link has none of its own");

    let merged = scene.merge(&survivor, &[&duplicate, &third]).await.expect(200).body["data"].clone();
    let field = |name: &str| merged[name].as_str().unwrap_or_default().to_owned();
    assert_eq!(field("id"), survivor);
    assert_eq!((field("name"), field("email")), ("Maria Silva".into(), "m@email.com".into()), "what he has stays");
    assert_eq!((field("phone"), field("document")), ("+5511999998888".into(), "1".into()), "what he lacks is filled");
    assert_eq!((field("notes"), &merged["call_count"]), ("one\n\ntwo".into(), &json!(2)));
    for id in [&duplicate, &third] {
        assert_eq!(scene.shown(id).await, merged, "the redirect");
    }
    assert_eq!(scene.call(&ended).await["customer_id"], json!(survivor));
    assert!(merged["last_call_at"].is_string(), "those without calls do not hide when the others had theirs: {merged}");
    for id in [&survivor, &duplicate, &third] {
        let calls = scene.boss.client.get(&format!("/api/v1/calls?customer_id={id}")).await.expect(200);
        assert_eq!(calls.body["meta"]["total_count"], json!(2), "filters follow the redirect");
    }
    let path = format!("/api/v1/access-links/{}", link.id());
    assert_eq!(scene.boss.client.get(&path).await.expect(200).data("customer_id"), survivor);
    let list = scene.agent.client.get("/api/v1/customers").await.expect(200).body;
    assert_eq!(each(&list["data"], "name"), ["Maria Silva"]);

    // Again, and the other way round, changes nothing.
    app.advance(Duration::from_secs(1)).await;
    assert_eq!(scene.merge(&survivor, &[&duplicate]).await.expect(200).body["data"], merged);
    assert_eq!(scene.merge(&third, &[&survivor]).await.expect(200).body["data"], merged);

    // The open call follows when it ends, and whoever has the duplicate's telephone is the survivor.
    scene.serve(&open).await;
    assert_eq!(scene.call(&open).await["customer_id"], json!(survivor));
    scene.agent.client.put(&format!("/api/v1/customers/{third}"), json!({"phone": "+1"})).await.expect(200);
    let again = scene.join(json!({"name": "Maria", "phone": "+55 11 99999 8888"})).await;
    assert_eq!(scene.call(&again).await["customer_id"], json!(survivor));
    assert_eq!(
        (&scene.shown(&duplicate).await["call_count"], &scene.shown(&survivor).await["phone"]),
        (&json!(3), &json!("+1"))
    );
}

#[tokio::test]
async fn redirects_never_lead_to_redirects_and_go_with_their_survivor() {
    let app = TestApp::start().await;
    let scene = Scene::new(&app).await;
    let mut ids = Vec::new();
    for name in ["One", "Two", "Three"] {
        ids.push(scene.customer(json!({"name": name})).await);
    }
    scene.merge(&ids[1], &[&ids[0]]).await.expect(200);
    scene.merge(&ids[2], &[&ids[1]]).await.expect(200);
    for id in &ids {
        assert_eq!(scene.shown(id).await["name"], "Three");
    }
    let refused = scene.agent.client.delete(&format!("/api/v1/customers/{}", ids[0])).await.expect(422);
    assert_eq!(refused.body["errors"]["code"], "customer_merged");
    scene.agent.client.delete(&format!("/api/v1/customers/{}", ids[2])).await.expect(200);
    for id in &ids {
        scene.agent.client.get(&format!("/api/v1/customers/{id}")).await.expect_error(404, "Not found");
    }
}

#[tokio::test]
async fn a_merge_that_makes_no_sense_is_refused() {
    let app = TestApp::start().await;
    let scene = Scene::new(&app).await;
    let (one, two) = (scene.customer(json!({"name": "One"})).await, scene.customer(json!({"name": "Two"})).await);
    for (customer, duplicates, errors) in [
        (NOBODY, vec![one.as_str()], json!({"customer_id": ["does not exist"]})),
        (&one, vec![two.as_str(), NOBODY], json!({"duplicate_ids": ["does not exist"]})),
        (&one, vec![two.as_str(), one.as_str()], json!({"duplicate_ids": ["must not contain customer_id"]})),
        (&one, vec![], json!({"duplicate_ids": ["can't be blank"]})),
        ("x", vec!["y"], json!({"customer_id": ["is invalid"], "duplicate_ids": ["is invalid"]})),
    ] {
        assert_eq!(scene.merge(customer, &duplicates).await.expect(422).body, json!({"errors": errors}));
    }
    assert_eq!(scene.shown(&two).await["name"], "Two");
    let body = json!({"customer_id": one, "duplicate_ids": [two]});
    scene.agent.client.post("/api/v1/customers/merge", body).await.expect_error(403, "Forbidden");
}

#[tokio::test]
async fn an_open_call_keeps_its_place_through_a_merge_and_a_restart() {
    let app = TestApp::start().await;
    let scene = Scene::new(&app).await;
    let call = scene.join(json!({"name": "Maria", "phone": "+5511999998888"})).await;
    let duplicate = scene.call(&call).await["customer_id"].as_str().unwrap().to_owned();
    let survivor = scene.customer(json!({"name": "Maria Silva"})).await;
    scene.merge(&survivor, &[&duplicate]).await.expect(200);
    let token = scene.agent.token.clone();
    drop(scene);
    let app = app.restart().await;
    let client = app.client_of(&token);
    for action in ["assign", "start", "complete"] {
        client.act(&call, action).await.expect(200);
    }
    let ended = client.get(&format!("/api/v1/calls/{call}")).await.expect(200);
    assert_eq!(ended.data("customer_id"), survivor);
}

#[tokio::test]
async fn appointments_follow_a_merge_and_lose_who_is_erased() {
    let app = TestApp::start().await;
    let scene = Scene::new(&app).await;
    let duplicate = scene.customer(json!({"name": "Maria", "email": "m@email.com"})).await;
    let survivor = scene.customer(json!({"name": "Maria Silva"})).await;
    let body = json!({"appointment": {"title": "Visit", "scheduled_at": "2025-06-05T12:00:00Z",
        "department_id": scene.line, "customer_id": duplicate}});
    let made = scene.agent.client.post("/api/v1/appointments", body).await.expect(201);
    let path = format!("/api/v1/appointments/{}", made.id());
    let appointment = async || scene.agent.client.get(&path).await.expect(200).body["data"].clone();
    assert_eq!(appointment().await["customer_id"], json!(duplicate));
    scene.merge(&survivor, &[&duplicate]).await.expect(200);
    assert_eq!(appointment().await["customer_id"], json!(survivor));
    scene.agent.client.delete(&format!("/api/v1/customers/{survivor}")).await.expect(200);
    let emptied = appointment().await;
    assert_eq!((&emptied["customer_name"], &emptied["customer_email"]), (&json!(""), &json!(null)));
    assert_eq!((&emptied["title"], &emptied["status"]), (&json!("Visit"), &json!("scheduled")));
}
