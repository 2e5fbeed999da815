//! What every route must refuse, taken from the router itself: its description is made of the same lines that route it. A new
//! resource is covered here as soon as `World` has one of its objects.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};
use vez::domain::role::Role;

use super::NOBODY;
use super::world::World;
use crate::harness::TestApp;
use crate::harness::client::{Answer, Client, send};

/// One route of the description.
struct Operation {
    method: Method,
    /// With `{names}`.
    path: String,
    /// The least role; `None` for what needs no login of staff.
    least: Option<Role>,
    /// The example of its JSON body.
    body: Option<Value>,
    takes_json: bool,
}

impl Operation {
    fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// The path with what stands before each `{name}` looked up: `/departments/{id}` takes `ids["departments"]`.
    fn path_with(&self, ids: &dyn Fn(&str) -> String) -> String {
        let mut filled: Vec<String> = Vec::new();
        let mut kind = "";
        for part in self.path.split('/') {
            if part.starts_with('{') {
                filled.push(ids(kind));
            } else {
                kind = part;
                filled.push(part.to_owned());
            }
        }
        filled.join("/")
    }

    /// The product whose format it speaks, when it is not ours.
    fn product(&self) -> Option<&'static str> {
        match self.path.as_str() {
            "/api/v1/calls/export" => Some("burki"),
            path if path.starts_with("/api/v1/dialer/") => Some("evolux"),
            _ => None,
        }
    }

    /// What is answered to who sends no token.
    fn without_token(&self) -> (u16, Value) {
        match self.product() {
            Some("evolux") => (400, json!({"meta": {"status": 400, "message": "Missing token."}})),
            Some(_) => {
                let detail = "Authentication required. Provide a valid API key or login session.";
                (401, json!({ "detail": detail }))
            }
            None => (401, json!({"errors": {"detail": "Unauthorized"}})),
        }
    }

    /// The body of 403.
    fn forbidden(&self) -> Value {
        match self.product() {
            Some("evolux") => json!({"meta": {"status": 403, "message": "Forbidden."}}),
            Some(_) => json!({"detail": "Forbidden"}),
            None => json!({"errors": {"detail": "Forbidden"}}),
        }
    }

    fn has_ids(&self) -> bool {
        self.path.contains('{')
    }

    async fn ask(&self, client: &Client, path: &str, body: Option<&Value>) -> Answer {
        let request = client.request(self.method.clone(), path);
        match body {
            Some(body) => send(request.header("Content-Type", "application/json").body(body.to_string())).await,
            None => send(request).await,
        }
    }
}

/// All of them.
async fn operations(app: &TestApp) -> Vec<Operation> {
    let document = app.client().get("/api/openapi.json").await.expect(200).body;
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let staff = operation["security"].as_array().into_iter().flatten().find_map(|one| one.get("staff"));
            let optional = operation["security"].as_array().is_some_and(|all| all.iter().any(|one| one == &json!({})));
            let content = &operation["requestBody"]["content"];
            operations.push(Operation {
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
                least: staff.filter(|_| !optional).map(|roles| roles[0].as_str().unwrap().parse().unwrap()),
                body: content["application/json"].get("example").cloned(),
                takes_json: content.get("application/json").is_some(),
            });
        }
    }
    operations.sort_by_key(Operation::name);
    operations
}

/// Routes for staff.
async fn staff_operations(app: &TestApp) -> Vec<Operation> {
    operations(app).await.into_iter().filter(|operation| operation.least.is_some()).collect()
}

#[tokio::test]
async fn nobody_without_a_token_gets_in() {
    let app = TestApp::start().await;
    let world = World::of(&app, "acme").await;
    for operation in staff_operations(&app).await {
        let path = operation.path_with(&|kind| world.id(kind));
        let answer = operation.ask(&app.client(), &path, operation.body.as_ref()).await;
        let (status, body) = operation.without_token();
        assert_eq!((answer.status, &answer.body), (status, &body), "{}", operation.name());
        for token in ["nonsense", "vez_nonsense", world.customer_token.as_str()] {
            let answer = operation.ask(&app.client_of(token), &path, operation.body.as_ref()).await;
            assert_eq!(answer.status, 401, "{}", operation.name());
        }
    }
}

#[tokio::test]
async fn a_header_that_names_another_company_is_refused() {
    let app = TestApp::start().await;
    let world = World::of(&app, "acme").await;
    for operation in staff_operations(&app).await {
        let path = operation.path_with(&|kind| world.id(kind));
        let request = world.owner.client.request(operation.method.clone(), &path).header("X-Tenant", "other");
        let answer = send(request.header("Content-Type", "application/json").body("{}")).await;
        assert_eq!(answer.status, 401, "{}: {answer:?}", operation.name());
    }
}

#[tokio::test]
async fn every_route_has_its_least_role() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    for role in [Role::Attendant, Role::Supervisor, Role::Manager] {
        let member = company.user(role.as_str(), role).await;
        for operation in staff_operations(&app).await {
            let path = operation.path_with(&|_| NOBODY.to_owned());
            let below = operation.least.is_some_and(|least| role < least);
            if !below && operation.path.contains("logout") {
                continue;
            }
            // An empty body, since some fields take a higher role than the route does.
            let body = if below { operation.body.clone() } else { operation.takes_json.then(|| json!({})) };
            let answer = operation.ask(&member.client, &path, body.as_ref()).await;
            if below {
                assert_eq!((answer.status, &answer.body), (403, &operation.forbidden()), "{role} {}", operation.name());
            } else {
                assert_ne!(answer.body, operation.forbidden(), "{role} {}", operation.name());
                assert_ne!(answer.status, 401, "{role} {}", operation.name());
            }
        }
    }
}

