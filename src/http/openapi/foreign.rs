//! Owns the description of the errors of the few operations that speak another product's format (`http/foreign_errors`).

use serde_json::{Value, json};

use crate::http::caller::MISSING_TOKEN;
use crate::http::error::{INTERNAL_DETAIL, NOT_FOUND, UNAUTHORIZED, UNAVAILABLE_DETAIL};
use crate::http::foreign_errors::BURKI_UNAUTHORIZED;
use crate::http::sending::OUTSIDE_DETAIL;

const EVOLUX: &str = "Evolux";
/// What those of Burki's export begin with.
pub const BURKI: &str = "Burki";

/// What the names of an operation's error answers begin with.
pub fn prefix_of(path: &str) -> &'static str {
    match path {
        "/api/v1/calls/export" => BURKI,
        path if path.starts_with("/api/v1/dialer/") => EVOLUX,
        _ => "",
    }
}

/// Adds their answers and schemas.
pub fn add(document: &mut Value) {
    let evolux = json!({ "type": "object", "required": ["meta"],
        "properties": { "meta": { "$ref": "#/components/schemas/EvoluxMeta" } } });
    let burki = json!({ "type": "object", "required": ["detail"], "properties": { "detail": { "type": "string" } } });
    document["components"]["schemas"]["EvoluxError"] = evolux;
    document["components"]["schemas"]["BurkiError"] = burki;
    for (name, status, description, detail) in [
        ("BadRequest", 400, "No token, or a wrong parameter.", MISSING_TOKEN),
        ("Unauthorized", 401, "A token that is not believed.", UNAUTHORIZED),
        ("Forbidden", 403, "The role does not reach.", "Forbidden"),
        ("NotFound", 404, "Unknown, or of another company.", NOT_FOUND),
        ("RangeNotSatisfiable", 416, "The range lies outside the file.", OUTSIDE_DETAIL),
        ("InternalError", 500, "A fault of this server; `x-request-id` is what to name when asking.", INTERNAL_DETAIL),
        ("Unavailable", 503, "The store cannot answer now; `Retry-After` says when to come back.", UNAVAILABLE_DETAIL),
    ] {
        let body = json!({ "meta": { "status": status, "message": format!("{detail}.") } });
        put(document, EVOLUX, name, described(description, "EvoluxError", &body));
        let detail = if status == 401 { BURKI_UNAUTHORIZED } else { detail };
        put(document, BURKI, name, described(description, "BurkiError", &json!({ "detail": detail })));
    }
    let busy = json!({ "detail": "Too many requests" });
    let busy = described("Too many exports at once; `Retry-After` says when to come back.", "BurkiError", &busy);
    put(document, BURKI, "TooManyRequests", busy);
    put(document, BURKI, "Unprocessable", wrong_parameters());
}

fn put(document: &mut Value, prefix: &str, name: &str, answer: Value) {
    document["components"]["responses"][format!("{prefix}{name}")] = answer;
}

fn described(description: &str, schema: &str, example: &Value) -> Value {
    json!({ "description": description, "content": { "application/json": {
        "schema": { "$ref": format!("#/components/schemas/{schema}") }, "example": example
    }}})
}

fn wrong_parameters() -> Value {
    let fault = json!({ "type": "object", "required": ["loc", "msg", "type"], "properties": {
        "loc": { "type": "array", "items": { "type": "string" } },
        "msg": { "type": "string" },
        "type": { "type": "string" }
    }});
    let example = json!({ "detail": [{
        "loc": ["query", "format"], "msg": "String should match pattern '^(csv|json)$'", "type": "string_pattern_mismatch"
    }]});
    json!({ "description": "Wrong parameters, all of them.", "content": { "application/json": {
        "schema": { "type": "object", "required": ["detail"], "properties": {
            "detail": { "type": "array", "items": fault }
        }},
        "example": example
    }}})
}
