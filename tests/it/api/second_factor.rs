//! Second factors: `/api/auth/mfa/verify` and `/api/v1/users/me/mfa`, with an authenticator of the test's own.

use std::time::Duration;

use serde_json::{Value, json};
use totp_rs::{Builder, Secret};
use vez::domain::role::Role;

use super::keys;
use crate::harness::TestApp;
use crate::harness::builders::{Company, Member, PASSWORD};
use crate::harness::client::{Answer, Client, send};

/// Time for the next code.
const STEP: Duration = Duration::from_secs(30);

/// An authenticator, set up by what the server answered.
struct Authenticator(totp_rs::Totp);

impl Authenticator {
    fn of(enrolment: &Answer) -> Self {
        let secret = Secret::try_from_base32(enrolment.data("secret")).unwrap();
        Self(Builder::new().with_secret(secret).build().unwrap())
    }

    fn code(&self, app: &TestApp) -> String {
        self.0.generate(u64::try_from(app.now().micros() / 1_000_000).unwrap()).to_string()
    }

    /// A code of no time near now.
    fn wrong_code(&self, app: &TestApp) -> String {
        let now = u64::try_from(app.now().micros() / 1_000_000).unwrap();
        let near: Vec<String> = (0..5).map(|step| self.0.generate(now + step * 30 - 60).to_string()).collect();
        (0..).map(|number: u32| format!("{number:06}")).find(|code| !near.contains(code)).unwrap()
    }
}

const MFA: &str = "/api/v1/users/me/mfa";

async fn log_in(app: &TestApp, member: &Member, tenant: &str) -> Answer {
    app.client().post("/api/auth/login", json!({"email": member.email, "password": PASSWORD, "tenant": tenant})).await
}

async fn verify(app: &TestApp, mfa_token: &str, code: &str) -> Answer {
    app.client().post("/api/auth/mfa/verify", json!({"mfa_token": mfa_token, "code": code})).await
}

async fn delete(client: &Client, body: Value) -> Answer {
    send(client.request(reqwest::Method::DELETE, MFA).json(&body)).await
}

/// Enrols and confirms; the clock stands where the first code was taken.
async fn enrolled(app: &TestApp, member: &Member) -> (Authenticator, Vec<String>) {
    let authenticator = Authenticator::of(&member.client.post(MFA, json!({})).await.expect(200));
    let code = authenticator.code(app);
    let confirmed = member.client.post(&format!("{MFA}/confirm"), json!({ "code": code })).await.expect(200);
    let codes = confirmed.body["data"]["recovery_codes"].as_array().unwrap();
    (authenticator, codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect())
}

async fn require(app: &TestApp, company: &Company<'_>, required: bool) {
    sqlx::query("UPDATE tenants SET mfa_required = $2 WHERE id = $1")
        .bind(company.tenant.0)
        .bind(required)
        .execute(app.app.store().system())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_factor_asks_for_a_code_once_it_is_confirmed() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let ana = company.user("Ana", Role::Attendant).await;
    let off = json!({"data": {"enabled": false, "required": false, "confirmed_at": null, "recovery_codes_left": 0}});
    assert_eq!(ana.client.get(MFA).await.expect(200).body, off);

    let enrolment = ana.client.post(MFA, json!({})).await.expect(200);
    assert_eq!(keys(&enrolment.body["data"]), ["otpauth_url", "qr_code", "secret"]);
    assert!(enrolment.data("otpauth_url").starts_with("otpauth://totp/Company%20acme:ana%40acme.example?secret="));
    assert!(enrolment.data("qr_code").starts_with("data:image/png;base64,iVBORw0KGgo"));
    let authenticator = Authenticator::of(&enrolment);
    // Nothing is asked before the first right code.
    assert_eq!(ana.client.get(MFA).await.expect(200).body, off);
    log_in(&app, &ana, "acme").await.expect(200).data("access_token");
    let confirm = format!("{MFA}/confirm");
    let wrong = json!({"code": authenticator.wrong_code(&app)});
    assert_eq!(ana.client.post(&confirm, wrong).await.expect(422).body, json!({"errors": {"code": ["is invalid"]}}));
    let code = authenticator.code(&app);
    let confirmed = ana.client.post(&confirm, json!({ "code": code })).await.expect(200);
    assert_eq!(keys(&confirmed.body["data"]), ["recovery_codes"]);
    assert_eq!(confirmed.body["data"]["recovery_codes"].as_array().unwrap().len(), 10);
    let state = ana.client.get(MFA).await.expect(200);
    let since = app.now().to_string();
    assert_eq!(
        state.body,
        json!({"data": {"enabled": true, "required": false, "confirmed_at": since, "recovery_codes_left": 10}})
    );
    assert_eq!(ana.client.get("/api/v1/users/me").await.expect(200).body["data"]["mfa_enabled"], true);

    let asked = log_in(&app, &ana, "acme").await.expect(200);
    assert_eq!(keys(&asked.body), ["data", "mfa_required", "mfa_token"]);
    assert_eq!(keys(&asked.body["data"]), ["mfa_required", "mfa_token"]);
    assert_eq!((&asked.body["mfa_required"], &asked.body["data"]["mfa_required"]), (&json!(true), &json!(true)));
    assert_eq!(asked.body["mfa_token"], asked.body["data"]["mfa_token"]);
}

