//! `/api/v1/calls/:call_id/upload` and `uploads`: files attached to calls.

use reqwest::Method;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use vez::domain::role::Role;

use super::call_files::{Part, attach, fault, form, nothing_left, png, post_form, stored, unfinished, waiting};
use super::{NOBODY, each};
use crate::harness::client::send;
use crate::harness::{TestApp, eventually};

#[tokio::test]
async fn a_file_is_attached_listed_and_downloaded() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Suporte").await;
    let ana = company.agent("Ana", &[line]).await;
    let call = waiting(&app, &company, line).await;
    let bytes = png(5_000);
    let made = attach(&ana.client, &call, "Nota fiscal n\u{ba} 5.png", "image/png", &bytes).await.expect(201);
    let id = made.id();
    let download = format!("/api/v1/calls/{call}/uploads/{id}/download");
    let expected = json!({"id": id, "call_id": call, "file_name": "Nota fiscal n\u{ba} 5.png", "content_type": "image/png",
        "file_size": 5_000, "download_url": download, "inserted_at": app.now().to_string()});
    assert_eq!(made.body, json!({ "data": expected }));
    let listed = ana.client.get(&format!("/api/v1/calls/{call}/uploads")).await.expect(200);
    assert_eq!(listed.body, json!({ "data": [expected] }));
    // Nothing a person typed is part of a path.
    assert_eq!(stored(&app), [format!("{}/attachments/{id}", company.tenant)]);
    assert_eq!(unfinished(&app).await, 0);

    let answer = ana.client.request(Method::GET, &download).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    for (name, value) in [
        ("content-type", "image/png"),
        ("content-length", "5000"),
        (
            "content-disposition",
            "attachment; filename=\"Nota_fiscal_n__5.png\"; filename*=UTF-8''Nota%20fiscal%20n%C2%BA%205.png",
        ),
        ("content-security-policy", "sandbox; default-src 'none'"),
        ("x-content-type-options", "nosniff"),
        ("accept-ranges", "bytes"),
        ("cache-control", "no-store"),
        ("etag", &format!("\"{id}\"")),
    ] {
        assert_eq!(answer.headers()[name], value, "{name}");
    }
    assert_eq!(answer.bytes().await.unwrap(), bytes);
    let head = send(ana.client.request(Method::HEAD, &download)).await.expect(200);
    assert_eq!(head.header("content-length"), Some("5000"));
}

#[tokio::test]
async fn a_part_of_a_file_can_be_asked_for() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Suporte").await;
    let ana = company.agent("Ana", &[line]).await;
    let call = waiting(&app, &company, line).await;
    // More than one part of the place of files.
    let bytes = png(6 * 1024 * 1024 + 7);
    let made = attach(&ana.client, &call, "a.png", "image/png", &bytes).await.expect(201);
    let (path, size) = (made.data("download_url"), bytes.len());
    let get = async |range: &str, version: Option<&str>| {
        let request = ana.client.request(Method::GET, path).header("range", range);
        let request = match version {
            Some(version) => request.header("if-range", version),
            None => request,
        };
        let answer = request.send().await.unwrap();
        let (status, range) = (answer.status().as_u16(), answer.headers().get("content-range").cloned());
        let range = range.map(|range| range.to_str().unwrap().to_owned()).unwrap_or_default();
        (status, range, answer.bytes().await.unwrap())
    };
    for (range, first, end) in [
        ("bytes=0-99", 0, 100),
        ("bytes=6291450-", 6_291_450, size),
        ("bytes=-7", size - 7, size),
        ("bytes=3-99999999", 3, size),
    ] {
        let (status, told, body) = get(range, None).await;
        assert_eq!((status, told), (206, format!("bytes {first}-{}/{size}", end - 1)), "{range}");
        assert!(body == bytes[first..end], "{range}");
    }
    let (status, told, body) = get(&format!("bytes={size}-"), None).await;
    assert_eq!((status, told), (416, format!("bytes */{size}")));
    let error: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(error, json!({"errors": {"detail": "The range lies outside the file"}}));
    let etag = format!("\"{}\"", made.id());
    assert_eq!(get("bytes=0-99", Some(&etag)).await.0, 206);
    for (range, version) in [("bytes=0-99", Some("\"another\"")), ("bytes=0-1,5-6", None), ("lines=0-1", None)] {
        let (status, told, body) = get(range, version).await;
        assert_eq!((status, told.as_str(), body.len()), (200, "", size), "{range}");
    }
}

