//! The snapshot as JSON, version 1: a contract with whoever reads it.

mod chain;
mod fleet;
mod incidents;
mod looks;
mod machine;
mod past;
mod replay;

use super::Picture;
use super::fleet::FleetPicture;
use super::history::{Changes, Timeline};
use super::incidents::Incidents;
use super::issues::issues;
use super::replay::Comparison;
use super::silences::Silences;
use super::uptime::Uptime;
use super::why::Chain;
use health_reporter::Status;
use healthcheck_core::{CheckView, Evidence, Kind, Priority, ProcessCost, ServiceView};
use jiff::Timestamp;
use looks::{Look, Number};
use machine::Machine;
use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};

const SCHEMA_VERSION: u32 = 1;

/// Writes the snapshot as one JSON object: with line breaks for people, on one line for programs.
pub(crate) fn write(picture: &Picture, for_people: bool, out: &mut dyn Write) -> io::Result<()> {
    write_object(&Document::of(picture), for_people, out)
}

/// Writes in the same way how one verdict came about.
pub(crate) fn write_chain(chain: &Chain, for_people: bool, out: &mut dyn Write) -> io::Result<()> {
    write_object(&chain::Document::of(chain), for_people, out)
}

/// Writes in the same way what is wrong and what was.
pub(crate) fn write_incidents(list: &Incidents, for_people: bool, out: &mut dyn Write) -> io::Result<()> {
    write_object(&incidents::IncidentList::of(list), for_people, out)
}

/// Writes in the same way what other alert settings would have sent.
pub(crate) fn write_replay(
    comparison: &Comparison,
    lists_all: bool,
    for_people: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    write_object(&replay::Document::of(comparison, lists_all), for_people, out)
}

/// Writes in the same way how it stands with all machines.
pub(crate) fn write_fleet(picture: &FleetPicture, for_people: bool, out: &mut dyn Write) -> io::Result<()> {
    write_object(&fleet::Document::of(picture), for_people, out)
}

/// Writes in the same way what is muted.
pub(crate) fn write_silences(list: &Silences, for_people: bool, out: &mut dyn Write) -> io::Result<()> {
    write_object(&incidents::SilenceList::of(list), for_people, out)
}

/// Writes in the same way how subjects were.
pub(crate) fn write_uptime(page: &Uptime, for_people: bool, out: &mut dyn Write) -> io::Result<()> {
    write_object(&past::UptimeDocument::of(page), for_people, out)
}

/// Writes in the same way what changed.
pub(crate) fn write_changes(page: &Changes, for_people: bool, out: &mut dyn Write) -> io::Result<()> {
    write_object(&past::ChangesDocument::of(page), for_people, out)
}

/// Writes in the same way everything that is known of one subject.
pub(crate) fn write_timeline(line: &Timeline, for_people: bool, out: &mut dyn Write) -> io::Result<()> {
    write_object(&past::TimelineDocument::of(line), for_people, out)
}

fn write_object(document: &impl Serialize, for_people: bool, out: &mut dyn Write) -> io::Result<()> {
    let mut out = InLargePieces { pending: Vec::new(), out };
    if for_people {
        serde_json::to_writer_pretty(&mut out, document)?;
    } else {
        serde_json::to_writer(&mut out, document)?;
    }
    out.write_all(b"\n")?;
    out.flush()
}

/// Gathers the very many and very small pieces of JSON.
struct InLargePieces<'a> {
    pending: Vec<u8>,
    out: &'a mut dyn Write,
}

impl InLargePieces<'_> {
    const BYTES: usize = 64 * 1024;

    fn pass_on(&mut self) -> io::Result<()> {
        self.out.write_all(&self.pending)?;
        self.pending.clear();
        Ok(())
    }
}

impl Write for InLargePieces<'_> {
    #[inline]
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.write_all(piece).map(|()| piece.len())
    }

    #[inline]
    fn write_all(&mut self, piece: &[u8]) -> io::Result<()> {
        self.pending.extend_from_slice(piece);
        if self.pending.len() >= Self::BYTES { self.pass_on() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pass_on()?;
        self.out.flush()
    }
}

