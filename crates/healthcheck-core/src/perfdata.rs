//! What a monitoring plug-in says of itself: a first line with a status word, and numbers after a bar.
//!
//! The format is that of the Monitoring Plugins' development guidelines.

use crate::wording;
use serde::{Deserialize, Serialize};

/// Numbers of one plug-in that are kept.
const MAX_METRICS: usize = 32;
const MAX_LABEL_BYTES: usize = 64;
const UNITS: [&str; 11] = ["", "s", "ms", "us", "%", "B", "KB", "MB", "GB", "TB", "c"];

/// A number that a probe measured, with the unit that the plug-in gave it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// Its name; no control characters, at most 64 bytes.
    pub label: String,
    /// How much.
    pub value: f64,
    /// The unit of measurement as written: nothing, `s`, `ms`, `us`, `%`, `B`, `KB`, `MB`, `GB`, `TB`, `c`.
    pub unit: String,
}

/// The first line without its numbers.
pub(crate) fn text(output: &str) -> &str {
    let line = first_line(output);
    line.split_once('|').map_or(line, |(text, _)| text.trim_end())
}

/// Whether it speaks as a plug-in does: its first line begins like `SERVICE STATUS: text` with one of these words for
/// its status, or has numbers.
pub(crate) fn is_plug_in(output: &str, words: &[&str]) -> bool {
    let (first, rest) = (first_line(output), |at: usize, word: &str| at + word.len());
    let is_status = |word: &&str| {
        let mut found = first.match_indices(word).filter(|(at, _)| is_near_the_beginning(&first[..*at]));
        found.any(|(at, word)| is_end_of_status(&first[rest(at, word)..]))
    };
    words.iter().any(is_status) || !metrics(first).is_empty()
}

/// At most three words, of which the last is over.
fn is_near_the_beginning(before: &str) -> bool {
    before.split_whitespace().count() <= 3 && !before.ends_with(|c: char| c.is_alphanumeric())
}

fn is_end_of_status(after: &str) -> bool {
    let after = after.trim_start();
    after.is_empty() || after.starts_with([':', '-', '–', '|', ',', ';', '('])
}

fn first_line(output: &str) -> &str {
    output.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default()
}

/// The first line, and all the numbers.
pub(crate) fn reduced(output: &str) -> String {
    const MAX_NUMBERS_BYTES: usize = 1_024;
    let text = wording::line(text(output), wording::MAX_MESSAGE_BYTES);
    let numbers = numbers(output);
    let numbers = numbers[..numbers.floor_char_boundary(MAX_NUMBERS_BYTES)].trim();
    if numbers.is_empty() { text } else { format!("{text} | {numbers}") }
}

/// The numbers after the bar of the first line, and after the bar that may follow the long text.
pub(crate) fn metrics(output: &str) -> Vec<Metric> {
    items(&numbers(output)).filter_map(|(label, value)| metric(&label, &value)).take(MAX_METRICS).collect()
}

