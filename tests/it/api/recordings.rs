//! `/api/v1/calls/:call_id/recording*`, and the upkeep of files.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use uuid::Uuid;
use vez::domain::role::Role;

use super::NOBODY;
use super::call_files::{
    Part, attach, fault, folder, nothing_left, png, record, set_company, started, stored, unfinished, waiting, webm,
};
use crate::harness::client::send;
use crate::harness::{TestApp, eventually};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[tokio::test]
async fn a_recording_is_uploaded_and_read_once_the_call_is_over() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    set_company(&app, company.tenant, "recording_enabled = true, transcription_enabled = true").await;
    let line = company.department("Suporte").await;
    let ana = company.agent("Ana", &[line]).await;
    let call = started(&app, &company, line, &ana).await;
    app.advance(Duration::from_secs(30)).await;
    let bytes = webm(20_000);
    let file = || Part::file("call.webm", "video/webm", &bytes);
    let made = record(&ana.client, &call, &[file()]).await.expect(201);
    let recorded_at = app.now().to_string();
    let (path, download) =
        (format!("/api/v1/calls/{call}/recording"), format!("/api/v1/calls/{call}/recording/download"));
    ana.client.get(&path).await.expect_error(404, "Recording not found");
    ana.client.get(&download).await.expect_error(404, "Recording not found");
    ana.client.act(&call, "complete").await.expect(200);
    let mut expected = json!({"data": {"id": made.id(), "call_id": call, "format": "webm", "duration": 30,
        "file_size": 20_000, "download_url": download, "transcription": null, "created_at": recorded_at}});
    assert_eq!(ana.client.get(&path).await.expect(200).body, expected);
    let transcript = json!({"text": "Bom dia.", "language": "pt-BR"});
    ana.client.put(&format!("/api/v1/calls/{call}/transcript"), transcript).await.expect(200);
    expected["data"]["transcription"] = json!({"status": "completed", "text": "Bom dia.", "language": "pt-BR"});
    assert_eq!(ana.client.get(&path).await.expect(200).body, expected);

    let whole = ana.client.request(Method::GET, &download).send().await.unwrap();
    assert_eq!(whole.headers()["content-type"], "video/webm");
    assert!(whole.headers()["content-disposition"].to_str().unwrap().starts_with("attachment;"));
    assert_eq!(whole.bytes().await.unwrap(), bytes);
    let part = ana.client.request(Method::GET, &download).header("range", "bytes=100-199").send().await.unwrap();
    assert_eq!((part.status().as_u16(), &part.bytes().await.unwrap()[..]), (206, &bytes[100..200]));

    let again = record(&ana.client, &call, &[file()]).await.expect(422);
    assert_eq!(again.body["errors"]["code"], "already_recorded");
    send(ana.client.request(Method::DELETE, &path)).await.expect_error(405, "Method not allowed");
    nothing_left(&app, 1).await;
}

#[tokio::test]
async fn its_duration_may_be_given_and_a_failed_upload_is_none() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    set_company(&app, company.tenant, "recording_enabled = true").await;
    let line = company.department("Suporte").await;
    let ana = company.agent("Ana", &[line]).await;
    let call = started(&app, &company, line, &ana).await;
    let bytes = webm(6 * 1024 * 1024);
    let file = || Part::file("call.webm", "video/webm", &bytes);
    for duration in ["soon", "-1", "86401", "1.5"] {
        let refused = record(&ana.client, &call, &[file(), Part::field("duration", duration)]).await.expect(422);
        assert_eq!(refused.body, fault("duration", "is invalid"), "{duration}");
    }
    let picture = png(1_000);
    let refused = record(&ana.client, &call, &[Part::file("a.png", "image/png", &picture)]).await.expect(422);
    assert_eq!(refused.body, fault("file", "is of a type that is not taken: image/png"));
    nothing_left(&app, 0).await;
    let made = record(&ana.client, &call, &[Part::field("duration", "345"), file()]).await.expect(201);
    assert_eq!((&made.body["data"]["duration"], &made.body["data"]["file_size"]), (&json!(345), &json!(bytes.len())));
}

#[tokio::test]
async fn two_at_once_are_one_recording() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    set_company(&app, company.tenant, "recording_enabled = true").await;
    let line = company.department("Suporte").await;
    let ana = company.agent("Ana", &[line]).await;
    let call = started(&app, &company, line, &ana).await;
    let bytes = webm(100_000);
    let upload = || async { record(&ana.client, &call, &[Part::file("a.webm", "video/webm", &bytes)]).await.status };
    let (one, two, three) = tokio::join!(upload(), upload(), upload());
    let mut statuses = [one, two, three];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 422, 422]);
    nothing_left(&app, 1).await;
}

