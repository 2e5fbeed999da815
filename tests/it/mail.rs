//! The outbox of mail and its delivery, by files and by a real SMTP conversation.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use sqlx::{Connection as _, PgConnection};
use vez::domain::ids::TenantId;
use vez::domain::locale::Locale;
use vez::store::mails::{self, Message, NewMail};

use crate::harness::mails::SmtpServer;
use crate::harness::{TestApp, eventually};

/// Puts a mail into the outbox, committed or not.
async fn enqueue(app: &TestApp, tenant: TenantId, to: &str, locale: Locale, committed: bool) {
    let mut work = app.app.store().work(tenant, app.now(), None).await.unwrap();
    let message = Message::PasswordReset {
        name: "Ana\r\nBcc: all@example.com".into(),
        company: "Avanter".into(),
        url: "https://queue.example/reset?token=secret-of-ana".into(),
        expires_at: app.now().plus_seconds(3_600),
    };
    let mail = NewMail { id: app.ids().uuid(app.now()), to: to.into(), locale, message, send_at: None };
    mails::enqueue(&mut work, mail).await.unwrap();
    if committed {
        work.commit().await.unwrap();
    }
}

/// How many rows there are with `condition`.
async fn rows(app: &TestApp, condition: &str) -> i64 {
    let url = app.config().database.connection_url().unwrap();
    let mut connection = PgConnection::connect(url).await.unwrap();
    let statement = format!("SELECT count(*) FROM mails WHERE {condition}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(statement)).fetch_one(&mut connection).await.unwrap()
}

#[tokio::test]
async fn without_a_server_a_mail_is_a_private_file_and_its_row_forgets_what_it_said() {
    let app = TestApp::start().await;
    let tenant = app.company("acme").await.tenant;
    enqueue(&app, tenant, "lost@example.com", Locale::PtBr, false).await;
    enqueue(&app, tenant, "ana@example.com", Locale::En, true).await;
    let mails = app.until_mails(1).await;
    assert_eq!((mails.len(), mails[0].to.as_str()), (1, "ana@example.com"));
    assert_eq!(mails[0].subject, "New password for Avanter");
    assert_eq!(mails[0].link("reset"), "https://queue.example/reset?token=secret-of-ana");
    // 13:00 UTC in São Paulo.
    assert!(mails[0].text.contains("2 June 2025, 10:00 (America/Sao_Paulo)"), "{}", mails[0].text);
    assert!(!mails[0].head.to_ascii_lowercase().contains("bcc"), "{}", mails[0].head);
    let folder = app.config().database.data_dir.join("mail");
    assert_eq!(std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    eventually("the row to be settled", async || (rows(&app, "sent_at IS NOT NULL").await == 1).then_some(())).await;
    assert_eq!(rows(&app, "message IS NOT NULL").await, 0);
}

#[tokio::test]
async fn a_server_that_refuses_for_now_gets_the_mail_again_later() {
    let server = SmtpServer::start(2).await;
    let url = server.url.clone();
    let app = TestApp::builder().config(|config| config.mail.smtp_url = Some(url.into())).start().await;
    let tenant = app.company("acme").await.tenant;
    enqueue(&app, tenant, "ana@example.com", Locale::Fr, true).await;
    for (attempt, pause) in [(1, 40), (2, 80)] {
        let waits = format!("attempts = {attempt} AND last_error IS NOT NULL");
        eventually("a refusal", async || (rows(&app, &waits).await == 1).then_some(())).await;
        assert_eq!(server.received().len(), 0);
        app.advance(Duration::from_secs(pause)).await;
    }
    let mails = server.until(1).await;
    assert_eq!(server.refusals_left(), 0);
    assert_eq!(mails[0].to, "ana@example.com");
    assert!(mails[0].text.contains("Bonjour Ana"), "{}", mails[0].text);
    eventually("the row to be settled", async || (rows(&app, "sent_at IS NOT NULL").await == 1).then_some(())).await;
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn many_mails_leave_once_each() {
    let server = SmtpServer::start(0).await;
    let url = server.url.clone();
    let app = TestApp::builder().config(|config| config.mail.smtp_url = Some(url.into())).start().await;
    let tenant = app.company("acme").await.tenant;
    for number in 0..25 {
        enqueue(&app, tenant, &format!("a{number}@example.com"), Locale::Es, true).await;
    }
    server.until(25).await;
    eventually("all rows to be settled", async || (rows(&app, "sent_at IS NOT NULL").await == 25).then_some(())).await;
    let mut readers: Vec<String> = server.received().into_iter().map(|mail| mail.to).collect();
    readers.sort();
    readers.dedup();
    assert_eq!((readers.len(), server.received().len()), (25, 25));
}

#[tokio::test]
async fn a_mail_that_cannot_be_sent_is_given_up_and_stops_nobody() {
    let app = TestApp::start().await;
    let tenant = app.company("acme").await.tenant;
    enqueue(&app, tenant, "nobody at all", Locale::PtBr, true).await;
    enqueue(&app, tenant, "ana@example.com", Locale::PtBr, true).await;
    app.until_mails(1).await;
    let dead = "dead_at IS NOT NULL AND last_error IS NOT NULL AND message IS NULL";
    eventually("the bad one to be given up", async || (rows(&app, dead).await == 1).then_some(())).await;
}

#[tokio::test]
async fn after_a_day_of_failures_a_mail_is_dead() {
    // Nobody listens there.
    let app =
        TestApp::builder().config(|config| config.mail.smtp_url = Some("smtp://127.0.0.1:1".into())).start().await;
    let tenant = app.company("acme").await.tenant;
    enqueue(&app, tenant, "ana@example.com", Locale::PtBr, true).await;
    eventually("a first try", async || (rows(&app, "last_error IS NOT NULL").await == 1).then_some(())).await;
    app.advance(Duration::from_secs(24 * 60 * 60)).await;
    eventually("it to be given up", async || (rows(&app, "dead_at IS NOT NULL").await == 1).then_some(())).await;
}

#[tokio::test]
async fn what_waits_survives_a_restart() {
    let server = SmtpServer::start(1).await;
    let url = server.url.clone();
    let app = TestApp::builder().config(|config| config.mail.smtp_url = Some(url.into())).start().await;
    let tenant = app.company("acme").await.tenant;
    enqueue(&app, tenant, "ana@example.com", Locale::PtBr, true).await;
    eventually("a refusal", async || (rows(&app, "last_error IS NOT NULL").await == 1).then_some(())).await;
    let _app = app.restart_after(Duration::from_secs(120)).await;
    assert_eq!(server.until(1).await.len(), 1);
}
