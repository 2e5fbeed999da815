//! What the tests of files of calls share: calls in every state, forms, and what the place of files and the record hold.

use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::json;
use vez::domain::ids::{DepartmentId, TenantId};

use crate::harness::TestApp;
use crate::harness::builders::{Company, Member};
use crate::harness::client::{Answer, Client, send};

const BOUNDARY: &str = "----vez-test-form";

/// A call that waits.
pub async fn waiting(app: &TestApp, company: &Company<'_>, line: DepartmentId) -> String {
    let link = company.link(line).await;
    app.client().join(&link, "Maria").await.expect(200).data("call_id").to_owned()
}

/// A call that `agent` has started.
pub async fn started(app: &TestApp, company: &Company<'_>, line: DepartmentId, agent: &Member) -> String {
    let call = waiting(app, company, line).await;
    agent.client.act(&call, "assign").await.expect(200);
    agent.client.act(&call, "start").await.expect(200);
    call
}

/// Sets switches of the company: `recording_enabled = true`.
pub async fn set_company(app: &TestApp, tenant: TenantId, columns: &str) {
    let statement = format!("UPDATE tenants SET {columns} WHERE id = '{tenant}'");
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(app.app.store().system()).await.unwrap();
}

/// One part of a form.
pub struct Part<'a> {
    pub name: &'a str,
    pub file_name: Option<&'a str>,
    pub content_type: Option<&'a str>,
    pub bytes: &'a [u8],
}

impl<'a> Part<'a> {
    pub fn file(file_name: &'a str, content_type: &'a str, bytes: &'a [u8]) -> Self {
        Self { name: "file", file_name: Some(file_name), content_type: Some(content_type), bytes }
    }

    pub fn field(name: &'a str, text: &'a str) -> Self {
        Self { name, file_name: None, content_type: None, bytes: text.as_bytes() }
    }
}

/// `multipart/form-data` as browsers write it.
pub fn form(parts: &[Part<'_>]) -> (String, Vec<u8>) {
    let mut body = Vec::new();
    for part in parts {
        body.extend_from_slice(
            format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{}\"", part.name).as_bytes(),
        );
        if let Some(name) = part.file_name {
            body.extend_from_slice(format!("; filename=\"{name}\"").as_bytes());
        }
        if let Some(kind) = part.content_type {
            body.extend_from_slice(format!("\r\nContent-Type: {kind}").as_bytes());
        }
        body.extend_from_slice(b"\r\n\r\n");
        body.extend_from_slice(part.bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={BOUNDARY}"), body)
}

/// Posts a form.
pub async fn post_form(client: &Client, path: &str, parts: &[Part<'_>]) -> Answer {
    let (kind, body) = form(parts);
    send(client.request(Method::POST, path).header("content-type", kind).body(body)).await
}

/// Attaches a file to a call.
pub async fn attach(client: &Client, call: &str, file_name: &str, content_type: &str, bytes: &[u8]) -> Answer {
    post_form(client, &format!("/api/v1/calls/{call}/upload"), &[Part::file(file_name, content_type, bytes)]).await
}

/// Uploads a call's recording.
pub async fn record(client: &Client, call: &str, parts: &[Part<'_>]) -> Answer {
    post_form(client, &format!("/api/v1/calls/{call}/recording/upload"), parts).await
}

/// The beginning of a WebM file, and `size` bytes in all.
pub fn webm(size: usize) -> Vec<u8> {
    let mut bytes = b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\xf7\x81\x01\x42\xf2\x81\x04\x42\xf3\x81\x08".to_vec();
    bytes.extend_from_slice(b"\x42\x82\x84webm");
    bytes.extend((bytes.len()..size.max(300)).map(|index| (index % 251) as u8));
    bytes
}

/// A picture, as far as anybody looks.
pub fn png(size: usize) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    bytes.extend((bytes.len()..size.max(16)).map(|index| (index % 249) as u8));
    bytes
}

/// Where the files are.
pub fn folder(app: &TestApp) -> PathBuf {
    app.config().database.data_dir.join("files")
}

/// Every file in the place of files, unfinished ones too, as paths below it.
pub fn stored(app: &TestApp) -> Vec<String> {
    fn walk(folder: &Path, root: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, found);
            } else {
                found.push(path.strip_prefix(root).unwrap().to_string_lossy().into_owned());
            }
        }
    }
    let (root, mut found) = (folder(app), Vec::new());
    walk(&root, &root, &mut found);
    found.sort();
    found
}

/// Rows of files that are being written.
pub async fn unfinished(app: &TestApp) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM unfinished_files").fetch_one(app.app.store().system()).await.unwrap()
}

/// That nothing is left of a failed upload but what was there before: neither bytes nor rows.
pub async fn nothing_left(app: &TestApp, files_before: usize) {
    crate::harness::eventually("nothing is left of the upload", async || {
        (stored(app).len() == files_before && unfinished(app).await == 0).then_some(())
    })
    .await;
}

/// `{"errors": {field: [fault]}}`.
pub fn fault(field: &str, fault: &str) -> serde_json::Value {
    json!({"errors": {field: [fault]}})
}
