//! Trends of numbers whose answer is known.

use crate::world::{Random, at};
use healthcheck_core::history::Bin;
use healthcheck_core::history::trend::{Direction, MAX_POINTS, MIN_POINTS, trend};
use jiff::SignedDuration;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// One number each so many seconds.
fn bins(every: i64, values: &[f64]) -> Vec<Bin> {
    (0..).zip(values).map(|(number, value)| Bin::of(at(number * every), *value)).collect()
}

fn line(number: u32, from: f64, step: f64) -> Vec<f64> {
    (0..number).map(|at| step.mul_add(f64::from(at), from)).collect()
}

#[track_caller]
fn assert_near(value: f64, wanted: f64) {
    assert!((value - wanted).abs() < 1e-6 * wanted.abs().max(1.0), "{value} is not {wanted}");
}

/// Ten that rise: S = 45, its variance 125, z = 44 / √125.
#[test]
fn what_always_rises_is_told_with_its_pace_and_is_sure() {
    let trend = trend(&bins(DAY, &line(10, 100.0, 5.0))).unwrap();
    assert_near(trend.per_day, 5.0);
    assert_near(trend.change_ratio.unwrap(), 0.45);
    assert_near(trend.confidence, 0.999_916_969);
    assert_eq!((trend.direction, trend.over), (Direction::Rising, SignedDuration::from_hours(9 * 24)));
    assert_eq!(
        trend.words("check.database.duration_ms"),
        "getting slower: +35 % a week, confidence over 99 %"
    );
    assert_eq!(trend.words("memory_bytes"), "rising: +35 % a week, confidence over 99 %");
}

/// S = 39 of 45 pairs, since six are equal; three pairs and one of three take 120 / 18 from the variance.
#[test]
fn what_is_equal_takes_from_the_variance() {
    let values = [1.0, 2.0, 2.0, 3.0, 3.0, 3.0, 4.0, 4.0, 5.0, 5.0];
    assert_near(trend(&bins(DAY, &values)).unwrap().confidence, 0.999_522_826);
}

/// 19 pairs rise and 7 fall; two pairs of equals take 2 from the variance, 65 ⅓.
#[test]
fn what_goes_up_and_down_is_less_sure() {
    let trend = trend(&bins(DAY, &[5.0, 3.0, 6.0, 4.0, 7.0, 5.0, 8.0, 6.0])).unwrap();
    assert_near(trend.per_day, 0.5);
    assert_near(trend.confidence, 0.833_095_194);
    assert_eq!(trend.direction, Direction::Steady);
    assert_eq!(trend.words("memory"), "no clear change in 7 d");
}

#[test]
fn what_falls_gets_faster() {
    let trend = trend(&bins(HOUR, &line(48, 100.0, -1.0))).unwrap();
    assert_eq!(trend.direction, Direction::Falling);
    assert_near(trend.per_day, -24.0);
    assert_eq!(trend.words("http.latency_ms"), "getting faster: -24 % a day, confidence over 99 %");
    assert_eq!(trend.words("threads"), "falling: -24 % a day, confidence over 99 %");
}

#[test]
fn a_few_outliers_do_not_move_it() {
    let mut values = line(30, 10.0, 0.1);
    for at in [3, 11, 25] {
        values[at] = 9_999.0;
    }
    let trend = trend(&bins(DAY, &values)).unwrap();
    assert_near(trend.per_day, 0.1);
    assert_eq!(trend.direction, Direction::Rising);
}

#[test]
fn what_stays_is_steady_and_too_few_say_nothing() {
    let steady = trend(&bins(DAY, &[4.0; 20])).unwrap();
    assert_eq!((steady.per_day, steady.confidence, steady.direction), (0.0, 0.0, Direction::Steady));
    assert_eq!(trend(&bins(DAY, &line(u32::try_from(MIN_POINTS).unwrap() - 1, 1.0, 1.0))), None);
    assert_eq!(trend(&[]), None);
    assert_eq!(trend(&bins(0, &[1.0; 20])), None, "all at one time");
    let mut odd = bins(DAY, &line(9, 1.0, 1.0));
    (odd[0].sum, odd[1].sum) = (f64::NAN, f64::INFINITY);
    assert_eq!(trend(&odd), None, "what is no number is no point");
}

#[test]
fn what_begins_at_zero_has_no_share() {
    let trend = trend(&bins(DAY, &line(14, 0.0, 3.0))).unwrap();
    assert_eq!(trend.change_ratio, None);
    assert_eq!(trend.words("process.count"), "rising: +21 a week, confidence over 99 %");
}

#[test]
fn a_short_time_is_told_as_such() {
    let trend = trend(&bins(60, &line(31, 100.0, 1.0))).unwrap();
    assert_eq!(trend.words("tcp.latency_ms"), "getting slower: +30 % in 30 min, confidence over 99 %");
}

#[test]
fn very_many_are_put_together_and_say_the_same() {
    let many = bins(60, &line(20_000, 50.0, 0.01));
    let trend = trend(&many).unwrap();
    assert_near(trend.per_day, 14.4);
    assert!(many.len() > 50 * MAX_POINTS && trend.confidence > 0.999);
}

/// Of noise without a trend about one in twenty is taken for one, and not more.
#[test]
fn noise_is_seldom_taken_for_a_trend() {
    let mut random = Random::new(7);
    let mut noise = || f64::from(u32::try_from(random.below(1_000_000)).unwrap());
    let mut is_taken = || {
        let values: Vec<f64> = (0..50).map(|_| noise()).collect();
        trend(&bins(HOUR, &values)).unwrap().direction != Direction::Steady
    };
    let taken = (0..2_000).filter(|_| is_taken()).count();
    assert!((50..150).contains(&taken), "{taken} of 2,000");
}

/// A slow rise under noise ten times a day's step is seen after some weeks.
#[test]
fn a_rise_under_noise_is_found() {
    let mut random = Random::new(11);
    let mut noise = || f64::from(u32::try_from(random.below(1_000)).unwrap()) / 100.0 - 5.0;
    let values: Vec<f64> = line(60, 100.0, 0.5).into_iter().map(|value| value + noise()).collect();
    let trend = trend(&bins(DAY, &values)).unwrap();
    assert!(trend.direction == Direction::Rising && (0.4..0.6).contains(&trend.per_day), "{trend:?}");
}
