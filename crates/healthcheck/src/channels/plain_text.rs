//! Foreign text on its way to people: without anything that is obeyed or hides something, and not longer than it may be.

use healthcheck_core::alerts::Notice;
use serde_json::Value;
use std::borrow::Cow;
use std::fmt::Write;

/// What is told of what a server or a program says.
pub(super) const WORDS_BYTES: usize = 200;
/// What is told of an error, with what was said in it.
pub(super) const ERROR_BYTES: usize = 512;

/// Without control characters other than the end of a line, and without what turns the direction of writing.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    if !text.contains(|c| c != '\n' && is_special(c)) {
        return text.into();
    }
    let kept = |c: char| match c {
        '\t' => Some(' '),
        '\n' | '\r' | '\u{2028}' | '\u{2029}' => Some('\n'),
        c => (!is_special(c)).then_some(c),
    };
    text.replace("\r\n", "\n").chars().filter_map(kept).collect::<String>().into()
}

/// The same in one line.
pub(super) fn line(text: &str) -> String {
    clean(text).replace('\n', " ")
}

/// The same, at most so many bytes.
pub(super) fn short_line(text: &str, limit: usize) -> String {
    cut(&line(text), limit, char::len_utf8).into_owned()
}

/// Whether it is no plain letter: it controls something, ends a line, or turns the text around.
fn is_special(c: char) -> bool {
    let turns =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// At most `limit`, as each character weighs; what is cut off is marked.
pub(super) fn cut(text: &str, limit: usize, weight: fn(char) -> usize) -> Cow<'_, str> {
    let (mut sum, mut end_with_mark) = (0, 0);
    let room = limit.saturating_sub(weight('…'));
    for (at, c) in text.char_indices() {
        sum += weight(c);
        if sum <= room {
            end_with_mark = at + c.len_utf8();
        }
        if sum > limit {
            return format!("{}…", &text[..end_with_mark]).into();
        }
    }
    text.into()
}

/// Each text in it clean; names of members too, since a service may be one.
pub(super) fn clean_json(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(clean(&text).into_owned()),
        Value::Array(values) => values.into_iter().map(clean_json).collect(),
        Value::Object(members) => {
            members.into_iter().map(|(name, value)| (line(&name), clean_json(value))).collect()
        }
        value => value,
    }
}

/// The notice as JSON in one line: its strings are whole, and what is special in them is escaped.
pub(super) fn json(notice: &Notice) -> serde_json::Result<String> {
    let plain = serde_json::to_string(notice)?;
    let mut out = String::with_capacity(plain.len() + 1);
    for c in plain.chars() {
        if is_special(c) {
            // None of them is beyond the first plane; and writing to a string does not fail.
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out.push('\n');
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::super::specimen;
    use super::*;

    #[test]
    fn what_is_obeyed_is_removed_and_what_is_written_stays() {
        let text = "a\0b\u{1b}[31m\u{202e}c\u{2066}d\u{200f}\r\n\te\u{2028}f\rg\u{85} 👩\u{200d}👧 ß";
        assert_eq!(clean(text), "ab[31mcd\n e\nf\ng 👩\u{200d}👧 ß");
        assert_eq!(line("a\nb\r\nc\u{2029}d"), "a b c d");
        assert_eq!(
            clean_json(serde_json::json!({"a\n\0": ["\u{202e}b", 1]})),
            serde_json::json!({"a ": ["b", 1]})
        );
    }

    #[test]
    fn a_cut_is_between_characters_and_within_the_limit() {
        for limit in 3..40 {
            let text = "aß日😀 and more of it 😀😀😀";
            let cut_off = cut(text, limit, char::len_utf8);
            assert!(cut_off.len() <= limit && (cut_off == text || cut_off.ends_with('…')), "{cut_off}");
            let cut_off = cut(text, limit, char::len_utf16);
            assert!(cut_off.encode_utf16().count() <= limit, "{cut_off}");
        }
        assert_eq!(cut("abcd", 4, char::len_utf8), "abcd");
        assert_eq!(cut("abcde", 4, |_| 1), "abc…");
        assert_eq!(short_line("a\nbcde", 5), "a …");
    }

    #[test]
    fn json_is_one_line_that_is_read_as_it_was_meant() {
        for text in specimen::naughty() {
            let notice = specimen::saying(&text);
            let line = json(&notice).unwrap();
            assert_eq!(line.matches('\n').count(), 1);
            assert!(!line.trim_end().chars().any(is_special), "{line:?}");
            assert_eq!(serde_json::from_str::<Notice>(&line).unwrap(), notice);
        }
    }
}
