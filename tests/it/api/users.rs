//! `/api/v1/users/*`: whoever manages members of staff. What everybody may do to himself is in `users_me`.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use vez::domain::role::Role;

use super::{NOBODY, each};
use crate::harness::TestApp;
use crate::harness::builders::PASSWORD;
use crate::harness::client::{Answer, Client, send};
use crate::people::{at_work, customer, device};

fn path(user: &impl std::fmt::Display) -> String {
    format!("/api/v1/users/{user}")
}

async fn log_in(client: &Client, email: &str, password: &str) -> Answer {
    client.post("/api/auth/login", json!({"email": email, "password": password, "tenant": "acme"})).await
}

#[tokio::test]
async fn a_user_is_made_shown_and_logs_in() {
    let app = TestApp::start().await;
    let boss = app.company("acme").await.user("Boss", Role::Manager).await;
    let body = json!({"user": {"name": "Ana Lima", "email": "Ana@acme.example", "password": "a long enough one",
        "role": "supervisor", "locale": "es", "capacity": 3, "skills": ["vip", "pt"],
        "avatar_url": "https://acme.example/ana.png"}});
    let made = boss.client.post("/api/v1/users", body).await.expect(201);
    let now = app.now().to_string();
    let expected = json!({"data": {"id": made.id(), "name": "Ana Lima", "email": "Ana@acme.example",
        "role": "supervisor", "active": true, "avatar_url": "https://acme.example/ana.png", "mfa_enabled": false,
        "locale": "es", "inserted_at": now, "updated_at": now, "number": 2, "capacity": 3, "skills": ["pt", "vip"]}});
    assert_eq!(made.body, expected);
    assert_eq!(boss.client.get(&path(&made.id())).await.expect(200).body, expected);
    log_in(&app.client(), "ana@acme.example", "a long enough one").await.expect(200);
    log_in(&app.client(), "ana@acme.example", "another").await.expect(401);
}

#[tokio::test]
async fn the_providers_guide_makes_an_attendant_of_four_fields() {
    let app = TestApp::start().await;
    let boss = app.company("acme").await.user("Boss", Role::Manager).await;
    let body = json!({"user": {"name": "Ana", "email": "ana@acme.example", "password": "a long enough one",
        "role": "attendant"}});
    let made = boss.client.post("/api/v1/users", body).await.expect(201).body;
    for (name, value) in
        [("role", json!("attendant")), ("locale", json!("pt-BR")), ("capacity", json!(1)), ("skills", json!([]))]
    {
        assert_eq!(made["data"][name], value, "{name}");
    }
}

#[tokio::test]
async fn wrong_fields_are_named_all_at_once_and_change_nothing() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let boss = company.user("Boss", Role::Manager).await;
    let ana = company.agent("Ana", &[]).await;
    let blank = boss.client.post("/api/v1/users", json!({})).await.expect(422);
    let needed = ["can't be blank"];
    assert_eq!(blank.body, json!({"errors": {"name": needed, "email": needed, "password": needed}}));
    let before = boss.client.get(&path(&ana.id)).await.expect(200).body;
    let wrong = json!({"name": "", "email": "nobody", "password": "short", "role": "king", "locale": "de",
        "capacity": 21, "skills": "pt", "active": "yes", "avatar_url": "javascript:alert(1)"});
    let expected = json!({"errors": {"name": needed, "email": ["has invalid format"],
        "password": ["should be at least 8 character(s)"], "role": ["is invalid"], "locale": ["is invalid"],
        "capacity": ["must be less than or equal to 20"], "skills": ["is invalid"], "active": ["is invalid"],
        "avatar_url": ["must be an https address"]}});
    assert_eq!(boss.client.put(&path(&ana.id), wrong).await.expect(422).body, expected);
    let blanked = boss.client.put(&path(&ana.id), json!({"email": null, "name": null, "password": "       "})).await;
    let short = ["should be at least 8 character(s)"];
    assert_eq!(blanked.expect(422).body, json!({"errors": {"name": needed, "email": needed, "password": short}}));
    assert_eq!(boss.client.get(&path(&ana.id)).await.expect(200).body, before);
}

