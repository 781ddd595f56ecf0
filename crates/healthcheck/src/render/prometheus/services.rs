//! Services: how they are, what they report, and what their processes take.

use super::exposition::{Exposition, Family, labels};
use super::state_set;
use crate::render::gauges::precise;
use healthcheck_core::{Priority, ServiceView};
use std::io;

/// Beyond so many services, only status, age and deadline of the others are told: ten thousand services are then
/// 80,000 series rather than 200,000.
const DETAILED: usize = 1_000;

pub(super) fn write(services: &[ServiceView], out: &mut Exposition<'_>) -> io::Result<()> {
    out.write(status(services))?;
    for family in [age(services), deadline(services)] {
        out.write(family)?;
    }
    let mut left_out =
        Family::gauge("healthcheck_services_without_details", "Services of which nothing else is told here.");
    let more = services.len().saturating_sub(DETAILED);
    left_out.add("", f64::from(u32::try_from(more).unwrap_or(u32::MAX)));
    out.write(left_out)?;
    let detailed = &services[..services.len().min(DETAILED)];
    details(detailed, out)
}

fn status(services: &[ServiceView]) -> Family {
    let mut family =
        Family::gauge("healthcheck_service_status", "How a service is: 1 for its status, 0 for all others.");
    services.iter().for_each(|view| state_set(&mut family, &[("service", name(view))], view.subject.status));
    family
}

fn age(services: &[ServiceView]) -> Family {
    let mut family = Family::gauge("healthcheck_service_report_age_seconds", "How old its report is.");
    services.iter().for_each(|view| family.maybe(&of(view), view.age_s));
    family
}

fn deadline(services: &[ServiceView]) -> Family {
    let mut family =
        Family::gauge("healthcheck_service_deadline_seconds", "How old its report may be before it is late.");
    services.iter().for_each(|view| family.maybe(&of(view), view.deadline_s));
    family
}

type Read = fn(&ServiceView) -> Option<f64>;

const GAUGES: [(&str, &str, Read); 6] = [
    (
        "healthcheck_service_status_since_timestamp_seconds",
        "Since when status and cause are what they are.",
        since,
    ),
    ("healthcheck_service_uptime_seconds", "How long it had been up when it reported.", |view| view.uptime_s),
    ("healthcheck_service_look_duration_seconds", "How long the last look from outside took.", took),
    ("healthcheck_process_resident_memory_bytes", "Resident memory of its process.", |view| {
        Some(precise(view.process?.memory_bytes))
    }),
    ("healthcheck_process_open_fds", "Open descriptors of its process.", |view| {
        Some(f64::from(view.process?.descriptors?))
    }),
    ("healthcheck_process_threads", "Threads of its process.", |view| Some(f64::from(view.process?.threads))),
];

const COUNTERS: [(&str, &str, Read); 5] = [
    ("healthcheck_service_restarts_total", "Restarts that it counted.", |view| {
        said(view, view.restart_count)
    }),
    ("healthcheck_service_errors_total", "Errors that it counted.", |view| said(view, view.error_count)),
    ("healthcheck_service_messages_sent_total", "Messages that it sent.", |view| {
        said(view, view.messages_sent)
    }),
    ("healthcheck_service_messages_received_total", "Messages that it received.", |view| {
        said(view, view.messages_received)
    }),
    ("healthcheck_process_cpu_seconds_total", "Processor time that its process took.", |view| {
        Some(view.process?.cpu_s)
    }),
];

fn details(services: &[ServiceView], out: &mut Exposition<'_>) -> io::Result<()> {
    out.write(info(services))?;
    for (name, help, read) in GAUGES {
        out.write(each(Family::gauge(name, help), services, read))?;
    }
    let counters = COUNTERS.into_iter();
    let mut counters = counters.map(|(name, help, read)| each(Family::counter(name, help), services, read));
    counters.try_for_each(|family| out.write(family))
}

fn info(services: &[ServiceView]) -> Family {
    let mut info =
        Family::gauge("healthcheck_service_info", "Why it is as it is, and how much it counts; always 1.");
    for view in services {
        let priority = match view.priority {
            Priority::Critical => "critical",
            Priority::Optional => "optional",
        };
        let cause = view.subject.cause.as_str();
        info.add(&labels(&[("service", name(view)), ("cause", cause), ("priority", priority)]), 1.0);
    }
    info
}

fn each(mut family: Family, services: &[ServiceView], read: Read) -> Family {
    services.iter().for_each(|view| family.maybe(&of(view), read(view)));
    family
}

fn name(view: &ServiceView) -> &str {
    &view.subject.name
}

fn of(view: &ServiceView) -> String {
    labels(&[("service", name(view))])
}

/// A count of its own, where there is a report.
fn said(view: &ServiceView, count: u64) -> Option<f64> {
    view.state.map(|_| precise(count))
}

fn since(view: &ServiceView) -> Option<f64> {
    Some(view.subject.since.as_duration().as_secs_f64())
}

fn took(view: &ServiceView) -> Option<f64> {
    view.subject.took.map(|took| took.as_secs_f64())
}
