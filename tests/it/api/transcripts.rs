//! `/api/v1/calls/:call_id/transcript` and `summary`.

use std::time::Duration;

use serde_json::json;

use super::NOBODY;
use super::call_files::{set_company, started, waiting};
use crate::harness::TestApp;

#[tokio::test]
async fn a_transcript_is_put_read_and_changed_in_part() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    set_company(&app, company.tenant, "transcription_enabled = true").await;
    let line = company.department("Suporte").await;
    let ana = company.agent("Ana", &[line]).await;
    let call = started(&app, &company, line, &ana).await;
    let path = format!("/api/v1/calls/{call}/transcript");
    ana.client.get(&path).await.expect_error(404, "Transcript not found");
    let blank = ana.client.put(&path, json!({"language": "pt-BR"})).await.expect(422);
    assert_eq!(blank.body, json!({"errors": {"text": ["can't be blank"]}}));
    let segments = json!([{"start_ms": 0, "end_ms": 900, "speaker": "agent", "text": "Bom dia."},
        {"start_ms": 900, "end_ms": 2_000, "speaker": null, "text": "Olá."}]);
    let body = json!({"transcript": {"text": "Bom dia. Olá.", "language": "pt-BR", "segments": segments}});
    let put = ana.client.put(&path, body).await.expect(200);
    let now = app.now().to_string();
    let mut expected = json!({"data": {"call_id": call, "status": "completed", "text": "Bom dia. Olá.", "language": "pt-BR",
        "segments": segments, "inserted_at": now, "updated_at": now}});
    assert_eq!(put.body, expected);
    assert_eq!(ana.client.get(&path).await.expect(200).body, expected);
    app.advance(Duration::from_secs(5)).await;
    expected["data"]["updated_at"] = json!(app.now().to_string());
    expected["data"]["language"] = json!(null);
    assert_eq!(ana.client.put(&path, json!({"language": null})).await.expect(200).body, expected);
    expected["data"]["text"] = json!("Bom dia.");
    expected["data"]["segments"] = json!([]);
    let changed = ana.client.put(&path, json!({"text": "Bom dia.", "segments": null})).await.expect(200);
    assert_eq!(changed.body, expected);
}

#[tokio::test]
async fn a_summary_is_put_read_and_changed_in_part() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    set_company(&app, company.tenant, "transcription_enabled = true").await;
    let line = company.department("Suporte").await;
    let ana = company.agent("Ana", &[line]).await;
    let call = started(&app, &company, line, &ana).await;
    let path = format!("/api/v1/calls/{call}/summary");
    ana.client.get(&path).await.expect_error(404, "Summary not found");
    assert_eq!(
        ana.client.put(&path, json!({})).await.expect(422).body,
        json!({"errors": {"text": ["can't be blank"]}})
    );
    let put =
        ana.client.put(&path, json!({"summary": {"text": "A second invoice.", "language": "en"}})).await.expect(200);
    let now = app.now().to_string();
    let mut expected = json!({"data": {"call_id": call, "text": "A second invoice.", "language": "en", "inserted_at": now,
        "updated_at": now}});
    assert_eq!(put.body, expected);
    expected["data"]["text"] = json!("Two invoices.");
    assert_eq!(ana.client.put(&path, json!({"text": "Two invoices."})).await.expect(200).body, expected);
    assert_eq!(ana.client.get(&path).await.expect(200).body, expected);
}

#[tokio::test]
async fn they_need_a_company_that_transcribes_and_a_call_that_started() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Suporte").await;
    let (ana, bia) = (company.agent("Ana", &[line]).await, company.agent("Bia", &[]).await);
    let call = waiting(&app, &company, line).await;
    for (kind, missing) in [("transcript", "Transcript not found"), ("summary", "Summary not found")] {
        set_company(&app, company.tenant, "transcription_enabled = false").await;
        let path = format!("/api/v1/calls/{call}/{kind}");
        let off = "Transcription is not enabled for this company";
        ana.client.put(&path, json!({"text": "x"})).await.expect_plan_limit(off);
        set_company(&app, company.tenant, "transcription_enabled = true").await;
        let refused = ana.client.put(&path, json!({"text": "x"})).await.expect(422);
        assert_eq!(refused.body["errors"]["code"], "not_started");
        for (client, call) in [(&bia.client, call.as_str()), (&ana.client, NOBODY)] {
            let path = format!("/api/v1/calls/{call}/{kind}");
            client.put(&path, json!({"text": "x"})).await.expect_error(404, "Not found");
            client.get(&path).await.expect_error(404, missing);
        }
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_transcript_is_told() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Suporte").await;
    let ana = company.agent("Ana", &[line]).await;
    let call = waiting(&app, &company, line).await;
    let put = async |body| ana.client.put(&format!("/api/v1/calls/{call}/transcript"), body).await.expect(422).body;
    assert_eq!(
        put(json!({"text": 7, "language": "x".repeat(101), "segments": [{"start_ms": 5, "end_ms": 3, "text": "x"}]}))
            .await,
        json!({"errors": {"text": ["is invalid"], "language": ["should be at most 100 character(s)"],
            "segments": ["item 1 is invalid"]}})
    );
    assert_eq!(put(json!({"text": " "})).await, json!({"errors": {"text": ["can't be blank"]}}));
    let segments: Vec<_> = (0..10_001).map(|_| json!({})).collect();
    let many = put(json!({"text": "x", "segments": segments})).await;
    assert_eq!(many, json!({"errors": {"segments": ["should have at most 10000 item(s)"]}}));
    let summary = ana.client.put(&format!("/api/v1/calls/{call}/summary"), json!({"text": "x".repeat(20_001)})).await;
    assert_eq!(summary.expect(422).body, json!({"errors": {"text": ["should be at most 20000 character(s)"]}}));
}
