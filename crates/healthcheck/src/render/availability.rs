//! For how long something was how, in words and as a bar.

use super::table::Surface;
use health_reporter::Status;
use healthcheck_core::history::{Availability, Bucket};
use healthcheck_core::wording;
use jiff::SignedDuration;
use std::time::Duration;

/// What the cells of a bar mean.
pub(super) const LEGEND: &str = "● up  ▲ degraded  ✖ down  ■ planned  · not observed";

const fn symbol(bucket: Bucket) -> char {
    match bucket {
        Bucket::Up => '●',
        Bucket::Degraded => '▲',
        Bucket::Down => '✖',
        Bucket::Planned => '■',
        Bucket::NotObserved => '·',
    }
}

const fn colour(bucket: Bucket) -> &'static str {
    match bucket {
        Bucket::Up => super::table::colour(Status::Healthy),
        Bucket::Degraded => super::table::colour(Status::Warning),
        Bucket::Down => super::table::colour(Status::Error),
        Bucket::Planned => "\u{1b}[34m",
        Bucket::NotObserved => "\u{1b}[90m",
    }
}

/// A symbol for each cell, and colour only on top.
pub(super) fn bar(cells: &[Availability], surface: Surface) -> String {
    let buckets: Vec<Bucket> = cells.iter().map(Availability::worst).collect();
    let piece = |same: &[Bucket]| {
        let symbols: String = same.iter().copied().map(symbol).collect();
        if surface.colour { format!("{}{symbols}\u{1b}[0m", colour(same[0])) } else { symbols }
    };
    buckets.chunk_by(PartialEq::eq).map(piece).collect()
}

/// `99.95 %`, or between which bounds it lies where part was not observed: `97.1–99.9 %`.
pub(super) fn ratio(of: &Availability) -> String {
    let Some(ratio) = of.ratio() else {
        return if of.planned.is_positive() { "planned" } else { "–" }.to_owned();
    };
    let (lowest, highest) = of.bounds().unwrap_or((ratio, ratio));
    if percent(lowest) == percent(highest) {
        return format!("{} %", percent(ratio));
    }
    format!("{}–{} %", bound(lowest, f64::floor), bound(highest, f64::ceil))
}

/// The observed share, where that is not all of it.
pub(super) fn coverage(of: &Availability) -> Option<String> {
    let coverage = of.coverage().filter(|coverage| *coverage < 1.0)?;
    Some(format!("{} %", bound(coverage, f64::floor)))
}

/// Two digits after the point; only all of it is 100, and only nothing is 0.
pub(super) fn percent(ratio: f64) -> String {
    match ratio {
        1.0.. => "100".to_owned(),
        0.000_05..0.999_95 => format!("{:.2}", ratio * 100.0),
        0.5.. => "99.99".to_owned(),
        ratio if ratio > 0.0 => "0.01".to_owned(),
        _ => "0".to_owned(),
    }
}

/// One digit after the point, outwards: what is within the bounds is never beyond what is shown.
fn bound(ratio: f64, outwards: fn(f64) -> f64) -> String {
    // What a floating number is short of its decimal digit is no reason to go one further.
    let nearest = (ratio * 1e3).round();
    let tenths = if (ratio * 1e3 - nearest).abs() < 1e-9 { nearest } else { outwards(ratio * 1e3) };
    match tenths {
        0.0 => "0".to_owned(),
        1e3.. => "100".to_owned(),
        tenths => format!("{:.1}", tenths / 10.0),
    }
}

/// How long, for people; nothing is shorter than nothing.
pub(super) fn length(duration: SignedDuration) -> String {
    wording::duration(Duration::try_from(duration).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(up: i64, down: i64, planned: i64, not_observed: i64) -> Availability {
        let [up, down, planned, not_observed] =
            [up, down, planned, not_observed].map(SignedDuration::from_secs);
        Availability { up, down, planned, not_observed, ..Availability::default() }
    }

    #[test]
    fn nearly_all_is_never_all_and_nearly_nothing_is_something() {
        for (ratio, shown) in [
            (1.0, "100"),
            (0.999_999, "99.99"),
            (0.999_949, "99.99"),
            (0.9995, "99.95"),
            (0.5, "50.00"),
            (0.000_001, "0.01"),
            (0.0, "0"),
        ] {
            assert_eq!(percent(ratio), shown, "{ratio}");
        }
    }

    #[test]
    fn bounds_are_told_where_part_was_not_observed() {
        assert_eq!(ratio(&of(9_995, 5, 0, 0)), "99.95 %");
        assert_eq!(ratio(&of(971, 1, 100, 28)), "97.1–99.9 %");
        assert_eq!(ratio(&of(10, 0, 0, 90)), "10.0–100 %");
        assert_eq!(ratio(&of(0, 10, 0, 90)), "0–90.0 %");
        assert_eq!(ratio(&of(999_999_999, 0, 0, 1)), "99.9–100 %", "what was not seen may have been down");
        assert_eq!(ratio(&of(86_400, 0, 0, 0)), "100 %");
        assert_eq!((ratio(&of(0, 0, 10, 5)), ratio(&of(0, 0, 0, 5))), ("planned".into(), "–".into()));
    }

    #[test]
    fn coverage_is_told_where_it_is_not_all() {
        assert_eq!(coverage(&of(10, 0, 0, 0)), None);
        assert_eq!(coverage(&of(999_999, 0, 0, 1)).as_deref(), Some("99.9 %"));
        assert_eq!(coverage(&of(0, 0, 0, 1)).as_deref(), Some("0 %"));
    }

    #[test]
    fn a_bar_reads_without_colour() {
        let cells = [of(1, 0, 0, 0), of(1, 0, 0, 0), of(9, 1, 0, 0), of(0, 0, 1, 0), of(0, 0, 0, 1)];
        let plain = bar(&cells, Surface { columns: 80, colour: false });
        assert_eq!(plain, "●●✖■·");
        let coloured = bar(&cells, Surface { columns: 80, colour: true });
        assert!(coloured.starts_with("\u{1b}[32m●●\u{1b}[0m\u{1b}[31m✖\u{1b}[0m"), "{coloured:?}");
    }
}
