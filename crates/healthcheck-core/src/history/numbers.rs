//! Which numbers of a look are kept over time, and what they are called.

use crate::perfdata;
use crate::wording;
use crate::{
    CommandFacts, Connection, Facts, HttpFacts, Metric, Observation, ProbeFacts, ProbeKind, ProcessFacts,
    Quantity, Subject, UnitFacts, ZmqFacts, ZmqSight,
};
use health_reporter::HealthReport;
use std::collections::BTreeMap;
use std::time::Duration;

/// Numbers of one look, and names that others gave of one subject.
pub const MAX_METRICS: usize = 32;
/// Bytes of a name that somebody else gave; the whole name of a number is a little longer.
const MAX_LABEL_BYTES: usize = 64;
/// A name that was not seen for so long makes room for another one.
const NAME_KEPT: Duration = Duration::from_secs(86_400);
/// Less than this says nothing about the share of a processor.
const MIN_CPU_SPAN: Duration = Duration::from_millis(500);

/// The numbers of one look: at most 32, each finite, no name twice. The unit is in the name.
///
/// | name | of |
/// |---|---|
/// | `memory_ratio`, `load`, `disk_free_bytes`, … | a number of the machine |
/// | `check.NAME.duration_ms` | a check of a report |
/// | `http.latency_ms`, and of `tcp`, `zmq`, `command` | a look that was answered |
/// | `http.certificate_left_s`, `zmq.silence_s`, `file_age.age_s`, `process.count` | a look |
/// | `unit.memory_bytes` | a unit |
/// | `command.LABEL`, with `_s`, `_bytes` or `_ratio` as the plug-in's unit is | a plug-in |
#[must_use]
pub fn numbers_of(observation: &Observation) -> Vec<(String, f64)> {
    let mut numbers = Numbers::default();
    match &observation.outcome {
        Ok(Facts::Measure(measure)) => numbers.add(name_of(measure.quantity), measure.value),
        Ok(Facts::Service(facts)) => {
            facts.report.iter().for_each(|file| of_checks(&file.report, &mut numbers));
        }
        Ok(Facts::Probe(facts)) => of_probe(facts, observation.took, &mut numbers),
        Ok(Facts::Mount(_) | Facts::Aftermath(_) | Facts::Host(_) | Facts::TimePassed) | Err(_) => {}
    }
    numbers.0
}

/// What is remembered from look to look, so that numbers can be told that take two of them, and so that whoever gives
/// other names each time does not fill a disk: of one subject at most 32 that others gave are let through, until one
/// of them was not seen for a day.
#[derive(Debug, Clone, Default)]
pub struct Meter {
    subjects: BTreeMap<Subject, Remembered>,
}

#[derive(Debug, Clone, Default)]
struct Remembered {
    /// Processor time by where it was read.
    taken: BTreeMap<&'static str, Taken>,
    /// When each name that others gave was last seen.
    names: BTreeMap<String, Duration>,
}

/// Processor time that something had taken.
#[derive(Debug, Clone, PartialEq)]
struct Taken {
    /// Which process, or which run of a unit.
    by: String,
    cpu_s: f64,
    at: Duration,
}

impl Meter {
    /// The numbers of a look ([`numbers_of`]), and `unit.cpu_ratio` where it is the second one at the same run of a unit:
    /// processors that it kept busy since then, 1 for one of them. `awake` is when it was, by a clock
    /// that stands still while the machine is suspended.
    pub fn read(&mut self, observation: &Observation, awake: Duration) -> Vec<(String, f64)> {
        let mut numbers = numbers_of(observation);
        let taken = taken_of(observation, awake);
        if taken.is_none() && !numbers.iter().any(|(name, _)| is_foreign(name)) {
            return numbers;
        }
        let known = self.subjects.entry(observation.subject.clone()).or_default();
        numbers.retain(|(name, _)| known.admits(name, awake));
        if let Some((name, taken)) = taken {
            let ratio = known.taken.get(name).and_then(|before| taken.since(before));
            known.taken.insert(name, taken);
            numbers.extend(ratio.map(|ratio| (name.to_owned(), ratio)));
        }
        numbers
    }

