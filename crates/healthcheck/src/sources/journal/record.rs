//! One record of the journal, as journalctl writes it in JSON.

use crate::sources::secrets::masked;
use jiff::Timestamp;
use serde_json::{Map, Value};

const MAX_LINE_BYTES: usize = 200;
/// Lines of one record.
const MAX_LINES: usize = 100;
/// journalctl tells nothing of what is longer than 4 KiB.
const TOO_LONG: &str = "(a message of more than 4 KiB)";

/// One record: its fields by name.
#[derive(Debug)]
pub(super) struct Record(Map<String, Value>);

impl Record {
    pub(super) fn parse(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok().map(Self)
    }

    /// Whether a field has this value, and no other.
    pub(super) fn is(&self, field: &str, value: &str) -> bool {
        self.0.get(field).and_then(Value::as_str) == Some(value)
    }

    /// The kernel's own, and not what others write into its log.
    pub(super) fn is_of_kernel(&self) -> bool {
        self.is("_TRANSPORT", "kernel") && self.is("SYSLOG_FACILITY", "0")
    }

    /// When the journal got it.
    pub(super) fn at(&self) -> Option<Timestamp> {
        let microseconds = self.0.get("__REALTIME_TIMESTAMP")?.as_str()?.parse().ok()?;
        Timestamp::from_microsecond(microseconds).ok()
    }

    pub(super) fn text(&self) -> String {
        match self.0.get("MESSAGE") {
            Some(Value::Null) => TOO_LONG.to_owned(),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(parts)) => of_parts(parts),
            _ => String::new(),
        }
    }

    /// What a program wrote, for people.
    pub(super) fn lines(&self) -> Vec<String> {
        let text = self.text();
        let mut lines: Vec<_> = text.lines().rev().take(MAX_LINES).map(line).collect();
        lines.retain(|line| !line.trim().is_empty());
        lines.reverse();
        lines
    }
}

/// Bytes, where it is not all printable, or several values, of which the first counts.
fn of_parts(parts: &[Value]) -> String {
    let bytes: Option<Vec<u8>> =
        parts.iter().map(|part| part.as_u64().and_then(|byte| u8::try_from(byte).ok())).collect();
    match bytes {
        Some(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        None => parts.iter().find_map(Value::as_str).unwrap_or_default().to_owned(),
    }
}

/// One line, without colours and secrets.
pub(super) fn line(text: &str) -> String {
    health_reporter::bounded(&masked(&without_escapes(text)), MAX_LINE_BYTES)
}

/// Without the sequences that colour a terminal: they would stand between a name and its secret.
fn without_escapes(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\u{1b}') {
        plain.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(sequence) = rest.strip_prefix('[') {
            let end = sequence.find(|c: char| ('@'..='~').contains(&c)).map_or(sequence.len(), |end| end + 1);
            rest = &sequence[end..];
        }
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(json: &str) -> Vec<String> {
        Record::parse(json).map(|record| record.lines()).unwrap_or_default()
    }

    #[test]
    fn each_form_of_a_message_is_understood() {
        assert_eq!(lines(r#"{"MESSAGE":"one\n\n  two\n"}"#), ["one", "  two"]);
        assert_eq!(lines(r#"{"MESSAGE":[27,91,51,49,109,114,255,27,91,48,109]}"#), ["r\u{fffd}"]);
        assert_eq!(lines(r#"{"MESSAGE":["first","second"]}"#), ["first"]);
        assert_eq!(lines(r#"{"MESSAGE":null}"#), [TOO_LONG]);
        for nothing in [r#"{"MESSAGE":7}"#, "{}", "[]", "", "-- No entries --", r#"{"MESSAGE":[300,[]]}"#] {
            assert_eq!(lines(nothing), [""; 0], "{nothing}");
        }
    }

    #[test]
    fn a_line_is_bounded_after_its_secrets_are_masked() {
        let long = line(&format!("{} password=hunter2", "x".repeat(185)));
        assert!(long.len() <= MAX_LINE_BYTES && !long.contains("hunter"), "{long}");
        assert_eq!(line("\u{1b}[1mpass\u{1b}[0mword\u{1b}[m=\u{1b}[31mhunter2\u{1b}[0m x"), "password=*** x");
        assert_eq!(line("a\u{7}\u{1b}"), "a\u{fffd}");
    }
}