/// A snapshot of the services on one machine.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "healthcheck snapshot, version 1", inline)]
pub(crate) struct Document<'a> {
    /// The version of this format.
    schema_version: u32,
    /// When it was taken, RFC 3339 in UTC.
    #[schemars(with = "String")]
    timestamp: Timestamp,
    /// Who looked: `monitor`, the one that runs for these directories, or `direct`, the very process that shows it.
    source: &'static str,
    /// The monitor's pid.
    #[serde(skip_serializing_if = "Option::is_none")]
    monitor_pid: Option<u32>,
    /// The machine's name.
    host: &'a str,
    /// The project of the configuration, or of `PROJECT_ENV`.
    project: Option<&'a str>,
    /// How services are run here: `systemd` or `processes`.
    deployment_mode: &'static str,
    /// The worst of all; an optional service counts as at most a warning.
    overall_status: Word,
    /// How many services, endpoints and probes are how.
    health_summary: Summary,
    /// Each service that reports or is expected, by name.
    #[serde(serialize_with = "each_service")]
    #[schemars(with = "BTreeMap<&'a str, Service<'a>>")]
    services: &'a [ServiceView],
    /// Each ZMQ endpoint, by name.
    zmq_endpoints: BTreeMap<&'a str, Look<'a>>,
    /// Each probe, by name.
    probes: BTreeMap<&'a str, Look<'a>>,
    /// The numbers of the machine; what was not observed is absent.
    resources: Machine<'a>,
    /// What the process of each service takes, by the service's name.
    #[serde(serialize_with = "each_process")]
    #[schemars(with = "BTreeMap<&'a str, Process>")]
    processes: &'a [ServiceView],
    /// Everything that is not healthy, the worst first.
    issues: Vec<Issue<'a>>,
}

/// A status in lower case.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Word {
    Healthy,
    Unknown,
    Warning,
    Error,
    Fatal,
}

