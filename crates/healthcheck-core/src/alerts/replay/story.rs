//! What happened, brought into the order in which it did.

use crate::alerts::{Act, Deed};
use crate::{Gap, GapReason, State, Subject, Transition};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

/// Where it is not known when somebody had looked at everything, he has after so much time.
const FIRST_LOOK: SignedDuration = SignedDuration::from_secs(10);

/// A start at most so long after a gap ended it.
const START: SignedDuration = SignedDuration::from_mins(5);

/// What happened, in order.
#[derive(Debug, Clone, Default)]
pub struct Story {
    /// In the order in which it happened.
    pub steps: Vec<Step>,
    /// What is known of subjects by now: what services say they depend on is not told by transitions.
    pub known: State,
}

/// What happened at one instant, or for a time.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Verdicts changed, and only then it was decided who is to be told.
    Together(Vec<Transition>),
    /// Something was done.
    Act(Act),
    /// Nobody looked.
    Gap(Gap),
}

impl Step {
    /// When it began, wall time.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Together(transitions) => transitions.first().map_or(Timestamp::MIN, |it| it.at),
            Self::Act(Act { deed: Deed::ClockSet { from }, .. }) => *from,
            Self::Act(act) => act.at,
            Self::Gap(gap) => gap.from,
        }
    }
}

impl Step {
    /// What of it still counts where these subjects changed later.
    fn that_counts(self, later: &mut BTreeSet<Subject>) -> Option<Self> {
        match self {
            Self::Together(mut seen) => {
                seen.reverse();
                seen.retain(|transition| later.insert(transition.subject.clone()));
                seen.reverse();
                (!seen.is_empty()).then_some(Self::Together(seen))
            }
            Self::Act(act) => {
                let is_wish = matches!(
                    act.deed,
                    Deed::Silenced(_)
                        | Deed::Unsilenced { .. }
                        | Deed::Acknowledged { .. }
                        | Deed::Forgotten { .. }
                        | Deed::TellsHosts { .. }
                        | Deed::Heard { .. }
                );
                is_wish.then_some(Self::Act(act))
            }
            Self::Gap(_) => None,
        }
    }
}

impl Story {
    /// Brings together what was kept apart, each in its own order: transitions with their numbers, what was done with
    /// the number of the last transition before it, and gaps. Transitions that are less than `together` apart were
    /// seen together, and so was everything in the first look after a gap.
    #[must_use]
    pub fn of(
        transitions: Vec<(i64, Transition)>,
        acts: Vec<(i64, Act)>,
        gaps: Vec<Gap>,
        together: Duration,
        known: State,
    ) -> Self {
        let together = SignedDuration::try_from(together).unwrap_or(SignedDuration::MAX);
        let is_clock = |(_, act): &&(i64, Act)| matches!(act.deed, Deed::ClockSet { .. });
        let clock_set = acts.iter().filter(is_clock).map(|(after, _)| *after).collect();
        let (transitions, acts, gaps) = (transitions.into(), acts.into(), gaps.into());
        let mut weaving = Weaving { transitions, acts, gaps, clock_set, together };
        let mut steps: Vec<Step> = Vec::new();
        let mut first_look_until = None;
        while let Some(step) = weaving.next() {
            match &step {
                Step::Gap(gap) if gap.reason != GapReason::Suspended => {
                    first_look_until = gap.to.checked_add(FIRST_LOOK).ok();
                }
                Step::Act(Act { deed: Deed::Started { .. }, .. }) => first_look_until = None,
                _ => {}
            }
            weaving.put(&mut steps, step, first_look_until);
        }
        Self { steps, known }
    }

    /// The same story with only what still counts of the time before an instant: the last word on each subject, and what
    /// operators asked for.
    #[must_use]
    pub fn shortened(mut self, until: Timestamp) -> Self {
        let first = self.steps.iter().position(|step| step.at() >= until).unwrap_or(self.steps.len());
        let told = self.steps.split_off(first);
        let mut subjects = BTreeSet::new();
        let mut kept: Vec<Step> =
            self.steps.into_iter().rev().filter_map(|it| it.that_counts(&mut subjects)).collect();
        kept.reverse();
        kept.extend(told);
        Self { steps: kept, known: self.known }
    }