#[tokio::test]
async fn a_code_logs_in_once() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let ana = company.user("Ana", Role::Attendant).await;
    let (authenticator, _) = enrolled(&app, &ana).await;
    let asked = log_in(&app, &ana, "acme").await.expect(200);
    let token = asked.data("mfa_token");
    // The code that confirmed the factor is spent.
    verify(&app, token, &authenticator.code(&app)).await.expect_error(401, "Invalid code");
    verify(&app, token, &authenticator.wrong_code(&app)).await.expect_error(401, "Invalid code");
    app.advance(STEP).await;
    let code = authenticator.code(&app);
    let login = verify(&app, token, &code).await.expect(200);
    assert_eq!(keys(&login.body), ["access_token", "data", "refresh_token", "user"]);
    assert_eq!(login.body["data"]["user"]["mfa_enabled"], true);
    app.client_of(login.data("access_token")).get("/api/v1/users/me").await.expect(200);
    verify(&app, token, &code).await.expect_error(401, "Invalid code");
    // Nor does an older one serve after it.
    app.advance(STEP).await;
    let old = code;
    verify(&app, token, &authenticator.code(&app)).await.expect(200);
    verify(&app, token, &old).await.expect_error(401, "Invalid code");
}

#[tokio::test]
async fn two_who_send_the_same_code_at_once_are_one_login_at_most() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let ana = company.user("Ana", Role::Attendant).await;
    let (authenticator, _) = enrolled(&app, &ana).await;
    let asked = log_in(&app, &ana, "acme").await.expect(200);
    app.advance(STEP).await;
    let code = authenticator.code(&app);
    let token = asked.data("mfa_token");
    let (one, two) = tokio::join!(verify(&app, token, &code), verify(&app, token, &code));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401]);
}

#[tokio::test]
async fn an_mfa_token_is_good_for_ten_minutes_and_for_nothing_else() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let ana = company.user("Ana", Role::Manager).await;
    let (authenticator, _) = enrolled(&app, &ana).await;
    let asked = log_in(&app, &ana, "acme").await.expect(200);
    let token = asked.data("mfa_token").to_owned();
    let client = app.client_of(&token);
    for path in ["/api/v1/users/me", MFA, "/api/v1/departments"] {
        client.get(path).await.expect_error(401, "Unauthorized");
    }
    // A password alone must not put another factor in the place of the confirmed one.
    client.post(MFA, json!({})).await.expect_error(401, "Unauthorized");
    client.post(&format!("{MFA}/confirm"), json!({"code": "123456"})).await.expect_error(401, "Unauthorized");
    app.client().post("/api/auth/refresh", json!({"refresh_token": token})).await.expect(401);
    for wrong in [ana.token.as_str(), "x"] {
        verify(&app, wrong, "123456").await.expect_error(401, "Unauthorized");
    }
    app.advance(Duration::from_secs(600)).await;
    verify(&app, &token, &authenticator.code(&app)).await.expect_error(401, "Unauthorized");
    verify(&app, "", "").await.expect(422);
}

