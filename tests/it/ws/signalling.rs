//! What passes between the two sides of a call: between their active devices only, unseen by observers.

use std::time::Duration;

use serde_json::{Value, json};
use vez::domain::role::Role;

use crate::harness::TestApp;
use crate::people::{at_work, customer, text};

#[tokio::test]
async fn signalling_goes_between_the_active_devices_and_nobody_overhears_it() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Line").await;
    let ana = company.agent("Ana", &[line]).await;
    let boss = company.user("Boss", Role::Supervisor).await;
    let link = company.link(line).await;
    let mut desk = at_work(&app, &ana, line).await;
    let mut maria = customer(&app, &link, "Maria").await;
    let name = maria.call_topic();
    let mut observer = app.topic(&boss.token, &name).await;
    assert_eq!(observer.reply["id"], json!(maria.call));
    assert_eq!(maria.topic.refused("signal", json!({ "type": "offer", "sdp": "v=0" })).await, "wrong_state");

    let offer = desk.offer().await;
    let topic = text(&desk.accept(&offer).await.unwrap()["topic"]);
    let mut agent = desk.socket.join(&topic, Value::Null).await.unwrap();
    let guest = agent.expect("participant_joined").await;
    assert_eq!((&guest["role"], &guest["name"]), (&json!("customer"), &json!("Maria")));
    let host = maria.topic.expect("participant_joined").await;
    assert_eq!((&host["role"], &host["name"]), (&json!("agent"), &json!("Ana")));

    // The agent's device offers, the customer's answers, candidates and mutes go both ways, chat too.
    agent.push("signal", json!({ "type": "offer", "sdp": "v=0 a" })).await.unwrap();
    let heard = maria.topic.expect("signal").await;
    assert_eq!(heard, json!({ "type": "offer", "sdp": "v=0 a", "from": host["participant_id"] }));
    maria.topic.push("signal", json!({ "type": "answer", "sdp": "v=0 b" })).await.unwrap();
    assert_eq!(agent.expect("signal").await["from"], guest["participant_id"]);
    for index in 0..20 {
        maria.topic.push("ice_candidate", json!({ "candidate": index })).await.unwrap();
    }
    for index in 0..20 {
        assert_eq!(agent.expect("ice_candidate").await["candidate"], index);
    }
    agent.push("mute", json!({ "type": "audio", "muted": true })).await.unwrap();
    assert_eq!(maria.topic.expect("mute").await["muted"], true);
    maria.topic.push("message", json!({ "text": "ol\u{e1}" })).await.unwrap();
    assert_eq!(agent.expect("message").await["text"], "ol\u{e1}");
    assert_eq!(maria.topic.refused("message", json!({ "text": "x".repeat(4_001) })).await, "invalid_payload");

    // The customer opens the page on the phone: that is the active device from now on.
    let mut phone = app.topic(&maria.token, &name).await;
    assert_eq!(agent.expect("participant_left").await["participant_id"], guest["participant_id"]);
    let moved = agent.expect("participant_joined").await;
    assert_ne!(moved["participant_id"], guest["participant_id"]);
    agent.push("signal", json!({ "type": "offer", "sdp": "v=0 c" })).await.unwrap();
    assert_eq!(phone.expect("signal").await["sdp"], "v=0 c");
    maria.topic.expect_no("signal", Duration::from_millis(50)).await;
    assert_eq!(maria.topic.refused("signal", json!({ "type": "answer" })).await, "not_active_device");
    // The phone goes: the page is active again.
    phone.leave().await;
    assert_eq!(agent.expect("participant_left").await["participant_id"], moved["participant_id"]);
    assert_eq!(agent.expect("participant_joined").await["participant_id"], guest["participant_id"]);
    maria.topic.push("signal", json!({ "type": "offer", "sdp": "v=0 d" })).await.unwrap();

    // The observer hears the state and nothing else, and may say nothing.
    assert_eq!(observer.refused("signal", json!({ "type": "offer" })).await, "not_your_call");
    assert_eq!(observer.refused("message", json!({ "text": "boo" })).await, "not_your_call");
    assert_eq!(observer.refused("end", Value::Null).await, "not_your_call");
    desk.start(&maria.call).await;
    observer.expect("call_started").await;
    let overheard: Vec<&String> = observer.passed.iter().map(|(event, _)| event).collect();
    for event in ["signal", "ice_candidate", "mute", "message"] {
        assert!(!overheard.contains(&&event.to_owned()), "{overheard:?}");
    }
    // Nobody told the customer or the agent of him.
    assert!(!maria.topic.passed.iter().any(|(_, push)| push["role"] == "observer"));
    app.stop().await;
}

#[tokio::test]
async fn who_is_not_there_cannot_be_signalled() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Line").await;
    let ana = company.agent("Ana", &[line]).await;
    let link = company.link(line).await;
    let mut desk = at_work(&app, &ana, line).await;
    let maria = customer(&app, &link, "Maria").await;
    let offer = desk.offer().await;
    desk.accept(&offer).await.unwrap();
    assert_eq!(maria.topic.refused("signal", json!({ "type": "offer" })).await, "peer_absent");
    // Chat is kept with the call whether or not somebody reads it now.
    maria.topic.push("message", json!({ "text": "anybody?" })).await.unwrap();
    app.stop().await;
}