#[tokio::test]
async fn only_what_may_be_attached_is_taken_and_nothing_else_stays() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Suporte").await;
    let ana = company.agent("Ana", &[line]).await;
    let call = waiting(&app, &company, line).await;
    let page = b"<!DOCTYPE html><script>alert(1)</script>";
    let drawing = b"<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"alert(1)\"/>";
    let table: [(&str, &str, &[u8], &str); 9] = [
        ("a.html", "text/html", page, "is of a type that is not taken: text/html"),
        ("a.png", "image/png", page, "is of a type that is not taken: text/html"),
        ("a.svg", "image/svg+xml", drawing, "is of a type that is not taken: text/html"),
        ("a.xml", "text/xml", b"<?xml version=\"1.0\"?><a/>", "is of a type that is not taken: text/xml"),
        ("a.js", "text/javascript", b"alert(1)", "is not what its content type says: text/plain"),
        ("a.png", "image/png", b"%PDF-1.7\n%", "is not what its content type says: application/pdf"),
        (
            "a.exe",
            "application/octet-stream",
            b"MZ\x90\0\x03\0\0\0",
            "is of a type that is not taken: application/vnd.microsoft.portable-executable",
        ),
        (
            "a.bin",
            "application/octet-stream",
            b"\0\x01\x02",
            "is of a type that is not taken: application/octet-stream",
        ),
        ("a.txt", "text/plain", b"", "can't be empty"),
    ];
    for (name, kind, bytes, expected) in table {
        let answer = attach(&ana.client, &call, name, kind, bytes).await.expect(422);
        assert_eq!(answer.body, fault("file", expected), "{name} {kind}");
    }
    let path = format!("/api/v1/calls/{call}/upload");
    let no_file = post_form(&ana.client, &path, &[Part::field("name", "x")]).await.expect(422);
    assert_eq!(no_file.body, fault("file", "can't be blank"));
    let file = Part::file("a.txt", "text/plain", b"x");
    let two = post_form(&ana.client, &path, &[file, Part::file("b.txt", "text/plain", b"y")]).await.expect(422);
    assert_eq!(two.body, fault("file", "should be one file"));
    let wrong = "The body must be multipart/form-data with the file in its part \"file\"";
    ana.client.post(&path, json!({"file": "x"})).await.expect_error(400, wrong);
    let (kind, mut body) = form(&[Part::file("a.txt", "text/plain", b"text")]);
    body.truncate(body.len() - 10);
    let broken = send(ana.client.request(Method::POST, &path).header("content-type", kind).body(body)).await;
    broken.expect_error(400, "The form could not be read");
    let many: Vec<Part<'_>> = (0..12).map(|_| Part::field("a", "b")).collect();
    post_form(&ana.client, &path, &many).await.expect_error(400, "The form has too many parts");
    nothing_left(&app, 0).await;
    assert_eq!(ana.client.get(&format!("{path}s")).await.expect(200).body, json!({"data": []}));
}

#[tokio::test]
async fn what_is_kept_has_a_harmless_name() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Suporte").await;
    let ana = company.agent("Ana", &[line]).await;
    let call = waiting(&app, &company, line).await;
    for (name, expected) in [
        ("../../etc/cron.d/x", "x.txt"),
        ("C:\\\\fakepath\\\\lista.csv", "lista.csv"),
        ("run.js", "run.js.txt"),
        ("a\u{202E}txt.exe", "atxt.exe.txt"),
        ("", "file.txt"),
    ] {
        let made = attach(&ana.client, &call, name, "text/plain", b"a,b").await.expect(201);
        assert_eq!((made.data("file_name"), made.data("content_type")), (expected, "text/plain"), "{name}");
    }
}

#[tokio::test]
async fn a_file_that_is_too_large_is_refused_and_gone() {
    let limit = 6 * 1024 * 1024;
    let app = TestApp::builder().config(|config| config.files.attachment_bytes_max = limit as u64).start().await;
    let company = app.company("acme").await;
    let line = company.department("Suporte").await;
    let ana = company.agent("Ana", &[line]).await;
    let call = waiting(&app, &company, line).await;
    attach(&ana.client, &call, "a.png", "image/png", &png(limit)).await.expect(201);
    let too_large = "The request body is too large";
    attach(&ana.client, &call, "a.png", "image/png", &png(limit + 1)).await.expect_error(413, too_large);
    // Announced so: refused before it is read.
    attach(&ana.client, &call, "a.png", "image/png", &png(limit + 100_000)).await.expect_error(413, too_large);
    // Not announced at all, but in chunks.
    let (kind, body) = form(&[Part::file("a.png", "image/png", &png(limit + 100_000))]);
    let chunks: Vec<std::io::Result<Vec<u8>>> = body.chunks(60_000).map(|chunk| Ok(chunk.to_vec())).collect();
    let request =
        ana.client.request(Method::POST, &format!("/api/v1/calls/{call}/upload")).header("content-type", kind);
    let body = reqwest::Body::wrap_stream(futures_util::stream::iter(chunks));
    send(request.body(body)).await.expect_error(413, too_large);
    nothing_left(&app, 1).await;
}

