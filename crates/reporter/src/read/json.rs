//! JSON from strangers: a tree that borrows from the text, with a limit on everything that can grow.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;

pub(super) const MAX_DEPTH: usize = 32;
pub(super) const MAX_VALUES: usize = 20_000;
pub(super) const MAX_KEYS: usize = 1_024;
pub(super) const MAX_STRING_BYTES: usize = 64 * 1024;

/// Objects with more keys than this look for repeated ones in a set; a report has about 30.
const FEW_KEYS: usize = 48;
/// Room that is made at once for the entries of the outermost object, and of those inside of it.
const ROOM: [usize; 2] = [36, 8];

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Json<'a> {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Float(f64),
    Text(Cow<'a, str>),
    Array(Vec<Json<'a>>),
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

/// Parses `bytes`, which must hold exactly one JSON value. The error names the limit that was passed, or the
/// place; never the content.
pub(super) fn parse(bytes: &[u8]) -> Result<Json<'_>, String> {
    let values = Cell::new(0);
    // Once for all, and not again for each text in it.
    let text = std::str::from_utf8(bytes).map_err(|error| match error.error_len() {
        Some(_) => format!("no UTF-8 at byte {}", error.valid_up_to()),
        None => describe_torn(),
    })?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let tree = Bounded { values: &values, depth: 0 }.deserialize(&mut deserializer);
    tree.and_then(|tree| deserializer.end().map(|()| tree)).map_err(|error| describe(&error))
}

fn describe(error: &serde_json::Error) -> String {
    if error.is_eof() { describe_torn() } else { error.to_string() }
}

fn describe_torn() -> String {
    "the text ends too early (torn or empty)".to_owned()
}

impl Json<'_> {
    /// The kind of value, for messages.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Int(_) | Self::UInt(_) | Self::Float(_) => "a number",
            Self::Text(_) => "a text",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }

    pub(super) const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    pub(super) fn into_value(self) -> serde_json::Value {
        use serde_json::Value;
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(value),
            Self::Int(number) => number.into(),
            Self::UInt(number) => number.into(),
            Self::Float(number) => number.into(),
            Self::Text(text) => Value::String(text.into_owned()),
            Self::Array(items) => items.into_iter().map(Json::into_value).collect(),
            Self::Object(entries) => {
                entries.into_iter().map(|(key, value)| (key.into_owned(), value.into_value())).collect()
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Bounded<'c> {
    values: &'c Cell<usize>,
    depth: usize,
}

impl Bounded<'_> {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            return Err(E::custom(format_args!("nested deeper than {MAX_DEPTH}")));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }

    fn count<E: Error>(self) -> Result<(), E> {
        self.values.set(self.values.get() + 1);
        if self.values.get() > MAX_VALUES {
            return Err(E::custom(format_args!("more than {MAX_VALUES} values")));
        }
        Ok(())
    }
}

fn short_enough<E: Error>(text: &str) -> Result<(), E> {
    if text.len() > MAX_STRING_BYTES {
        return Err(E::custom(format_args!("a text longer than {MAX_STRING_BYTES} bytes")));
    }
    Ok(())
}

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Json<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json<'de>, D::Error> {
        self.count()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded<'_> {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Json<'de>, E> {
        Ok(Json::Int(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Json<'de>, E> {
        Ok(Json::UInt(number))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Json<'de>, E> {
        Ok(Json::Float(number))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Json<'de>, E> {
        short_enough(text)?;
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Json<'de>, E> {
        short_enough(text)?;
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Json<'de>, A::Error> {
        let inner = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Json::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Json<'de>, A::Error> {
        let inner = self.deeper()?;
        let mut entries: Vec<(Cow<'de, str>, Json<'de>)> = Vec::new();
        let room = if self.depth == 0 { ROOM[0] } else { ROOM[1] };
        while let Some(key) = access.next_key_seed(Key)? {
            if entries.len() >= MAX_KEYS {
                return Err(A::Error::custom(format_args!("an object with more than {MAX_KEYS} keys")));
            }
            // An empty object takes none.
            if entries.is_empty() {
                entries.reserve_exact(room);
            }
            entries.push((key, access.next_value_seed(inner)?));
        }
        if has_repeated_key(&entries) {
            return Err(A::Error::custom("a key stands twice in one object"));
        }
        Ok(Json::Object(entries))
    }
}

/// A key, borrowed from the text where it has no escapes.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E: Error>(self, key: &'de str) -> Result<Self::Value, E> {
        short_enough(key)?;
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        short_enough(key)?;
        Ok(Cow::Owned(key.to_owned()))
    }
}

fn has_repeated_key(entries: &[(Cow<'_, str>, Json<'_>)]) -> bool {
    if entries.len() <= FEW_KEYS {
        return has_repeated_of_few(entries);
    }
    let mut seen = HashSet::with_capacity(entries.len());
    entries.iter().any(|(key, _)| !seen.insert(key.as_ref()))
}

/// Only keys whose mark was there before are compared with the others.
fn has_repeated_of_few(entries: &[(Cow<'_, str>, Json<'_>)]) -> bool {
    let mut marks = 0_u64;
    entries.iter().enumerate().any(|(at, (key, _))| {
        let mark = 1 << (mark_of(key.as_bytes()) & 63);
        let is_new = marks & mark == 0;
        marks |= mark;
        !is_new && entries[..at].iter().any(|(other, _)| other == key)
    })
}

/// A number that differs for most keys of a report.
fn mark_of(key: &[u8]) -> usize {
    let (first, last) = (key.first().copied().unwrap_or(0), key.last().copied().unwrap_or(0));
    let middle = key.get(key.len() / 2).copied().unwrap_or(0);
    key.len()
        ^ usize::from(first).wrapping_mul(7)
        ^ usize::from(middle).wrapping_mul(13)
        ^ usize::from(last) << 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_named() {
        let deep = "[".repeat(100) + &"]".repeat(100);
        let many = format!("[{}1]", "1,".repeat(MAX_VALUES));
        let wide =
            format!("{{{}}}", (0..=MAX_KEYS).map(|n| format!("\"{n}\":1")).collect::<Vec<_>>().join(","));
        let long = format!("\"{}\"", "x".repeat(MAX_STRING_BYTES + 1));
        let repeated_late =
            format!("{{{},\"3\":1}}", (0..50).map(|n| format!("\"{n}\":1")).collect::<Vec<_>>().join(","));
        for (text, problem) in [
            (deep.as_str(), "nested deeper"),
            (&many, "more than 20000 values"),
            (&wide, "more than 1024 keys"),
            (&long, "longer than 65536"),
            (&repeated_late, "stands twice"),
            (r#"{"a":1,"a":2}"#, "stands twice"),
            (r#"{"a":1,"\u0061":2}"#, "stands twice"),
            ("{\"a\":", "ends too early"),
            ("", "ends too early"),
            ("{} {}", "trailing"),
            ("[NaN]", "expected value"),
            ("[1e999]", "number out of range"),
            ("\"\u{1}\"", "control character"),
        ] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(problem), "{problem}: {error}");
        }
        assert!(parse(b"\"\xff\"").is_err());
    }

    #[test]
    fn text_without_escapes_is_borrowed() {
        let Json::Object(entries) = parse(br#"{"key":"value"}"#).unwrap() else { panic!("no object") };
        assert!(matches!(entries[0], (Cow::Borrowed("key"), Json::Text(Cow::Borrowed("value")))));
    }
}