#[tokio::test]
async fn an_address_is_unique_in_its_company_whatever_its_case() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let boss = company.user("Boss", Role::Manager).await;
    let ana = company.agent("Ana", &[]).await;
    let taken = json!({"errors": {"email": ["has already been taken"]}});
    let body = |email: &str| json!({"user": {"name": "New", "email": email, "password": "a long enough one"}});
    assert_eq!(boss.client.post("/api/v1/users", body("ANA@acme.example")).await.expect(422).body, taken);
    let bia = boss.client.post("/api/v1/users", body("bia@acme.example")).await.expect(201);
    let change = json!({"email": "Ana@Acme.example", "name": "Beatriz"});
    assert_eq!(boss.client.put(&path(&bia.id()), change).await.expect(422).body, taken);
    assert_eq!(boss.client.get(&path(&bia.id())).await.data("name"), "New");
    boss.client.put(&path(&ana.id), json!({"email": "ANA@acme.example"})).await.expect(200);
    let other = app.company("other").await.user("Boss", Role::Manager).await;
    other.client.post("/api/v1/users", body("ana@acme.example")).await.expect(201);
}

#[tokio::test]
async fn the_list_is_searched_filtered_sorted_and_paged() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let boss = company.user("Boss", Role::Owner).await;
    for (name, role) in [("Ana", Role::Attendant), ("bia", Role::Supervisor), ("Carla", Role::Attendant)] {
        company.user(name, role).await;
    }
    let carla = boss.client.get("/api/v1/users?search=carla").await.expect(200).body["data"][0]["id"].clone();
    boss.client.put(&path(&carla.as_str().unwrap()), json!({"active": false})).await.expect(200);
    let names = async |query: &str| {
        let list = boss.client.get(&format!("/api/v1/users?{query}")).await.expect(200).body;
        each(&list["data"], "name").iter().map(|name| name.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("").await, ["Ana", "bia", "Boss", "Carla"]);
    assert_eq!(names("sort_by=role&sort_order=desc").await, ["Boss", "bia", "Carla", "Ana"]);
    assert_eq!(names("sort_by=email&page_size=3&page=2").await, ["Carla"]);
    assert_eq!(names("sort_by=inserted_at&page_size=1").await.len(), 1);
    assert_eq!(names("search=ACME.example&role=attendant").await, ["Ana", "Carla"]);
    assert_eq!(names("active=false").await, ["Carla"]);
    for wrong in ["role=king", "active=maybe", "page_size=101", "sort_by=password_hash"] {
        boss.client.get(&format!("/api/v1/users?{wrong}")).await.expect(400);
    }
    let listed = boss.client.get("/api/v1/users").await.expect(200).body.to_string();
    assert!(!listed.contains("argon2"), "no hash is shown");
}

#[tokio::test]
async fn nobody_reaches_above_his_own_role() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let (owner, manager) = (company.user("Owner", Role::Owner).await, company.user("Mia", Role::Manager).await);
    let ana = company.agent("Ana", &[]).await;
    let new =
        |role: &str| json!({"name": "New", "email": "new@acme.example", "password": "a long enough one", "role": role});
    manager.client.post("/api/v1/users", new("owner")).await.expect_error(403, "Forbidden");
    manager.client.put(&path(&ana.id), json!({"role": "owner"})).await.expect_error(403, "Forbidden");
    manager.client.put(&path(&manager.id), json!({"role": "owner"})).await.expect_error(403, "Forbidden");
    // Neither by an owner's password.
    for change in
        [json!({"password": "a long enough one"}), json!({"email": "me@acme.example"}), json!({"active": false})]
    {
        manager.client.put(&path(&owner.id), change).await.expect_error(403, "Forbidden");
    }
    manager.client.put(&path(&ana.id), json!({"role": "manager"})).await.expect(200);
    owner.client.post("/api/v1/users", new("owner")).await.expect(201);
}

