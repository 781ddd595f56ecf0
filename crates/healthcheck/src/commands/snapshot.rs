//! `healthcheck`: one look at everything, judged and shown.

use super::interrupted::{unless_interrupted, unless_over};
use super::looks;
use super::running_monitor::RunningMonitor;
use super::units::{self, FoundUnits};
use crate::cli::{ExitCodes, Format};
use crate::config::{Config, Priority as Configured, ServiceSettings};
use crate::monitor::control::{Answer, Question};
use crate::render::{Mode, Picture, Remark, Source, checkmk, health_json, json, nagios, prometheus, table};
use crate::sources::looks::{Eyes, Look};
use crate::sources::machine::{self, Machine};
use crate::sources::processes::Processes;
use crate::sources::reports::{self, Remarks};
use crate::sources::systemd::{Bus, Manager};
use crate::{sources, terminal};
use anyhow::Context;
use health_reporter::directory::Environment;
use health_reporter::{Status, clock};
use healthcheck_core::{
    Now, Observation, Policy, Priority, ProbeError, ServicePolicy, Snapshot, State, Subject, step,
};
use jiff::Timestamp;
use std::collections::HashSet;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tracing::debug;

/// What the monitor sees, if one runs for these directories and answers.
pub(crate) fn of_monitor(monitor: &RunningMonitor) -> Option<Picture> {
    let pid = monitor.pid();
    match monitor.ask(&Question::Snapshot).ok()? {
        Answer::Snapshot(picture) => Some(Picture { source: Source::Monitor { pid }, ..*picture }),
        other => {
            debug!("the monitor with pid {pid} shows no snapshot: {}", other.problem());
            None
        }
    }
}

/// Looks once at the services whose reports are in `dirs`, and at everything else that is to be looked at.
pub(crate) fn look(config: &Config, dirs: &[PathBuf], sample: Option<Duration>) -> Picture {
    taken(config, dirs, sample, None)
}

/// The same for whoever minds signals himself; nothing if it is over meanwhile.
pub(crate) fn look_unless(config: &Config, dirs: &[PathBuf], is_over: &AtomicBool) -> Option<Picture> {
    let picture = taken(config, dirs, None, Some(is_over));
    (!is_over.load(Ordering::Relaxed)).then_some(picture)
}

fn taken(
    config: &Config,
    dirs: &[PathBuf],
    sample: Option<Duration>,
    is_over: Option<&AtomicBool>,
) -> Picture {
    let (policy, processes) = (policy(config, true), Processes::at("/proc"));
    let (mut machine, started) = (Machine::at("/"), Instant::now());
    if sample.is_some() {
        machine.sample_cpu();
    }
    let expected: HashSet<String> = policy.services.keys().cloned().collect();
    let now = now();
    let judge = |state, observation| step(state, observation, &now, &policy).0;
    let (state, remarks) = reports::look(dirs, &expected, &processes, judge);
    let is_absent = |subject: &Subject| state.verdict(subject).is_none();
    let absent: Vec<_> = policy.expected().filter(is_absent).collect();
    let outside = outside(config, &state, is_over);
    let absent = absent.iter().map(|subject| remarks.absence_of(&subject.name));
    let state = absent.chain(outside.observations).fold(state, judge);
    std::thread::sleep(sample.unwrap_or_default().saturating_sub(started.elapsed()));
    let seen = machine.look();
    let state = seen.observations().into_iter().fold(state, judge);
    let snapshot = Snapshot::taken(state, &now, &policy);
    let nothing_found = snapshot.has_nothing_to_judge();
    Picture {
        source: Source::Direct,
        host: machine::host_name(),
        project: config.project.clone(),
        mode: if outside.is_with_systemd { Mode::Systemd } else { Mode::Processes },
        snapshot,
        resources: Some(seen.resources),
        limits: policy.limits,
        remarks: remarks_of(&remarks, dirs, nothing_found).into_iter().chain(outside.remark).collect(),
    }
}

/// What the looks from outside brought.
#[derive(Default)]
struct Outside {
    is_with_systemd: bool,
    observations: Vec<Observation>,
    remark: Option<Remark>,
}

