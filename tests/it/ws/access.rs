//! Who may join what. A forbidden topic and an absent one answer alike.

use serde_json::{Value, json};
use vez::domain::role::Role;
use vez::live::hub::Login;
use vez::live::outbox::Close;
use vez_loadtests::client::frames::Vsn;
use vez_loadtests::client::socket::SocketError;

use crate::harness::TestApp;
use crate::harness::socket::{Socket, try_connect};
use crate::people::customer;

async fn refusal(socket: &Socket, topic: &str) -> String {
    match socket.join(topic, Value::Null).await {
        Err(SocketError::Refused(refusal)) => format!("{}: {}", refusal.reason, refusal.detail),
        Ok(joined) => panic!("{topic} was joined: {}", joined.reply),
        Err(other) => panic!("{topic}: {other}"),
    }
}

#[tokio::test]
async fn a_topic_that_is_not_ones_own_answers_like_one_that_is_not_there() {
    let app = TestApp::start().await;
    let (acme, rival) = (app.company("acme").await, app.company("rival").await);
    let (line, hidden) = (acme.department("Line").await, acme.department("Hidden").await);
    let foreign = rival.department("Foreign").await;
    let (ana, bia) = (acme.agent("Ana", &[line]).await, acme.agent("Bia", &[hidden]).await);
    let boss = acme.user("Boss", Role::Supervisor).await;
    let (link, foreign_link) = (acme.link(line).await, rival.link(foreign).await);
    let maria = customer(&app, &link, "Maria").await;
    let theirs = customer(&app, &foreign_link, "Theirs").await;
    let nothing = app.ids().uuid(app.now());

    let agent = app.socket(&ana.token).await;
    let absent = refusal(&agent, &format!("queue:{nothing}")).await;
    assert!(absent.starts_with("unauthorized: "), "{absent}");
    for topic in [
        format!("queue:{hidden}"),
        format!("queue:{foreign}"),
        format!("presence:{hidden}"),
        format!("presence:{foreign}"),
        format!("notification:{}", bia.id),
        format!("call:{}", maria.call),
        format!("call:{}", theirs.call),
        format!("call:{nothing}"),
        format!("tenant:{}", acme.tenant),
    ] {
        assert_eq!(refusal(&agent, &topic).await, absent, "{topic}");
    }
    let supervisor = app.socket(&boss.token).await;
    for topic in [
        format!("queue:{foreign}"),
        format!("queue:{nothing}"),
        format!("presence:{foreign}"),
        format!("call:{}", theirs.call),
        format!("tenant:{}", rival.tenant),
        format!("notification:{}", ana.id),
    ] {
        assert_eq!(refusal(&supervisor, &topic).await, absent, "{topic}");
    }
    let guest = app.socket(&maria.token).await;
    for topic in [
        format!("queue:{line}"),
        format!("presence:{line}"),
        format!("notification:{}", ana.id),
        format!("tenant:{}", acme.tenant),
        format!("call:{}", theirs.call),
    ] {
        assert_eq!(refusal(&guest, &topic).await, absent, "{topic}");
    }
    // What is theirs, they may join.
    for topic in [format!("queue:{hidden}"), format!("call:{}", maria.call), format!("tenant:{}", acme.tenant)] {
        supervisor.join(&topic, Value::Null).await.unwrap();
    }
    for topic in ["queue", "queue:", "queue:123", "nothing:at:all", "call:../../etc"] {
        assert!(refusal(&agent, topic).await.starts_with("unmatched topic"), "{topic}");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_token_that_is_not_for_sockets_opens_none() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Line").await;
    let ana = company.agent("Ana", &[line]).await;
    let mut forged = ana.token.clone();
    forged.replace_range(forged.len() - 4.., "AAAA");
    for token in ["", "nonsense", &forged] {
        for vsn in [Vsn::V1, Vsn::V2] {
            let refused = try_connect(app.addr(), token, vsn).await.unwrap_err();
            assert!(matches!(refused, SocketError::Upgrade(403)), "{refused:?}");
        }
    }
    // Fifteen minutes later it has run out; a socket opened before lives on.
    let before = app.socket(&ana.token).await;
    app.live_through(std::time::Duration::from_secs(905)).await;
    let refused = try_connect(app.addr(), &ana.token, Vsn::V2).await.unwrap_err();
    assert!(matches!(refused, SocketError::Upgrade(403)), "{refused:?}");
    before.join(&ana.topic(), Value::Null).await.unwrap();
    app.stop().await;
}

#[tokio::test]
async fn commands_are_checked_before_anything_happens() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Line").await;
    let ana = company.agent("Ana", &[line]).await;
    let link = company.link(line).await;
    let maria = customer(&app, &link, "Maria").await;
    let own = app.topic(&ana.token, &ana.topic()).await;
    assert_eq!(own.refused("dance", Value::Null).await, "unknown_event");
    assert_eq!(own.refused("accept", json!({})).await, "invalid_payload");
    assert_eq!(own.refused("accept", json!({ "offer_id": 7 })).await, "invalid_payload");
    assert_eq!(own.refused("accept", json!({ "offer_id": app.ids().uuid(app.now()) })).await, "offer_expired");
    assert_eq!(own.refused("start", json!({ "call_id": maria.call })).await, "not_your_call");
    assert_eq!(own.refused("complete", json!({ "call_id": app.ids().uuid(app.now()) })).await, "not_found");
    let notes = json!({ "call_id": maria.call, "notes": "a\u{0}b" });
    assert_eq!(own.refused("complete", notes).await, "invalid_payload");
    assert_eq!(maria.topic.refused("signal", json!({ "type": "offer" })).await, "wrong_state");
    assert_eq!(maria.topic.refused("end", Value::Null).await, "not_started");
    app.stop().await;
}

#[tokio::test]
async fn a_login_that_ends_takes_its_sockets_with_it_and_no_others() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Line").await;
    let ana = company.agent("Ana", &[line]).await;
    let (token, session) = company.log_in(ana.id, ana.role).await;
    let mut page = app.topic(&token, &ana.topic()).await;
    let mut phone = app.topic(&ana.token, &ana.topic()).await;
    app.app.hub().close_sockets(company.tenant, Login::Session(session), Close::LOGGED_OUT);
    assert!(page.until_closed().await.contains("logged_out"));
    phone.push("wrap_up_end", Value::Null).await.unwrap_err();
    phone.expect_no("phx_close", std::time::Duration::from_millis(50)).await;
    assert_eq!(app.app.hub().socket_count(), 1);
    app.stop().await;
}