impl From<Status> for Word {
    fn from(status: Status) -> Self {
        match status {
            Status::Healthy => Self::Healthy,
            Status::Unknown => Self::Unknown,
            Status::Warning => Self::Warning,
            Status::Error => Self::Error,
            Status::Fatal => Self::Fatal,
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
struct Summary {
    total: usize,
    healthy: usize,
    unknown: usize,
    warning: usize,
    error: usize,
    fatal: usize,
}

/// The verdict on a service, and what it last said.
#[derive(Debug, Serialize, JsonSchema)]
struct Service<'a> {
    status: Word,
    /// Why, one of a closed set: `self_reported`, `crashed`, `hung`, `stopped`, …
    cause: &'static str,
    /// Why, for people.
    message: &'a str,
    /// Since when status and cause are what they are.
    #[schemars(with = "String")]
    since: Timestamp,
    /// `critical` or `optional`.
    priority: &'static str,
    /// The dependency that is the root of it, when it is bad.
    #[serde(skip_serializing_if = "Option::is_none")]
    root: Option<&'a str>,
    /// Who depends on it, when it is bad.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    affects: &'a [String],
    /// How many more depend on it.
    #[serde(skip_serializing_if = "is_zero")]
    affects_left_out: usize,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    depends_on: &'a [String],
    /// The decisions that led to the verdict.
    #[schemars(with = "Vec<&'a str>")]
    reasons: &'a [Cow<'static, str>],
    /// What was seen.
    #[schemars(with = "BTreeMap<&'a str, &'a str>")]
    evidence: &'a Evidence,
    /// Where it says it is in its life.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_task: Option<&'a str>,
    /// The name that its report gives it, where that is not its file's.
    #[serde(skip_serializing_if = "Option::is_none")]
    name_inside: Option<&'a str>,
    #[serde(serialize_with = "each_check")]
    #[schemars(with = "Vec<Check<'a>>")]
    checks: &'a [CheckView],
    /// Checks that are not shown.
    #[serde(skip_serializing_if = "is_zero")]
    checks_left_out: usize,
    /// How old the report is.
    #[serde(skip_serializing_if = "Option::is_none")]
    age_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deadline_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uptime_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    last_updated: Option<Timestamp>,
    restart_count: u64,
    error_count: u64,
    messages_sent: u64,
    messages_received: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u64>,
    /// How long the look from outside took, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    took_ms: Option<f64>,
    /// What its command measured.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    metrics: Vec<Number<'a>>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Check<'a> {
    name: &'a str,
    status: Word,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    since: Option<Timestamp>,
}

/// What a process takes.
#[derive(Debug, Serialize, JsonSchema)]
struct Process {
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u64>,
    /// Processor time since its start.
    cpu_s: f64,
    /// Resident memory.
    memory_bytes: u64,
    /// Open descriptors, where they may be counted.
    descriptors: Option<u32>,
    threads: u32,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Issue<'a> {
    /// The service, or what else it is about.
    check: &'a str,
    status: Word,
    message: &'a str,
}

// What follows is made while it is written, and so never is in memory as a whole.

fn each_service<S: Serializer>(views: &[ServiceView], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(views.iter().map(|view| (&*view.subject.name, Service::of(view))))
}

fn each_process<S: Serializer>(views: &[ServiceView], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(views.iter().filter_map(process))
}

fn each_check<S: Serializer>(views: &[CheckView], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(views.iter().map(Check::of))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl<'a> Document<'a> {
    fn of(picture: &'a Picture) -> Self {
        let services = &picture.snapshot.services;
        Self {
            schema_version: SCHEMA_VERSION,
            timestamp: picture.snapshot.timestamp,
            source: picture.source.as_str(),
            monitor_pid: picture.source.monitor_pid(),
            host: &picture.host,
            project: picture.project.as_deref(),
            deployment_mode: picture.mode.as_str(),
            overall_status: picture.overall_status().into(),
            health_summary: Summary::of(picture),
            services,
            zmq_endpoints: looks::of_kind(picture, Kind::Zmq),
            probes: looks::of_kind(picture, Kind::Probe),
            resources: picture.resources.as_ref().map(Machine::of).unwrap_or_default(),
            processes: services,
            issues: Issue::all_of(picture),
        }
    }
}

impl Summary {
    const fn of(picture: &Picture) -> Self {
        let counts = picture.snapshot.counts;
        Self {
            total: counts.total,
            healthy: counts.healthy,
            unknown: counts.unknown,
            warning: counts.warning,
            error: counts.error,
            fatal: counts.fatal,
        }
    }
}

impl<'a> Service<'a> {
    fn of(view: &'a ServiceView) -> Self {
        let verdict = &view.subject;
        Self {
            status: verdict.status.into(),
            cause: verdict.cause.as_str(),
            message: &verdict.message,
            since: verdict.since,
            priority: match view.priority {
                Priority::Critical => "critical",
                Priority::Optional => "optional",
            },
            root: view.root.as_deref(),
            affects: &view.affects,
            affects_left_out: view.affects_left_out,
            depends_on: &view.depends_on,
            reasons: &verdict.reasons,
            evidence: &verdict.evidence,
            state: view.state.map(health_reporter::State::as_str),
            current_task: view.current_task.as_deref(),
            name_inside: view.name_inside.as_deref(),
            checks: &view.checks,
            checks_left_out: view.checks_left_out,
            age_s: view.age_s.map(to_milliseconds),
            deadline_s: view.deadline_s,
            uptime_s: view.uptime_s,
            last_updated: view.last_updated,
            restart_count: view.restart_count,
            error_count: view.error_count,
            messages_sent: view.messages_sent,
            messages_received: view.messages_received,
            pid: view.pid,
            took_ms: looks::took_ms(verdict),
            metrics: looks::numbers(verdict),
        }
    }
}

fn to_milliseconds(seconds: f64) -> f64 {
    (seconds * 1e3).round() / 1e3
}

impl<'a> Check<'a> {
    fn of(check: &'a CheckView) -> Self {
        Self { name: &check.name, status: check.status.into(), message: &check.message, since: check.since }
    }
}

fn process(view: &ServiceView) -> Option<(&str, Process)> {
    let ProcessCost { cpu_s, memory_bytes, descriptors, threads } = view.process?;
    Some((&view.subject.name, Process { pid: view.pid, cpu_s, memory_bytes, descriptors, threads }))
}

impl<'a> Issue<'a> {
    fn all_of(picture: &'a Picture) -> Vec<Self> {
        let issues = issues(picture).into_iter();
        issues
            .map(|issue| Self { check: issue.name(), status: issue.status.into(), message: issue.message })
            .collect()
    }
}

/// The schema of the snapshot, as it is kept in `docs/`.
#[cfg(test)]
pub(crate) fn schema() -> serde_json::Value {
    schema_of::<Document<'_>>()
}

#[cfg(test)]
fn schema_of<T: JsonSchema>() -> serde_json::Value {
    let mut settings = schemars::generate::SchemaSettings::draft2020_12();
    settings.contract = schemars::generate::Contract::Serialize;
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples::{metric, picture, resource, troubled, well};
    use healthcheck_core::Resources;
    use serde_json::json;

    #[test]
    fn the_kept_schema_is_the_one_of_the_types() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/snapshot.schema.json");
        let schema = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &schema).unwrap();
        }
        let kept = std::fs::read_to_string(path).unwrap();
        assert!(kept == schema, "docs/snapshot.schema.json is old: run the tests with UPDATE_DOCS=1");
    }

    fn shown(picture: &Picture) -> serde_json::Value {
        let mut out = Vec::new();
        write(picture, false, &mut out).unwrap();
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn what_was_looked_at_from_outside_is_told_with_its_evidence() {
        let mut picture = troubled();
        let db = picture.snapshot.others.iter_mut().find(|view| &*view.name == "db").unwrap();
        db.metrics = vec![metric("connections", 12.0, "c")];
        let shown = shown(&picture);
        assert_eq!(
            shown["zmq_endpoints"]["depth"],
            json!({
                "status": "error",
                "cause": "probe_failed",
                "message": "tcp://127.0.0.1:5556 refused",
                "since": "2025-06-01T12:00:00Z",
                "reasons": ["because"],
                "evidence": {"endpoint": "tcp://127.0.0.1:5556", "socket": "PUB"},
                "took_ms": 0.2,
            })
        );
        let metrics = &shown["probes"]["db"]["metrics"];
        assert_eq!(*metrics, json!([{"label": "connections", "value": 12.0, "unit": "c"}]));
        assert_eq!(
            (&shown["health_summary"]["total"], &shown["health_summary"]["error"]),
            (&json!(9), &json!(2))
        );
        assert_eq!(shown["issues"][1]["check"], "depth");
    }

    #[test]
    fn what_was_not_observed_is_absent() {
        let mut picture = picture(vec![well("core")], vec![resource("disk /", Status::Warning, "97 %")]);
        let resources = &shown(&picture)["resources"];
        assert_eq!(resources["cpu"], json!({"busy_ratio": 0.12}));
        assert_eq!(resources["pressure"], json!({"cpu": 0.0, "io": 0.002}));
        assert_eq!(resources["load"]["per_core"], 0.2);
        assert_eq!(
            (&resources["disks"][0]["type"], &resources["disks"][0]["inodes_used_ratio"]),
            (&json!("ext4"), &json!(0.1))
        );
        assert_eq!(resources["descriptors"], json!({"open": 1_000, "max": 100_000, "used_ratio": 0.01}));
        assert_eq!(shown(&picture)["issues"][0]["check"], "disk /");
        assert_eq!(shown(&picture)["health_summary"]["total"], 1, "resources are not counted");
        picture.resources = Some(Resources::default());
        assert_eq!(shown(&picture)["resources"], json!({}));
    }
}