#[tokio::test]
async fn the_last_manager_stays_and_nobody_locks_himself_out() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let manager = company.user("Mia", Role::Manager).await;
    let refusal = |code: &str, detail: &str| json!({"errors": {"code": code, "detail": detail}});
    let last = refusal("last_of_role", "The last active manager of the company must stay");
    let me = path(&manager.id);
    assert_eq!(
        manager.client.put(&me, json!({"active": false})).await.expect(422).body,
        refusal("own_account", "Nobody deactivates himself")
    );
    assert_eq!(manager.client.put(&me, json!({"role": "attendant"})).await.expect(422).body, last);
    let owner = company.user("Owner", Role::Owner).await;
    owner.client.put(&me, json!({"active": false})).await.expect(200);
    assert_eq!(
        owner.client.put(&path(&owner.id), json!({"role": "manager"})).await.expect(422).body,
        refusal("last_of_role", "The last active owner of the company must stay")
    );
    owner.client.put(&me, json!({"active": true})).await.expect(200);
    // With an owner there, the last manager may go.
    owner.client.put(&me, json!({"role": "attendant"})).await.expect(200);
}

#[tokio::test]
async fn two_managers_cannot_put_each_other_out() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let (mia, max) = (company.user("Mia", Role::Manager).await, company.user("Max", Role::Manager).await);
    let out = json!({"active": false});
    let (mias, maxs) = (path(&mia.id), path(&max.id));
    let (one, other) = tokio::join!(mia.client.put(&maxs, out.clone()), max.client.put(&mias, out.clone()));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 422]);
}

#[tokio::test]
async fn who_is_deactivated_is_out_at_once_and_keeps_his_departments() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let boss = company.user("Boss", Role::Manager).await;
    let line = company.department("Support").await;
    let ana = company.agent("Ana", &[line]).await;
    let refresh = log_in(&app.client(), &ana.email, PASSWORD).await.expect(200).body["refresh_token"].clone();
    let mut desk = at_work(&app, &ana, line).await;
    let mut presence = app.topic(&boss.token, &format!("presence:{line}")).await;
    let shown_in = |diff: &Value, side: &str| diff[side].get(ana.id.to_string()).is_some();
    app.live_through(Duration::from_secs(1)).await;
    presence.expect_where("presence_diff", |diff| shown_in(diff, "joins")).await;

    let shown = boss.client.put(&path(&ana.id), json!({"active": false})).await.expect(200).body;
    assert_eq!(shown["data"]["active"], false);
    desk.own.until_closed().await;
    app.live_through(Duration::from_secs(1)).await;
    presence.expect_where("presence_diff", |diff| shown_in(diff, "leaves")).await;
    app.client().post("/api/auth/refresh", json!({"refresh_token": refresh})).await.expect(401);
    log_in(&app.client(), &ana.email, PASSWORD).await.expect(401);
    let users = format!("/api/v1/departments/{line}/users");
    assert_eq!(boss.client.get(&users).await.expect(200).body["meta"]["total_count"], 1, "memberships are kept");
    // Nobody is there to be offered a call.
    let joined = app.client().join(&company.link(line).await, "Maria").await.expect(200);
    app.live_through(Duration::from_secs(2)).await;
    let status = app.client().status(joined.data("call_id")).await.expect(200).body;
    assert_eq!(status["data"]["phase"], "waiting", "{status}");
}

#[tokio::test]
async fn a_call_of_somebody_deactivated_goes_back_to_its_line() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let boss = company.user("Boss", Role::Manager).await;
    let line = company.department("Support").await;
    let ana = company.agent("Ana", &[line]).await;
    let mut desk = at_work(&app, &ana, line).await;
    let mut maria = customer(&app, &company.link(line).await, "Maria").await;
    let offer = desk.offer().await;
    desk.accept(&offer).await.unwrap();
    boss.client.put(&path(&ana.id), json!({"active": false})).await.expect(200);
    maria.topic.expect("agent_away").await;
    app.live_through(Duration::from_secs(16)).await;
    let bia = company.agent("Bia", &[line]).await;
    let mut other = at_work(&app, &bia, line).await;
    assert_eq!(other.offer().await["call_id"], json!(maria.call));
}

