//! What Nagios and Checkmk have in common: numbers, limits, unique names, and text that stays on its line.

use super::text::printable;
use health_reporter::Status;
use healthcheck_core::{Limits, Metric};
use std::collections::HashSet;
use std::time::Duration;

/// Larger numbers are nonsense, and longer than their readers take.
const MAX_NUMBER: f64 = 1e21;

/// A status as the exit code of a plug-in.
pub(super) const fn state(status: Status) -> u8 {
    match status {
        Status::Healthy => 0,
        Status::Warning => 1,
        Status::Error | Status::Fatal => 2,
        Status::Unknown => 3,
    }
}

/// A number without an exponent and in no country's way of writing; none where there is no such.
pub(super) fn number(value: f64) -> Option<String> {
    if !value.is_finite() || value.abs() >= MAX_NUMBER {
        return None;
    }
    let digits = format!("{value:.9}");
    let short = digits.trim_end_matches('0').trim_end_matches('.');
    Some(if short == "-0" { "0".to_owned() } else { short.to_owned() })
}

/// `value[UOM];[warn];[crit];[min];[max]` of a number that begins at zero, as far as it is known.
pub(super) fn measured(value: f64, unit: &str, limits: Option<&Limits>, max: Option<f64>) -> Option<String> {
    let range = |limit: Option<f64>| {
        let limit = limit.and_then(number).unwrap_or_default();
        let is_lower = !limit.is_empty() && limits.is_some_and(|limits| limits.is_bad_below);
        if is_lower { format!("{limit}:") } else { limit }
    };
    let warning = range(limits.and_then(|limits| limits.warning));
    let error = range(limits.and_then(|limits| limits.error));
    let (min, max) = (if value < 0.0 { "" } else { "0" }, max.and_then(number).unwrap_or_default());
    let all = format!("{}{unit};{warning};{error};{min};{max}", number(value)?);
    Some(all.trim_end_matches(';').to_owned())
}

/// A duration to the microsecond: more is noise.
pub(super) fn seconds(took: Duration) -> f64 {
    (took.as_secs_f64() * 1e6).round() / 1e6
}

/// The value and unit of a command's number: `GB` is none of the units that every reader knows.
pub(super) fn in_known_unit(metric: &Metric) -> (f64, &str) {
    match metric.unit.as_str() {
        "GB" => (metric.value * 1024.0, "MB"),
        unit @ ("s" | "ms" | "us" | "%" | "B" | "KB" | "MB" | "TB" | "c") => (metric.value, unit),
        _ => (metric.value, ""),
    }
}

/// Foreign text on one line, without what begins performance data or means a new line to a reader.
pub(super) fn text(text: &str) -> String {
    printable(text).replace('|', "¦").replace("\\n", "\\ n")
}

/// At most so many bytes, cut at a character; what is cut off is marked.
pub(super) fn clipped(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(bytes.saturating_sub('…'.len_utf8()));
    format!("{}…", &text[..end])
}

/// Names that were given away: each is given once.
#[derive(Default)]
pub(super) struct Names(HashSet<String>);

impl Names {
    /// The name, or where somebody has it already, with a number behind `separator`.
    pub(super) fn take(&mut self, wanted: &str, separator: char) -> String {
        let mut name = wanted.to_owned();
        for number in 2_u64.. {
            if self.0.insert(name.clone()) {
                break;
            }
            name = format!("{wanted}{separator}{number}");
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_no_exponent() {
        for (value, wanted) in [
            (0.0, "0"),
            (-0.0, "0"),
            (0.1 + 0.2, "0.3"),
            (1e15, "1000000000000000"),
            (-2.5, "-2.5"),
            (1e-12, "0"),
        ] {
            assert_eq!(number(value).as_deref(), Some(wanted));
        }
        assert_eq!([f64::NAN, f64::INFINITY, 1e300].map(number), [None, None, None]);
    }

    #[test]
    fn what_is_not_known_is_left_empty_and_at_the_end_left_out() {
        let mut limits = Limits {
            warning: Some(90.0),
            error: None,
            clear: None,
            hold: Duration::ZERO,
            is_bad_below: false,
        };
        assert_eq!(measured(41.5, "%", Some(&limits), Some(100.0)).unwrap(), "41.5%;90;;0;100");
        limits.is_bad_below = true;
        assert_eq!(measured(41.5, "B", Some(&limits), None).unwrap(), "41.5B;90:;;0");
        assert_eq!(measured(-3.0, "", None, None).unwrap(), "-3");
    }

    #[test]
    fn no_name_is_given_twice() {
        let mut names = Names::default();
        assert_eq!(["a", "a 2", "a", "a"].map(|name| names.take(name, ' ')), ["a", "a 2", "a 3", "a 4"]);
    }
}
