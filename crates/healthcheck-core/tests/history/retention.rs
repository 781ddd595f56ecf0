//! What is dropped, in which order, and why.

use crate::world::Random;
use healthcheck_core::history::Window;
use healthcheck_core::history::retention::{Kept, Limits, PrunePlan, PruneReason, Slice, Stock};
use jiff::{SignedDuration, Timestamp};

const KEPT: [Kept; 5] = [Kept::Runs, Kept::Minutes, Kept::Hours, Kept::Days, Kept::Gaps];
const MIB: u64 = 1 << 20;

/// Midnight, so many days after the first of March.
fn day(number: i64) -> Timestamp {
    "2025-03-01T00:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_hours(24 * number)
}

fn slice(of: Kept, from: i64, days: i64, mib: u64) -> Slice {
    Slice { of, window: Window { from: day(from), to: day(from + days) }, rows: 1_000, bytes: mib * MIB }
}

fn stock(slices: Vec<Slice>) -> Stock {
    Stock { bytes: slices.iter().map(|slice| slice.bytes).sum(), slices }
}

fn limits(days: i64, max_mib: Option<u64>) -> Limits {
    Limits::new(SignedDuration::from_hours(24 * days), max_mib.map(|mib| mib * MIB))
}

fn steps(plan: &PrunePlan) -> Vec<(Kept, Timestamp)> {
    plan.steps.iter().map(|step| (step.slice.of, step.slice.window.from)).collect()
}

#[test]
fn what_is_too_old_goes_with_the_instant_since_which_it_is() {
    let all = stock((0..70).map(|number| slice(Kept::Runs, number, 1, 1)).collect());
    let now = day(65) + SignedDuration::from_hours(3);
    let plan = PrunePlan::of(&all, &limits(60, None), now);
    assert_eq!(steps(&plan), (0..5).map(|number| (Kept::Runs, day(number))).collect::<Vec<_>>());
    assert_eq!(plan.steps[4].reason, PruneReason::TooOld { since: day(65) });
    assert_eq!(plan.bytes_left, 65 * MIB);
    assert_eq!(
        plan.steps[0].to_string(),
        "runs from 2025-03-01T00:00:00Z to 2025-03-02T00:00:00Z, 1000 rows, 1 MiB: too old since 2025-05-01T00:00:00Z"
    );
}

#[test]
fn numbers_by_the_minute_go_after_two_days() {
    let all = stock((0..10).flat_map(|number| KEPT.map(|of| slice(of, number, 1, 1))).collect());
    let plan = PrunePlan::of(&all, &limits(60, None), day(9) + SignedDuration::from_hours(1));
    assert_eq!(steps(&plan), (0..7).map(|number| (Kept::Minutes, day(number))).collect::<Vec<_>>());
    let short = PrunePlan::of(&all, &limits(1, None), day(2));
    let wanted = [Kept::Minutes, Kept::Hours, Kept::Days, Kept::Runs].map(|of| (of, day(0)));
    assert_eq!(steps(&short), wanted);
}

#[test]
fn gaps_go_a_day_after_the_runs_of_their_time() {
    let of_day = |number| [Kept::Gaps, Kept::Runs].map(|of| slice(of, number, 1, 1));
    let all = stock((0..4).flat_map(of_day).collect());
    let wanted = [(Kept::Runs, day(0)), (Kept::Runs, day(1)), (Kept::Gaps, day(0))];
    assert_eq!(steps(&PrunePlan::of(&all, &limits(1, None), day(3))), wanted);
    assert_eq!(steps(&PrunePlan::of(&all, &limits(60, Some(5)), day(4))), wanted);
}

#[test]
fn what_is_too_much_goes_from_the_oldest_on_until_it_is_not() {
    let slices =
        vec![slice(Kept::Runs, 0, 31, 50), slice(Kept::Minutes, 30, 1, 20), slice(Kept::Hours, 31, 1, 40)];
    let plan = PrunePlan::of(&stock(slices), &limits(60, Some(55)), day(32));
    assert_eq!(steps(&plan), [(Kept::Minutes, day(30)), (Kept::Runs, day(0))]);
    let reasons = plan.steps.iter().map(|step| step.reason).collect::<Vec<_>>();
    let too_much = |mib| PruneReason::TooMuch { bytes: mib * MIB, max_bytes: 55 * MIB };
    assert_eq!((reasons, plan.bytes_left), (vec![too_much(110), too_much(90)], 40 * MIB));
    assert!(plan.steps[1].to_string().ends_with("50 MiB: too much in all: 90 MiB of 55 MiB"));
}

#[test]
fn what_now_lies_in_is_never_dropped() {
    let all = stock(vec![slice(Kept::Runs, 0, 31, 50), slice(Kept::Runs, 31, 30, 50)]);
    let plan = PrunePlan::of(&all, &limits(1, Some(1)), day(20));
    assert_eq!((plan.steps.len(), plan.bytes_left), (0, 100 * MIB));
    let later = PrunePlan::of(&all, &limits(1, Some(1)), day(31));
    assert_eq!((steps(&later), later.bytes_left), (vec![(Kept::Runs, day(0))], 50 * MIB));
}

#[test]
fn programs_get_a_flat_step() {
    let plan = PrunePlan::of(&stock(vec![slice(Kept::Gaps, 0, 1, 1)]), &limits(1, None), day(9));
    let wanted = serde_json::json!({
        "steps": [{ "of": "gaps", "window": { "from": "2025-03-01T00:00:00Z", "to": "2025-03-02T00:00:00Z" },
                    "rows": 1_000, "bytes": MIB, "reason": "too_old", "since": "2025-03-04T00:00:00Z" }],
        "bytes_left": 0,
    });
    assert_eq!(serde_json::to_value(&plan).unwrap(), wanted);
}

#[test]
fn whatever_there_is_the_plan_keeps_its_promises() {
    for seed in 0..5_000 {
        let mut random = Random::new(seed);
        let any = |random: &mut Random| {
            let (of, from) = (random.pick(&KEPT), random.second(100) - 10);
            slice(of, from, random.pick(&[1, 1, 31]), random.below(9))
        };
        let all = stock((0..random.below(40)).map(|_| any(&mut random)).collect());
        let limits = limits(random.second(60), random.percent(50).then(|| random.below(100)));
        let now = day(random.second(80)) + SignedDuration::from_hours(random.second(24));
        let plan = PrunePlan::of(&all, &limits, now);
        let dropped: u64 = plan.steps.iter().map(|step| step.slice.bytes).sum();
        assert_eq!(plan.bytes_left + dropped, all.bytes, "seed {seed}");
        assert!(plan.steps.iter().all(|step| step.slice.window.to <= now), "seed {seed}");
        let is_enough = limits.max_bytes.is_none_or(|max_bytes| plan.bytes_left <= max_bytes);
        let over = all.slices.iter().filter(|slice| slice.window.to <= now).count();
        assert!(is_enough || plan.steps.len() == over, "seed {seed}: {plan:?}");
        let is_for_age = |reason| matches!(reason, PruneReason::TooOld { .. });
        assert!(plan.steps.is_sorted_by_key(|step| !is_for_age(step.reason)), "seed {seed}");
    }
}
