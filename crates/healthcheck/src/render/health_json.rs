//! The snapshot as `application/health+json`, after draft-inadarei-api-health-check-06.
//!
//! The draft knows pass, warn and fail. What nobody could tell is a warning, and its output says "unknown".

use super::gauges::{Gauge, Unit, gauges, parts};
use super::text::printable;
use super::{Picture, full_name, headline, message_of};
use health_reporter::Status;
use healthcheck_core::{Kind, ServiceView, SubjectView};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// The version of what is told here.
const VERSION: &str = "1";

/// Writes the health check response: with line breaks for people, on one line for programs.
pub(crate) fn write(picture: &Picture, for_people: bool, out: &mut dyn Write) -> io::Result<()> {
    let response = Response::of(picture);
    if for_people {
        serde_json::to_writer_pretty(&mut *out, &response)?;
    } else {
        serde_json::to_writer(&mut *out, &response)?;
    }
    out.write_all(b"\n")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    status: Word,
    version: &'static str,
    release_id: &'static str,
    service_id: String,
    description: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    /// Left out when all is well, as the draft says.
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
    checks: BTreeMap<String, Vec<Check>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Pass,
    Warn,
    Fail,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Check {
    component_id: String,
    component_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    observed_value: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    observed_unit: Option<String>,
    status: Word,
    time: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
}

impl From<Status> for Word {
    fn from(status: Status) -> Self {
        match status {
            Status::Healthy => Self::Pass,
            Status::Unknown | Status::Warning => Self::Warn,
            Status::Error | Status::Fatal => Self::Fail,
        }
    }
}

impl Response {
    fn of(picture: &Picture) -> Self {
        let (overall, host) = (picture.overall_status(), printable(&picture.host).into_owned());
        let is_well = overall == Status::Healthy;
        let mut checks = Checks { at: picture.snapshot.timestamp, checks: BTreeMap::new() };
        picture.snapshot.services.iter().for_each(|view| checks.service(view));
        picture.others(Kind::Zmq).chain(picture.others(Kind::Probe)).for_each(|view| checks.look(view));
        checks.machine(picture);
        Self {
            status: overall.into(),
            version: VERSION,
            release_id: env!("CARGO_PKG_VERSION"),
            description: format!("services on {host}"),
            service_id: host,
            notes: picture.remarks.iter().map(|remark| said(remark.status, &remark.message)).collect(),
            output: (!is_well).then(|| said(overall, &headline::on_all(picture))),
            checks: checks.checks,
        }
    }
}

/// What is not healthy, with a word for what the draft has none for.
fn said(status: Status, message: &str) -> String {
    format!("{status}: {}", printable(message))
}

struct Checks {
    at: Timestamp,
    checks: BTreeMap<String, Vec<Check>>,
}

impl Checks {
    fn service(&mut self, view: &ServiceView) {
        let verdict = &view.subject;
        let status = Some(json!(verdict.status.as_str()));
        self.add(verdict, "health", status, None);
        if let Some(uptime) = view.uptime_s {
            self.add(verdict, "uptime", Some(json!(uptime)), Some("s"));
        }
        if verdict.took.is_some() {
            self.look(verdict);
        }
    }

    fn look(&mut self, view: &SubjectView) {
        let took = view.took.map(|took| json!((took.as_secs_f64() * 1e6).round() / 1e3));
        let unit = took.is_some().then_some("ms");
        self.add(view, "responseTime", took, unit);
        self.numbers(view);
    }

    /// What a command measured: no verdict of its own.
    fn numbers(&mut self, view: &SubjectView) {
        for metric in &view.metrics {
            let check = Check {
                status: Word::Pass,
                output: None,
                ..self.check(
                    view,
                    Some(json!(metric.value)),
                    Some(&*metric.unit).filter(|unit| !unit.is_empty()),
                )
            };
            self.put(&view.name, &metric.label, check);
        }
    }

    fn add(&mut self, view: &SubjectView, measurement: &str, value: Option<Value>, unit: Option<&str>) {
        let check = self.check(view, value, unit);
        self.put(&view.name, measurement, check);
    }

    fn check(&self, view: &SubjectView, value: Option<Value>, unit: Option<&str>) -> Check {
        Check {
            component_id: printable(&full_name(view)).into_owned(),
            component_type: if view.kind == Kind::Resource { "system" } else { "component" },
            observed_value: value,
            observed_unit: unit.map(str::to_owned),
            status: view.status.into(),
            time: self.at,
            output: (view.status != Status::Healthy).then(|| said(view.status, message_of(view))),
        }
    }

    fn machine(&mut self, picture: &Picture) {
        let gauges = gauges(picture);
        for gauge in &gauges {
            let check = self.gauge(gauge);
            self.put(&gauge.name(), measurement(gauge.unit), check);
        }
        let is_shown = |view: &SubjectView| {
            gauges.iter().any(|gauge| parts(&view.name) == (gauge.quantity.as_str(), gauge.of))
        };
        picture.others(Kind::Resource).filter(|view| !is_shown(view)).for_each(|view| {
            self.add(view, "health", Some(json!(view.status.as_str())), None);
        });
    }

    fn gauge(&self, gauge: &Gauge<'_>) -> Check {
        let (value, unit) = (Some(json!(gauge.value)), unit(gauge.unit));
        match gauge.verdict {
            Some(view) => self.check(view, value, unit),
            None => Check {
                component_id: format!("resource {}", printable(&gauge.name())),
                component_type: "system",
                observed_value: value,
                observed_unit: unit.map(str::to_owned),
                status: Word::Pass,
                time: self.at,
                output: None,
            },
        }
    }

    /// Neither half of a key may have a colon.
    fn put(&mut self, component: &str, measurement: &str, check: Check) {
        let half =
            |text: &str| if text.is_empty() { "_".to_owned() } else { printable(text).replace(':', "_") };
        let key = format!("{}:{}", half(component), half(measurement));
        self.checks.entry(key).or_default().push(check);
    }
}

const fn measurement(unit: Unit) -> &'static str {
    match unit {
        Unit::Percent => "utilization",
        Unit::Bytes => "size",
        Unit::Celsius => "temperature",
        Unit::Load => "average",
    }
}

const fn unit(unit: Unit) -> Option<&'static str> {
    match unit {
        Unit::Percent => Some("percent"),
        Unit::Bytes => Some("byte"),
        Unit::Celsius => Some("Cel"),
        Unit::Load => None,
    }
}
