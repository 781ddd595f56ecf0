//! Whether a number grows or shrinks over time, and how sure that is.

use super::Bin;
use crate::wording;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// Fewer bins say nothing.
pub const MIN_POINTS: usize = 8;
/// More bins are put together first: the slopes of all pairs are looked at.
pub const MAX_POINTS: usize = 240;
/// A change this sure is one.
const SURE: f64 = 0.95;
const DAY_S: f64 = 86_400.0;

/// Where a number goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// It grows.
    Rising,
    /// It shrinks.
    Falling,
    /// Neither is sure.
    Steady,
}

impl Direction {
    /// The word on disk, in snake case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rising => "rising",
            Self::Falling => "falling",
            Self::Steady => "steady",
        }
    }
}

/// How a number changed over time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Trend {
    /// How much more it becomes in a day: the median of the slopes between all pairs of bins (Theil and Sen), which up
    /// to 29 % of outliers do not move far.
    pub per_day: f64,
    /// The change from the first bin to the last, on the line of that slope, as a share of where it begins; nothing
    /// where it does not begin above zero.
    pub change_ratio: Option<f64>,
    /// How sure it is that there is a change at all, from 0 to 1: one less the two-sided p of Mann and Kendall's test,
    /// corrected for ties, by the normal approximation. It takes the bins as independent of each other: what comes and
    /// goes by the day is seen as a change by who looks at half of one.
    pub confidence: f64,
    /// Where it goes, where that is 95 % sure.
    pub direction: Direction,
    /// From the first bin to the last.
    pub over: SignedDuration,
}

/// How the means of bins, in order, changed over time; nothing where they are too few to tell, or all of one time.
#[must_use]
pub fn trend(bins: &[Bin]) -> Option<Trend> {
    let points = points(bins);
    let (first, last) = (points.first()?, points.last()?);
    if points.len() < MIN_POINTS || last.0 <= first.0 {
        return None;
    }
    let per_day = median(slopes(&points))?;
    let start = median(points.iter().map(|(at, value)| value - per_day * (at - first.0)).collect())?;
    let change_ratio = (start > 0.0).then(|| per_day * (last.0 - first.0) / start);
    let confidence = confidence(&points);
    let over = SignedDuration::try_from_secs_f64((last.0 - first.0) * DAY_S).unwrap_or(SignedDuration::MAX);
    Some(Trend { per_day, change_ratio, confidence, direction: direction(per_day, confidence), over })
}

impl Trend {
    /// What it says of a number of this name, for people: `getting slower: +12 % a week, confidence 97 %`.
    #[must_use]
    pub fn words(&self, metric: &str) -> String {
        let is_duration = metric.ends_with("duration_ms") || metric.ends_with("latency_ms");
        let what = match self.direction {
            Direction::Steady => return format!("no clear change{}", self.in_that_time()),
            Direction::Rising if is_duration => "getting slower",
            Direction::Falling if is_duration => "getting faster",
            Direction::Rising => "rising",
            Direction::Falling => "falling",
        };
        format!("{what}: {}, confidence {}", self.pace(), confidence_words(self.confidence))
    }

    fn in_that_time(&self) -> String {
        let over = std::time::Duration::try_from(self.over).unwrap_or_default();
        format!(" in {}", wording::duration(over))
    }

    /// The change in the largest unit of time that was looked at for at least as long: nothing is told of a time to come.
    fn pace(&self) -> String {
        let days = self.over.as_secs_f64() / DAY_S;
        let (unit_days, unit) = match days {
            7.0.. => (7.0, " a week".to_owned()),
            1.0.. => (1.0, " a day".to_owned()),
            _ => (days, self.in_that_time()),
        };
        let change = match self.change_ratio {
            Some(ratio) => {
                format!("{:+.*} %", digits(ratio * unit_days / days), ratio * unit_days / days * 100.0)
            }
            None => signed(self.per_day * unit_days),
        };
        format!("{change}{unit}")
    }
}

/// Whole percents where they say something.
fn digits(ratio: f64) -> usize {
    match ratio.abs() {
        0.1.. => 0,
        0.01.. => 1,
        _ => 2,
    }
}

fn signed(value: f64) -> String {
    let sign = if value < 0.0 { "-" } else { "+" };
    format!("{sign}{}", wording::number(value.abs()))
}

/// Never 100 %: no test is that sure.
fn confidence_words(confidence: f64) -> String {
    let percent = (confidence * 100.0).floor();
    if percent >= 100.0 || confidence > 0.99 { "over 99 %".to_owned() } else { format!("{percent:.0} %") }
}

