//! The snapshot in Prometheus' text format, for the textfile collector of `node_exporter`: no timestamps, base units.

mod exposition;
mod looks;
mod machine;
mod services;

use super::Picture;
use exposition::{Exposition, Family, labels};
use health_reporter::Status;
use std::io::{self, Write};

const STATUSES: [Status; 5] =
    [Status::Healthy, Status::Unknown, Status::Warning, Status::Error, Status::Fatal];

/// Writes the snapshot as one file of the textfile collector.
pub(crate) fn write(picture: &Picture, out: &mut dyn Write) -> io::Result<()> {
    let mut exposition = Exposition::on(out);
    whole(picture, &mut exposition)?;
    services::write(&picture.snapshot.services, &mut exposition)?;
    looks::write(picture, &mut exposition)?;
    picture.resources.iter().try_for_each(|resources| machine::write(resources, &mut exposition))
}

fn whole(picture: &Picture, out: &mut Exposition<'_>) -> io::Result<()> {
    let mut info = Family::gauge("healthcheck_info", "The program and what it looked at; always 1.");
    let project = picture.project.as_deref().unwrap_or_default();
    let (mode, version) = (picture.mode.as_str(), env!("CARGO_PKG_VERSION"));
    let host = ("host", &*picture.host);
    info.add(&labels(&[host, ("project", project), ("mode", mode), ("version", version)]), 1.0);
    out.write(info)?;
    let mut at = Family::gauge("healthcheck_snapshot_timestamp_seconds", "When the snapshot was taken.");
    at.add("", picture.snapshot.timestamp.as_duration().as_secs_f64());
    out.write(at)?;
    let mut status =
        Family::gauge("healthcheck_status", "How the whole is: 1 for its status, 0 for all others.");
    state_set(&mut status, &[], picture.overall_status());
    out.write(status)?;
    let mut subjects =
        Family::gauge("healthcheck_subjects", "How many services, probes and endpoints have this status.");
    for (status, count) in STATUSES.into_iter().zip(counts(picture)) {
        subjects.add(&labels(&[("status", status.as_str())]), count);
    }
    out.write(subjects)?;
    let mut remarks = Family::gauge(
        "healthcheck_remark_status",
        "What is wrong with the looking itself: 1 for its status, 0 for all others.",
    );
    picture
        .remarks
        .iter()
        .for_each(|remark| state_set(&mut remarks, &[("about", &remark.about)], remark.status));
    out.write(remarks)
}

fn counts(picture: &Picture) -> [f64; 5] {
    let counts = picture.snapshot.counts;
    [counts.healthy, counts.unknown, counts.warning, counts.error, counts.fatal]
        .map(|count| f64::from(u32::try_from(count).unwrap_or(u32::MAX)))
}

/// One sample a status: 1 for the one that it is.
fn state_set(family: &mut Family, of: &[(&str, &str)], status: Status) {
    for each in STATUSES {
        let all: Vec<_> = of.iter().copied().chain([("status", each.as_str())]).collect();
        family.add(&labels(&all), f64::from(u8::from(each == status)));
    }
}
