//! Foreign text on its way to people: without anything that is obeyed or hides something, and not longer than it may be.

use serde_json::Value;
use std::borrow::Cow;

/// Without control characters other than the end of a line, and without what turns the direction of writing.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    if !text.contains(is_changed) {
        return text.into();
    }
    let kept = |c: char| match c {
        '\t' | '\u{2028}' | '\u{2029}' => Some(' '),
        c => (!is_removed(c)).then_some(c),
    };
    text.chars().filter_map(kept).collect::<String>().into()
}

/// The same in one line.
pub(super) fn line(text: &str) -> String {
    clean(&text.replace(['\n', '\r'], " ")).into_owned()
}

fn is_changed(c: char) -> bool {
    is_removed(c) || matches!(c, '\t' | '\u{2028}' | '\u{2029}')
}

fn is_removed(c: char) -> bool {
    let turns =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || (c.is_control() && c != '\n')
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_obeyed_is_removed_and_what_is_written_stays() {
        let text = "a\0b\u{1b}[31m\u{202e}c\u{2066}d\u{200f}\r\n\te\u{2028}f 👩\u{200d}👧 ß";
        assert_eq!(clean(text), "ab[31mcd\n e f 👩\u{200d}👧 ß");
        assert_eq!(line("a\nb\r\nc"), "a b  c");
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
        assert_eq!(cut("abcde", 4, char::len_utf8), "a…");
        assert_eq!(cut("abcde", 4, |_| 1), "abc…");
    }
}
