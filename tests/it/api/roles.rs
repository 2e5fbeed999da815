//! Who may ask what: every route of the spine, by role and by company.

use reqwest::Method;
use serde_json::{Value, json};
use vez::domain::role::Role;

use super::NOBODY;
use crate::harness::TestApp;
use crate::harness::client::{Answer, Client, send};

/// A route for staff: its path with `:department`, `:link`, `:call` and `:user` to fill in.
struct Route {
    method: Method,
    path: &'static str,
    /// The least role; `None` for what belongs to whoever asks.
    least: Role,
    body: Value,
}

fn route(method: Method, path: &'static str, least: Role, body: Value) -> Route {
    Route { method, path, least, body }
}

fn routes() -> Vec<Route> {
    let (get, post, put, delete) = (Method::GET, Method::POST, Method::PUT, Method::DELETE);
    let department = json!({"name": "New"});
    vec![
        route(get.clone(), "/api/v1/users/me", Role::Attendant, Value::Null),
        route(get.clone(), "/api/v1/departments", Role::Supervisor, Value::Null),
        route(post.clone(), "/api/v1/departments", Role::Supervisor, department.clone()),
        route(get.clone(), "/api/v1/departments/:department", Role::Supervisor, Value::Null),
        route(put.clone(), "/api/v1/departments/:department", Role::Supervisor, department),
        route(get.clone(), "/api/v1/departments/:department/users", Role::Supervisor, Value::Null),
        route(post.clone(), "/api/v1/departments/:department/users", Role::Supervisor, json!({"user_id": ":user"})),
        route(delete, "/api/v1/departments/:department/users/:user", Role::Supervisor, Value::Null),
        route(get.clone(), "/api/v1/access-links", Role::Supervisor, Value::Null),
        route(post.clone(), "/api/v1/access-links", Role::Supervisor, json!({"department_id": ":department"})),
        route(get.clone(), "/api/v1/access-links/:link", Role::Supervisor, Value::Null),
        route(post.clone(), "/api/v1/access-links/:link/cancel", Role::Supervisor, json!({})),
        route(get.clone(), "/api/v1/calls", Role::Attendant, Value::Null),
        route(get, "/api/v1/calls/:call", Role::Attendant, Value::Null),
        route(post.clone(), "/api/v1/calls/:call/assign", Role::Attendant, json!({})),
        route(post.clone(), "/api/v1/calls/:call/start", Role::Attendant, json!({})),
        route(post, "/api/v1/calls/:call/complete", Role::Attendant, json!({})),
    ]
}

/// What stands for the names in a path or body.
struct Ids {
    department: String,
    link: String,
    call: String,
    user: String,
}

impl Ids {
    fn fill(&self, text: &str) -> String {
        text.replace(":department", &self.department)
            .replace(":link", &self.link)
            .replace(":call", &self.call)
            .replace(":user", &self.user)
    }

    fn nothing() -> Self {
        let id = NOBODY.to_owned();
        Self { department: id.clone(), link: id.clone(), call: id.clone(), user: id }
    }

    /// Of a company with one of each.
    async fn of(app: &TestApp, slug: &str) -> Self {
        let company = app.company(slug).await;
        let department = company.department("Support").await;
        let (link, token) = company.link_with(department, |_| {}).await;
        let user = company.agent("Agent", &[department]).await.id;
        let joined = app.client().join(&token, "Maria").await.expect(200);
        Self {
            department: department.to_string(),
            link: link.to_string(),
            call: joined.data("call_id").to_owned(),
            user: user.to_string(),
        }
    }
}

async fn ask(client: &Client, route: &Route, ids: &Ids) -> Answer {
    let request = client.request(route.method.clone(), &ids.fill(route.path));
    match &route.body {
        Value::Null => send(request).await,
        body => send(request.body(ids.fill(&body.to_string()))).await,
    }
}

#[tokio::test]
async fn nobody_without_a_token_gets_in() {
    let app = TestApp::start().await;
    let ids = Ids::of(&app, "acme").await;
    for route in routes() {
        ask(&app.client(), &route, &ids).await.expect_error(401, "Unauthorized");
    }
}

#[tokio::test]
async fn every_route_has_its_least_role() {
    let app = TestApp::start().await;
    let ids = Ids::of(&app, "acme").await;
    let company = app.company("other").await;
    for role in [Role::Attendant, Role::Supervisor, Role::Manager, Role::Owner] {
        let member = company.user(role.as_str(), role).await;
        for route in routes() {
            let answer = ask(&member.client, &route, &ids).await;
            if role < route.least {
                answer.expect_error(403, "Forbidden");
            } else {
                assert_ne!(answer.status, 403, "{role} {} {}", route.method, route.path);
            }
        }
    }
}

#[tokio::test]
async fn ids_of_another_company_are_answered_as_ids_of_nothing() {
    let app = TestApp::start().await;
    let foreign = Ids::of(&app, "acme").await;
    let company = app.company("other").await;
    let boss = company.user("Boss", Role::Owner).await;
    for route in routes().into_iter().filter(|route| route.path.contains(':') || route.body.to_string().contains(':')) {
        // Bodies of `POST /departments` hold a colon, too.
        if route.path == "/api/v1/departments" {
            continue;
        }
        let of_another = ask(&boss.client, &route, &foreign).await;
        let of_nothing = ask(&boss.client, &route, &Ids::nothing()).await;
        assert_eq!(of_another.status, 404, "{} {}: {of_another:?}", route.method, route.path);
        assert_eq!(of_another.body, of_nothing.body, "{} {}", route.method, route.path);
        of_nothing.expect_error(404, "Not found");
    }
}
