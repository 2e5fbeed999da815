//! A waiting customer taken by hand: `pull`, and its race with an accept.

use serde_json::{Value, json};

use crate::harness::TestApp;
use crate::harness::socket::Topic;
use crate::people::{at_work, customer, device, reason};

async fn pull(queue: &Topic, call: &str) -> Result<Value, vez_loadtests::client::socket::SocketError> {
    queue.push("pull", json!({ "call_id": call })).await
}

#[tokio::test]
async fn a_pull_takes_a_customer_from_under_an_offer() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Line").await;
    let (ana, bia) = (company.agent("Ana", &[line]).await, company.agent("Bia", &[line]).await);
    let link = company.link(line).await;
    let mut asked = at_work(&app, &ana, line).await;
    let mut maria = customer(&app, &link, "Maria").await;
    let offer = asked.offer().await;
    let picker = device(&app, &bia, line).await;
    let queue = picker.socket.join(&format!("queue:{line}"), Value::Null).await.unwrap();

    // Bia is offline by intent; a pick needs only a free slot.
    let reply = pull(&queue, &maria.call).await.unwrap();
    assert_eq!(reply["call"]["id"], json!(maria.call));
    assert_eq!(reply["topic"], json!(maria.call_topic()));
    assert_eq!(asked.own.expect("offer_withdrawn").await["reason"], "taken");
    assert_eq!(reason(asked.accept(&offer).await), "already_taken");
    assert_eq!(maria.topic.expect("call_assigned").await["agent_name"], "Bia");
    // Again by the same agent hears the same; a second customer finds no slot.
    assert_eq!(pull(&queue, &maria.call).await.unwrap()["call"]["id"], json!(maria.call));
    asked.set_status("paused").await;
    let joao = customer(&app, &link, "Joao").await;
    assert_eq!(reason(pull(&queue, &joao.call).await), "no_free_slot");
    // Nobody's call.
    let stranger = app.ids().uuid(app.now()).to_string();
    assert_eq!(reason(pull(&queue, &stranger).await), "unknown_call");
    app.stop().await;
}

#[tokio::test]
async fn pulling_the_call_that_is_offered_to_oneself_accepts_it() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Line").await;
    let ana = company.agent("Ana", &[line]).await;
    let link = company.link(line).await;
    let mut desk = at_work(&app, &ana, line).await;
    let maria = customer(&app, &link, "Maria").await;
    desk.offer().await;
    let queue = desk.socket.join(&format!("queue:{line}"), Value::Null).await.unwrap();
    assert_eq!(pull(&queue, &maria.call).await.unwrap()["call"]["phase"], "assigned");
    app.stop().await;
}

#[tokio::test]
async fn of_an_accept_and_a_pull_at_once_exactly_one_wins() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Line").await;
    let (ana, bia) = (company.agent("Ana", &[line]).await, company.agent("Bia", &[line]).await);
    let link = company.link(line).await;
    let mut asked = at_work(&app, &ana, line).await;
    let picker = device(&app, &bia, line).await;
    let queue = picker.socket.join(&format!("queue:{line}"), Value::Null).await.unwrap();
    for round in 0..12 {
        let mut maria = customer(&app, &link, "Maria").await;
        let offer = asked.offer().await;
        let (accepted, pulled) = if round % 2 == 0 {
            tokio::join!(asked.accept(&offer), pull(&queue, &maria.call))
        } else {
            let (pulled, accepted) = tokio::join!(pull(&queue, &maria.call), asked.accept(&offer));
            (accepted, pulled)
        };
        assert_ne!(accepted.is_ok(), pulled.is_ok(), "round {round}: {accepted:?}, {pulled:?}");
        let winner = if accepted.is_ok() {
            assert_eq!(reason(pulled), "already_taken");
            &asked
        } else {
            assert!(["already_taken", "offer_expired"].contains(&reason(accepted).as_str()));
            &picker
        };
        winner.start(&maria.call).await;
        winner.complete(&maria.call).await;
        winner.own.push("wrap_up_end", json!({})).await.unwrap();
        assert_eq!(maria.end_reason().await, "completed");
    }
    app.stop().await;
}
