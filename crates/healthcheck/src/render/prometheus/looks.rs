//! Probes, ZMQ endpoints, judged resources, and the numbers that commands brought.

use super::exposition::{Exposition, Family, labels};
use super::state_set;
use crate::render::Picture;
use health_reporter::Status;
use healthcheck_core::{Kind, Metric, SubjectView};
use std::io;

/// The names of the families of one kind: how it is, whether it is up, how long the look took.
struct Names {
    kind: Kind,
    label: &'static str,
    status: &'static str,
    up: &'static str,
    duration: &'static str,
}

const PROBE: Names = Names {
    kind: Kind::Probe,
    label: "probe",
    status: "healthcheck_probe_status",
    up: "healthcheck_probe_up",
    duration: "healthcheck_probe_duration_seconds",
};

const ZMQ: Names = Names {
    kind: Kind::Zmq,
    label: "endpoint",
    status: "healthcheck_zmq_status",
    up: "healthcheck_zmq_up",
    duration: "healthcheck_zmq_duration_seconds",
};

pub(super) fn write(picture: &Picture, out: &mut Exposition<'_>) -> io::Result<()> {
    of_kind(picture, &PROBE, out)?;
    of_kind(picture, &ZMQ, out)?;
    let mut judged = Family::gauge(
        "healthcheck_resource_status",
        "How a judged number or mount of the machine is: 1 for its status, 0 for all others.",
    );
    picture
        .others(Kind::Resource)
        .for_each(|view| state_set(&mut judged, &[("resource", &view.name)], view.status));
    out.write(judged)?;
    numbers(picture, out)
}

fn of_kind(picture: &Picture, names: &Names, out: &mut Exposition<'_>) -> io::Result<()> {
    let mut status = Family::gauge(names.status, "How it is: 1 for its status, 0 for all others.");
    let mut up = Family::gauge(names.up, "Whether it does its job: 1, or 0; absent where nobody could tell.");
    let mut duration = Family::gauge(names.duration, "How long the last look took.");
    for view in picture.others(names.kind) {
        let name = (names.label, &*view.name);
        state_set(&mut status, &[name], view.status);
        up.maybe(&labels(&[name]), is_up(view.status));
        duration.maybe(&labels(&[name]), view.took.map(|took| took.as_secs_f64()));
    }
    [status, up, duration].into_iter().try_for_each(|family| out.write(family))
}

/// Unknown is neither.
fn is_up(status: Status) -> Option<f64> {
    (status != Status::Unknown).then(|| f64::from(u8::from(!status.is_bad())))
}

/// What commands measured, in base units; each unit is a family of its own.
fn numbers(picture: &Picture, out: &mut Exposition<'_>) -> io::Result<()> {
    let mut families = [
        Family::gauge("healthcheck_command_seconds", "A duration that a command measured."),
        Family::gauge("healthcheck_command_bytes", "A size that a command measured."),
        Family::gauge("healthcheck_command_ratio", "A share that a command measured, from 0 to 1."),
        Family::counter("healthcheck_command_counted_total", "A count that a command keeps."),
        Family::gauge("healthcheck_command_value", "A number without a unit that a command measured."),
    ];
    for view in picture.snapshot.subjects() {
        for metric in &view.metrics {
            let (family, factor) = base(&metric.unit);
            families[family].add(&of(view, metric), metric.value * factor);
        }
    }
    families.into_iter().try_for_each(|family| out.write(family))
}

fn of(view: &SubjectView, metric: &Metric) -> String {
    labels(&[("kind", view.kind.as_str()), ("name", &view.name), ("label", &metric.label)])
}

/// Which of the families above, and what one unit is in its base unit.
fn base(unit: &str) -> (usize, f64) {
    const KIB: f64 = 1024.0;
    match unit {
        "s" => (0, 1.0),
        "ms" => (0, 1e-3),
        "us" => (0, 1e-6),
        "B" => (1, 1.0),
        "KB" => (1, KIB),
        "MB" => (1, KIB * KIB),
        "GB" => (1, KIB * KIB * KIB),
        "TB" => (1, KIB * KIB * KIB * KIB),
        "%" => (2, 0.01),
        "c" => (3, 1.0),
        _ => (4, 1.0),
    }
}
