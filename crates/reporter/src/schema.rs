//! The JSON Schema of the health file: what readers accept, made from the types that writers fill.

use crate::report::{HealthReport, SCHEMA_VERSION};
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// More entries in a list are refused by readers.
const MAX_ENTRIES: u64 = 256;

/// The JSON Schema (draft 2020-12) of what readers accept: of the report itself only `overall_status` is
/// required, words may be in any case, numbers may have a fraction, null is as good as absent.
///
/// ```
/// let schema = health_reporter::schema::schema();
/// assert_eq!(schema["required"], serde_json::json!(["overall_status"]));
/// ```
#[must_use]
pub fn schema() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<HealthReport>().to_value();
    for definition in definitions(&mut schema) {
        accept_any_case(definition);
        accept_what_is_absent(definition);
    }
    accept_what_is_absent(&mut schema);
    bound(&mut schema);
    schema
}

fn definitions(schema: &mut Value) -> impl Iterator<Item = &mut Value> {
    schema.get_mut("$defs").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut)
}

/// Instead of the words on disk, a pattern for each.
fn accept_any_case(definition: &mut Value) {
    let Some(choices) = definition.get("oneOf").and_then(Value::as_array) else { return };
    let words: Vec<String> =
        choices.iter().filter_map(|choice| choice["const"].as_str()).map(any_case).collect();
    let pattern = format!("^({})$", words.join("|"));
    let described = choices.iter().filter_map(|choice| {
        Some(format!("`{}`: {}", choice["const"].as_str()?, choice["description"].as_str()?))
    });
    let described: Vec<String> = described.collect();
    let description = format!(
        "{} {} In any case; writers use lower case.",
        definition["description"].as_str().unwrap_or_default(),
        described.join(" ")
    );
    *definition = json!({ "description": description, "type": "string", "pattern": pattern });
}

fn any_case(word: &str) -> String {
    word.chars().map(|letter| format!("[{}{letter}]", letter.to_ascii_uppercase())).collect()
}

/// Readers take null for absent wherever a key may be absent, and cut the fraction off a count.
fn accept_what_is_absent(object: &mut Value) {
    let required = object.get("required").cloned().unwrap_or_default();
    let is_required =
        |key: &str| required.as_array().is_some_and(|keys| keys.iter().any(|other| other == key));
    let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) else { return };
    for (key, property) in properties {
        accept_fractions(property);
        if !is_required(key) {
            accept_null(property);
        }
    }
}

fn accept_fractions(property: &mut Value) {
    let Some(property) = property.as_object_mut() else { return };
    property.remove("format");
    let is_number = |kind: &Value| kind == "integer" || kind == "number";
    let types = match property.get("type") {
        Some(Value::Array(types)) => types.clone(),
        Some(one) => vec![one.clone()],
        None => return,
    };
    if types.iter().any(is_number) {
        property.insert("type".to_owned(), json!("number"));
        property.entry("minimum").or_insert(json!(0));
    }
}

fn accept_null(property: &mut Value) {
    let Some(fields) = property.as_object_mut() else { return };
    if let Some(reference) = fields.remove("$ref") {
        fields.insert("anyOf".to_owned(), json!([{ "$ref": reference }, { "type": "null" }]));
    }
    if let Some(Value::String(kind)) = fields.get("type").cloned() {
        fields.insert("type".to_owned(), json!([kind, "null"]));
    }
}

/// The limits that the types cannot say.
fn bound(schema: &mut Value) {
    for list in ["checks", "recent_errors", "depends_on", "watched_loops"] {
        schema["properties"][list]["maxItems"] = json!(MAX_ENTRIES);
    }
    schema["properties"]["schema_version"]["maximum"] = json!(SCHEMA_VERSION);
    schema["properties"]["pid"]["minimum"] = json!(1);
    schema["properties"]["pid"]["maximum"] = json!(i32::MAX);
    if let Some(deadline) = schema["properties"]["deadline_s"].as_object_mut() {
        deadline.remove("minimum");
    }
    if let Some(limit) = schema["$defs"]["WatchedLoop"]["properties"]["limit_s"].as_object_mut() {
        limit.remove("minimum");
        limit.insert("exclusiveMinimum".to_owned(), json!(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn kept() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/health-report.schema.json")
    }

    #[test]
    fn the_schema_that_is_kept_is_the_one_of_the_types() {
        let text = format!("{}\n", serde_json::to_string_pretty(&schema()).unwrap());
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(kept(), &text).unwrap();
        }
        let kept = std::fs::read_to_string(kept()).unwrap();
        assert!(kept == text, "docs/health-report.schema.json is old: run the tests with UPDATE_DOCS=1");
    }

    #[test]
    fn nothing_is_asked_for_that_readers_do_not_need() {
        let schema = schema();
        let text = schema.to_string();
        assert_eq!(schema["required"], json!(["overall_status"]));
        assert!(!text.contains("\"integer\"") && !text.contains("\"format\""), "{text}");
        let absent = |(_, property): (&String, &Value)| property.to_string().contains("null");
        let properties = schema["properties"].as_object().unwrap();
        assert_eq!(properties.iter().filter(|property| !absent(*property)).count(), 1);
    }
}
