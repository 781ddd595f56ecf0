//! The shortest story that still breaks an invariant, and how it is told.

use crate::script::{Event, Script};
use crate::store::Told;
use crate::{Broken, broken};
use std::fmt::Write;
use std::time::Duration;

/// Leaves out events as long as the same invariant stays broken: first halves of them, in the end single ones.
pub(crate) fn shrink(script: &Script, found: &Broken) -> (Script, Broken) {
    let (mut shortest, mut reason) = (script.clone(), found.clone());
    let mut size = shortest.events.len().max(1);
    loop {
        let mut at = 0;
        while at < shortest.events.len() {
            let mut shorter = shortest.clone();
            shorter.events.drain(at..(at + size).min(shorter.events.len()));
            match broken(&shorter).filter(|other| other.letter() == found.letter()) {
                Some(other) => (shortest, reason) = (shorter, other),
                None => at += size,
            }
        }
        if size == 1 {
            return (shortest, reason);
        }
        size = size.div_ceil(2);
    }
}

/// What happened, and what was told, in order of time.
pub(crate) fn tell(script: &Script, found: &Broken) -> String {
    let mut text = format!("seed {} breaks {}\n", script.seed, found.problem);
    let subjects = script.plan.subjects();
    let _ = writeln!(text, "the machine is up for {:?}", script.plan.uptime);
    for service in &script.plan.services {
        let _ = writeln!(text, "  {service:?}");
    }
    let mut lines: Vec<(Duration, String)> = Vec::new();
    for (at, event) in &script.events {
        lines.push((script.plan.uptime + *at, in_words(script, event)));
    }
    for (whose, story) in &found.stories {
        let told = story.iter().map(|told| (told.t, format!("    {whose}: {}", transition(told, &subjects))));
        lines.extend(told);
    }
    lines.sort_by_key(|(at, _)| *at);
    for (at, line) in &lines {
        let _ = writeln!(text, "{} {line}", time(*at));
    }
    text
}

fn in_words(script: &Script, event: &Event) -> String {
    match event {
        Event::Service(at, act) => format!("{}: {act:?}", script.plan.services[*at].name),
        Event::Look(at, answer) => format!("{}: {answer:?}", script.plan.looks[*at].name),
        Event::Gauge(at, level) => format!("{}: {level:?}", script.plan.gauges[*at].quantity),
        other => format!("{other:?}"),
    }
}

fn transition(told: &Told, subjects: &[healthcheck_core::Subject]) -> String {
    format!("{} {} -> {} {}", subjects[told.subject], told.from, told.to, told.cause)
}

fn time(t: Duration) -> String {
    let seconds = t.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    format!("{days:4} d {hours:02}:{minutes:02}:{:02}.{:03}", seconds % 60, t.subsec_millis())
}