/// The agent's row rises on from where it was: an older version would never be written.
#[tokio::test]
async fn who_is_let_in_again_is_as_he_was_and_his_record_goes_on() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let boss = company.user("Boss", Role::Manager).await;
    let line = company.department("Support").await;
    let link = company.link(line).await;
    let ana = company.agent("Ana", &[line]).await;
    let active = async |active: bool| {
        boss.client.put(&path(&ana.id), json!({ "active": active })).await.expect(200);
    };
    let desk = at_work(&app, &ana, line).await;
    desk.set_status("paused").await;
    desk.set_status("available").await;
    active(false).await;
    // Deactivated and let in by one breath: what was written of her may still be on its way.
    active(true).await;
    let (token, _) = company.log_in(ana.id, Role::Attendant).await;
    let ana = crate::harness::builders::Member { token, ..ana.clone() };
    let mut desk = device(&app, &ana, line).await;
    assert_eq!(desk.own.reply["status"], "available", "as she was, without a click");
    let first = customer(&app, &link, "Maria").await;
    assert_eq!(desk.take_next().await, first.call);
    desk.complete(&first.call).await;
    desk.set_status("paused").await;
    drop(desk);
    active(false).await;

    // The same over a restart, after which nobody remembers her but the record.
    let tenant = company.tenant;
    let app = app.restart().await;
    let company = app.company_of(tenant, "acme");
    let boss = company.log_in(boss.id, Role::Manager).await.0;
    app.client_of(&boss).put(&path(&ana.id), json!({"active": true})).await.expect(200);
    let (token, _) = company.log_in(ana.id, Role::Attendant).await;
    let ana = crate::harness::builders::Member { token, ..ana };
    let desk = device(&app, &ana, line).await;
    assert_eq!(desk.own.reply["status"], "paused");
    desk.set_status("available").await;
    drop(desk);
    let app = app.restart().await;
    let company = app.company_of(tenant, "acme");
    let (token, _) = company.log_in(ana.id, Role::Attendant).await;
    let desk = app.topic(&token, &ana.topic()).await;
    assert_eq!(desk.reply["status"], "available", "what she chose was written");
}

#[tokio::test]
async fn a_new_role_closes_the_sockets_so_that_topics_are_authorised_anew() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let boss = company.user("Boss", Role::Manager).await;
    let sue = company.user("Sue", Role::Supervisor).await;
    let wallboard = format!("tenant:{}", company.tenant);
    let mut topic = app.topic(&sue.token, &wallboard).await;
    boss.client.put(&path(&sue.id), json!({"name": "Susan"})).await.expect(200);
    boss.client.put(&path(&sue.id), json!({"role": "supervisor"})).await.expect(200);
    boss.client.put(&path(&sue.id), json!({"role": "attendant"})).await.expect(200);
    topic.until_closed().await;
    let again = app.socket(&sue.token).await.join(&wallboard, Value::Null).await;
    assert!(again.is_err(), "an attendant does not see the wallboard");
}

#[tokio::test]
async fn a_new_password_ends_all_logins() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let boss = company.user("Boss", Role::Manager).await;
    let ana = company.agent("Ana", &[]).await;
    let refresh = log_in(&app.client(), &ana.email, PASSWORD).await.expect(200).body["refresh_token"].clone();
    let mut own = app.topic(&ana.token, &ana.topic()).await;
    boss.client.put(&path(&ana.id), json!({"password": "quite another one"})).await.expect(200);
    own.until_closed().await;
    app.client().post("/api/auth/refresh", json!({"refresh_token": refresh})).await.expect(401);
    log_in(&app.client(), &ana.email, PASSWORD).await.expect(401);
    log_in(&app.client(), &ana.email, "quite another one").await.expect(200);
}

#[tokio::test]
async fn skills_and_capacity_count_at_once() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let boss = company.user("Boss", Role::Manager).await;
    let line = company.department("Support").await;
    let ana = company.agent("Ana", &[line]).await;
    let (_, link) = company.link_with(line, |link| link.required_skills = vec!["fr".to_owned()]).await;
    let mut desk = at_work(&app, &ana, line).await;
    let first = customer(&app, &link, "Maria").await;
    let second = customer(&app, &link, "Carlos").await;
    boss.client.put(&path(&ana.id), json!({"skills": ["fr"], "capacity": 2})).await.expect(200);
    let (one, other) = (desk.offer().await, desk.offer().await);
    assert_eq!((&one["call_id"], &other["call_id"]), (&json!(first.call), &json!(second.call)));
}

