//! Owns the values shown beside each parameter, body and answer. They are made of the schemas, so that they always fit them,
//! with familiar words where a field's name is familiar.

use serde_json::{Map, Value, json};

/// How deep an example goes; trees refer to themselves.
const DEPTH_MAX: u8 = 6;

/// Adds an example wherever there is none.
pub fn add(document: &mut Value) {
    let schemas = document["components"]["schemas"].clone();
    let Some(paths) = document["paths"].as_object_mut() else { return };
    let operations = paths.values_mut().filter_map(Value::as_object_mut).flat_map(Map::values_mut);
    for operation in operations {
        for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
            if parameter.get("example").is_none() {
                let name = parameter["name"].as_str().unwrap_or_default().to_owned();
                parameter["example"] = of_schema(&parameter["schema"], &name, &schemas, DEPTH_MAX);
            }
        }
        if let Some(body) = operation.get_mut("requestBody") {
            add_to_content(body, &schemas);
        }
        for answer in
            operation.get_mut("responses").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut)
        {
            add_to_content(answer, &schemas);
        }
    }
}

fn add_to_content(holder: &mut Value, schemas: &Value) {
    for (kind, content) in holder.get_mut("content").and_then(Value::as_object_mut).into_iter().flatten() {
        let has = content.get("example").is_some() || content.get("examples").is_some();
        if !has && kind.contains("json") && content.get("schema").is_some() {
            content["example"] = of_schema(&content["schema"], "", schemas, DEPTH_MAX);
        }
    }
}

fn of_schema(schema: &Value, name: &str, schemas: &Value, depth: u8) -> Value {
    if depth == 0 {
        return Value::Null;
    }
    if let Some(example) = schema.get("example").or_else(|| schema.get("default")) {
        return example.clone();
    }
    if let Some(named) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return of_schema(&schemas[named], name, schemas, depth);
    }
    if let Some(all) = schema["allOf"].as_array() {
        let mut merged = Map::new();
        for part in all {
            if let Value::Object(part) = of_schema(part, name, schemas, depth) {
                merged.extend(part);
            }
        }
        return Value::Object(merged);
    }
    if let Some(some) = schema["oneOf"].as_array().or_else(|| schema["anyOf"].as_array()) {
        let wanted = some.iter().find(|one| one["type"] != "null");
        return wanted.map_or(Value::Null, |one| of_schema(one, name, schemas, depth));
    }
    if let Some(words) = schema["enum"].as_array() {
        return words.first().cloned().unwrap_or(Value::Null);
    }
    match kind_of(schema) {
        "object" => {
            let fields = schema["properties"].as_object().into_iter().flatten();
            fields
                .map(|(field, schema)| (field.clone(), of_schema(schema, field, schemas, depth - 1)))
                .collect::<Map<_, _>>()
                .into()
        }
        "array" => match of_schema(&schema["items"], singular(name), schemas, depth - 1) {
            Value::Null => json!([]),
            item => json!([item]),
        },
        "integer" => integer(schema, name),
        "number" => json!(4.5),
        "boolean" => json!(true),
        "string" => text(schema, name),
        _ => Value::Null,
    }
}

/// The type that is not null.
fn kind_of(schema: &Value) -> &str {
    match &schema["type"] {
        Value::String(kind) => kind,
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or("null"),
        _ if schema.get("properties").is_some() => "object",
        _ => "null",
    }
}

fn singular(name: &str) -> &str {
    name.strip_suffix('s').unwrap_or(name)
}

fn integer(schema: &Value, name: &str) -> Value {
    let number = match name {
        "rating" => 5,
        "duration_minutes" => 30,
        "max_queue_size" => 20,
        "max_wait_time" => 300,
        name if name.ends_with("_seconds") || name.ends_with("_time") => 20,
        _ => 1,
    };
    let within = schema["maximum"].as_i64().map_or(number, |most| number.min(most));
    json!(schema["minimum"].as_i64().map_or(within, |least| within.max(least)))
}

fn text(schema: &Value, name: &str) -> Value {
    match schema["format"].as_str() {
        Some("uuid") if name == "duplicate_id" => return json!("7f8a9b4c-5d6e-4123-9def-012345678945"),
        Some("uuid") => return json!("4c5d6e7f-8a9b-4123-8def-456789012345"),
        // What must lie ahead has to be true for long: people try these out as they are.
        Some("date-time") if ["scheduled_at", "expires_at"].contains(&name) => return json!("2099-02-20T10:00:00Z"),
        Some("date-time") => return json!("2026-02-20T10:00:00Z"),
        Some("email") => return json!("carlos@email.com"),
        Some("password") => return json!("correct horse battery"),
        Some("binary") => return Value::Null,
        _ => {}
    }
    json!(match name {
        "name" | "customer_name" => "Carlos Ferreira",
        "user_name" => "João Silva",
        "department_name" => "Suporte Técnico",
        "company" | "company_name" => "Avanter",
        "tenant" | "slug" => "avanter",
        "identifier" => "suporte-tecnico",
        "email" | "customer_email" => "carlos@email.com",
        "phone" | "customer_phone" => "+5511999998888",
        "document" => "123.456.789-00",
        "color" | "primary_color" => "#3b82f6",
        "locale" | "language" => "pt-BR",
        "time_zone" => "America/Sao_Paulo",
        "title" => "Consulta de acompanhamento",
        "reason" => "Second invoice",
        "secret" => "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLXyf",
        "avatar_url" | "logo_url" => "https://example.com/logo.png",
        "url" | "download_url" => "https://example.com/call/abc123def456",
        "token" | "access_token" | "refresh_token" | "mfa_token" => "eyJhbGciOi...",
        "code" => "123456",
        "date_from" => "2026-02-01",
        "date_to" => "2026-02-28",
        "skill" | "required_skill" => "pt",
        "Idempotency-Key" => "6c1f1f5e-order-4711",
        _ => "text",
    })
}
