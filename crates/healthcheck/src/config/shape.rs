//! Compares what is written with what may be written: unknown keys, wrong kinds of value, missing keys.
//! What does not fit is reported and taken out, so that the rest can still be judged.

use serde_json::Value as Json;
use toml::{Table, Value};

use super::problems::{Scope, quoted};

/// Words that announce a secret; a value under such a key is never shown.
const SECRET_WORDS: [&str; 9] =
    ["token", "password", "passwd", "secret", "auth", "api_key", "apikey", "credential", "private_key"];
/// Below this likeness (Jaro–Winkler, 0 to 1) a suggestion is more confusing than helpful.
const ALIKE: f64 = 0.8;

/// Takes out of the table, and reports, everything that the schema does not know.
pub(super) fn keep_known(table: &mut Table, schema: &Json, at: &Scope<'_>) {
    check_table(table, schema, at);
}

/// Whether the value fits; if not, it was reported.
fn check(value: &mut Value, schema: &Json, at: &Scope<'_>) -> bool {
    match (schema_type(schema), value) {
        ("object", Value::Table(table)) => check_table(table, schema, at),
        ("array", Value::Array(items)) => check_items(items, &schema["items"], at),
        ("object" | "array", other) => refuse_shape(other, schema, at),
        (_, leaf) => check_leaf(leaf, schema, at),
    }
}

fn schema_type(schema: &Json) -> &str {
    schema["type"].as_str().unwrap_or("object")
}

fn check_table(table: &mut Table, schema: &Json, at: &Scope<'_>) -> bool {
    if let Some(entries) = schema.get("additionalProperties").filter(|entries| entries.is_object()) {
        table.retain(|name, value| check(value, entries, &at.key(name)));
        return true;
    }
    let Some(variant) = chosen_variant(table, schema, at) else { return false };
    let known = Known { parts: [schema, variant] };
    known.report_missing(table, at);
    table.retain(|name, value| match known.key(name) {
        Some(expected) => check(value, expected, &at.key(name)),
        None => known.refuse_unknown(name, at),
    });
    true
}

/// Of a table whose keys depend on its `kind`: the part of the schema for this kind; `Null` for all other tables.
fn chosen_variant<'s>(table: &Table, schema: &'s Json, at: &Scope<'_>) -> Option<&'s Json> {
    let Some(variants) = schema["oneOf"].as_array() else { return Some(&Json::Null) };
    let kinds: Vec<&str> = variants.iter().filter_map(kind_of).collect();
    let cure = || format!("write one of {}", kinds.join(", "));
    match table.get("kind") {
        None => at.key("kind").refuse_unshown("is missing", cure()),
        Some(Value::String(kind)) => match variants.iter().find(|variant| kind_of(variant) == Some(kind)) {
            Some(variant) => return Some(variant),
            None => at.key("kind").refuse(kind, "is not known", nearest(kind, &kinds).unwrap_or_else(cure)),
        },
        Some(_) => at.key("kind").refuse_unshown("must be text", cure()),
    }
    None
}

fn kind_of(variant: &Json) -> Option<&str> {
    variant["properties"]["kind"]["const"].as_str()
}

/// The keys of one table: those of all kinds, and those of its kind.
struct Known<'s> {
    parts: [&'s Json; 2],
}

impl Known<'_> {
    fn key(&self, name: &str) -> Option<&Json> {
        self.parts.iter().find_map(|part| part["properties"].get(name))
    }

    fn names(&self) -> Vec<&str> {
        let keys = self.parts.iter().filter_map(|part| part["properties"].as_object());
        keys.flat_map(|keys| keys.keys().map(String::as_str)).collect()
    }

    fn report_missing(&self, table: &Table, at: &Scope<'_>) {
        let required = self.parts.iter().filter_map(|part| part["required"].as_array()).flatten();
        for name in required.filter_map(Json::as_str).filter(|name| !table.contains_key(*name)) {
            let example = self.key(name).and_then(|key| key["examples"].get(0)).map(Json::to_string);
            let cure = example.map_or_else(String::new, |example| format!("write {name} = {example}"));
            at.key(name).refuse_unshown("is missing", cure);
        }
    }

    /// The value of an unknown key is not shown: it may be a secret under a misspelt name.
    fn refuse_unknown(&self, name: &str, at: &Scope<'_>) -> bool {
        let at = at.key(name);
        let names = self.names();
        let in_file = format!("{name}_file");
        if names.contains(&in_file.as_str()) {
            at.refuse_unshown(
                "must not be in the configuration",
                format!("put it in a file and write {in_file} = \"/path\""),
            );
        } else if let Some(cure) = nearest(name, &names) {
            at.refuse_unshown("unknown key", cure);
        } else if is_secret(name) {
            at.refuse_unshown("unknown key; secrets are read from files only", known_list(&names));
        } else {
            at.refuse_unshown("unknown key", known_list(&names));
        }
        false
    }
}