#[tokio::test]
async fn ids_of_nothing_are_not_found() {
    let app = TestApp::start().await;
    let boss = app.company("acme").await.user("Boss", Role::Manager).await;
    boss.client.get(&path(&NOBODY)).await.expect_error(404, "Not found");
    boss.client.put(&path(&NOBODY), json!({"name": "x"})).await.expect_error(404, "Not found");
    send(boss.client.request(Method::DELETE, &path(&NOBODY))).await.expect_error(405, "Method not allowed");
}

#[tokio::test]
async fn another_address_of_ones_own_takes_the_present_password() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let boss = company.user("Boss", Role::Manager).await;
    let own = path(&boss.id);
    for (typed, message) in [(Value::Null, "can't be blank"), (json!("guess"), "is invalid")] {
        let body = json!({"email": "new@acme.example", "current_password": typed});
        let refused = boss.client.put(&own, body).await.expect(422);
        assert_eq!(refused.body, json!({"errors": {"current_password": [message]}}));
    }
    let right = json!({"email": "new@acme.example", "current_password": PASSWORD});
    log_in(&app.client(), &boss.email, PASSWORD).await.expect(200);
    // The same address, however written, is no change.
    boss.client.put(&own, json!({"email": boss.email.to_uppercase()})).await.expect(200);
    boss.client.put(&own, right).await.expect(200);
    log_in(&app.client(), "new@acme.example", PASSWORD).await.expect(200);
}

/// A link to a new password goes to the address, and whoever holds an API token is not known to be its owner.
#[tokio::test]
async fn an_api_token_changes_nobodys_address() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let boss = company.user("Boss", Role::Manager).await;
    let ana = company.agent("Ana", &[]).await;
    let made = boss.client.post("/api/v1/api-tokens", json!({"name": "CRM", "role": "manager"})).await.expect(201);
    let program = app.client_of(made.data("token"));
    let body = json!({"email": "new@acme.example", "current_password": PASSWORD});
    for user in [boss.id, ana.id] {
        program.put(&path(&user), body.clone()).await.expect_error(403, "Forbidden");
    }
    // The present one may be among what a program sends back.
    program.put(&path(&ana.id), json!({"email": ana.email, "name": "Ana Maria"})).await.expect(200);
    // A manager who is logged in may, for another.
    boss.client.put(&path(&ana.id), json!({"email": "new@acme.example"})).await.expect(200);
    log_in(&app.client(), "new@acme.example", PASSWORD).await.expect(200);
}

#[tokio::test]
async fn a_manager_sets_his_own_password_only_where_the_present_one_is_asked() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let boss = company.user("Boss", Role::Manager).await;
    let ana = company.agent("Ana", &[]).await;
    let new = json!({"password": "quite another one"});
    let refused = boss.client.put(&path(&boss.id), new.clone()).await.expect(422);
    assert_eq!(refused.body["errors"]["code"], "own_account");
    assert!(refused.detail().contains("/api/v1/users/me"), "{}", refused.detail());
    boss.client.put(&path(&boss.id), json!({"name": "Big Boss"})).await.expect(200);
    // Who holds an API token is not known to be its owner.
    let made = boss.client.post("/api/v1/api-tokens", json!({"name": "CRM", "role": "manager"})).await.expect(201);
    let program = app.client_of(made.data("token"));
    for user in [boss.id, ana.id] {
        program.put(&path(&user), new.clone()).await.expect_error(403, "Forbidden");
        program.put(&path(&user), json!({"locale": "fr"})).await.expect(200);
    }
    for member in [&boss, &ana] {
        log_in(&app.client(), &member.email, PASSWORD).await.expect(200);
    }
}

/// As after a crash between the commit and what follows it: whoever asks again gets what is missing.
#[tokio::test]
async fn a_deactivation_that_is_repeated_ends_what_the_first_one_left() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let boss = company.user("Boss", Role::Manager).await;
    let ana = company.agent("Ana", &[]).await;
    let mut own = app.topic(&ana.token, &ana.topic()).await;
    company.deactivate(ana.id).await;
    boss.client.put(&path(&ana.id), json!({"active": false})).await.expect(200);
    own.until_closed().await;
    ana.client.get("/api/v1/notifications").await.expect_error(401, "Unauthorized");
}