    /// What a process takes: `memory_bytes`, `threads`, `descriptors`, and with the second look at it `cpu_ratio`. Whoever
    /// reports seldom is looked at all the same, and who reports often no more often than that.
    pub fn read_process(
        &mut self,
        subject: &Subject,
        process: &ProcessFacts,
        awake: Duration,
    ) -> Vec<(String, f64)> {
        let ProcessFacts { start_ticks, cost, .. } = process;
        let mut numbers = Numbers::default();
        numbers.add("memory_bytes", float(cost.memory_bytes));
        numbers.add("threads", f64::from(cost.threads));
        cost.descriptors.iter().for_each(|open| numbers.add("descriptors", f64::from(*open)));
        let known = self.subjects.entry(subject.clone()).or_default();
        let taken = Taken { by: start_ticks.to_string(), cpu_s: cost.cpu_s, at: awake };
        let ratio = known.taken.get("cpu_ratio").and_then(|before| taken.since(before));
        known.taken.insert("cpu_ratio", taken);
        ratio.iter().for_each(|ratio| numbers.add("cpu_ratio", *ratio));
        numbers.0
    }

    /// Forgets every subject but these.
    pub fn retain(&mut self, mut is_known: impl FnMut(&Subject) -> bool) {
        self.subjects.retain(|subject, _| is_known(subject));
    }
}

impl Remembered {
    fn admits(&mut self, name: &str, at: Duration) -> bool {
        if !is_foreign(name) {
            return true;
        }
        if let Some(seen) = self.names.get_mut(name) {
            *seen = at;
            return true;
        }
        self.names.retain(|_, seen| at.saturating_sub(*seen) < NAME_KEPT);
        let has_room = self.names.len() < MAX_METRICS;
        if has_room {
            self.names.insert(name.to_owned(), at);
        }
        has_room
    }
}

impl Taken {
    fn since(&self, before: &Self) -> Option<f64> {
        let (lasted, took) = (self.at.checked_sub(before.at)?, self.cpu_s - before.cpu_s);
        let is_told = self.by == before.by && lasted >= MIN_CPU_SPAN && took.is_finite() && took >= 0.0;
        is_told.then(|| took / lasted.as_secs_f64())
    }
}

const fn name_of(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::Memory => "memory_ratio",
        Quantity::Swap => "swap_ratio",
        Quantity::Cpu => "cpu_ratio",
        Quantity::Load => "load",
        Quantity::Disk => "disk_ratio",
        Quantity::DiskFree => "disk_free_bytes",
        Quantity::Inodes => "inodes_ratio",
        Quantity::Temperature => "temperature_celsius",
        Quantity::PressureCpu => "pressure_cpu_ratio",
        Quantity::PressureMemory => "pressure_memory_ratio",
        Quantity::PressureIo => "pressure_io_ratio",
        Quantity::Descriptors => "descriptors_ratio",
    }
}

/// Whether somebody else gave the name.
fn is_foreign(name: &str) -> bool {
    (name.starts_with("check.") || name.starts_with("command.")) && name != "command.latency_ms"
}

fn taken_of(observation: &Observation, at: Duration) -> Option<(&'static str, Taken)> {
    match observation.outcome.as_ref().ok()? {
        Facts::Probe(ProbeFacts::Unit(unit)) => {
            let UnitFacts { invocation_id, cpu_s, .. } = &**unit;
            Some(("unit.cpu_ratio", Taken { by: invocation_id.clone()?, cpu_s: (*cpu_s)?, at }))
        }
        _ => None,
    }
}

#[derive(Default)]
struct Numbers(Vec<(String, f64)>);