#[tokio::test]
async fn a_recovery_code_serves_once_and_new_ones_end_the_old() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let ana = company.user("Ana", Role::Attendant).await;
    let bob = company.user("Bob", Role::Attendant).await;
    let (_, codes) = enrolled(&app, &ana).await;
    let (_, others) = enrolled(&app, &bob).await;
    let asked = log_in(&app, &ana, "acme").await.expect(200);
    let token = asked.data("mfa_token");
    verify(&app, token, &others[0]).await.expect_error(401, "Invalid code");
    verify(&app, token, &codes[0].to_uppercase().replace('-', " ")).await.expect(200).data("access_token");
    verify(&app, token, &codes[0]).await.expect_error(401, "Invalid code");
    assert_eq!(ana.client.get(MFA).await.expect(200).body["data"]["recovery_codes_left"], 9);

    let renew = format!("{MFA}/recovery-codes");
    assert_eq!(
        ana.client.post(&renew, json!({})).await.expect(422).body,
        json!({"errors": {"code": ["can't be blank"]}})
    );
    let wrong = ana.client.post(&renew, json!({"password": "wrong horse"})).await.expect(422);
    assert_eq!(wrong.body, json!({"errors": {"password": ["is invalid"]}}));
    let renewed = ana.client.post(&renew, json!({"password": PASSWORD})).await.expect(200);
    let fresh = renewed.body["data"]["recovery_codes"].as_array().unwrap();
    assert_eq!(fresh.len(), 10);
    verify(&app, token, &codes[1]).await.expect_error(401, "Invalid code");
    verify(&app, token, fresh[0].as_str().unwrap()).await.expect(200);
}

#[tokio::test]
async fn a_factor_is_given_up_with_the_password_or_a_code() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let ana = company.user("Ana", Role::Attendant).await;
    let none = delete(&ana.client, json!({"password": PASSWORD})).await.expect(422);
    assert_eq!(none.body["errors"]["code"], "mfa_not_enabled");
    for proof in ["password", "code", "recovery"] {
        let (authenticator, codes) = enrolled(&app, &ana).await;
        let again = ana.client.post(MFA, json!({})).await.expect(422);
        assert_eq!(again.body["errors"]["code"], "mfa_already_enabled");
        delete(&ana.client, json!({"code": authenticator.wrong_code(&app)})).await.expect(422);
        app.advance(STEP).await;
        let body = match proof {
            "password" => json!({"password": PASSWORD}),
            "code" => json!({"code": authenticator.code(&app)}),
            _ => json!({"code": codes[3]}),
        };
        let gone = delete(&ana.client, body).await.expect(200);
        assert_eq!(gone.body, json!({"data": {"id": ana.id}}));
        log_in(&app, &ana, "acme").await.expect(200).data("access_token");
    }
}

#[tokio::test]
async fn wrong_codes_lock_the_account_as_wrong_passwords_do() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let ana = company.user("Ana", Role::Attendant).await;
    let (authenticator, codes) = enrolled(&app, &ana).await;
    app.advance(STEP).await;
    for _ in 0..5 {
        // A right password in between forgets nothing.
        let asked = log_in(&app, &ana, "acme").await.expect(200);
        let wrong = authenticator.wrong_code(&app);
        verify(&app, asked.data("mfa_token"), &wrong).await.expect_error(401, "Invalid code");
    }
    let refused = log_in(&app, &ana, "acme").await.expect(429);
    assert_eq!(refused.header("retry-after"), Some("30"));
    let (token, _) = company.log_in(ana.id, ana.role).await;
    let client = app.client_of(&token);
    client.post(&format!("{MFA}/recovery-codes"), json!({"code": codes[0]})).await.expect(429);
    app.advance(STEP).await;
    let asked = log_in(&app, &ana, "acme").await.expect(200);
    verify(&app, asked.data("mfa_token"), &authenticator.code(&app)).await.expect(200);
    // Being right forgot it all.
    for _ in 0..4 {
        let asked = log_in(&app, &ana, "acme").await.expect(200);
        verify(&app, asked.data("mfa_token"), &authenticator.wrong_code(&app)).await.expect(401);
    }
    log_in(&app, &ana, "acme").await.expect(200);
}

