//! `healthcheck report`: a shell script says how it is.

use crate::cli;
use anyhow::{Context, bail};
use clap::Args;
use health_reporter::write::{Claim, Writer};
use health_reporter::{
    Check, HealthReport, MAX_CHECKS, MAX_MESSAGE_BYTES, MAX_NAME_BYTES, SCHEMA_VERSION, ServiceName, State,
    Status, bounded, clock,
};
use jiff::Timestamp;
use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, Instant};

/// The check of a report that names none.
const DEFAULT_CHECK: &str = "report";
/// Another `report` of the same service is done in a few milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

#[derive(Debug, Args)]
pub(crate) struct Report {
    /// The service; its file is SERVICE.json
    service: ServiceName,
    /// healthy, warning, error, fatal or unknown
    #[arg(long)]
    status: Status,
    /// Why, for people
    #[arg(long)]
    message: Option<String>,
    /// The check that this is about; the others of the service stay as they are
    #[arg(long, value_name = "NAME", default_value = DEFAULT_CHECK)]
    check: String,
    /// When the next report is due at the latest, like 5m or 26h; stays as it was if not given, at first 2m
    #[arg(long, value_name = "DURATION", value_parser = cli::deadline)]
    deadline: Option<Duration>,
    /// starting, running, stopping, stopped or finished
    #[arg(long)]
    state: Option<State>,
    /// What it is doing now, for people
    #[arg(long, value_name = "TEXT")]
    task: Option<String>,
}

impl Report {
    /// Writes the report into `dir`, together with what earlier calls said of other checks.
    pub(crate) fn write(&self, dir: &Path) -> anyhow::Result<()> {
        let mut writer = claim(dir, &self.service)?;
        let earlier = writer.previous().map(|file| file.report);
        let report = self.merged(earlier.filter(|report| report.pid.is_none()))?;
        writer.write(&report).with_context(|| format!("cannot write {}", writer.file().display()))
    }

    fn merged(&self, earlier: Option<HealthReport>) -> anyhow::Result<HealthReport> {
        let now = Timestamp::now();
        let mut report = earlier.unwrap_or_else(|| HealthReport::new(Status::Healthy));
        self.record(&mut report.checks, now)?;
        report.schema_version = Some(SCHEMA_VERSION);
        report.service_name.get_or_insert_with(|| self.service.to_string());
        report.service_type = Some(self.service.service_type().to_owned());
        report.overall_status = report.checks.iter().map(|check| check.status).max().unwrap_or(self.status);
        report.state = self.state.unwrap_or(State::Running);
        report.current_task = self.task.as_deref().map(|task| bounded(task, MAX_MESSAGE_BYTES));
        report.deadline_s = self.deadline.map(|deadline| deadline.as_secs_f64()).or(report.deadline_s);
        report.heartbeat_count = report.heartbeat_count.saturating_add(1);
        report.error_count = report.error_count.saturating_add(u64::from(self.status.is_bad()));
        report.last_updated = Some(now);
        report.last_check = Some(now);
        report.boot_id = clock::boot_id();
        report.written_boottime_s = Some(clock::boottime().as_secs_f64());
        Ok(report)
    }

    fn record(&self, checks: &mut Vec<Check>, now: Timestamp) -> anyhow::Result<()> {
        let name = bounded(&self.check, MAX_NAME_BYTES);
        let at = checks.iter().position(|check| check.name == name);
        let earlier = at.map(|at| checks.remove(at));
        if checks.len() >= MAX_CHECKS {
            bail!("{} has {MAX_CHECKS} checks, which is the limit: use one of their names", self.service);
        }
        let held = earlier.as_ref().filter(|check| check.status == self.status).and_then(|check| check.since);
        let mut check = Check::new(name, self.status);
        check.message = self.message.as_deref().map(|message| bounded(message, MAX_MESSAGE_BYTES));
        check.timestamp = Some(now);
        check.since = held.or(Some(now));
        check.count = Some(earlier.and_then(|check| check.count).unwrap_or(0).saturating_add(1));
        checks.insert(at.unwrap_or(checks.len()), check);
        Ok(())
    }
}

fn claim(dir: &Path, service: &ServiceName) -> anyhow::Result<Writer> {
    let started = Instant::now();
    loop {
        match Writer::claim(dir, service, Claim::Exactly) {
            Err(error) if error.kind() == ErrorKind::WouldBlock && started.elapsed() < PATIENCE => {
                std::thread::sleep(LOOK_AGAIN);
            }
            result => return result.with_context(|| format!("cannot report {service} in {}", dir.display())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use health_reporter::read;

    fn say(dir: &Path, status: Status, check: &str) -> HealthReport {
        let service: ServiceName = "backup".parse().unwrap();
        let report = Report {
            service: service.clone(),
            status,
            message: Some("said".into()),
            check: check.into(),
            deadline: None,
            state: None,
            task: None,
        };
        report.write(dir).unwrap();
        read::one(dir, &service).unwrap().report
    }

    #[test]
    fn each_check_keeps_its_latest_word() {
        let dir = tempfile::tempdir().unwrap();
        say(dir.path(), Status::Error, "disk");
        assert_eq!(say(dir.path(), Status::Healthy, "network").overall_status, Status::Error);
        let report = say(dir.path(), Status::Healthy, "disk");
        assert_eq!((report.overall_status, report.checks.len()), (Status::Healthy, 2));
        assert_eq!((report.heartbeat_count, report.checks[0].count), (3, Some(2)));
        assert_eq!(report.pid, None, "the process that said it is gone");
    }

    #[test]
    fn an_own_file_of_a_living_service_is_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        let service: ServiceName = "backup".parse().unwrap();
        let _held = Writer::claim(dir.path(), &service, Claim::Exactly).unwrap();
        let error = Writer::claim(dir.path(), &service, Claim::Exactly).unwrap_err();
        assert_eq!(error.to_string(), "backup.json is held by a living process, or by another user");
    }
}
