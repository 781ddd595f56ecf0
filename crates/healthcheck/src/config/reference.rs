//! Writes docs/configuration.md: every key with its type, default and meaning, from the schema and from what an
//! almost empty configuration becomes. A default is never written down for the documentation alone.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use serde_json::Value as Json;
use toml::{Table, Value};

use super::raw::schema;
use super::tests::load_text;

const INTRODUCTION: &str = include_str!("reference_introduction.md");
/// One of everything, with nothing but what is required: all else that it becomes is a default.
const SAMPLE: &str = include_str!("../../tests/valid_configs/minimal.toml");

/// A table of the file: its schema, what the sample says in its place, and what that becomes.
#[derive(Clone, Copy)]
struct Section<'a> {
    schema: &'a Json,
    written: Option<&'a Value>,
    effective: Option<&'a Value>,
}

impl<'a> Section<'a> {
    fn key(self, name: &str) -> Self {
        let at = |value: Option<&'a Value>| value.and_then(|value| value.get(name));
        let schema = &self.schema["properties"][name];
        Self { schema, written: at(self.written), effective: at(self.effective) }
    }

    /// The first entry of a map or a list that is of this kind, or the first of all.
    fn entry(self, schema: &'a Json, kind: Option<&str>) -> Self {
        let of_kind = |value: &&Value| kind.is_none() || value.get("kind").and_then(Value::as_str) == kind;
        let first = |value: Option<&'a Value>| match value? {
            Value::Table(entries) => entries.values().find(of_kind),
            Value::Array(entries) => entries.first(),
            _ => None,
        };
        Self { schema, written: first(self.written), effective: first(self.effective) }
    }

    fn keys(self) -> Vec<(&'a str, Section<'a>)> {
        let keys = self.schema["properties"].as_object().into_iter().flatten();
        keys.filter(|(name, _)| *name != "kind").map(|(name, _)| (name.as_str(), self.key(name))).collect()
    }

    fn is_leaf(self) -> bool {
        let kind = |schema: &Json| schema["type"] == "object" || !schema["oneOf"].is_null();
        !kind(self.schema) && !kind(&self.schema["items"])
    }

    /// The table as it is written in the file.
    fn title(self, name: &str) -> String {
        match self.schema {
            schema if schema["additionalProperties"].is_object() => format!("## `[{name}.NAME]`"),
            schema if schema["items"].is_object() => format!("## `[[{name}]]`"),
            _ => format!("## `[{name}]`"),
        }
    }

    fn meaning(self) -> &'a str {
        self.schema["description"].as_str().unwrap()
    }
}

fn reference() -> String {
    let schema = serde_json::to_value(schema()).unwrap();
    let effective = Value::try_from(load_text(SAMPLE)).unwrap();
    let written = Value::Table(SAMPLE.parse::<Table>().unwrap());
    let root = Section { schema: &schema, written: Some(&written), effective: Some(&effective) };
    let mut out = INTRODUCTION.to_owned();
    rows(&mut out, root);
    for (name, section) in root.keys().into_iter().filter(|(_, section)| !section.is_leaf()) {
        heading(&mut out, &section.title(name), section.meaning());
        body(&mut out, name, section);
    }
    out
}

fn heading(out: &mut String, title: &str, meaning: &str) {
    writeln!(out, "\n{title}\n\n{meaning}.").unwrap();
}

/// What is in a section: its own keys, then those of the tables in it.
fn body(out: &mut String, path: &str, section: Section<'_>) {
    let entries = &section.schema["additionalProperties"];
    if entries.is_object() {
        kinds_or_rows(out, &format!("{path}.NAME"), section, entries);
        return;
    }
    let items = &section.schema["items"];
    rows(out, if items.is_object() { section.entry(items, None) } else { section });
    for (name, inner) in section.keys().into_iter().filter(|(_, inner)| !inner.is_leaf()) {
        heading(out, &format!("### `[{path}.{name}]`"), inner.meaning());
        rows(out, inner);
    }
}

fn kinds_or_rows(out: &mut String, path: &str, section: Section<'_>, entries: &Json) {
    rows(out, section.entry(entries, None));
    for variant in entries["oneOf"].as_array().into_iter().flatten() {
        let kind = variant["properties"]["kind"]["const"].as_str().unwrap();
        let of_kind = section.entry(variant, Some(kind));
        heading(out, &format!("### `[{path}]` with `kind = \"{kind}\"`"), of_kind.meaning());
        rows(out, of_kind);
    }
}

fn rows(out: &mut String, section: Section<'_>) {
    let keys: Vec<_> = section.keys().into_iter().filter(|(_, key)| key.is_leaf()).collect();
    if keys.is_empty() {
        return;
    }
    writeln!(out, "\n| key | type | default | meaning |\n|---|---|---|---|").unwrap();
    let required = section.schema["required"].as_array().cloned().unwrap_or_default();
    for (name, key) in keys {
        let default = if required.contains(&name.into()) { "required".to_owned() } else { default_of(key) };
        writeln!(
            out,
            "| `{name}` | {} | {default} | {} |",
            type_of(key.schema),
            key.meaning().replace('\n', " ")
        )
        .unwrap();
    }
}

fn default_of(key: Section<'_>) -> String {
    match key.effective {
        Some(value) if key.written.is_none() => format!("`{value}`"),
        _ => "–".to_owned(),
    }
}

fn type_of(schema: &Json) -> String {
    if let Some(words) = schema["enum"].as_array() {
        return words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" ");
    }
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (_, Some("time-span")) => "duration".to_owned(),
        (_, Some(format @ ("size" | "share"))) => format.to_owned(),
        (Some("array"), _) => format!("list of {}", type_of(&schema["items"])),
        (Some("string"), _) => "text".to_owned(),
        (Some("boolean"), _) => "true or false".to_owned(),
        _ => "number".to_owned(),
    }
}

#[test]
fn the_reference_is_the_kept_one() {
    let text = reference();
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&kept, &text).unwrap();
    }
    let same = fs::read_to_string(&kept).is_ok_and(|kept| kept == text);
    assert!(same, "docs/configuration.md is out of date: run the tests with UPDATE_DOCS=1");
}

/// A key that the sample does not have would be documented without its default.
#[test]
fn the_sample_has_one_of_everything() {
    let text = reference();
    for default in
        ["`cooldown` | duration | `\"5m\"`", "`ttl` | duration | `\"30s\"`", "`tls` | `\"starttls\""]
    {
        assert!(text.contains(default), "{default}");
    }
    let without = text.lines().filter(|line| line.starts_with("| `for`") && line.contains("| – |")).count();
    assert_eq!(without, 0, "{text}");
}
