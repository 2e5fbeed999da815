//! Webhooks from the change to the receiver: a company, its webhook, and a real receiver on this machine that behaves as
//! badly as it is told.
//!
//! - `receiver`: the receiver, and names that lead to it
//! - `delivery`: what is told, in which order, signed how
//! - `failures`: receivers that are down, slow or wrong; retries, giving up, switching off
//! - `addresses`: where webhooks may not go
//! - `management`: what managers see and do

mod addresses;
mod delivery;
mod failures;
mod management;
mod receiver;

use serde_json::{Value, json};
use vez::actors::Probes;
use vez::domain::clock::Clock;
use vez::domain::ids::DepartmentId;
use vez::domain::role::Role;
use vez::store::departments::DepartmentChange;

use crate::harness::TestApp;
use crate::harness::app::Builder;
use crate::harness::builders::{Company, Member};
use receiver::{Names, Receiver};

/// An application whose webhooks may reach 127.0.0.1, and nothing else of this machine. Its clock is moved by hand and
/// starts now, since receivers compare timestamps with theirs.
fn builder(names: &Names) -> Builder {
    TestApp::builder()
        .clock(Clock::manual(Clock::system().now()))
        .config(|config| {
            config.webhooks.allow_http = true;
            config.webhooks.allow_networks = vec!["127.0.0.1".into()];
            config.webhooks.timeout_seconds = 1;
        })
        .probes(Probes { look_up: Some(names.look_up()), ..Probes::default() })
}

/// A company with a line, an agent, a manager and a link.
struct Desk<'a> {
    company: Company<'a>,
    line: DepartmentId,
    agent: Member,
    manager: Member,
    link: String,
}

impl<'a> Desk<'a> {
    async fn new(app: &'a TestApp) -> Self {
        let company = app.company("acme").await;
        // Without wrap-ups, so that one agent takes call after call.
        let change = DepartmentChange { wrap_up_seconds: Some(0), ..DepartmentChange::default() };
        let line = company.department_with("Suporte", change).await.id;
        let agent = company.agent("Ana", &[line]).await;
        let manager = company.user("Mia", Role::Manager).await;
        let link = company.link(line).await;
        Self { company, line, agent, manager, link }
    }

    /// A webhook that is told everything; its id and secret.
    async fn webhook(&self, url: &str) -> (String, String) {
        self.webhook_for(
            url,
            &[
                "call.created",
                "call.assigned",
                "call.started",
                "call.completed",
                "call.missed",
                "call.cancelled",
                "customer.created",
            ],
        )
        .await
    }

    /// A webhook that is told some events; its id and secret.
    async fn webhook_for(&self, url: &str, events: &[&str]) -> (String, String) {
        let body = json!({"webhook": {"url": url, "events": events}});
        let made = self.manager.client.post("/api/v1/webhooks", body).await.expect(201);
        (made.id().to_owned(), made.data("secret").to_owned())
    }

    /// A customer joins; the call's id.
    async fn join(&self, app: &TestApp, name: &str) -> String {
        app.client().join(&self.link, name).await.expect(200).data("call_id").to_owned()
    }

    /// A call from join to completion; its id.
    async fn whole_call(&self, app: &TestApp, name: &str) -> String {
        let call = self.join(app, name).await;
        for action in ["assign", "start", "complete"] {
            self.agent.client.act(&call, action).await.expect(200);
        }
        call
    }

    /// The manager as he is after a long time: tokens expire.
    async fn manager_again(&self, app: &TestApp) -> crate::harness::client::Client {
        app.client_of(&self.company.log_in(self.manager.id, Role::Manager).await.0)
    }

    async fn deliveries(&self, app: &TestApp, webhook: &str, query: &str) -> Vec<Value> {
        let client = self.manager_again(app).await;
        let listed =
            client.get(&format!("/api/v1/webhooks/{webhook}/deliveries?page_size=100&{query}")).await.expect(200);
        listed.body["data"].as_array().unwrap().clone()
    }
}

/// An application, a receiver behind the name `hooks.example`, and its URL.
async fn with_receiver() -> (TestApp, Receiver, Names, String) {
    let names = Names::default();
    let app = builder(&names).start().await;
    let receiver = Receiver::start().await;
    names.point("hooks.example", "127.0.0.1");
    let url = receiver.url("hooks.example");
    (app, receiver, names, url)
}
