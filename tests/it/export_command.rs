//! `vez export`, run as its own process beside the server: the same bytes as over the API, and what it says when it fails.

use std::process::Output;

use vez::domain::role::Role;

use crate::api::exported::{file, put_many};
use crate::harness::TestApp;

async fn vez(app: &TestApp, arguments: &[&str]) -> Output {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_vez"));
    command.arg("export").args(arguments).args(["--database-url", app.config().database.connection_url().unwrap()]);
    command.env("VEZ_LOG", "off").output().await.unwrap()
}

#[tokio::test]
async fn a_file_is_the_same_as_over_the_api() {
    let app = TestApp::start_real_clock().await;
    let company = app.company("acme").await;
    let line = company.department("Suporte").await;
    let boss = company.user("Boss", Role::Supervisor).await;
    put_many(&app, company.tenant, line, 1_500, app.now() - std::time::Duration::from_secs(3_600)).await;
    for (arguments, path) in [
        (&["calls", "--tenant", "acme"][..], "calls.csv"),
        (&["calls", "--tenant", "acme", "--status", "missed", "--department", "suporte"], "calls.csv"),
        (&["calls", "--tenant", "acme", "--format", "ndjson"], "calls.csv?format=ndjson"),
        (&["customers", "--tenant", "acme"], "customers.csv"),
        (&["links", "--tenant", "acme", "--status", "active"], "links.csv?status=active"),
    ] {
        let output = vez(&app, arguments).await;
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        assert!(output.stdout == file(&boss.client, path).await.text.into_bytes(), "{arguments:?}");
        assert!(output.stderr.is_empty(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[tokio::test]
async fn a_failure_is_told_and_the_file_is_said_to_be_incomplete() {
    let app = TestApp::start_real_clock().await;
    let company = app.company("acme").await;
    let line = company.department("Suporte").await;
    put_many(&app, company.tenant, line, 2_500, app.now() - std::time::Duration::from_secs(3_600)).await;
    let said = async |arguments: &[&str]| {
        let output = vez(&app, arguments).await;
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        (output.stdout.len(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(
        said(&["calls", "--tenant", "nobody"]).await,
        (0, "vez: there is no company \"nobody\"; make it by `vez tenant create`\n".to_owned())
    );
    let inverted = ["calls", "--tenant", "acme", "--from", "2026-02-02", "--to", "2026-02-01"];
    assert_eq!(said(&inverted).await, (0, "vez: --from must not be after --to\n".to_owned()));
    sqlx::raw_sql(
        "CREATE POLICY failing ON calls AS RESTRICTIVE FOR SELECT TO vez_app
         USING (CASE WHEN number = 2400 THEN 1 / (number - 2400) = 1 ELSE true END)",
    )
    .execute(&mut owner(&app).await)
    .await
    .unwrap();
    let (bytes, sentence) = said(&["calls", "--tenant", "acme"]).await;
    assert!(bytes > 2_000 * 36, "{bytes}");
    assert!(
        sentence.starts_with("vez: the file is not complete: it broke off after 2000 rows or some more:"),
        "{sentence}"
    );
}

#[tokio::test]
async fn whoever_reads_only_the_beginning_is_not_complained_to() {
    let app = TestApp::start_real_clock().await;
    let company = app.company("acme").await;
    let line = company.department("Suporte").await;
    put_many(&app, company.tenant, line, 5_000, app.now() - std::time::Duration::from_secs(3_600)).await;
    let url = app.config().database.connection_url().unwrap();
    let piped = r#"set -o pipefail; "$0" export calls --tenant acme --database-url "$1" | head -n 1"#;
    let output = tokio::process::Command::new("bash")
        .args(["-c", piped, env!("CARGO_BIN_EXE_vez"), url])
        .env("VEZ_LOG", "off")
        .output()
        .await
        .unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    assert_eq!(output.stdout.iter().filter(|byte| **byte == b'\n').count(), 1);
}

#[tokio::test]
async fn a_mistyped_folder_becomes_no_database() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("dat");
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_vez"))
        .args(["export", "calls", "--tenant", "acme", "--data-dir"])
        .arg(&missing)
        .env_remove("DATABASE_URL")
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let sentence = String::from_utf8(output.stderr).unwrap();
    assert!(sentence.starts_with("vez: there is no database in "), "{sentence}");
    assert!(!missing.exists());
}

async fn owner(app: &TestApp) -> sqlx::PgConnection {
    let url = app.config().database.connection_url().unwrap();
    <sqlx::PgConnection as sqlx::Connection>::connect(url).await.unwrap()
}
