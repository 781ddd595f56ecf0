//! Reports of the Python original: a ring of records instead of checks, and a last record for a goodbye.

use crate::report::{Check, HealthReport};
use crate::{State, Status};

/// Records that a later sign of life clears, and the signs of life.
const CLEARED: [&str; 2] = ["service_error", "service_restart"];
const SIGNS_OF_LIFE: [&str; 3] = ["error_recovery", "service_start", "periodic_health_check"];

/// The same report by the rules of this format: the latest record of each name, the overall status from them
/// (its own counts only without any), and `service_stopped` at the end as the goodbye.
pub(super) fn normalised(mut report: HealthReport) -> HealthReport {
    let records = std::mem::take(&mut report.checks);
    if records.last().is_some_and(|record| record.name == "service_stopped") {
        report.state = State::Stopped;
    }
    let last_sign_of_life = records.iter().rposition(|record| {
        SIGNS_OF_LIFE.contains(&record.name.as_str()) && record.status == Status::Healthy
    });
    report.checks = latest_of_each(records, last_sign_of_life);
    if let Some(worst) = report.checks.iter().map(|check| check.status).max() {
        report.overall_status = worst;
    }
    report
}

/// The original appends, so the later record is the newer one; its times may repeat an hour.
fn latest_of_each(records: Vec<Check>, last_sign_of_life: Option<usize>) -> Vec<Check> {
    let mut latest: Vec<Check> = Vec::new();
    for (at, mut record) in records.into_iter().enumerate() {
        if CLEARED.contains(&record.name.as_str()) && last_sign_of_life > Some(at) {
            record.status = Status::Healthy;
        }
        match latest.iter_mut().find(|check| check.name == record.name) {
            Some(check) => *check = record,
            None => latest.push(record),
        }
    }
    latest
}
