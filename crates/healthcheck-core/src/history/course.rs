//! How one subject was over time, and for how long it was how.

use super::{Bucket, Mark, Window};
use crate::Gap;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How one subject was over time. Where several things are said of an instant, that it was not observed wins over what
/// was planned, and that over the status.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Course {
    /// By time, no two at the same instant.
    marks: Vec<(Timestamp, Bucket)>,
    planned: Vec<Window>,
    /// Gaps, and all that comes after the last instant at which somebody looked.
    unseen: Vec<Window>,
}

/// Time in which a subject counts as one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// When.
    pub window: Window,
    /// As what.
    pub bucket: Bucket,
}

impl Course {
    /// The course that follows from `marks` in the order of judging. Where the clock was set back, wall times go back
    /// with it: a mark takes the place of everything that was marked at or after its time. Before the first mark and
    /// from `observed_until` on nothing is observed.
    #[must_use]
    pub fn new(marks: &[Mark], maintenance: &[Window], gaps: &[Gap], observed_until: Timestamp) -> Self {
        let rest = Window { from: observed_until, to: Timestamp::MAX };
        let gaps = gaps.iter().map(|gap| Window { from: gap.from, to: gap.to });
        Self {
            marks: in_order(marks),
            planned: joined(maintenance.iter().copied()),
            unseen: joined(gaps.chain([rest])),
        }
    }

    /// What every instant of a window counts as: spans in order that cover it exactly, and of which no two that follow
    /// each other are of the same bucket.
    #[must_use]
    pub fn spans(&self, window: Window) -> Vec<Span> {
        let mut spans: Vec<Span> = Vec::new();
        let mut at = window.from;
        let mut ahead = Ahead::of(self, at);
        while at < window.to {
            let (bucket, until) = ahead.at(at);
            let to = until.min(window.to);
            match spans.last_mut() {
                Some(last) if last.bucket == bucket => last.window.to = to,
                _ => spans.push(Span { window: Window { from: at, to }, bucket }),
            }
            at = to;
        }
        spans
    }

    /// For how long it was how.
    #[must_use]
    pub fn availability(&self, window: Window) -> Availability {
        self.spans(window).into_iter().collect()
    }

    /// What of a window is left from the first word on it: before that there was nothing to observe. All of it where
    /// there never was a word.
    #[must_use]
    pub fn known(&self, window: Window) -> Window {
        let first = self.marks.first().map_or(window.from, |(at, _)| *at);
        Window { from: first.clamp(window.from, window.to), to: window.to }
    }

    /// The window in `cells` parts of the same length, to the nanosecond, and for how long it was how in each of them.
    #[must_use]
    pub fn bar(&self, window: Window, cells: usize) -> Vec<Availability> {
        let spans = self.spans(window);
        let mut first = 0;
        let cell = |number| {
            let cell = part(window, number, cells);
            first += spans[first..].partition_point(|span| span.window.to <= cell.from);
            let reaching = spans[first..].iter().take_while(|span| span.window.from < cell.to);
            reaching.filter_map(|span| Some(Span { window: span.window.overlap(cell)?, ..*span })).collect()
        };
        (0..cells).map(cell).collect()
    }

    /// The times in which it was down. Where it was down before and after a time in which nobody looked, and nothing was
    /// judged in between, that is one outage.
    #[must_use]
    pub fn outages(&self, window: Window) -> Vec<Window> {
        let mut outages: Vec<Window> = Vec::new();
        let mut is_broken = true;
        for Span { window, bucket } in self.spans(window) {
            match (bucket, outages.last_mut()) {
                (Bucket::Down, Some(last)) if !is_broken && !self.is_judged_between(last.to, window.from) => {
                    last.to = window.to;
                }
                (Bucket::Down, _) => outages.push(window),
                _ => {}
            }
            is_broken = bucket != Bucket::Down && (is_broken || bucket != Bucket::NotObserved);
        }
        outages
    }

    /// Whether it was judged as anything but down after the one and up to the other instant.
    fn is_judged_between(&self, from: Timestamp, to: Timestamp) -> bool {
        let first = self.marks.partition_point(|(at, _)| *at <= from);
        self.marks[first..]
            .iter()
            .take_while(|(at, _)| *at <= to)
            .any(|(_, bucket)| !matches!(bucket, Bucket::Down | Bucket::NotObserved))
    }
}

/// What holds from which instant on.
fn in_order(marks: &[Mark]) -> Vec<(Timestamp, Bucket)> {
    let mut kept: Vec<(Timestamp, Bucket)> = Vec::with_capacity(marks.len());
    for mark in marks {
        while kept.last().is_some_and(|(at, _)| *at >= mark.at) {
            kept.pop();
        }
        kept.push((mark.at, Bucket::of(mark.status, mark.cause)));
    }
    kept
}

/// The same time in windows that neither touch nor overlap, in order; one that ends before it begins is none.
fn joined(windows: impl Iterator<Item = Window>) -> Vec<Window> {
    let mut sorted: Vec<Window> = windows.filter(|window| window.from < window.to).collect();
    sorted.sort_unstable();
    let mut joined: Vec<Window> = Vec::with_capacity(sorted.len());
    for window in sorted {
        match joined.last_mut() {
            Some(last) if window.from <= last.to => last.to = last.to.max(window.to),
            _ => joined.push(window),
        }
    }
    joined
}