fn outside(config: &Config, state: &State, is_over: Option<&AtomicBool>) -> Outside {
    let (looks, bus) = (looks::configured(config), units::bus(config));
    if looks.is_empty() && bus.is_none() {
        return Outside::default();
    }
    let runtime = match sources::looks::runtime() {
        Ok(runtime) => runtime,
        Err(error) => return nothing_seen(looks, bus.is_some(), &error),
    };
    let work = look_outside(config, state, looks, bus);
    let outside = match is_over {
        None => runtime.block_on(unless_interrupted(work)),
        Some(is_over) => runtime.block_on(unless_over(work, is_over)).unwrap_or_default(),
    };
    // A name that is being resolved, or a dead mount, may hold its thread for long.
    runtime.shutdown_background();
    outside
}

/// Without descriptors there is no looking from outside; the reports are judged all the same.
fn nothing_seen(looks: Vec<Look>, is_with_systemd: bool, error: &io::Error) -> Outside {
    let observations = looks.into_iter().map(|look| look.failed(error)).collect();
    let message = format!("cannot look from outside: {error}");
    let remark = Remark { about: "outside".into(), status: Status::Unknown, message, counts: false };
    Outside { is_with_systemd, observations, remark: Some(remark) }
}

async fn look_outside(config: &Config, state: &State, mut looks: Vec<Look>, bus: Option<Bus>) -> Outside {
    let (manager, found, problem) = match &bus {
        None => (None, FoundUnits::default(), None),
        Some(bus) => ask_systemd(config, state, bus).await,
    };
    looks.extend(found.looks());
    let asks_systemd = looks.iter().any(Look::asks_systemd);
    // Whoever is looked at in its unit has a line of its own.
    let remark = problem.filter(|_| !asks_systemd).map(|problem| {
        let message = problem.to_string();
        Remark { about: "systemd".into(), status: Status::Unknown, message, counts: false }
    });
    let mut observations = Rc::new(Eyes::with(manager)).look(looks).await;
    observations.retain(|observation| found.accept(observation));
    Outside { is_with_systemd: bus.is_some(), observations, remark }
}

/// The manager, the units that are to be looked at, and what went wrong.
async fn ask_systemd(
    config: &Config,
    state: &State,
    bus: &Bus,
) -> (Option<Result<Manager, ProbeError>>, FoundUnits, Option<ProbeError>) {
    let manager = match Manager::connect(bus, units::TIMEOUT).await {
        Ok(manager) => manager,
        Err(error) => return (Some(Err(error.clone())), FoundUnits::default(), Some(error)),
    };
    let mut found = FoundUnits::of(state, config, bus);
    // Whoever configured what matters is not told of the rest of the machine.
    let says_nothing = config.services.is_empty() && config.probes.is_empty();
    let problem = match says_nothing {
        true => found.add_troubled(&manager, config).await.err(),
        false => None,
    };
    (Some(Ok(manager)), found, problem)
}

pub(super) fn now() -> Now {
    Now {
        wall: Timestamp::now(),
        boottime: clock::boottime(),
        suspended: clock::suspended(),
        boot_id: clock::boot_id().map(Into::into),
    }
}

/// What the judge works by: for one look, or for as long as a monitor runs.
pub(crate) fn policy(config: &Config, once: bool) -> Policy {
    Policy {
        services: config.services.iter().map(|(name, settings)| (name.clone(), service(settings))).collect(),
        stopped_after: config.alerts.stopped_after,
        unknown_after: config.alerts.unknown_after,
        host_offline_after: config.fleet.offline_after,
        grace: config.alerts.grace,
        once,
        limits: looks::limits(config),
        retries: looks::retries(config),
    }
}

fn service(settings: &ServiceSettings) -> ServicePolicy {
    ServicePolicy {
        priority: match settings.priority {
            Configured::Critical => Priority::Critical,
            Configured::Optional => Priority::Optional,
        },
        depends_on: settings.depends_on.clone(),
        deadline: Some(settings.deadline),
        looked_at_from_outside: settings.has_look(),
    }
}

