//! The snapshot as Checkmk's local checks: one line a subject.

use super::gauges::{Gauge, Unit, gauges, parts};
use super::headline;
use super::nagios::counts;
use super::plug_in::{Names, clipped, in_known_unit, measured, seconds, state, text};
use super::{Picture, full_name};
use health_reporter::Status;
use healthcheck_core::{Kind, Limits, ServiceView, SubjectView};
use std::io::{self, Write};
use std::time::Duration;

const TEXT_BYTES: usize = 1_000;
const NAME_BYTES: usize = 120;

/// Writes one line for the whole, then one for each service, probe, endpoint and judged number.
pub(crate) fn write(picture: &Picture, out: &mut dyn Write) -> io::Result<()> {
    let mut lines = Lines { names: Names::default(), out };
    lines.add("Health", picture.overall_status(), &counted(picture), &headline::on_all(picture))?;
    for view in &picture.snapshot.services {
        lines.add(&full_name(&view.subject), view.subject.status, &of_service(view), &service_text(view))?;
    }
    for view in picture.snapshot.others.iter().filter(|view| view.kind != Kind::Resource) {
        lines.add(&full_name(view), view.status, &of_look(view), &words(view))?;
    }
    resources(picture, &mut lines)
}

struct Lines<'a> {
    names: Names,
    out: &'a mut dyn Write,
}

impl Lines<'_> {
    fn add(&mut self, name: &str, status: Status, metrics: &Metrics, words: &str) -> io::Result<()> {
        let name = self.names.take(&item(name), ' ');
        let words = clipped(&text(words), TEXT_BYTES);
        writeln!(self.out, "{} \"{name}\" {} {}", state(status), metrics.joined(), words.trim())
    }
}

/// A name without quotes.
fn item(name: &str) -> String {
    let plain = clipped(text(name).replace(['"', '\''], "_").trim(), NAME_BYTES);
    if plain.is_empty() { "_".to_owned() } else { plain }
}

/// `name=value;warn;crit;min;max`, several of them.
#[derive(Default)]
struct Metrics {
    names: Names,
    items: Vec<String>,
}

impl Metrics {
    fn add(&mut self, name: &str, value: f64, limits: Option<&Limits>, max: Option<f64>) {
        if let Some(measured) = measured(value, "", limits, max) {
            let name = self.names.take(&metric_name(name), '_');
            self.items.push(format!("{name}={measured}"));
        }
    }

    fn maybe(mut self, name: &str, value: Option<f64>) -> Self {
        value.into_iter().for_each(|value| self.add(name, value, None, None));
        self
    }

    fn joined(&self) -> String {
        if self.items.is_empty() { "-".to_owned() } else { self.items.join("|") }
    }
}

/// Checkmk takes letters, digits and underscores, beginning with no digit.
fn metric_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name: String = name.chars().take(NAME_BYTES).map(plain).collect();
    let begins_well = name.starts_with(|c: char| !c.is_ascii_digit());
    if begins_well { name } else { format!("_{name}") }
}

fn counted(picture: &Picture) -> Metrics {
    let mut metrics = Metrics::default();
    for (name, count) in counts(picture) {
        metrics.add(name, f64::from(u32::try_from(count).unwrap_or(u32::MAX)), None, None);
    }
    metrics
}

fn of_service(view: &ServiceView) -> Metrics {
    let mut metrics = of_look(&view.subject);
    let deadline = Limits {
        warning: None,
        error: view.deadline_s,
        clear: None,
        hold: Duration::ZERO,
        is_bad_below: false,
    };
    view.age_s.into_iter().for_each(|age| metrics.add("report_age", age, Some(&deadline), None));
    let process = view.process.as_ref();
    metrics
        .maybe("uptime", view.uptime_s)
        .maybe("cpu_time", process.map(|process| process.cpu_s))
        .maybe("memory_bytes", process.map(|process| super::gauges::precise(process.memory_bytes)))
}

fn of_look(view: &SubjectView) -> Metrics {
    let mut metrics = Metrics::default().maybe("duration", view.took.map(seconds));
    for metric in &view.metrics {
        metrics.add(&metric.label, in_known_unit(metric).0, None, None);
    }
    metrics
}

fn words(view: &SubjectView) -> String {
    match (&*view.message, view.status) {
        ("", Status::Healthy) if !view.cause.is_planned() => "healthy".to_owned(),
        ("", status) => format!("{status}: {}", view.cause),
        (message, status) => format!("{status}: {message}"),
    }
}

fn service_text(view: &ServiceView) -> String {
    let root = view.root.as_ref().map(|root| format!(" (because of {root})")).unwrap_or_default();
    let task = view.current_task.as_ref().map(|task| format!("; task: {task}")).unwrap_or_default();
    format!("{}{root}{task}", words(&view.subject))
}

/// Numbers that have limits, and whatever else was judged.
fn resources(picture: &Picture, lines: &mut Lines<'_>) -> io::Result<()> {
    let mut gauges = gauges(picture);
    gauges.retain(|gauge| gauge.limits.is_some() || gauge.verdict.is_some());
    for gauge in &gauges {
        let mut metrics = Metrics::default();
        metrics.add(gauge.quantity.as_str(), gauge.value, gauge.limits.as_ref(), gauge.max());
        let status = gauge.verdict.map_or(Status::Healthy, |view| view.status);
        let said = gauge.verdict.map_or_else(|| shown(gauge), words);
        lines.add(&format!("resource {}", gauge.name()), status, &metrics, &said)?;
    }
    let is_shown = |view: &SubjectView| {
        gauges.iter().any(|gauge| parts(&view.name) == (gauge.quantity.as_str(), gauge.of))
    };
    for view in picture.others(Kind::Resource).filter(|view| !is_shown(view)) {
        lines.add(&full_name(view), view.status, &Metrics::default(), &words(view))?;
    }
    Ok(())
}

fn shown(gauge: &Gauge<'_>) -> String {
    let value = gauge.value;
    match gauge.unit {
        Unit::Percent => format!("{value:.1} %"),
        Unit::Bytes => format!("{value:.0} bytes"),
        Unit::Celsius => format!("{value:.0} °C"),
        Unit::Load => format!("{value:.2}"),
    }
}