/// The part of this number, counted from 0.
fn part(window: Window, number: usize, of: usize) -> Window {
    let nanoseconds = window.length().as_nanos();
    let border = |number: usize| {
        let (number, of) = (i128::try_from(number).unwrap_or(0), i128::try_from(of).unwrap_or(1));
        let offset = SignedDuration::from_nanos_i128(nanoseconds * number / of);
        window.from.checked_add(offset).unwrap_or(window.to)
    };
    Window { from: border(number), to: border(number + 1) }
}

/// What lies ahead of an instant that only moves forward.
struct Ahead<'a> {
    bucket: Bucket,
    marks: &'a [(Timestamp, Bucket)],
    planned: &'a [Window],
    unseen: &'a [Window],
}

impl<'a> Ahead<'a> {
    fn of(course: &'a Course, at: Timestamp) -> Self {
        let from = |windows: &'a [Window]| &windows[windows.partition_point(|window| window.to <= at)..];
        Self {
            bucket: Bucket::NotObserved,
            marks: &course.marks[course.marks.partition_point(|mark| mark.0 <= at).saturating_sub(1)..],
            planned: from(&course.planned),
            unseen: from(&course.unseen),
        }
    }

    /// The bucket at an instant, and the first instant at which it may be another one.
    fn at(&mut self, at: Timestamp) -> (Bucket, Timestamp) {
        while let [(since, bucket), rest @ ..] = self.marks
            && *since <= at
        {
            (self.bucket, self.marks) = (*bucket, rest);
        }
        let (is_planned, planned_until) = enter(&mut self.planned, at);
        let (is_unseen, unseen_until) = enter(&mut self.unseen, at);
        let marked_until = self.marks.first().map_or(Timestamp::MAX, |mark| mark.0);
        let bucket = match self.bucket {
            _ if is_unseen => Bucket::NotObserved,
            Bucket::NotObserved => Bucket::NotObserved,
            _ if is_planned => Bucket::Planned,
            bucket => bucket,
        };
        (bucket, marked_until.min(planned_until).min(unseen_until))
    }
}

/// Whether an instant lies in one of the windows, and until when that remains so; what is over is left behind.
fn enter(windows: &mut &[Window], at: Timestamp) -> (bool, Timestamp) {
    while let [window, rest @ ..] = windows
        && window.to <= at
    {
        *windows = rest;
    }
    match windows.first() {
        Some(window) if window.from <= at => (true, window.to),
        next => (false, next.map_or(Timestamp::MAX, |window| window.from)),
    }
}

/// For how long a subject was how. All of it together is the window that was asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Availability {
    /// [`Bucket::Up`].
    pub up: SignedDuration,
    /// [`Bucket::Degraded`].
    pub degraded: SignedDuration,
    /// [`Bucket::Down`].
    pub down: SignedDuration,
    /// [`Bucket::Planned`].
    pub planned: SignedDuration,
    /// [`Bucket::NotObserved`].
    pub not_observed: SignedDuration,
}

impl Availability {
    /// All of it together.
    #[must_use]
    pub fn total(&self) -> SignedDuration {
        self.up + self.degraded + self.down + self.planned + self.not_observed
    }

    /// The share of the time that it was meant to work, and was observed, in which it worked; nothing where there is
    /// no such time.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        let worked = self.up + self.degraded;
        share(worked, worked + self.down)
    }

    /// What the ratio would be if it had been down all the time that was not observed, and if it had worked.
    #[must_use]
    pub fn bounds(&self) -> Option<(f64, f64)> {
        let worked = self.up + self.degraded;
        let all = worked + self.down + self.not_observed;
        Some((share(worked, all)?, share(worked + self.not_observed, all)?))
    }

    /// The observed share of all the time.
    #[must_use]
    pub fn coverage(&self) -> Option<f64> {
        share(self.total() - self.not_observed, self.total())
    }

    /// What one cell shows of it: that it was down, or worried, however short that was; else what took longest.
    #[must_use]
    pub fn worst(&self) -> Bucket {
        if self.down.is_positive() {
            Bucket::Down
        } else if self.degraded.is_positive() {
            Bucket::Degraded
        } else if self.up.is_positive() && self.up >= self.planned.max(self.not_observed) {
            Bucket::Up
        } else if self.planned.is_positive() && self.planned >= self.not_observed {
            Bucket::Planned
        } else {
            Bucket::NotObserved
        }
    }

    fn add(&mut self, span: &Span) {
        let sum = match span.bucket {
            Bucket::Up => &mut self.up,
            Bucket::Degraded => &mut self.degraded,
            Bucket::Down => &mut self.down,
            Bucket::Planned => &mut self.planned,
            Bucket::NotObserved => &mut self.not_observed,
        };
        *sum += span.window.length();
    }
}

impl FromIterator<Span> for Availability {
    fn from_iter<I: IntoIterator<Item = Span>>(spans: I) -> Self {
        let mut sum = Self::default();
        spans.into_iter().for_each(|span| sum.add(&span));
        sum
    }
}

fn share(part: SignedDuration, whole: SignedDuration) -> Option<f64> {
    whole.is_positive().then(|| part.as_secs_f64() / whole.as_secs_f64())
}