#[tokio::test]
async fn ids_of_another_company_are_answered_as_ids_of_nothing() {
    let app = TestApp::start().await;
    let foreign = World::of(&app, "acme").await;
    let stranger = app.company("other").await.user("Stranger", Role::Owner).await;
    for operation in staff_operations(&app).await.into_iter().filter(Operation::has_ids) {
        let of_nothing = operation.path_with(&|_| NOBODY.to_owned());
        let of_another = operation.path_with(&|kind| foreign.id(kind));
        let nothing = operation.ask(&stranger.client, &of_nothing, operation.body.as_ref()).await;
        let another = operation.ask(&stranger.client, &of_another, operation.body.as_ref()).await;
        assert_eq!((another.status, &another.body), (nothing.status, &nothing.body), "{}", operation.name());
        // A body may be refused before the id is looked up.
        assert!([404, 422].contains(&another.status), "{}: {another:?}", operation.name());
    }
}

#[tokio::test]
async fn foreign_ids_in_bodies_are_answered_as_ids_of_nothing() {
    let app = TestApp::start().await;
    let foreign = World::of(&app, "acme").await;
    let mine = World::of(&app, "other").await;
    for operation in staff_operations(&app).await {
        let Some(body) = &operation.body else { continue };
        let path = operation.path_with(&|kind| mine.id(kind));
        for field in id_fields(body) {
            let kind = kind_of_field(&field);
            let with = |id: &str| {
                let mut body = body.clone();
                fill(&mut body, &|name| {
                    if name == field { id.to_owned() } else { mine.id(kind_of_field(name)) }
                });
                body
            };
            let nothing = operation.ask(&mine.owner.client, &path, Some(&with(NOBODY))).await;
            let another = operation.ask(&mine.owner.client, &path, Some(&with(&foreign.id(kind)))).await;
            let name = format!("{} {field}", operation.name());
            assert_eq!((another.status, &another.body), (nothing.status, &nothing.body), "{name}");
            assert!([404, 422].contains(&another.status), "{name}: {another:?}");
        }
    }
}

#[tokio::test]
async fn ids_that_are_none_name_nothing() {
    let app = TestApp::start().await;
    let owner = app.company("acme").await.user("Owner", Role::Owner).await;
    for operation in staff_operations(&app).await.into_iter().filter(Operation::has_ids) {
        for id in ["x", "0", "%00", "00000000-0000-0000-0000-00000000000g", "%F0%9F%92%A9"] {
            let path = operation.path_with(&|_| id.to_owned());
            let answer = operation.ask(&owner.client, &path, operation.body.as_ref()).await;
            assert_eq!(answer.status, 404, "{} {id}: {answer:?}", operation.name());
        }
    }
}

#[tokio::test]
async fn bodies_that_are_none_are_refused_and_change_nothing() {
    let app = TestApp::start().await;
    let world = World::of(&app, "acme").await;
    let all = operations(&app).await;
    for operation in all.iter().filter(|operation| operation.takes_json && operation.least.is_some()) {
        let path = operation.path_with(&|kind| world.id(kind));
        let send_text = async |text: String| {
            let request = world.owner.client.request(operation.method.clone(), &path);
            send(request.header("Content-Type", "application/json").body(text)).await
        };
        for broken in ["{", "[]", "7", "\"text\"", "{\"a\": \"\u{1}\"}", &"[".repeat(5_000)] {
            let answer = send_text(broken.to_owned()).await;
            assert_eq!(answer.status, 400, "{} {broken:.20}: {answer:?}", operation.name());
        }
        let large = send_text(" ".repeat(2 * 1024 * 1024)).await;
        assert_eq!(large.status, 413, "{}: {large:?}", operation.name());
        // Every field of a wrong kind is named; bodies without fields that could be wrong take anything.
        if let Some(body) = &operation.body
            && let Some(wrong) = with_wrong_kinds(body)
        {
            let answer = send_text(wrong.to_string()).await;
            assert_eq!(answer.status, 422, "{} {wrong}: {answer:?}", operation.name());
            assert!(answer.body["errors"].is_object(), "{}: {answer:?}", operation.name());
        }
    }
}

/// The body with every field of a kind that no field takes.
fn with_wrong_kinds(body: &Value) -> Option<Value> {
    let wrong = |fields: &serde_json::Map<String, Value>| -> BTreeMap<String, Value> {
        fields.keys().map(|name| (name.clone(), json!([[{}]]))).collect()
    };
    let fields = body.as_object()?;
    match fields.iter().next() {
        None => None,
        Some((wrapper, Value::Object(inner))) if fields.len() == 1 && !inner.is_empty() => {
            Some(json!({ wrapper.as_str(): wrong(inner) }))
        }
        Some(_) => Some(json!(wrong(fields))),
    }
}

/// The names of fields that hold an id.
fn id_fields(body: &Value) -> Vec<String> {
    let mut names = Vec::new();
    visit(&mut body.clone(), &mut |name, _| names.push(name.to_owned()));
    names
}

fn fill(body: &mut Value, id: &dyn Fn(&str) -> String) {
    visit(body, &mut |name, value| *value = json!(id(name)));
}

fn visit(body: &mut Value, each: &mut dyn FnMut(&str, &mut Value)) {
    let Some(fields) = body.as_object_mut() else { return };
    for (name, value) in fields {
        if name.ends_with("_id") && value.is_string() {
            each(name, value);
        } else {
            visit(value, each);
        }
    }
}

/// `department_id` is one of `departments`.
fn kind_of_field(name: &str) -> &'static str {
    match name {
        "department_id" => "departments",
        "user_id" => "users",
        "customer_id" | "primary_id" => "customers",
        "sector_id" => "sectors",
        "tag_id" | "parent_id" => "tags",
        other => panic!("say in `kind_of_field` what {other} is the id of"),
    }
}
