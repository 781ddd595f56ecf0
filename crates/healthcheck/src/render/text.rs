//! Text on a terminal: how wide it is, and that it is nothing but text.

use std::borrow::Cow;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

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
            | '\u{e0000}'..='\u{e007f}')
}

/// At most `columns` wide; what is cut off is marked.
pub(super) fn fit(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return text.into();
    }
    let mut taken = 0;
    let fits = |c: &char| {
        taken += c.width().unwrap_or(0);
        taken < columns
    };
    let cut: String = text.chars().take_while(fits).collect();
    if columns == 0 { cut.into() } else { (cut + "…").into() }
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
}
