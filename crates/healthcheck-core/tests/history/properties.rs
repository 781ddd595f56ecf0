//! What holds whatever happened, and whatever the clocks did.

use crate::world::{Random, at, window};
use health_reporter::Status;
use healthcheck_core::history::{Availability, Bucket, Course, Mark, Span, Window};
use healthcheck_core::{Cause, Gap, GapReason};
use jiff::{SignedDuration, Timestamp};

const STATUSES: [Status; 5] =
    [Status::Healthy, Status::Unknown, Status::Warning, Status::Error, Status::Fatal];
const CAUSES: [Cause; 5] =
    [Cause::SelfReported, Cause::Crashed, Cause::Stopped, Cause::Finished, Cause::NotObserved];
const REASONS: [GapReason; 4] =
    [GapReason::MonitorDown, GapReason::Boot, GapReason::Suspended, GapReason::ClockSet];

/// Everything that a course is made of, in seconds after noon or finer.
#[derive(Debug, Default)]
struct World {
    marks: Vec<Mark>,
    maintenance: Vec<Window>,
    gaps: Vec<Gap>,
    observed_until: Timestamp,
}

impl World {
    fn course(&self) -> Course {
        Course::new(&self.marks, &self.maintenance, &self.gaps, self.observed_until)
    }

    /// Time goes on, mostly: now and then the clock is set, forward with a gap or back.
    fn any(random: &mut Random, seconds: i64, instant: impl Fn(&mut Random, i64) -> Timestamp) -> Self {
        let (mut world, mut second) = (Self::default(), random.second(seconds));
        for _ in 0..random.below(12) {
            second += random.second(seconds / 4);
            if random.percent(15) {
                second -= random.second(seconds);
            } else if random.percent(15) {
                let (from, reason) = (instant(random, second), random.pick(&REASONS));
                second += random.second(seconds / 2);
                world.gaps.push(Gap { from, to: instant(random, second), reason });
            }
            let at = instant(random, second);
            world.marks.push(Mark { at, status: random.pick(&STATUSES), cause: random.pick(&CAUSES) });
        }
        for _ in 0..random.below(4) {
            let from = random.second(seconds);
            let to = from + random.second(seconds) / 3 - 5;
            world.maintenance.push(Window { from: instant(random, from), to: instant(random, to) });
        }
        second += random.second(seconds / 2);
        world.observed_until = instant(random, second);
        world
    }
}

/// Anywhere within a second.
fn fine(random: &mut Random, second: i64) -> Timestamp {
    at(second) + SignedDuration::from_nanos(random.second(1_000_000_000))
}

fn whole(_: &mut Random, second: i64) -> Timestamp {
    at(second)
}

fn any_window(random: &mut Random, seconds: i64, instant: fn(&mut Random, i64) -> Timestamp) -> Window {
    let from = random.second(seconds) - seconds / 4;
    let (from, length) = (instant(random, from), random.second(seconds));
    Window { from, to: (from + SignedDuration::from_secs(length)).max(from) }
}

fn assert_covers(spans: &[Span], window: Window) {
    let Some((first, last)) = spans.first().zip(spans.last()) else {
        assert_eq!(window.from, window.to);
        return;
    };
    assert_eq!((first.window.from, last.window.to), (window.from, window.to));
    assert!(spans.iter().all(|span| span.window.from < span.window.to));
    for pair in spans.windows(2) {
        assert_eq!(pair[0].window.to, pair[1].window.from);
        assert_ne!(pair[0].bucket, pair[1].bucket);
    }
}

fn sum(cells: &[Availability]) -> Availability {
    cells.iter().fold(Availability::default(), |sum, cell| Availability {
        up: sum.up + cell.up,
        degraded: sum.degraded + cell.degraded,
        down: sum.down + cell.down,
        planned: sum.planned + cell.planned,
        not_observed: sum.not_observed + cell.not_observed,
    })
}

#[test]
fn the_buckets_add_up_to_the_whole_whatever_the_clocks_did() {
    for seed in 0..10_000 {
        let mut random = Random::new(seed);
        let seconds = random.pick(&[20, 1_000, 3_000_000]);
        let world = World::any(&mut random, seconds, fine);
        let (course, window) = (world.course(), any_window(&mut random, seconds, fine));
        let (spans, availability) = (course.spans(window), course.availability(window));
        assert_covers(&spans, window);
        assert_eq!(availability.total(), window.length(), "seed {seed}: {world:?}");
        let cells = usize::try_from(1 + random.below(70)).unwrap();
        let bar = course.bar(window, cells);
        assert_eq!((bar.len(), sum(&bar)), (cells, availability), "seed {seed}: {world:?}");
        let (outages, down) = (course.outages(window), |span: &&Span| span.bucket == Bucket::Down);
        let lasted: SignedDuration = outages.iter().copied().map(Window::length).sum();
        assert!(lasted >= availability.down, "seed {seed}: all that was down is in an outage");
        assert!(outages.len() <= spans.iter().filter(down).count(), "seed {seed}");
        assert_bounds_hold(&availability);
    }
}

fn assert_bounds_hold(availability: &Availability) {
    if let (Some(ratio), Some((lowest, highest))) = (availability.ratio(), availability.bounds()) {
        assert!(0.0 <= lowest && lowest <= ratio + 1e-12 && ratio <= highest + 1e-12 && highest <= 1.0);
    }
    assert!(availability.coverage().is_none_or(|coverage| (0.0..=1.0).contains(&coverage)));
}

/// Second by second: each mark paints everything from its time on.
fn slowly(world: &World, seconds: i64) -> Vec<Bucket> {
    let instants: Vec<Timestamp> = (0..seconds).map(at).collect();
    let mut line = vec![Bucket::NotObserved; instants.len()];
    for mark in &world.marks {
        let after = instants.iter().zip(&mut line).filter(|(instant, _)| **instant >= mark.at);
        after.for_each(|(_, bucket)| *bucket = Bucket::of(mark.status, mark.cause));
    }
    let within = |instant: Timestamp, from, to| from <= instant && instant < to;
    for (instant, bucket) in instants.iter().zip(&mut line) {
        let is_planned = world.maintenance.iter().any(|it| within(*instant, it.from, it.to));
        if is_planned && *bucket != Bucket::NotObserved {
            *bucket = Bucket::Planned;
        }
        let is_gap = world.gaps.iter().any(|gap| within(*instant, gap.from, gap.to));
        if is_gap || *instant >= world.observed_until {
            *bucket = Bucket::NotObserved;
        }
    }
    line
}

#[test]
fn the_spans_are_what_each_instant_counts_as() {
    const SECONDS: i64 = 40;
    let mut seen = [0; 5];
    for seed in 0..10_000 {
        let world = World::any(&mut Random::new(seed), SECONDS, whole);
        let (slow, course) = (slowly(&world, SECONDS), world.course());
        for span in course.spans(window(0, SECONDS)) {
            seen[span.bucket as usize] += 1;
        }
        for (second, wanted) in (0..).zip(slow) {
            let span = course.spans(window(second, second + 1))[0];
            assert_eq!(span.bucket, wanted, "seed {seed}, second {second}: {world:?}");
        }
        let all = course.spans(window(0, SECONDS));
        assert_covers(&all, window(0, SECONDS));
        let one_by_one = (0..SECONDS).flat_map(|second| course.spans(window(second, second + 1)));
        assert_eq!(sum(&[one_by_one.collect()]), course.availability(window(0, SECONDS)), "seed {seed}");
    }
    assert!(seen.iter().all(|number| *number > 1_000), "too little happened: {seen:?}");
}
