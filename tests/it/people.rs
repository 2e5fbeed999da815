//! The people of a test: customers who joined and sit at a socket, agents who are ready to work. What they do, and what
//! is expected of the server, is each test's own.

use serde_json::{Value, json};
use vez::domain::ids::DepartmentId;
use vez_loadtests::client::socket::SocketError;

use super::harness::TestApp;
use super::harness::builders::Member;
use super::harness::socket::{Socket, Topic};

/// A customer with a place in line and one device on it.
#[derive(Debug)]
pub struct Customer {
    pub call: String,
    /// Opens further devices.
    pub token: String,
    pub topic: Topic,
}

/// Joins through a link and opens a socket, as a page does.
pub async fn customer(app: &TestApp, link: &str, name: &str) -> Customer {
    let joined = app.client().join(link, name).await.expect(200);
    let (call, token) = (joined.data("call_id").to_owned(), joined.data("websocket_token").to_owned());
    let topic = app.topic(&token, &format!("call:{call}")).await;
    Customer { call, token, topic }
}

impl Customer {
    /// The name of the call's topic.
    pub fn call_topic(&self) -> String {
        format!("call:{}", self.call)
    }

    /// Waits until the call has ended, and says why.
    pub async fn end_reason(&mut self) -> String {
        self.topic.expect("call_ended").await["end_reason"].as_str().unwrap().to_owned()
    }
}

/// An agent's desk: one socket, his own topic, and what he needs to choose a status.
#[derive(Debug)]
pub struct Desk {
    pub socket: Socket,
    /// `notification:{self}`; it holds the lease.
    pub own: Topic,
    /// `presence:` of one of his departments.
    pub presence: Topic,
}

/// Connects a device of an agent without choosing a status.
pub async fn device(app: &TestApp, agent: &Member, department: DepartmentId) -> Desk {
    let socket = app.socket(&agent.token).await;
    let own = socket.join(&agent.topic(), Value::Null).await.unwrap();
    let presence = socket.join(&format!("presence:{department}"), Value::Null).await.unwrap();
    Desk { socket, own, presence }
}

/// Connects a device of an agent, who is available from then on.
pub async fn at_work(app: &TestApp, agent: &Member, department: DepartmentId) -> Desk {
    let desk = device(app, agent, department).await;
    desk.set_status("available").await;
    desk
}

impl Desk {
    /// Chooses a status.
    pub async fn set_status(&self, status: &str) {
        self.presence.push("set_status", json!({ "status": status })).await.unwrap();
    }

    /// The next offer.
    pub async fn offer(&mut self) -> Value {
        self.own.expect("call_offered").await
    }

    /// Takes an offer; gives the reply.
    pub async fn accept(&self, offer: &Value) -> Result<Value, SocketError> {
        self.own.push("accept", json!({ "offer_id": offer["offer_id"] })).await
    }

    /// Starts a call of his.
    pub async fn start(&self, call: &str) {
        self.own.push("start", json!({ "call_id": call })).await.unwrap();
    }

    /// Completes a call of his.
    pub async fn complete(&self, call: &str) {
        self.own.push("complete", json!({ "call_id": call })).await.unwrap();
    }

    /// The next offer, taken and started; gives the call's id.
    pub async fn take_next(&mut self) -> String {
        let offer = self.offer().await;
        self.accept(&offer).await.unwrap();
        let call = text(&offer["call_id"]);
        self.start(&call).await;
        call
    }
}

/// A JSON string as text.
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// Why a command was refused; panics when it was not.
pub fn reason(result: Result<Value, SocketError>) -> String {
    match result {
        Err(SocketError::Refused(refusal)) => refusal.reason,
        other => panic!("it was not refused: {other:?}"),
    }
}