#[tokio::test]
async fn a_cut_upload_leaves_nothing() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Suporte").await;
    let ana = company.agent("Ana", &[line]).await;
    let call = waiting(&app, &company, line).await;
    // One that is still in memory and one of which a part is stored.
    for size in [200_000, 6 * 1024 * 1024] {
        let (kind, body) = form(&[Part::file("a.png", "image/png", &png(8 * 1024 * 1024))]);
        let head = format!(
            "POST /api/v1/calls/{call}/upload HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: {kind}\r\n\
             Content-Length: {}\r\n\r\n",
            ana.token,
            body.len()
        );
        let mut connection = tokio::net::TcpStream::connect(app.addr()).await.unwrap();
        connection.write_all(head.as_bytes()).await.unwrap();
        connection.write_all(&body[..size]).await.unwrap();
        eventually("the upload is under way", async || (unfinished(&app).await == 1).then_some(())).await;
        if size > 5 * 1024 * 1024 {
            eventually("a part is stored", async || (stored(&app).len() == 1).then_some(())).await;
        }
        drop(connection);
        nothing_left(&app, 0).await;
    }
    assert_eq!(ana.client.get(&format!("/api/v1/calls/{call}/uploads")).await.expect(200).body, json!({"data": []}));
    attach(&ana.client, &call, "a.png", "image/png", &png(100)).await.expect(201);
}

#[tokio::test]
async fn calls_that_one_does_not_see_have_no_files() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let (line, other) = (company.department("Suporte").await, company.department("Vendas").await);
    let (ana, bia) = (company.agent("Ana", &[line]).await, company.agent("Bia", &[other]).await);
    let boss = company.user("Boss", Role::Supervisor).await;
    let stranger = app.company("other").await.user("Stranger", Role::Owner).await;
    let call = waiting(&app, &company, line).await;
    let made = attach(&ana.client, &call, "a.txt", "text/plain", b"x").await.expect(201);
    let list = format!("/api/v1/calls/{call}/uploads");
    for outsider in [&bia, &stranger] {
        outsider.client.get(&list).await.expect_error(404, "Not found");
        outsider.client.get(made.data("download_url")).await.expect_error(404, "Not found");
        attach(&outsider.client, &call, "a.txt", "text/plain", b"x").await.expect_error(404, "Not found");
    }
    boss.client.get(made.data("download_url")).await.expect(200);
    ana.client.get(&format!("{list}/{NOBODY}/download")).await.expect_error(404, "Not found");
    // The file of one call is not a file of another.
    let second = waiting(&app, &company, line).await;
    let path = format!("/api/v1/calls/{second}/uploads/{}/download", made.id());
    ana.client.get(&path).await.expect_error(404, "Not found");
    nothing_left(&app, 1).await;
}

#[tokio::test]
async fn a_call_has_a_bounded_number_of_files() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Suporte").await;
    let ana = company.agent("Ana", &[line]).await;
    let call = waiting(&app, &company, line).await;
    sqlx::query(
        "INSERT INTO uploads SELECT $1, gen_random_uuid(), $2, 'x.txt', 'text/plain', 1, now() FROM generate_series(1, 99)",
    )
    .bind(company.tenant.0)
    .bind(call.parse::<uuid::Uuid>().unwrap())
    .execute(app.app.store().system())
    .await
    .unwrap();
    attach(&ana.client, &call, "last.txt", "text/plain", b"x").await.expect(201);
    let refused = attach(&ana.client, &call, "more.txt", "text/plain", b"x").await.expect(422);
    assert_eq!(refused.body["errors"]["code"], "too_many_files");
    nothing_left(&app, 1).await;
    let list = ana.client.get(&format!("/api/v1/calls/{call}/uploads")).await.expect(200);
    assert_eq!(each(&list.body["data"], "id").len(), 100);
}

#[tokio::test]
async fn who_attached_what_is_on_the_trail() {
    let app = TestApp::start().await;
    let company = app.company("acme").await;
    let line = company.department("Suporte").await;
    let ana = company.agent("Ana", &[line]).await;
    let manager = company.user("Manager", Role::Manager).await;
    let call = waiting(&app, &company, line).await;
    let made = attach(&ana.client, &call, "secret plans.txt", "text/plain", b"x").await.expect(201);
    let trail = manager.client.get("/api/v1/audit").await.expect(200).body;
    let row = trail["data"].as_array().unwrap().iter().find(|row| row["object_id"] == made.id()).unwrap();
    assert_eq!(
        (&row["action"], &row["object"], &row["user_id"]),
        (&json!("created"), &json!("upload"), &json!(ana.id))
    );
    assert!(!trail.to_string().contains("secret plans"));
}