    /// How long the machine had been up when the story begins, where that is known.
    pub(super) fn first_boottime(&self) -> Option<Duration> {
        let first = self.steps.first()?.at();
        let is_boot = |step: &&Step| matches!(step, Step::Gap(gap) if gap.reason == GapReason::Boot);
        let of_boot = self.steps.iter().take_while(|step| !is_boot(step));
        let (at, boottime) = of_boot.into_iter().find_map(|step| match step {
            Step::Act(Act { at, deed: Deed::Started { boottime } }) => Some((*at, *boottime)),
            _ => None,
        })?;
        boottime.checked_sub(Duration::try_from(at.duration_since(first)).ok()?)
    }
}

/// What is still to be put into the story.
struct Weaving {
    transitions: VecDeque<(i64, Transition)>,
    acts: VecDeque<(i64, Act)>,
    gaps: VecDeque<Gap>,
    /// After which transitions the wall clock is still to be set.
    clock_set: VecDeque<i64>,
    together: SignedDuration,
}

impl Weaving {
    fn next(&mut self) -> Option<Step> {
        let is_act = self.is_act_next();
        let act = self.acts.front().filter(|_| is_act).map(|(_, act)| Step::Act(act.clone()).at());
        let transition = self.transitions.front().filter(|_| !is_act).map(|(_, it)| it.at);
        if self.is_gap_next(act.or(transition)) {
            return self.gaps.pop_front().map(Step::Gap);
        }
        if is_act {
            let (_, act) = self.acts.pop_front()?;
            if matches!(act.deed, Deed::ClockSet { .. }) {
                self.clock_set.pop_front();
            }
            return Some(Step::Act(act));
        }
        self.transitions.pop_front().map(|(_, transition)| Step::Together(vec![transition]))
    }

    /// What was seen at the last instant before a gap was seen before it.
    fn is_gap_next(&self, next: Option<Timestamp>) -> bool {
        let Some(gap) = self.gaps.front() else { return false };
        next.is_none_or(|at| gap.from < at && !self.is_clock_set_before(gap))
    }

    /// Whether the wall clock is still to be set back before a gap, as far as the start at its end tells.
    fn is_clock_set_before(&self, gap: &Gap) -> bool {
        let is_at_end = |at: Timestamp| at >= gap.to && at.duration_since(gap.to) < START;
        let mut is_set_back = false;
        for (_, act) in &self.acts {
            match act.deed {
                Deed::ClockSet { from } => is_set_back |= act.at < from,
                Deed::Started { .. } if is_at_end(act.at) => return is_set_back,
                _ => {}
            }
        }
        false
    }

    /// Numbers say more than times: the wall clock may have been set between them.
    fn is_act_next(&self) -> bool {
        let Some((after, act)) = self.acts.front() else { return false };
        let Some((id, transition)) = self.transitions.front() else { return true };
        let is_clock_set_before = self.clock_set.front().is_some_and(|after| id > after);
        // A start follows the first look, and is kept with it.
        let is_start = matches!(act.deed, Deed::Started { .. });
        let is_earlier = if is_start { act.at < transition.at } else { act.at <= transition.at };
        id > after && (is_clock_set_before || is_earlier)
    }

    /// Adds a step, to the one before it where both are one.
    fn put(&self, steps: &mut Vec<Step>, step: Step, first_look_until: Option<Timestamp>) {
        if let (Some(Step::Together(seen)), Step::Together(new)) = (steps.last_mut(), &step)
            && let (Some(last), Some(next)) = (seen.last(), new.first())
        {
            let is_close = next.at.duration_since(last.at) < self.together && next.at >= last.at;
            if is_close || first_look_until.is_some_and(|until| next.at < until) {
                return seen.extend(new.iter().cloned());
            }
        }
        steps.push(step);
    }
}
