//! Owns what every operation has without saying so: an id of its own, its path parameters, the answers to what goes wrong.

use serde_json::{Map, Value, json};

use super::foreign;
use crate::http::error::{INTERNAL_DETAIL, NOT_FOUND, UNAUTHORIZED, UNAVAILABLE_DETAIL};
use crate::http::idempotency::KEY_CHARS_MAX;
use crate::http::sending::OUTSIDE_DETAIL;

/// Completes the document.
pub fn complete(document: &mut Value) {
    document["components"]["responses"] = responses();
    document["components"]["schemas"]["Error"] = error_schema();
    document["components"]["schemas"]["ValidationError"] = validation_schema();
    foreign::add(document);
    document["components"]["securitySchemes"] = json!({
        "staff": {
            "type": "http", "scheme": "bearer",
            "description": "An access token of a login, or an API token. Beside each operation stands the least role it takes: \
                            attendant, supervisor or manager."
        },
        "customer": {
            "type": "http", "scheme": "bearer",
            "description": "The `websocket_token` that joining the queue gave."
        },
        "token": {
            "type": "apiKey", "in": "header", "name": "token",
            "description": "The same token where Evolux's clients send it."
        },
        "refresh": { "type": "http", "scheme": "bearer", "description": "A refresh token." }
    });
    let Some(paths) = document["paths"].as_object_mut() else { return };
    for (path, operations) in paths {
        let Some(operations) = operations.as_object_mut() else { continue };
        for (method, operation) in operations {
            complete_operation(path, method, operation);
        }
    }
}

fn complete_operation(path: &str, method: &str, operation: &mut Value) {
    let tag = operation["tags"][0].as_str().unwrap_or_default().to_lowercase().replace(' ', "_");
    let name = operation["operationId"].as_str().unwrap_or_default().to_owned();
    operation["operationId"] = json!(format!("{tag}.{name}"));
    if let Some(role) = operation["security"][0]["staff"][0].as_str() {
        let said = operation["description"].as_str().unwrap_or_default();
        let spaced = if said.is_empty() { "" } else { "\n\n" };
        operation["description"] = json!(format!("{said}{spaced}Least role: {role}."));
    }
    let in_path = add_path_parameters(path, operation);
    let takes_file = operation["requestBody"]["content"].get("multipart/form-data").is_some();
    if method == "post" && operation["responses"].get("201").is_some() && !takes_file {
        add_parameter(
            operation,
            json!({
                "name": "Idempotency-Key", "in": "header", "required": false,
                "description": "Makes it safe to ask again: the same key has the same answer for 24 hours.",
                "schema": { "type": "string", "minLength": 1, "maxLength": KEY_CHARS_MAX, "pattern": "^[!-~]+$" }
            }),
        );
    }
    let has_body = operation.get("requestBody").is_some();
    let has_parameters = operation["parameters"].as_array().is_some_and(|all| !all.is_empty());
    let asks_role = |one: &Value| one["staff"].as_array().is_some_and(|roles| !roles.is_empty());
    let is_staff = operation["security"].as_array().is_some_and(|all| all.iter().any(asks_role));
    // `appointment/` without an s are the customer's own pages.
    let is_limited = ["/api/auth/", "/api/v1/call/", "/api/v1/appointment/", "/api/v1/users/me", "/api/v1/events"]
        .iter()
        .any(|limited| path.starts_with(limited));
    let prefix = foreign::prefix_of(path);
    // Lists take turns within a company.
    let is_list =
        operation["parameters"].as_array().is_some_and(|all| all.iter().any(|one| one["name"] == "page_size"));
    let is_streamed = path.starts_with("/api/v1/export/") || prefix == foreign::BURKI;
    let writes = method != "get";
    let wanted = [
        ("400", "BadRequest", has_body || has_parameters || writes),
        ("401", "Unauthorized", operation.get("security").is_some() || path.starts_with("/api/auth/")),
        ("403", "Forbidden", is_staff),
        ("404", "NotFound", in_path),
        ("408", "RequestTimeout", has_body),
        ("413", "PayloadTooLarge", has_body),
        ("416", "RangeNotSatisfiable", operation["responses"].get("206").is_some()),
        ("422", "Unprocessable", writes || prefix == foreign::BURKI),
        ("429", "TooManyRequests", is_limited || is_list || is_streamed || takes_file),
        ("500", "InternalError", true),
        ("503", "Unavailable", true),
    ];
    for (status, answer, applies) in wanted {
        if applies && operation["responses"].get(status).is_none() {
            operation["responses"][status] = json!({ "$ref": format!("#/components/responses/{prefix}{answer}") });
        }
    }
}

