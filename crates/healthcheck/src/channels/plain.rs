//! What services wrote, made harmless: without control characters and without marks that turn the text around.

use healthcheck_core::alerts::Notice;
use std::fmt::Write;

/// What of an error is told, in bytes.
pub(super) const ERROR_BYTES: usize = 200;

/// As one line, at most so many bytes long.
pub(super) fn one_line(text: &str, limit: usize) -> String {
    let breaks = |c: char| matches!(c, '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}');
    let line = text.chars().map(|c| if breaks(c) { ' ' } else { c }).filter(|c| !is_hostile(*c)).collect();
    cut(line, limit)
}

/// The same, its lines kept.
pub(super) fn lines(text: &str, limit: usize) -> String {
    let text = text.replace("\r\n", "\n").replace(['\r', '\u{2028}', '\u{2029}'], "\n");
    cut(text.chars().filter(|c| matches!(c, '\n' | '\t') || !is_hostile(*c)).collect(), limit)
}

/// The notice as JSON in one line: its strings are whole, and what is hostile in them is escaped.
pub(super) fn json(notice: &Notice) -> serde_json::Result<String> {
    let plain = serde_json::to_string(notice)?;
    let mut out = String::with_capacity(plain.len() + 1);
    for c in plain.chars() {
        if is_hostile(c) || matches!(c, '\u{2028}' | '\u{2029}') {
            // None of them is beyond the first plane; and writing to a string does not fail.
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out.push('\n');
    Ok(out)
}

fn is_hostile(c: char) -> bool {
    let turns =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns
}

fn cut(mut text: String, limit: usize) -> String {
    if text.len() > limit {
        text.truncate(text.floor_char_boundary(limit.saturating_sub('…'.len_utf8())));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::specimen;
    use super::*;

    #[test]
    fn what_turns_or_controls_is_gone() {
        assert_eq!(
            one_line("a\r\nb\tc\u{1b}[31m\u{202e}d\u{0}\u{85}\u{2066}e\u{2028}f", 99),
            "a  b c[31mde f"
        );
        assert_eq!(lines("a\r\nb\rc\u{2029}d\u{7f}\te\u{200f}", 99), "a\nb\nc\nd\te");
    }

    #[test]
    fn a_cut_is_at_a_character_and_seen() {
        for limit in 3..12 {
            let cut = one_line("äöü€😀", limit);
            assert!(cut.len() <= limit && cut.ends_with('…'), "{limit} {cut}");
        }
        assert_eq!(one_line("äöü", 6), "äöü");
    }

    #[test]
    fn json_is_one_line_that_is_read_as_it_was_meant() {
        for text in specimen::naughty() {
            let notice = specimen::saying(&text);
            let line = json(&notice).unwrap();
            assert_eq!(line.matches('\n').count(), 1);
            assert!(!line.trim_end().chars().any(is_hostile), "{line:?}");
            assert_eq!(serde_json::from_str::<Notice>(&line).unwrap(), notice);
        }
    }
}
