//! Causes, evidence and looks, as people say them.

use super::{Chain, View};
use crate::render::Source;
use health_reporter::State;
use healthcheck_core::{Cause, Kind, ProbeKind, ServiceView, SubjectView, wording};
use std::time::Duration;

const FROM_OUTSIDE: [ProbeKind; 7] = [
    ProbeKind::Unit,
    ProbeKind::Container,
    ProbeKind::Command,
    ProbeKind::Http,
    ProbeKind::Tcp,
    ProbeKind::FileAge,
    ProbeKind::Zmq,
];

pub(super) fn of_cause(view: &View) -> &'static str {
    let subject = view.subject();
    match subject.cause {
        Cause::SelfReported if subject.kind == Kind::Service => "it says so itself",
        Cause::SelfReported => "that is what was seen",
        Cause::Crashed if is_job(view) => "its job failed",
        Cause::Crashed => "it ended without a goodbye",
        Cause::OomKilled => "its process ended because memory ran out",
        Cause::CrashLooping => "it restarts again and again",
        Cause::Hung => "its process lives, and is silent",
        Cause::Overdue => "its deadline passed, and there is no process to look at",
        Cause::ReporterCannotWrite => "its process lives, and its report cannot be written",
        Cause::NeverStarted => "it is expected, and has not reported since boot",
        Cause::Missing => "it reported since boot, and its report is gone",
        Cause::Stopped => "it said goodbye, or was stopped",
        Cause::Finished => "its job is done",
        Cause::ProbeFailed => "a look from outside is bad",
        Cause::Threshold => "a number is beyond its limit",
        Cause::ReportUnreadable => "there is a report, and it cannot be read",
        Cause::NewerVersion => "there is a report, and a newer program wrote it",
        Cause::NotPermitted => "there is a report, and it may not be read or believed",
        Cause::ProbeUnavailable => "it could not be looked at",
        Cause::NotObserved => "nobody looked",
    }
}

fn is_job(view: &View) -> bool {
    matches!(view, View::Service(service) if service.state == Some(State::Finished))
}

/// What a key of the evidence is called.
pub(in crate::render) fn of_key(key: &str) -> String {
    let words = match key {
        "age" => "age of its report",
        "age_from" => "its age is from",
        "check" => "worst check",
        "exit" => "how it ended",
        "file_age" => "age of the file",
        "http" => "web server",
        "instance" => "reports for it",
        "journal" => "last in the journal",
        "loop" => "silent loop",
        "oom" => "out of memory",
        "reported" => "it reported",
        "silence" => "silent for",
        "state" => "its own state",
        "tcp" => "connection",
        "write_failures" => "failed writes",
        "zmq" => "handshake",
        other => return other.replace('_', " "),
    };
    words.to_owned()
}

/// Whose look it was.
pub(super) fn of_source(chain: &Chain) -> String {
    match chain.source {
        Source::Direct | Source::History => "as a direct look has it".to_owned(),
        Source::Monitor { pid } => format!("as the monitor (pid {pid}) has it"),
    }
}

/// What the verdict rests on.
pub(super) fn looked_at(view: &View) -> Vec<String> {
    let subject = view.subject();
    let View::Service(service) = view else { return vec![of_kind(subject).to_owned()] };
    let mut looked = vec![report(service)];
    if let Some(pid) = service.pid.filter(|_| has_seen_process(service)) {
        looked.push(format!("its process {pid}"));
    }
    looked.extend(from_outside(subject).map(|kind| of_probe(kind).to_owned()));
    looked
}

/// What it does not rest on, and why.
pub(super) fn not_looked_at(view: &View) -> Vec<String> {
    let View::Service(service) = view else { return Vec::new() };
    let mut missing = Vec::new();
    match service.pid {
        None => missing.push("its process (no report names one)".to_owned()),
        Some(pid) if !has_seen_process(service) => {
            let why = service.subject.evidence.get("process").unwrap_or("it cannot be seen from here");
            missing.push(format!("its process {pid} ({why})"));
        }
        Some(_) => {}
    }
    if service.subject.took.is_none() && from_outside(&service.subject).next().is_none() {
        missing.push("anything from outside (no unit, container or probe belongs to it)".to_owned());
    }
    missing
}

/// A process that is gone was looked for all the same.
fn has_seen_process(service: &ServiceView) -> bool {
    let is_dead = matches!(service.subject.cause, Cause::Crashed | Cause::OomKilled);
    service.process.is_some() || is_dead
}

fn from_outside(view: &SubjectView) -> impl Iterator<Item = ProbeKind> {
    FROM_OUTSIDE.into_iter().filter(|kind| view.evidence.get(kind.as_str()).is_some())
}

fn report(service: &ServiceView) -> String {
    let seconds = |seconds: f64| Duration::try_from_secs_f64(seconds).map(wording::duration).ok();
    let age = service.age_s.and_then(seconds).map(|age| format!("{age} old"));
    let due = service.deadline_s.and_then(seconds).map(|deadline| format!("due within {deadline}"));
    let told: Vec<_> = age.into_iter().chain(due).collect();
    if told.is_empty() {
        "its report (there is none)".to_owned()
    } else {
        format!("its report ({})", told.join(", "))
    }
}

const fn of_probe(kind: ProbeKind) -> &'static str {
    match kind {
        ProbeKind::Unit => "its unit",
        ProbeKind::Container => "its container",
        ProbeKind::Process => "processes",
        ProbeKind::Command => "what a command says",
        ProbeKind::Http => "a web server",
        ProbeKind::Tcp => "a connection",
        ProbeKind::FileAge => "the age of a file",
        ProbeKind::Zmq => "a ZMQ endpoint",
        ProbeKind::Delivery => "its deliveries",
    }
}

const fn of_kind(view: &SubjectView) -> &'static str {
    match view.kind {
        Kind::Service => "its report",
        Kind::Zmq => "its endpoint",
        Kind::Probe => "what its probe shows",
        Kind::Resource => "the numbers of the machine",
        Kind::Host => "its lease",
        Kind::Channel => "its deliveries",
    }
}