/// What is to be said besides of a look at reports.
pub(crate) fn remarks_of(found: &Remarks, dirs: &[PathBuf], nothing_found: bool) -> Vec<Remark> {
    let mut remarks = Vec::new();
    let mut remark = |about: &'static str, status, message| {
        remarks.push(Remark { about: about.into(), status, message, counts: true });
    };
    for (dir, error) in found.unreadable_dirs() {
        remark("health_dir", Status::Unknown, format!("cannot read {}: {error}", dir.display()));
    }
    if nothing_found && found.unreadable_dirs().next().is_none() {
        remark("health_dir", Status::Unknown, nothing_in(dirs));
    }
    if found.rejected_count > 0 {
        let (count, names) = (counted(found.rejected_count, "file"), found.rejected.join(", "));
        remark(
            "rejected_files",
            Status::Warning,
            format!("{count} with a name that no service can have: {names}"),
        );
    }
    if found.left_out > 0 {
        let limit = health_reporter::read::MAX_FILES;
        let count = counted(found.left_out, "report");
        remark("left_out", Status::Warning, format!("{count} not read: {limit} are, by name"));
    }
    if let Some(first) = found.twice.first() {
        let count = counted(found.twice.len(), "service");
        remark(
            "twice",
            Status::Warning,
            format!("{count} in two directories, {first} among them: the first counts"),
        );
    }
    remarks
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Says where was looked, and where something is.
fn nothing_in(dirs: &[PathBuf]) -> String {
    let list =
        |dirs: &[PathBuf]| dirs.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>().join(", ");
    let elsewhere = reports::elsewhere(dirs);
    if elsewhere.is_empty() {
        return format!(
            "no reports in {}: nothing reports yet, or HEALTH_DIR or --health-dir names another place",
            list(dirs)
        );
    }
    format!(
        "no reports in {}, but there are some in {}: --health-dir says where to look",
        list(dirs),
        list(&elsewhere)
    )
}

/// Shows the picture on the standard output, and returns the exit code.
pub(crate) fn show(
    picture: &Picture,
    format: Option<Format>,
    codes: ExitCodes,
    env: &Environment,
) -> anyhow::Result<u8> {
    let stdout = io::stdout();
    let is_terminal = stdout.is_terminal();
    let format = format.unwrap_or(if is_terminal { Format::Table } else { Format::Json });
    let mut out = io::BufWriter::new(stdout.lock());
    let written = match format {
        Format::Json => json::write(picture, is_terminal, &mut out),
        Format::Table => table::write(picture, terminal::surface(env, is_terminal), &mut out),
        Format::Nagios => nagios::write(picture, &mut out),
        Format::Prometheus => prometheus::write(picture, &mut out),
        Format::HealthJson => health_json::write(picture, is_terminal, &mut out),
        Format::Checkmk => checkmk::write(picture, &mut out),
    };
    match written.and_then(|()| out.flush()) {
        // Whoever closed the pipe has seen enough, and is told by the exit code how it is.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        written => written.context("cannot write the snapshot")?,
    }
    Ok(exit_code(picture.overall_status(), codes))
}

pub(super) fn exit_code(status: Status, codes: ExitCodes) -> u8 {
    match (codes, status) {
        (_, Status::Healthy) | (ExitCodes::Simple, Status::Warning) => 0,
        (ExitCodes::Simple, _) | (ExitCodes::Nagios, Status::Warning) => 1,
        (ExitCodes::Nagios, Status::Error | Status::Fatal) => 2,
        (ExitCodes::Nagios, Status::Unknown) => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Surroundings;

    #[test]
    fn exit_codes_are_those_of_a_nagios_plug_in_or_of_docker() {
        let each = [Status::Healthy, Status::Warning, Status::Error, Status::Fatal, Status::Unknown];
        assert_eq!(each.map(|status| exit_code(status, ExitCodes::Nagios)), [0, 1, 2, 2, 3]);
        assert_eq!(each.map(|status| exit_code(status, ExitCodes::Simple)), [0, 0, 1, 1, 1]);
    }

    #[test]
    fn an_expected_service_that_reports_is_not_missing() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("camera.json"), r#"{"overall_status":"healthy"}"#).unwrap();
        let file = dir.path().join("healthcheck.toml");
        std::fs::write(&file, "[services.camera]\n[services.core]\n").unwrap();
        let config = crate::config::load(&Surroundings::of_this_process(Some(&file), &|_| None)).unwrap();
        let picture = look(&config, &[dir.path().to_owned()], None);
        let status = |name| picture.snapshot.service(name).map(|view| view.subject.status);
        assert_eq!((status("camera"), status("core")), (Some(Status::Healthy), Some(Status::Error)));
    }
}