#[tokio::test]
async fn only_calls_of_companies_that_record_and_that_started_have_one() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Suporte").await;
    let (ana, bia) = (company.agent("Ana", &[line]).await, company.agent("Bia", &[]).await);
    let waiting = waiting(&app, &company, line).await;
    let bytes = webm(1_000);
    let file = || [Part::file("a.webm", "video/webm", &bytes)];
    let off = "Recording is not enabled for this company";
    record(&ana.client, &waiting, &file()).await.expect_plan_limit(off);
    set_company(&app, company.tenant, "recording_enabled = true").await;
    let refused = record(&ana.client, &waiting, &file()).await.expect(422);
    assert_eq!(refused.body["errors"]["code"], "not_started");
    record(&ana.client, NOBODY, &file()).await.expect_error(404, "Not found");
    record(&bia.client, &waiting, &file()).await.expect_error(404, "Not found");
    for call in [waiting.as_str(), NOBODY] {
        for client in [&ana.client, &bia.client] {
            for path in ["recording", "recording/download"] {
                let answer = client.get(&format!("/api/v1/calls/{call}/{path}")).await;
                answer.expect_error(404, "Recording not found");
            }
        }
    }
    nothing_left(&app, 0).await;
}

#[tokio::test]
async fn a_recording_is_kept_for_as_long_as_the_plan_says() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    set_company(&app, company.tenant, "recording_enabled = true, plan = 'basic'").await;
    let line = company.department("Suporte").await;
    let ana = company.agent("Ana", &[line]).await;
    let call = started(&app, &company, line, &ana).await;
    let bytes = webm(1_000);
    record(&ana.client, &call, &[Part::file("a.webm", "video/webm", &bytes)]).await.expect(201);
    attach(&ana.client, &call, "a.txt", "text/plain", b"x").await.expect(201);
    ana.client.act(&call, "complete").await.expect(200);
    app.advance(29 * DAY).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(stored(&app).len(), 2);
    app.advance(2 * DAY).await;
    eventually("the recording is gone, the attachment is not", async || {
        (stored(&app).len() == 1 && stored(&app)[0].contains("attachments")).then_some(())
    })
    .await;
    let (token, _) = company.log_in(ana.id, Role::Attendant).await;
    let client = app.client_of(&token);
    eventually("its row is gone", async || {
        (client.get(&format!("/api/v1/calls/{call}/recording")).await.status == 404).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_a_crash_left_is_deleted_after_a_day() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Suporte").await;
    let ana = company.agent("Ana", &[line]).await;
    let call = waiting(&app, &company, line).await;
    attach(&ana.client, &call, "a.txt", "text/plain", b"x").await.expect(201);
    // One whose row was never made, one that was still being written, and one of this very minute.
    let home = folder(&app).join(company.tenant.to_string()).join("attachments");
    let lost = [Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3)];
    std::fs::write(home.join(lost[0].to_string()), "whole").unwrap();
    std::fs::write(home.join(format!("{}#1", lost[1])), "half").unwrap();
    std::fs::write(home.join(format!("{}#1", lost[2])), "fresh").unwrap();
    let note = async |id: Uuid, at: vez::domain::clock::Timestamp| {
        sqlx::query("INSERT INTO unfinished_files VALUES ($1, $2, 'attachments', $3)")
            .bind(company.tenant.0)
            .bind(id)
            .bind(at.to_utc())
            .execute(app.app.store().system())
            .await
            .unwrap();
    };
    note(lost[0], app.now()).await;
    note(lost[1], app.now()).await;
    note(lost[2], app.now() + DAY).await;
    assert_eq!(stored(&app).len(), 4);
    app.advance(DAY + Duration::from_secs(3_700)).await;
    eventually("what was lost is deleted", async || {
        (stored(&app).len() == 2 && unfinished(&app).await == 1).then_some(())
    })
    .await;
    assert!(stored(&app).iter().any(|path| path.ends_with("#1")), "the fresh one is still being written");
}

#[tokio::test]
async fn files_that_cannot_be_deleted_do_not_keep_the_others() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Suporte").await;
    let ana = company.agent("Ana", &[line]).await;
    let call = waiting(&app, &company, line).await;
    attach(&ana.client, &call, "a.txt", "text/plain", b"x").await.expect(201);
    let home = folder(&app).join(company.tenant.to_string()).join("attachments");
    // As many as one look finds are folders, which no file's deletion takes away; the one behind them is a file.
    let stuck = 100;
    for number in 1..=stuck + 1 {
        let id = Uuid::from_u128(number);
        if number <= stuck {
            std::fs::create_dir_all(home.join(id.to_string()).join("full")).unwrap();
        } else {
            std::fs::write(home.join(id.to_string()), "lost").unwrap();
        }
        sqlx::query("INSERT INTO unfinished_files VALUES ($1, $2, 'attachments', $3)")
            .bind(company.tenant.0)
            .bind(id)
            .bind(app.now().to_utc())
            .execute(app.app.store().system())
            .await
            .unwrap();
    }
    app.advance(DAY + Duration::from_secs(3_700)).await;
    eventually("the last one is deleted", async || (unfinished(&app).await == stuck as i64).then_some(())).await;
    assert!(!home.join(Uuid::from_u128(stuck + 1).to_string()).exists());
}