fn direction(per_day: f64, confidence: f64) -> Direction {
    match per_day {
        _ if confidence < SURE => Direction::Steady,
        slope if slope > 0.0 => Direction::Rising,
        slope if slope < 0.0 => Direction::Falling,
        _ => Direction::Steady,
    }
}

/// The days since the first bin, and the mean there; so many at most that all pairs can be looked at.
fn points(bins: &[Bin]) -> Vec<(f64, f64)> {
    let is_number = |bin: &&Bin| bin.count > 0 && bin.mean().is_finite();
    let bins: Vec<&Bin> = bins.iter().filter(is_number).collect();
    let Some(first) = bins.first().map(|bin| bin.at) else { return Vec::new() };
    let of_one = bins.len().div_ceil(MAX_POINTS);
    bins.chunks(of_one).filter_map(|group| point(group, first)).collect()
}

/// A group of bins as one, in the middle of their times.
fn point(group: &[&Bin], first: Timestamp) -> Option<(f64, f64)> {
    let together = group.iter().copied().copied().reduce(Bin::and)?;
    let days = |bin: &&Bin| bin.at.duration_since(first).as_secs_f64() / DAY_S;
    let middle = group.iter().map(days).sum::<f64>() / float(group.len());
    together.mean().is_finite().then(|| (middle, together.mean()))
}

fn slopes(points: &[(f64, f64)]) -> Vec<f64> {
    let pairs =
        points.iter().enumerate().flat_map(|(at, one)| points[at + 1..].iter().map(move |it| (one, it)));
    pairs.filter(|(one, two)| two.0 > one.0).map(|(one, two)| (two.1 - one.1) / (two.0 - one.0)).collect()
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    let middle = values.len() / 2;
    if values.is_empty() {
        return None;
    }
    let is_even = values.len().is_multiple_of(2);
    let (below, upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let lower = if is_even { below.iter().copied().max_by(f64::total_cmp) } else { None };
    Some(lower.map_or(*upper, |lower| f64::midpoint(lower, *upper)))
}

/// Mann and Kendall: how many more pairs rise than fall, against what chance would do.
fn confidence(points: &[(f64, f64)]) -> f64 {
    let sign = |one: f64, two: f64| i64::from(two > one) - i64::from(two < one);
    let of =
        |(at, one): (usize, &(f64, f64))| points[at + 1..].iter().map(|two| sign(one.1, two.1)).sum::<i64>();
    let more: i64 = points.iter().enumerate().map(of).sum();
    let variance =
        (variance_of(points.len()) - ties(points).into_iter().map(variance_of).sum::<f64>()) / 18.0;
    if variance <= 0.0 || more == 0 {
        return 0.0;
    }
    // One less, because the sum goes in whole numbers and the normal distribution does not.
    let z = float(usize::try_from(more.abs() - 1).unwrap_or_default()) / variance.sqrt();
    erf(z / std::f64::consts::SQRT_2).clamp(0.0, 1.0)
}

/// Eighteen times the variance of that sum for so many different values, or what so many equal ones take from it.
fn variance_of(number: usize) -> f64 {
    let n = float(number);
    n * (n - 1.0) * (2.0 * n + 5.0)
}

/// How many points there are of each value.
fn ties(points: &[(f64, f64)]) -> Vec<usize> {
    let mut values: Vec<f64> = points.iter().map(|point| point.1).collect();
    values.sort_unstable_by(f64::total_cmp);
    values.chunk_by(PartialEq::eq).map(<[f64]>::len).collect()
}

/// The error function, for what is not below zero, by Abramowitz and Stegun 7.1.26: wrong by at most 1.5e-7.
fn erf(x: f64) -> f64 {
    const A: [f64; 5] = [1.061_405_429, -1.453_152_027, 1.421_413_741, -0.284_496_736, 0.254_829_592];
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let polynomial = A.iter().fold(0.0_f64, |sum, factor| sum * t + factor) * t;
    1.0 - polynomial * (-x * x).exp()
}

#[expect(clippy::cast_precision_loss, reason = "points and pairs are few")]
const fn float(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_function_is_near_enough() {
        for (x, wanted) in [(0.0, 0.0), (0.5, 0.520_499_878), (1.0, 0.842_700_793), (2.0, 0.995_322_265)] {
            assert!((erf(x) - wanted).abs() < 1.6e-7, "{x}: {}", erf(x));
        }
        assert!((1.0 - erf(9.0)).abs() < 1e-9);
    }

    #[test]
    fn a_median_lies_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(Vec::new()), None);
    }
}
