//! One world against the same one with less in it.

use crate::script::{Event, Level, Script, Writer};
use crate::store::{Note, Told};
use crate::world::{Outcome, run};

/// An invariant that does not hold.
#[derive(Debug, Clone)]
pub(crate) struct Broken {
    /// Begins with the letter of the invariant.
    pub(crate) problem: String,
    /// What was told, in each of the worlds.
    pub(crate) stories: Vec<(&'static str, Vec<Told>)>,
}

impl Broken {
    pub(crate) fn letter(&self) -> Option<char> {
        self.problem.chars().next()
    }
}

/// What is broken in a world, if anything is.
pub(crate) fn broken(script: &Script) -> Option<Broken> {
    let full = run(script);
    if let Some(problem) = full.broken {
        return Some(Broken { problem, stories: vec![("told", full.story)] });
    }
    let unkilled = run(&script.without(|event| matches!(event, Event::Kill { .. })));
    if full.is_lost || unkilled.is_lost {
        return None;
    }
    let is_step = |event: &Event| matches!(event, Event::ClockStep(_));
    let problem = in_the_end(script, &full, &unkilled);
    if let Some(problem) = problem {
        return Some(Broken { problem, stories: vec![("told", full.story), ("unkilled", unkilled.story)] });
    }
    // Where the times of files are all there is, a kill may lose what else was known of a file's age.
    let (stepped, unstepped) = if script.plan.is_exact() {
        (full, run(&script.without(is_step)))
    } else {
        let calm = script.without(|event| is_step(event) || matches!(event, Event::Kill { .. }));
        (unkilled, run(&calm))
    };
    let problem = unstepped.broken.clone().or_else(|| by_steps(script, &stepped, &unstepped));
    problem.map(|problem| Broken {
        problem,
        stories: vec![("told", stepped.story), ("without steps", unstepped.story)],
    })
}

/// d: kills change nothing in the end.
fn in_the_end(script: &Script, full: &Outcome, unkilled: &Outcome) -> Option<String> {
    if let Some(problem) = &unkilled.broken {
        return Some(problem.clone());
    }
    let subjects = script.plan.subjects();
    let differs = |at: &usize| {
        let ((judged, note), (other, others_note)) = (&full.last[*at], &unkilled.last[*at]);
        let is_wild = script.plan.services.get(*at).is_some_and(|it| it.writer == Writer::Wild);
        !is_wild && judged != other && is_comparable(note.as_ref(), others_note.as_ref())
    };
    let at = (0..subjects.len()).find(differs)?;
    Some(format!(
        "d: {} ends as {:?}, without kills as {:?}",
        subjects[at], full.last[at].0, unkilled.last[at].0
    ))
}

/// What happened while nobody looked may never become known: a report that came and went. What a number did may
/// decide how it is between its limits. And the age of a file is not known where only its times tell.
fn is_comparable(note: Option<&Note>, other: Option<&Note>) -> bool {
    match (note, other) {
        (Some(Note::Service(one)), Some(Note::Service(other))) => {
            let is_doubtful = one.is_uncertain() || other.is_uncertain();
            !is_doubtful && (one.has_ever, one.has_reported) == (other.has_ever, other.has_reported)
        }
        (Some(Note::Gauge(Some(shown))), _) => shown.what != Level::Middle,
        _ => true,
    }
}

/// c: steps of the wall clock change nothing, except for the writers that give nothing else: those are left out, for
/// their age at first sight, and whether they are of this boot, is what the wall clock says.
fn by_steps(script: &Script, stepped: &Outcome, unstepped: &Outcome) -> Option<String> {
    if stepped.is_lost || unstepped.is_lost || !script.plan.has_boot_id {
        return None;
    }
    let subjects = script.plan.subjects();
    let is_certain = |told: &&Told| {
        script.plan.services.get(told.subject).is_none_or(|service| !service.writer.has_file_times_only())
    };
    let (mut one, mut other) =
        (stepped.story.iter().filter(is_certain), unstepped.story.iter().filter(is_certain));
    loop {
        match (one.next(), other.next()) {
            (None, None) => return None,
            (one, other) if one == other => {}
            (one, other) => {
                let whose = one.or(other).map(|told| &subjects[told.subject]);
                return Some(format!("c: {whose:?}: {one:?}, without steps {other:?}"));
            }
        }
    }
}