fn known_list(names: &[&str]) -> String {
    format!("known here: {}", names.join(", "))
}

/// "did you mean …", where something is alike.
fn nearest(name: &str, names: &[&str]) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    let likeness = |known: &str| strsim::jaro_winkler(&lower, &known.to_ascii_lowercase());
    let best = names.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(best) >= ALIKE).then(|| format!("did you mean \"{best}\"?"))
}

fn is_secret(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| lower.contains(word))
}

/// All items are looked at, also after one that does not fit.
fn check_items(items: &mut [Value], schema: &Json, at: &Scope<'_>) -> bool {
    let mut all_fit = true;
    for (index, item) in items.iter_mut().enumerate() {
        all_fit &= check(item, schema, &at.index(index));
    }
    all_fit
}

/// The value is not shown: a whole table or list is too long, and text in the place of a table may be a secret.
fn refuse_shape(value: &Value, schema: &Json, at: &Scope<'_>) -> bool {
    let (wanted, cure) = match schema_type(schema) {
        "array" if schema_type(&schema["items"]) == "object" => {
            ("a list of tables", format!("write it like [[{}]] with its keys below", at.path()))
        }
        "array" => ("a list", format!("write it like {}", example_of(schema, "[\"…\"]"))),
        _ => ("a table", format!("write it like [{}] with its keys below", at.path())),
    };
    at.refuse_unshown(format!("must be {wanted}, not {}", kind_of_value(value)), cure);
    false
}

fn kind_of_value(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "text",
        Value::Integer(_) | Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}

fn example_of(schema: &Json, otherwise: &str) -> String {
    schema["examples"].get(0).map_or_else(|| otherwise.to_owned(), Json::to_string)
}

fn check_leaf(value: &Value, schema: &Json, at: &Scope<'_>) -> bool {
    if let Some(words) = schema["enum"].as_array() {
        return check_word(value, words, at);
    }
    let fits = match schema_type(schema) {
        "string" => value.is_str(),
        "integer" => value.is_integer(),
        "boolean" => value.is_bool(),
        _ => value.is_integer() || value.is_float(),
    };
    if !fits {
        refuse_leaf(value, schema, at);
    }
    fits
}

fn check_word(value: &Value, words: &[Json], at: &Scope<'_>) -> bool {
    let words: Vec<&str> = words.iter().filter_map(Json::as_str).collect();
    let cure = || format!("write one of {}", words.join(", "));
    match value {
        Value::String(word) if words.contains(&word.as_str()) => return true,
        Value::String(word) => at.refuse(word, "is not known", nearest(word, &words).unwrap_or_else(cure)),
        other => at.refuse_unshown(format!("must be text, not {}", kind_of_value(other)), cure()),
    }
    false
}

fn refuse_leaf(value: &Value, schema: &Json, at: &Scope<'_>) {
    let (wanted, cure) = match (schema_type(schema), schema["format"].as_str(), value) {
        (_, Some("time-span"), Value::Integer(n)) => {
            ("a duration with its unit", format!("write \"{n}s\" for seconds"))
        }
        (_, Some("time-span"), _) => ("a duration with its unit", "write it like \"30s\"".to_owned()),
        (_, Some("size"), _) => ("a size with its unit", "write it like \"512MiB\"".to_owned()),
        (_, Some("share"), Value::Integer(n)) => ("a share with its sign", format!("write \"{n}%\"")),
        (_, Some("share"), _) => ("a share with its sign", "write it like \"90%\"".to_owned()),
        ("string", _, Value::Integer(n)) if !is_secret(at.path()) => {
            ("text", format!("write it in quotes: \"{n}\""))
        }
        ("string", ..) => ("text", format!("write it like {}", example_of(schema, "\"…\""))),
        ("boolean", ..) => ("true or false", "write it without quotes".to_owned()),
        _ => ("a number", format!("write it like {}", example_of(schema, "1.5"))),
    };
    let problem = format!("must be {wanted}, not {}", kind_of_value(value));
    match value {
        Value::String(text) => at.refuse(text, problem, cure),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) if !is_secret(at.path()) => {
            at.refuse_plain(value, problem, cure);
        }
        _ => at.refuse_unshown(problem, cure),
    }
}

/// The names in a list, as they are shown in a cure.
pub(super) fn suggestion<'n>(name: &str, names: impl Iterator<Item = &'n String>) -> String {
    let names: Vec<&str> = names.map(String::as_str).collect();
    nearest(name, &names).unwrap_or_else(|| match names.as_slice() {
        [] => "there are none".to_owned(),
        _ => format!("there are {}", names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ")),
    })
}