fn numbers(output: &str) -> String {
    let (first, rest) = output.trim_start().split_once('\n').unwrap_or((output, ""));
    let after_bar = |text: &str| text.split_once('|').map(|(_, numbers)| numbers.replace('\n', " "));
    [after_bar(first), after_bar(rest)].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// Each `label=value`; a label in single quotes may have blanks in it, and `''` for a quote.
fn items(numbers: &str) -> impl Iterator<Item = (String, String)> {
    let mut rest = numbers.trim_start();
    std::iter::from_fn(move || {
        let (label, after) = if rest.starts_with('\'') { quoted(rest)? } else { bare(rest)? };
        let (value, next) = after.split_once(char::is_whitespace).unwrap_or((after, ""));
        rest = next.trim_start();
        Some((label, value.to_owned()))
    })
}

fn bare(text: &str) -> Option<(String, &str)> {
    text.split_once('=').map(|(label, after)| (label.to_owned(), after))
}

fn quoted(text: &str) -> Option<(String, &str)> {
    let end = text.match_indices("'=").map(|(at, _)| at).find(|at| *at > 0 && is_closing(text, *at))?;
    Some((text[1..end].replace("''", "'"), &text[end + 2..]))
}

/// Whether the quote is not the second half of a doubled one.
fn is_closing(text: &str, at: usize) -> bool {
    text[1..at].bytes().rev().take_while(|byte| *byte == b'\'').count() % 2 == 0
}

/// `value[UOM];[warn];[crit];[min];[max]`: the limits are the plug-in's own, and judged by it.
fn metric(label: &str, value: &str) -> Option<Metric> {
    let value = value.split(';').next()?;
    let end =
        value.find(|c: char| !matches!(c, '0'..='9' | '.' | '-' | '+' | 'e' | 'E')).unwrap_or(value.len());
    let (number, unit) = value.split_at(end);
    let value: f64 = number.parse().ok().filter(|value: &f64| value.is_finite())?;
    let label = wording::line(label.trim(), MAX_LABEL_BYTES);
    let is_known = UNITS.contains(&unit) && !label.is_empty();
    is_known.then(|| Metric { label, value, unit: unit.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(output: &str) -> Vec<(String, f64, String)> {
        metrics(output).into_iter().map(|metric| (metric.label, metric.value, metric.unit)).collect()
    }

    #[test]
    fn numbers_are_read_as_the_guidelines_write_them() {
        let output = "DISK OK - free space: / 3326 MB (56%); | /=2643MB;5948;5958;0;5968\n/ 15272 MB (77%);\n\
                      | '/boot dir'=68MB;88;93;0;98 time=0.5s;;;0 'it''s'=1";
        let wanted = [("/", 2643.0, "MB"), ("/boot dir", 68.0, "MB"), ("time", 0.5, "s"), ("it's", 1.0, "")];
        assert_eq!(told(output), wanted.map(|(label, value, unit)| (label.into(), value, unit.into())));
        assert_eq!(text(output), "DISK OK - free space: / 3326 MB (56%);");
    }

    #[test]
    fn what_are_no_numbers_is_left_out() {
        for output in [
            "",
            "|",
            "x | a",
            "x | =1",
            "x | a=U",
            "x | a=1;2 'b",
            "x | 'b'",
            "x | a=1furlong",
            "x | a=1e999",
        ] {
            assert!(told(output).len() <= usize::from(output.contains("a=1;2")), "{output}");
        }
        assert_eq!(metrics(&format!("x |{}", " a=1".repeat(1_000))).len(), MAX_METRICS);
    }

    #[test]
    fn a_plug_in_is_known_by_its_status() {
        let warns = |output| is_plug_in(output, &["WARNING", "WARN"]);
        assert!(
            warns("LOAD WARNING - 5")
                && warns("fine | load=5")
                && warns("WARN: x")
                && warns("\nDISK WARNING")
        );
        assert!(!warns("") && !warns("connection refused") && !warns("not ok, warning") && !warns("ls | wc"));
        assert!(!warns("LOAD OK - 1") && !warns("WARNINGS: 3") && !warns("HTTP/1.1 500 NOT OK"));
        assert!(!is_plug_in("mysql: UNKNOWN host db", &["UNKNOWN"]));
        assert!(is_plug_in("CHECK DISK UNKNOWN: no such disk", &["UNKNOWN"]));
    }

    #[test]
    fn what_is_kept_says_the_same() {
        let output = format!("DISK WARNING - {} | a=1 b=2\nlong text\nmore | c=3\n", "x".repeat(500));
        let kept = reduced(&output);
        assert!(kept.len() < 300 && is_plug_in(&kept, &["WARNING"]), "{kept}");
        assert_eq!(told(&kept), told(&output));
        assert_eq!(reduced("secret\nlines"), "secret");
        assert!(reduced(&format!("x | {}", "é=1 ".repeat(9_000))).len() < 1_200);
    }
}
