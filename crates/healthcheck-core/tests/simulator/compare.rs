//! One world against the same one with less in it.

use crate::script::{Act, Event, Level, Script, Writer};
use crate::store::{Note, Told};
use crate::world::{Outcome, run};
use std::panic::catch_unwind;

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

/// What is broken in a world, if anything is. Of each two worlds one runs again without kills, and the other without
/// steps of the clock.
pub(crate) fn broken(script: &Script) -> Option<Broken> {
    catch_unwind(|| compared(script)).unwrap_or_else(|_| {
        let problem = format!("p: the judge panics in a world of seed {}", script.seed);
        Some(Broken { problem, stories: Vec::new() })
    })
}

fn compared(script: &Script) -> Option<Broken> {
    let full = run(script);
    if let Some(problem) = full.broken.clone().or_else(|| false_alarm(script, &full)) {
        return Some(Broken { problem, stories: vec![("told", full.story)] });
    }
    match script.seed {
        _ if full.is_lost => None,
        seed if seed.is_multiple_of(32) => again(script, full),
        seed if seed.is_multiple_of(2) => without_kills(script, full),
        _ => without_steps(script, full),
    }
}

/// b: nobody is told anything bad of a service that started once and to which nothing happened, whatever happened to
/// the monitor, to the events, and to the clocks. Of the writers that give nothing but a file, at the first sight the
/// wall clock decides.
fn false_alarm(script: &Script, full: &Outcome) -> Option<String> {
    let is_of_all = |event: &Event| matches!(event, Event::Boot { .. } | Event::Disk(_));
    if script.events.iter().any(|(_, event)| is_of_all(event)) {
        return None;
    }
    let has_steps = script.events.iter().any(|(_, event)| matches!(event, Event::ClockStep(_)));
    script.plan.services.iter().enumerate().find_map(|(at, service)| {
        let mut own = script.events.iter().filter(|(_, event)| event.is_of_service(at));
        let (start, first) = own.next()?;
        let is_well = *first == Event::Service(at, Act::Start) && own.next().is_none();
        let is_certain = service.writer != Writer::Wild
            && !(has_steps && (service.writer.has_file_times_only() || !script.plan.has_boot_id));
        let is_false =
            |told: &&Told| told.subject == at && told.t > script.plan.uptime + *start && told.to.is_bad();
        let alarm = full.story.iter().find(is_false).filter(|_| is_well && is_certain)?;
        Some(format!("b: {} is well, and {alarm:?}", service.name))
    })
}

/// f: the same seed gives the same world.
fn again(script: &Script, full: Outcome) -> Option<Broken> {
    let other = run(script);
    let is_same = full.story == other.story && full.text == other.text;
    let stories = vec![("first", full.story), ("second", other.story)];
    (!is_same).then(|| Broken { problem: "f: it is another one each time".into(), stories })
}

fn without_kills(script: &Script, full: Outcome) -> Option<Broken> {
    let unkilled = run(&script.without(is_kill));
    let problem = unkilled.broken.clone().or_else(|| in_the_end(script, &full, &unkilled));
    let stories = vec![("told", full.story), ("without kills", unkilled.story)];
    problem.filter(|_| !unkilled.is_lost).map(|problem| Broken { problem, stories })
}

/// Where the times of files are all there is, a kill may lose what else was known of a file's age: then both worlds
/// are without.
fn without_steps(script: &Script, full: Outcome) -> Option<Broken> {
    let is_step = |event: &Event| matches!(event, Event::ClockStep(_));
    let (stepped, script) = if script.plan.is_exact() {
        (full, script.clone())
    } else {
        let unkilled = script.without(is_kill);
        (run(&unkilled), unkilled)
    };
    let unstepped = run(&script.without(is_step));
    let broken = || stepped.broken.clone().or_else(|| unstepped.broken.clone());
    let problem = broken().or_else(|| by_steps(&script, &stepped, &unstepped));
    let stories = vec![("told", stepped.story), ("without steps", unstepped.story)];
    problem.map(|problem| Broken { problem, stories })
}

const fn is_kill(event: &Event) -> bool {
    matches!(event, Event::Kill { .. })
}

/// d: kills change nothing in the end.
fn in_the_end(script: &Script, full: &Outcome, unkilled: &Outcome) -> Option<String> {
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
