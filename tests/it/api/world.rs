//! Owns a company with one object of every kind, for tests that ask every route about somebody else's.

use std::collections::BTreeMap;

use serde_json::json;
use vez::auth::{Seal, appointment_tokens};
use vez::domain::role::Role;

use crate::harness::TestApp;
use crate::harness::builders::Member;

/// A company and the ids of its objects, by the word that stands before them in paths.
pub struct World {
    ids: BTreeMap<&'static str, String>,
    pub owner: Member,
    /// The token of a customer who waits.
    pub customer_token: String,
}

impl World {
    /// The id of one of `kind`: `departments`, `users` and so on.
    pub fn id(&self, kind: &str) -> String {
        self.ids.get(kind).unwrap_or_else(|| panic!("the world has none of {kind:?}: make one in `World::of`")).clone()
    }

    /// Makes one of each.
    pub async fn of(app: &TestApp, slug: &str) -> Self {
        let company = app.company(slug).await;
        let owner = company.user("Owner", Role::Owner).await;
        let department = company.department("Support").await;
        let (link, token) = company.link_with(department, |_| {}).await;
        let user = company.agent("Agent", &[department]).await.id;
        let url = "https://hooks.example.com/vez";
        let body = json!({"url": url, "events": ["call.created"]});
        let webhook = owner.client.post("/api/v1/webhooks", body).await.expect(201);
        let joined = app.client().join(&token, "Maria").await.expect(200);
        let sector = owner.client.post("/api/v1/sectors", json!({"name": "Sales"})).await.expect(201);
        let body = json!({"service_provider": {"name": "Clinic"}});
        let provider = owner.client.post("/api/v1/providers", body).await.expect(201);
        let soon = app.now().plus_seconds(3_600).to_string();
        let body = json!({"appointment": {"title": "Visit", "scheduled_at": soon, "department_id": department,
            "customer_name": "Maria", "customer_email": format!("maria@{slug}.example")}});
        let appointment = owner.client.post("/api/v1/appointments", body).await.expect(201);
        let page = appointment_tokens::issue(
            &Seal::new(app.app.secret()),
            app.ids(),
            company.tenant,
            appointment.id().parse().unwrap(),
        );
        let notification = company.notification(owner.id, "Hello").await;
        let call = joined.data("call_id");
        let upload =
            super::call_files::attach(&owner.client, call, "note.txt", "text/plain", b"a note").await.expect(201);
        let listed = owner.client.get(&format!("/api/v1/webhooks/{}/deliveries", webhook.id())).await.expect(200);
        let delivery = listed.body["data"][0]["id"].as_str().unwrap().to_owned();
        let number =
            owner.client.get(&format!("/api/v1/calls/{call}")).await.expect(200).body["data"]["protocol"].to_string();
        let customer = owner.client.post("/api/v1/customers", json!({"name": "Maria"})).await.expect(201);
        let tag = owner.client.post("/api/v1/tags", json!({"name": "vip"})).await.expect(201);
        let token = json!({"name": "CRM", "role": "attendant"});
        let token = owner.client.post("/api/v1/api-tokens", token).await.expect(201);
        let ids = BTreeMap::from([
            ("appointments", appointment.id().to_owned()),
            ("appointment", page),
            ("notifications", notification.to_string()),
            ("api-tokens", token.id().to_owned()),
            ("departments", department.to_string()),
            ("access-links", link.to_string()),
            ("users", user.to_string()),
            ("calls", call.to_owned()),
            ("call", number),
            ("uploads", upload.id().to_owned()),
            ("sectors", sector.id().to_owned()),
            ("providers", provider.id().to_owned()),
            ("webhooks", webhook.id().to_owned()),
            ("deliveries", delivery),
            ("customers", customer.id().to_owned()),
            ("tags", tag.id().to_owned()),
        ]);
        Self { ids, owner, customer_token: joined.data("websocket_token").to_owned() }
    }
}
