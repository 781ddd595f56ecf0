//! How durations and foreign texts are written for people.

use std::time::Duration;

/// Bytes of a message that is kept.
pub(crate) const MAX_MESSAGE_BYTES: usize = 256;
/// Bytes of a name that is kept.
pub(crate) const MAX_NAME_BYTES: usize = 128;

/// A duration as people write it: its two largest units, or one where the second says nothing.
///
/// ```
/// use healthcheck_core::wording::duration;
/// use std::time::Duration;
///
/// assert_eq!(duration(Duration::from_secs(4 * 3600 + 12 * 60 + 59)), "4 h 12 min");
/// assert_eq!(duration(Duration::from_secs(3)), "3 s");
/// assert_eq!(duration(Duration::from_millis(250)), "250 ms");
/// ```
#[must_use]
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 if duration.is_zero() => "0 s".to_owned(),
        0 => format!("{} ms", duration.as_millis()),
        1..60 => format!("{seconds} s"),
        60..600 => two_units(seconds / 60, "min", seconds % 60, "s"),
        600..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => two_units(seconds / 3_600, "h", seconds / 60 % 60, "min"),
        _ => two_units(seconds / 86_400, "d", seconds / 3_600 % 24, "h"),
    }
}

fn two_units(large: u64, large_unit: &str, small: u64, small_unit: &str) -> String {
    if small == 0 {
        format!("{large} {large_unit}")
    } else {
        format!("{large} {large_unit} {small} {small_unit}")
    }
}

/// A number with as many digits as say something.
#[must_use]
pub fn number(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        1.0.. => trimmed(&format!("{value:.1}")),
        _ => trimmed(&format!("{value:.3}")),
    }
}

fn trimmed(number: &str) -> String {
    number.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A size as people write it.
#[must_use]
pub fn bytes(bytes: f64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut at) = (bytes, 0);
    while value >= 1024.0 && at + 1 < UNITS.len() {
        (value, at) = (value / 1024.0, at + 1);
    }
    format!("{} {}", number(value), UNITS[at])
}

/// Seconds that somebody wrote down, as a duration of at most about 136 years; what is no duration is zero.
pub(crate) fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.clamp(0.0, f64::from(u32::MAX))).unwrap_or_default()
}

/// One line of at most `limit` bytes, cut at a character.
pub(crate) fn line(text: &str, limit: usize) -> String {
    // Nearly every text is short and plain, and is only copied.
    if text.len() <= limit && is_plain(text) {
        return text.to_owned();
    }
    let cut = &text[..text.floor_char_boundary(limit)];
    let mut line: String = cut.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if cut.len() < text.len() {
        line.truncate(line.floor_char_boundary(limit.saturating_sub('…'.len_utf8())));
        line.push('…');
    }
    line
}

/// Whether it has no control character for sure: of those beyond ASCII each begins with the byte 0xc2.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte >= b' ' && byte != 0x7f && byte != 0xc2)
}

/// A name that somebody else gave, as a part of ours: without blanks at its ends, and without what controls anything
/// or turns the direction of writing.
pub(crate) fn label(text: &str, limit: usize) -> String {
    let turns = |c| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let kept: String = text.chars().filter(|c| !c.is_control() && !turns(*c)).collect();
    line(kept.trim(), limit)
}

/// A message that is kept.
pub(crate) fn message(text: &str) -> Box<str> {
    line(text, MAX_MESSAGE_BYTES).into()
}

/// A name that is kept.
pub(crate) fn name(text: &str) -> Box<str> {
    line(text, MAX_NAME_BYTES).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_write_them() {
        for (seconds, words) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (252, "4 min 12 s"),
            (3_599, "59 min"),
            (3_600, "1 h"),
            (86_399, "23 h 59 min"),
            (86_400, "1 d"),
            (100 * 86_400 + 7_200, "100 d 2 h"),
        ] {
            assert_eq!(duration(Duration::from_secs(seconds)), words);
        }
    }

    #[test]
    fn foreign_text_stays_one_short_line() {
        assert_eq!(line("a\nb\u{1b}[31m\u{9b}c", 64), "a b [31m c");
        let cut = line(&"é".repeat(400), MAX_MESSAGE_BYTES);
        assert!(cut.len() <= MAX_MESSAGE_BYTES && cut.ends_with("é…"), "{cut}");
        assert_eq!(line("", 0), "");
    }

    #[test]
    fn a_label_is_a_plain_word() {
        assert_eq!(label(" a\u{202e}b\nc\u{9b} ", 64), "abc");
        assert!(label(&"é".repeat(100), 64).len() <= 64);
        assert_eq!(label("\u{200f}\u{1b}", 64), "");
    }

    #[test]
    fn seconds_that_are_none_are_zero() {
        assert_eq!(seconds(-1.0), Duration::ZERO);
        assert_eq!(seconds(f64::NAN), Duration::ZERO);
        assert_eq!(seconds(f64::INFINITY).as_secs(), u64::from(u32::MAX));
    }
}