#[tokio::test]
async fn a_company_that_asks_for_a_factor_lets_in_whoever_sets_one_up() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let ana = company.user("Ana", Role::Attendant).await;
    let before = log_in(&app, &ana, "acme").await.expect(200);
    require(&app, &company, true).await;
    assert_eq!(ana.client.get(MFA).await.expect(200).body["data"]["required"], true);
    // A login of before ends with its access token.
    let refresh = json!({"refresh_token": before.data("refresh_token")});
    app.client().post("/api/auth/refresh", refresh).await.expect_error(401, "Unauthorized");

    let asked = log_in(&app, &ana, "acme").await.expect(200);
    assert_eq!(keys(&asked.body["data"]), ["mfa_enrolment_required", "mfa_required", "mfa_token"]);
    assert_eq!(asked.body["mfa_enrolment_required"], true);
    let client = app.client_of(asked.data("mfa_token"));
    client.get("/api/v1/users/me").await.expect_error(401, "Unauthorized");
    let authenticator = Authenticator::of(&client.post(MFA, json!({})).await.expect(200));
    let confirm = format!("{MFA}/confirm");
    client.post(&confirm, json!({"code": authenticator.wrong_code(&app)})).await.expect(422);
    let confirmed = client.post(&confirm, json!({"code": authenticator.code(&app)})).await.expect(200);
    assert_eq!(keys(&confirmed.body["data"]), ["access_token", "recovery_codes", "refresh_token", "user"]);
    let mine = app.client_of(confirmed.data("access_token"));
    mine.get("/api/v1/users/me").await.expect(200);
    // The token has done its work.
    client.post(MFA, json!({})).await.expect_error(401, "Unauthorized");
    let kept = delete(&mine, json!({"password": PASSWORD})).await.expect(422);
    assert_eq!(kept.body["errors"]["code"], "mfa_required");
    let asked = log_in(&app, &ana, "acme").await.expect(200);
    assert_eq!(keys(&asked.body["data"]), ["mfa_required", "mfa_token"]);
    app.advance(STEP).await;
    let login = verify(&app, asked.data("mfa_token"), &authenticator.code(&app)).await.expect(200);
    let refresh = json!({"refresh_token": login.data("refresh_token")});
    app.client().post("/api/auth/refresh", refresh).await.expect(200);
}

#[tokio::test]
async fn a_manager_takes_away_the_factor_of_whoever_lost_it() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let ana = company.user("Ana", Role::Attendant).await;
    let boss = company.user("Boss", Role::Owner).await;
    let manager = company.user("Manager", Role::Manager).await;
    enrolled(&app, &ana).await;
    enrolled(&app, &boss).await;
    let of = |member: &Member| format!("/api/v1/users/{}/mfa", member.id);
    manager.client.delete(&of(&boss)).await.expect_error(403, "Forbidden");
    ana.client.delete(&of(&boss)).await.expect_error(403, "Forbidden");
    manager.client.delete(&of(&ana)).await.expect(200);
    manager.client.delete(&of(&ana)).await.expect_error(404, "Not found");
    log_in(&app, &ana, "acme").await.expect(200).data("access_token");
}

#[tokio::test]
async fn ones_own_factor_goes_only_with_a_proof_and_none_by_an_api_token() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let ana = company.user("Ana", Role::Attendant).await;
    let manager = company.user("Manager", Role::Manager).await;
    enrolled(&app, &ana).await;
    enrolled(&app, &manager).await;
    let of = |member: &Member| format!("/api/v1/users/{}/mfa", member.id);
    let refused = manager.client.delete(&of(&manager)).await.expect(422);
    assert_eq!(refused.body["errors"]["code"], "own_account");
    assert!(refused.detail().contains(MFA), "{}", refused.detail());
    let made = manager.client.post("/api/v1/api-tokens", json!({"name": "CRM", "role": "manager"})).await.expect(201);
    let program = app.client_of(made.data("token"));
    for member in [&manager, &ana] {
        program.delete(&of(member)).await.expect_error(403, "Forbidden");
        assert_eq!(member.client.get(MFA).await.expect(200).body["data"]["enabled"], true, "{member}");
    }
    let gone = send(manager.client.request(reqwest::Method::DELETE, MFA).json(&json!({"password": PASSWORD}))).await;
    gone.expect(200);
}

#[tokio::test]
async fn neither_secret_nor_codes_can_be_read_from_the_database() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let ana = company.user("Ana", Role::Attendant).await;
    let enrolment = ana.client.post(MFA, json!({})).await.expect(200);
    let authenticator = Authenticator::of(&enrolment);
    let code = authenticator.code(&app);
    let confirmed = ana.client.post(&format!("{MFA}/confirm"), json!({ "code": code })).await.expect(200);
    let read = async |sql: &'static str| -> Vec<String> {
        sqlx::query_scalar(sql).fetch_all(app.app.store().system()).await.unwrap()
    };
    let mut kept = read("SELECT row_to_json(f)::text FROM second_factors f").await;
    kept.extend(read("SELECT row_to_json(r)::text FROM recovery_codes r").await);
    kept.extend(read("SELECT row_to_json(a)::text FROM audit a").await);
    assert!(kept.len() > 11, "{kept:?}");
    let bytes = Secret::try_from_base32(enrolment.data("secret")).unwrap();
    let hex: String = bytes.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let codes = confirmed.body["data"]["recovery_codes"].as_array().unwrap();
    let plain = codes.iter().map(|code| code.as_str().unwrap().replace('-', ""));
    for secret in plain.chain([enrolment.data("secret").to_owned(), hex]) {
        assert!(kept.iter().all(|row| !row.contains(&secret)), "{secret} in {kept:?}");
    }
}
