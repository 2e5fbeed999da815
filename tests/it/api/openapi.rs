//! `/api/openapi.json` and `/docs`.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::harness::TestApp;

async fn document(app: &TestApp) -> Value {
    app.client().get("/api/openapi.json").await.expect(200).body
}

#[tokio::test]
async fn the_description_is_complete() {
    let app = TestApp::start().await;
    let document = document(&app).await;
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        assert!(path.starts_with("/api/"), "{path} is not written in full");
        for (method, operation) in operations.as_object().unwrap() {
            let name = format!("{method} {path}");
            assert!(ids.insert(operation["operationId"].to_string()), "{name}: its id is another's too");
            assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{name} has no summary");
            assert!(operation["tags"].as_array().is_some_and(|tags| tags.len() == 1), "{name} has no tag");
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                assert!(parameter.get("example").is_some(), "{name}: {} has no example", parameter["name"]);
            }
            for (status, answer) in operation["responses"].as_object().unwrap() {
                for content in answer["content"].as_object().into_iter().flat_map(|kinds| kinds.values()) {
                    let shown = content.get("example").is_some() || content.get("examples").is_some();
                    assert!(
                        shown || !status.starts_with('2') || content["schema"]["type"] == "string",
                        "{name} {status}"
                    );
                }
            }
            assert!(operation["responses"].get("500").is_some(), "{name}");
            assert!(operation.get("parameters").is_none_or(Value::is_array), "{name}");
        }
    }
}

#[tokio::test]
async fn everything_referred_to_is_there() {
    let app = TestApp::start().await;
    let document = document(&app).await;
    let mut waiting = vec![&document];
    while let Some(value) = waiting.pop() {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            let found = document.pointer(reference.trim_start_matches('#'));
            assert!(found.is_some_and(|found| !found.is_null()), "{reference} is missing");
        }
        match value {
            Value::Object(fields) => waiting.extend(fields.values()),
            Value::Array(items) => waiting.extend(items),
            _ => {}
        }
    }
}

#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere() {
    let app = TestApp::start().await;
    let page = reqwest::get(format!("http://{}/docs/", app.addr())).await.unwrap();
    assert_eq!(page.status(), 200);
    let text = page.text().await.unwrap();
    assert!(text.contains("swagger-ui"), "{text}");
    for part in text.split(['"', '\'']).filter(|part| part.ends_with(".js") || part.ends_with(".css")) {
        assert!(!part.contains("//"), "{part} is elsewhere");
        let url = format!("http://{}/docs/{}", app.addr(), part.trim_start_matches("./"));
        assert_eq!(reqwest::get(url).await.unwrap().status(), 200, "{part}");
    }
}
