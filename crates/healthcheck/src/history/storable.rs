//! What is written so that each store can keep it: none refuses for ever what others let pass.

use healthcheck_core::Subject;
use healthcheck_core::history::Bin;
use std::borrow::Cow;

/// An index takes no longer ones in every store.
pub(super) const MAX_NAME_BYTES: usize = 512;
pub(super) const MAX_TEXT_BYTES: usize = 4_096;
/// Nothing that is measured is so much, and as many as anybody can count are less together than a number can be.
const MAX_NUMBER: f64 = 1e200;
const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;
const ELLIPSIS: char = '…';

/// What something is found by: of a subject, a metric, a machine.
pub(super) fn name(name: &str) -> Cow<'_, str> {
    clean(name, MAX_NAME_BYTES)
}

/// A subject as it is found again.
pub(super) fn subject(subject: &Subject) -> Subject {
    match name(&subject.name) {
        Cow::Borrowed(_) => subject.clone(),
        Cow::Owned(name) => Subject::new(subject.kind, &name),
    }
}

/// What is only shown.
pub(super) fn text(text: &str) -> Cow<'_, str> {
    clean(text, MAX_TEXT_BYTES)
}

/// Numbers that can be put to others.
pub(super) fn is_number(bin: &Bin) -> bool {
    let are_numbers = [bin.sum, bin.minimum, bin.maximum].iter().all(|number| number.abs() <= MAX_NUMBER);
    are_numbers && bin.count > 0
}

/// Of so many: no store counts further.
pub(super) fn count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn clean(text: &str, limit: usize) -> Cow<'_, str> {
    if text.len() <= limit && !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len().min(limit));
    for character in text.chars() {
        let character = if character.is_control() { REPLACEMENT } else { character };
        if clean.len() + character.len_utf8() > limit - ELLIPSIS.len_utf8() {
            clean.push(ELLIPSIS);
            break;
        }
        clean.push(character);
    }
    Cow::Owned(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_harmless_is_not_touched() {
        assert!(matches!(text("it's \"fine\" 😀"), Cow::Borrowed("it's \"fine\" 😀")));
    }

    #[test]
    fn control_characters_are_replaced_and_long_ones_are_cut() {
        assert_eq!(name("a\0b\u{1b}c\n"), "a\u{fffd}b\u{fffd}c\u{fffd}");
        let long = text(&"😀".repeat(5_000)).into_owned();
        assert!(long.len() <= MAX_TEXT_BYTES && long.ends_with("😀…"), "{}", long.len());
        assert_eq!(name(&"x".repeat(MAX_NAME_BYTES)).len(), MAX_NAME_BYTES);
        assert!(name(&"\n".repeat(MAX_NAME_BYTES)).len() <= MAX_NAME_BYTES);
    }

    #[test]
    fn what_is_no_number_is_none() {
        let at = jiff::Timestamp::UNIX_EPOCH;
        assert!(is_number(&Bin::of(at, -1.5)) && !is_number(&Bin { count: 0, ..Bin::of(at, 1.0) }));
        let none = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX];
        assert!(none.into_iter().all(|value| !is_number(&Bin::of(at, value))));
    }
}