/// A parameter for each `{name}` of the path: ids, but for tokens. Whether there is any.
fn add_path_parameters(path: &str, operation: &mut Value) -> bool {
    let mut any = false;
    for name in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
        any = true;
        let named = |parameter: &Value| parameter["name"] == name && parameter["in"] == "path";
        if operation["parameters"].as_array().is_some_and(|all| all.iter().any(named)) {
            continue;
        }
        let is_id = name == "id" || name.ends_with("_id");
        let schema = if is_id { json!({"type": "string", "format": "uuid"}) } else { json!({"type": "string"}) };
        add_parameter(operation, json!({ "name": name, "in": "path", "required": true, "schema": schema }));
    }
    any
}

fn add_parameter(operation: &mut Value, parameter: Value) {
    match operation.get_mut("parameters").and_then(Value::as_array_mut) {
        Some(all) => all.push(parameter),
        None => operation["parameters"] = json!([parameter]),
    }
}

fn responses() -> Value {
    let plain = |description: &str, detail: &str| {
        json!({ "description": description, "content": { "application/json": {
            "schema": { "$ref": "#/components/schemas/Error" },
            "example": { "errors": { "detail": detail } }
        }}})
    };
    let mut limited = plain("Too many requests; `Retry-After` says when to come back.", "Too many requests");
    let retry = json!({ "description": "Seconds to wait.", "schema": { "type": "integer", "minimum": 1 } });
    limited["headers"] = json!({ "Retry-After": retry });
    let mut away = plain("The store or the queue cannot answer now; nothing was changed.", UNAVAILABLE_DETAIL);
    away["headers"] = json!({ "Retry-After": retry });
    let entries = [
        ("BadRequest", plain("Not JSON, or a wrong parameter.", "The parameter page is invalid")),
        ("Unauthorized", plain("No token, or one that is not believed.", UNAUTHORIZED)),
        ("Forbidden", plain("The role or the company's plan does not reach.", "Forbidden")),
        ("NotFound", plain("Unknown, or of another company.", NOT_FOUND)),
        ("RequestTimeout", plain("The body did not come in time.", "The request body took too long")),
        ("PayloadTooLarge", plain("The body is too large.", "The request body is too large")),
        ("RangeNotSatisfiable", plain("The range lies outside the file.", OUTSIDE_DETAIL)),
        ("Unprocessable", unprocessable()),
        ("TooManyRequests", limited),
        (
            "InternalError",
            plain("A fault of this server, with the id of the request to name when asking.", INTERNAL_DETAIL),
        ),
        ("Unavailable", away),
    ];
    Value::Object(entries.into_iter().map(|(name, answer)| (name.to_owned(), answer)).collect::<Map<_, _>>())
}

fn unprocessable() -> Value {
    json!({ "description": "Fields of the body are wrong, or the state of things does not allow it (then with a `code`).",
        "content": { "application/json": {
            "schema": { "anyOf": [
                { "$ref": "#/components/schemas/Error" }, { "$ref": "#/components/schemas/ValidationError" }
            ]},
            "examples": {
                "fields": { "summary": "Wrong fields", "value": { "errors": { "name": ["can't be blank"] } } },
                "state": { "summary": "Refused", "value": { "errors": { "detail": "The queue is full.", "code": "queue_full" } } }
            }
        }}
    })
}

fn error_schema() -> Value {
    json!({ "type": "object", "required": ["errors"], "properties": { "errors": {
        "type": "object", "required": ["detail"], "properties": {
            "detail": { "type": "string", "description": "A sentence for people." },
            "code": { "type": "string", "description": "A word for programs." },
            "request_id": { "type": "string", "description": "What to name when asking about a fault." }
        }
    }}})
}

fn validation_schema() -> Value {
    json!({ "type": "object", "required": ["errors"], "properties": { "errors": {
        "type": "object", "description": "Of each wrong field, what is wrong with it.",
        "additionalProperties": { "type": "array", "items": { "anyOf": [
            { "type": "string" },
            { "type": "object", "description": "Of a list of objects: what is wrong with the one at this place, from 0.",
              "required": ["index", "errors"],
              "properties": { "index": { "type": "integer", "minimum": 0 }, "errors": { "type": "object" } } }
        ]}}
    }}})
}