impl Numbers {
    fn add(&mut self, name: &str, value: f64) {
        let is_new = !self.0.iter().any(|(known, _)| known == name);
        if value.is_finite() && is_new && self.0.len() < MAX_METRICS {
            self.0.push((name.to_owned(), value));
        }
    }
}

fn of_checks(report: &HealthReport, numbers: &mut Numbers) {
    for check in &report.checks {
        let label = wording::label(&check.name, MAX_LABEL_BYTES);
        let duration = check.duration_ms.filter(|duration| *duration >= 0.0 && !label.is_empty());
        duration
            .into_iter()
            .for_each(|duration| numbers.add(&format!("check.{label}.duration_ms"), duration));
    }
}

fn of_probe(facts: &ProbeFacts, took: Duration, numbers: &mut Numbers) {
    if has_latency(facts) && !took.is_zero() {
        numbers.add(latency_of(facts.kind()), took.as_secs_f64() * 1e3);
    }
    match facts {
        ProbeFacts::Unit(unit) => {
            unit.memory_bytes.iter().for_each(|bytes| numbers.add("unit.memory_bytes", float(*bytes)));
        }
        ProbeFacts::Http(HttpFacts { certificate_left: Some(left), .. }) => {
            numbers.add("http.certificate_left_s", left.as_secs_f64());
        }
        ProbeFacts::Zmq(ZmqFacts { silence: Some(silence), .. }) => {
            numbers.add("zmq.silence_s", silence.lasted.as_secs_f64());
        }
        ProbeFacts::FileAge(file) => {
            file.age.iter().for_each(|age| numbers.add("file_age.age_s", age.as_secs_f64()));
        }
        ProbeFacts::Process(found) => numbers.add("process.count", float(found.count as u64)),
        ProbeFacts::Command(command) => of_plug_in(command, numbers),
        _ => {}
    }
}

/// Whether something answered, so that it says how fast that is: a time-out says how patient we are.
const fn has_latency(facts: &ProbeFacts) -> bool {
    match facts {
        ProbeFacts::Http(HttpFacts { answer, .. }) => answer.is_ok(),
        ProbeFacts::Tcp(Connection { outcome, .. }) => outcome.is_ok(),
        ProbeFacts::Zmq(ZmqFacts { sight, .. }) => matches!(sight, ZmqSight::Alive { .. }),
        ProbeFacts::Command(CommandFacts { end, .. }) => matches!(end, crate::CommandEnd::Exited(_)),
        _ => false,
    }
}

const fn latency_of(kind: ProbeKind) -> &'static str {
    match kind {
        ProbeKind::Http => "http.latency_ms",
        ProbeKind::Tcp => "tcp.latency_ms",
        ProbeKind::Zmq => "zmq.latency_ms",
        _ => "command.latency_ms",
    }
}

fn of_plug_in(command: &CommandFacts, numbers: &mut Numbers) {
    for Metric { label, value, unit } in perfdata::metrics(&command.output) {
        let label = wording::label(&label, MAX_LABEL_BYTES);
        let (factor, suffix) = base_of(&unit);
        if !label.is_empty() {
            numbers.add(&format!("command.{label}{suffix}"), value * factor);
        }
    }
}

/// What makes a plug-in's unit one of ours, and how that is told in a name.
fn base_of(unit: &str) -> (f64, &'static str) {
    const KIB: f64 = 1024.0;
    match unit {
        "s" => (1.0, "_s"),
        "ms" => (1e-3, "_s"),
        "us" => (1e-6, "_s"),
        "%" => (1e-2, "_ratio"),
        "B" => (1.0, "_bytes"),
        "KB" => (KIB, "_bytes"),
        "MB" => (KIB * KIB, "_bytes"),
        "GB" => (KIB * KIB * KIB, "_bytes"),
        "TB" => (KIB * KIB * KIB * KIB, "_bytes"),
        _ => (1.0, ""),
    }
}

#[expect(clippy::cast_precision_loss, reason = "nobody needs more than 53 bits of a size")]
const fn float(number: u64) -> f64 {
    number as f64
}
