//! Text on a terminal: how wide it is, and that it is nothing but text.

use std::borrow::Cow;
use unicode_width::UnicodeWidthStr;

/// Columns that `text` takes.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// Foreign text without anything that a terminal would obey or hide: control characters, those that turn the
/// direction of writing, and those without a width. What joins emoji stays.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    if text.contains(is_obeyed_or_hidden) {
        let shown = |c: char| if is_obeyed_or_hidden(c) { '\u{fffd}' } else { c };
        return text.chars().map(shown).collect::<String>().into();
    }
    text.into()
}

fn is_obeyed_or_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200c}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{600}'..='\u{605}' | '\u{6dd}' | '\u{70f}' | '\u{8e2}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e007f}')
}

/// At most `columns` wide; what is cut off is marked.
pub(super) fn fit(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return text.into();
    }
    let head = &text[..end_within(text, columns.saturating_sub(1))];
    if columns == 0 { head.into() } else { format!("{head}…").into() }
}

/// Where the longest beginning ends that takes at most `columns`. Characters join with their neighbours: the width
/// of a text is not the sum of theirs.
fn end_within(text: &str, columns: usize) -> usize {
    let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
    ends.take_while(|end| width(&text[..*end]) <= columns).last().unwrap_or(0)
}

/// `text` in at most `limit` lines of at most `columns`, broken at blanks where there are any.
pub(super) fn wrapped(text: &str, columns: usize, limit: usize) -> Vec<String> {
    let mut rest = text.trim();
    let mut lines = Vec::new();
    while width(rest) > columns && lines.len() + 1 < limit {
        let end = line_end(rest, columns);
        lines.push(rest[..end].trim_end().to_owned());
        rest = rest[end..].trim_start();
    }
    if lines.is_empty() || !rest.is_empty() {
        lines.push(fit(rest, columns).into_owned());
    }
    lines
}

/// Where the first line of a text ends that is wider than `columns`: at a blank that is not too near its beginning,
/// else anywhere.
fn line_end(text: &str, columns: usize) -> usize {
    let end = end_within(text, columns).max(text.chars().next().map_or(0, char::len_utf8));
    if text[end..].starts_with(' ') {
        return end;
    }
    text[..end].rfind(' ').filter(|blank| width(&text[..*blank]) >= columns / 4).unwrap_or(end)
}

/// Padded with blanks to `columns`, as far as it is not wider.
pub(super) fn pad(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_characters_are_cut_at_their_width() {
        assert_eq!(fit("日本語テスト", 7), "日本語…");
        assert_eq!(width(&fit("日本語テスト", 6)), 5, "half a character is none");
        assert_eq!(fit("short", 5), "short");
        assert_eq!(fit("short", 0), "");
        assert_eq!(width(&pad("日本", 6)), 6);
    }

    #[test]
    fn nothing_is_left_that_a_terminal_obeys() {
        assert_eq!(printable("a\u{1b}[31mb\r\u{9b}\u{202e}"), "a\u{fffd}[31mb\u{fffd}\u{fffd}\u{fffd}");
    }

    #[test]
    fn lines_break_at_blanks_and_long_words_anywhere() {
        assert_eq!(wrapped("one two three four", 9, 9), ["one two", "three", "four"]);
        assert_eq!(wrapped("a 日本語テスト", 6, 9), ["a", "日本語", "テスト"]);
        assert_eq!(wrapped("a tcp://127.0.0.1:5556", 9, 9), ["a tcp://1", "27.0.0.1:", "5556"]);
        assert_eq!(wrapped("one two three four", 9, 2), ["one two", "three fo…"]);
        assert_eq!(wrapped("", 9, 2), [""]);
        assert_eq!(wrapped("日本", 1, 9), ["日", "本"], "what is wider than a line is on one all the same");
    }

    #[test]
    fn what_joins_to_a_wider_character_is_measured_together() {
        for text in
            ["☺\u{fe0f}☺\u{fe0f}☺\u{fe0f}", "👩\u{200d}👩\u{200d}👧 family", "e\u{301}e\u{301}e\u{301}"]
        {
            for columns in 1..8 {
                assert!(width(&fit(text, columns)) <= columns, "{text} in {columns}");
            }
        }
    }
}
