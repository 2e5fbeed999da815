//! Offers as an agent's devices see them: who wins, how they end, what a miss costs.

use std::time::Duration;

use serde_json::json;

use crate::harness::TestApp;
use crate::people::{at_work, customer, device, reason, text};

#[tokio::test]
async fn the_first_of_two_devices_to_accept_wins_and_the_other_hears_that_it_is_taken() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Line").await;
    let ana = company.agent("Ana", &[line]).await;
    let link = company.link(line).await;
    let mut desk = at_work(&app, &ana, line).await;
    let mut phone = device(&app, &ana, line).await;
    let mut maria = customer(&app, &link, "Maria").await;
    let (offer, same) = (desk.offer().await, phone.offer().await);
    assert_eq!(offer["offer_id"], same["offer_id"]);
    assert_eq!((&offer["customer"]["name"], &offer["position_when_offered"]), (&json!("Maria"), &json!(1)));
    // A third device, connected now, is shown the offer that stands.
    let tablet = device(&app, &ana, line).await;
    assert_eq!(tablet.own.reply["offers"][0]["offer_id"], offer["offer_id"]);

    let reply = desk.accept(&offer).await.unwrap();
    assert_eq!((&reply["call"]["id"], &reply["topic"]), (&json!(maria.call), &json!(maria.call_topic())));
    assert_eq!(phone.own.expect("offer_withdrawn").await["reason"], "taken");
    assert_eq!(maria.topic.expect("call_assigned").await["agent_name"], "Ana");
    // The same command by the same agent hears the same; and so does a repeat on this device.
    assert_eq!(phone.accept(&same).await.unwrap()["call"]["id"], json!(maria.call));
    assert_eq!(desk.accept(&offer).await.unwrap()["call"]["id"], json!(maria.call));
    app.stop().await;
}

#[tokio::test]
async fn an_offer_ends_as_it_was_ended() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Line").await;
    let ana = company.agent("Ana", &[line]).await;
    let link = company.link(line).await;
    let mut desk = at_work(&app, &ana, line).await;

    // The customer leaves: no offer, no place.
    let maria = customer(&app, &link, "Maria").await;
    let offer = desk.offer().await;
    maria.topic.push("leave", json!({})).await.unwrap();
    let withdrawn = desk.own.expect("offer_withdrawn").await;
    assert_eq!((&withdrawn["offer_id"], &withdrawn["reason"]), (&offer["offer_id"], &json!("customer_left")));
    assert_eq!(reason(desk.accept(&offer).await), "offer_expired");

    // The agent pauses: withdrawn without a miss, and offered again when he is back.
    let joao = customer(&app, &link, "Joao").await;
    let offer = desk.offer().await;
    assert_eq!(offer["call_id"], json!(joao.call));
    desk.set_status("paused").await;
    assert_eq!(desk.own.expect("offer_withdrawn").await["reason"], "agent_paused");
    desk.set_status("available").await;
    let offer = desk.offer().await;
    assert_eq!(offer["call_id"], json!(joao.call));

    // A decline: he is spared this customer for a while, and then asked again, since nobody else is there.
    desk.own.push("decline", json!({ "offer_id": offer["offer_id"], "reason": "not my field" })).await.unwrap();
    desk.own.push("decline", json!({ "offer_id": offer["offer_id"] })).await.unwrap();
    app.live_through(Duration::from_secs(6)).await;
    assert_eq!(desk.offer().await["call_id"], json!(joao.call));
    let status = app.client().status(&joao.call).await.expect(200);
    assert_eq!((&status.body["data"]["phase"], &status.body["data"]["position"]), (&json!("offered"), &json!(1)));
    app.stop().await;
}

#[tokio::test]
async fn three_missed_offers_hold_an_agent_until_he_speaks() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Line").await;
    let ana = company.agent("Ana", &[line]).await;
    let link = company.link(line).await;
    let mut desk = at_work(&app, &ana, line).await;
    desk.own.expect("status_changed").await;
    let mut people = Vec::new();
    for name in ["One", "Two", "Three", "Four"] {
        people.push(customer(&app, &link, name).await);
    }
    for miss in 1..=3 {
        desk.offer().await;
        app.live_through(Duration::from_secs(21)).await;
        assert_eq!(desk.own.expect("offer_withdrawn").await["reason"], "timed_out", "miss {miss}");
    }
    let changed = desk.own.expect_where("status_changed", |push| push["cause"] == "missed_offers").await;
    assert_eq!((&changed["status"], &changed["held"]["cause"]), (&json!("available"), &json!("missed_offers")));
    app.live_through(Duration::from_secs(35)).await;
    desk.own.expect_no("call_offered", Duration::from_millis(100)).await;
    let shown = device(&app, &ana, line).await;
    assert_eq!(shown.own.reply["held"]["cause"], "missed_offers");

    desk.set_status("available").await;
    assert_eq!(text(&desk.offer().await["call_id"]), people[0].call);
    // An offer promises nothing and comes at once; the change of status is told when it is committed.
    let changed = desk.own.expect_where("status_changed", |push| push["cause"] == "you").await;
    assert!(changed["held"].is_null(), "{changed}");
    app.stop().await;
}

#[tokio::test]
async fn an_agent_whose_connection_is_gone_loses_the_offer_at_once_and_without_a_miss() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Line").await;
    let (ana, bia) = (company.agent("Ana", &[line]).await, company.agent("Bia", &[line]).await);
    let link = company.link(line).await;
    let mut first = at_work(&app, &ana, line).await;
    let maria = customer(&app, &link, "Maria").await;
    let offer = first.offer().await;
    let mut second = at_work(&app, &bia, line).await;
    drop(first);
    // He might be back within the lease's 15 s; after that somebody else is asked.
    app.live_through(Duration::from_secs(16)).await;
    let next = second.offer().await;
    assert_eq!(next["call_id"], json!(maria.call));
    let back = device(&app, &ana, line).await;
    assert_eq!((&back.own.reply["status"], &back.own.reply["held"]), (&json!("available"), &json!(null)));
    assert_eq!(back.own.reply["offers"], json!([]));
    assert_eq!(reason(back.accept(&offer).await), "offer_expired");
    app.stop().await;
}
