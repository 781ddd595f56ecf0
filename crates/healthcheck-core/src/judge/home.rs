//! Where a service lives: its unit or its container, and what that means for it.

use super::death::SIGKILL;
use super::{Case, Finding, aftermath};
use crate::ending::Ending;
use crate::probed::{LOOP_RESTARTS, Probed};
use crate::{
    Cause, ContainerFacts, ContainerHealth, ContainerState, Exit, ProbeFacts, ProbeKind, UnitActive,
    UnitFacts, UnitLoad, wording,
};
use health_reporter::Status;
use std::time::Duration;

/// systemd forgets a run that ended well of a unit that nothing refers to.
const NO_RUN: &str = "does not run, and no run since boot is known";
/// Clocks and writes are this far apart at most.
const TOLERANCE: Duration = Duration::from_secs(1);
/// A run that failed within this time was no long one: systemd gave up on it.
const SHORT_RUN: Duration = Duration::from_secs(60);

/// A unit or a container, in the terms that both have.
pub(super) struct Home {
    pub(super) life: Life,
    /// `unit core.service`
    pub(super) what: String,
    /// How long its life is what it is.
    pub(super) since: Option<Duration>,
    exit: Option<Exit>,
    restarts: u64,
    /// The boot time until which it is a crash loop.
    loops_until: Option<Duration>,
    /// Its main process, or the last one.
    main_pid: Option<u64>,
    /// Whether it is to end by itself.
    is_oneshot: bool,
    /// How much longer ago its life may have begun.
    suspended: Duration,
    evidence: Vec<(&'static str, String)>,
}

/// Where a unit or a container is in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Life {
    /// There is nothing of this name, and why.
    Absent(&'static str),
    NotStarted,
    /// It runs, or is about to, or did what it had to; in words.
    Up(String),
    /// It is there, and not well.
    Unwell(String),
    /// It ended, and waits to be started again.
    Restarting,
    EndedWell,
    /// It ended in an error; with what its keeper calls that.
    EndedBadly {
        is_oom: bool,
        result: String,
    },
    /// Nobody starts it again any more.
    GaveUp,
}

impl Home {
    pub(super) fn of(case: &Case<'_>) -> Option<Self> {
        let (unit, container) =
            (case.memory.probes.get(ProbeKind::Unit), case.memory.probes.get(ProbeKind::Container));
        let mut probed = unit.into_iter().chain(container);
        probed.find_map(|probed| match &probed.outcome {
            Ok(ProbeFacts::Unit(unit)) if unit.load != UnitLoad::NoSystemd => {
                Some(Self::of_unit(unit, probed, case))
            }
            Ok(ProbeFacts::Container(container)) => Some(Self::of_container(container, probed, case)),
            _ => None,
        })
    }

    fn of_unit(unit: &UnitFacts, probed: &Probed, case: &Case<'_>) -> Self {
        let mut evidence = vec![
            ("unit", unit.name.clone()),
            ("unit_state", format!("{} ({})", unit.active.as_str(), unit.sub)),
        ];
        let mut say = |key, value: Option<String>| evidence.extend(value.map(|value| (key, value)));
        say(
            "unit_result",
            Some(unit.result.clone()).filter(|result| !matches!(result.as_str(), "" | "success")),
        );
        say("unit_exit", unit.exit.map(Exit::in_words));
        say("unit_restarts", (unit.restarts > 0).then(|| unit.restarts.to_string()));
        say("unit_says", unit.status_text.clone().filter(|text| !text.is_empty()));
        say("unit_watchdog", unit.watchdog.map(wording::duration));
        say("unit_cpu", unit.cpu_s.map(|cpu| wording::duration(wording::seconds(cpu))));
        say("unit_memory_bytes", unit.memory_bytes.map(|bytes| bytes.to_string()));
        say("unit_file", Some(unit.file_state.clone()).filter(|state| !state.is_empty()));
        Self {
            life: life_of_unit(unit),
            what: format!("unit {}", unit.name),
            since: unit.since.map(|since| since + age(probed, case)),
            exit: unit.exit,
            restarts: unit.restarts,
            loops_until: loops_until(probed, case),
            main_pid: unit.main_pid.map(u64::from),
            is_oneshot: unit.is_oneshot,
            suspended: unit.suspended.max(case.now.suspended),
            evidence,
        }
    }

    fn of_container(container: &ContainerFacts, probed: &Probed, case: &Case<'_>) -> Self {
        let mut evidence = vec![
            ("container", container.name.clone()),
            ("container_state", container.state.as_str().to_owned()),
        ];
        let mut say = |key, value: Option<String>| evidence.extend(value.map(|value| (key, value)));
        say("container_says", container.health_output.clone().filter(|text| !text.is_empty()));
        say("container_error", container.error.clone().filter(|text| !text.is_empty()));
        say("container_restarts", (container.restarts > 0).then(|| container.restarts.to_string()));
        let life = life_of_container(container);
        let has_ended = matches!(life, Life::EndedWell | Life::EndedBadly { .. } | Life::Restarting);
        Self {
            life,
            what: format!("container {}", container.name),
            since: container.since.map(|since| since + age(probed, case)),
            exit: has_ended.then_some(Exit::Code(container.exit_code)),
            restarts: container.restarts,
            loops_until: loops_until(probed, case),
            main_pid: None,
            is_oneshot: false,
            suspended: Duration::ZERO,
            evidence,
        }
    }

    /// The verdict on it alone.
    pub(super) fn finding(&self, case: &Case<'_>) -> Finding {
        let since = self.since.map(|since| case.now.wall_before(since));
        let ending = self.ending(case).into_iter();
        let finding = ending.fold(self.judge(case), |finding, ending| {
            aftermath::proved(case, ending, finding.maybe_with("oom", ending.oom.as_deref()))
        });
        self.proved(finding).since(since)
    }

    /// What is known of the end of its last main process.
    fn ending<'a>(&self, case: &Case<'a>) -> Option<&'a Ending> {
        let ended = !matches!(self.life, Life::Up(_) | Life::Unwell(_));
        self.main_pid.filter(|_| ended).and_then(|pid| case.memory.ending_of(pid))
    }

    /// Whether the kernel said that it killed it; nobody else's signal is its doing.
    fn is_killed_by_kernel(&self, case: &Case<'_>) -> bool {
        let may_be = self.exit.is_none_or(|exit| exit == Exit::Signal(SIGKILL));
        may_be && self.ending(case).is_some_and(|ending| ending.oom.is_some())
    }

    fn judge(&self, case: &Case<'_>) -> Finding {
        let is_killed = self.is_killed_by_kernel(case);
        match &self.life {
            Life::GaveUp => self.looping(&format!("given up on after {}", self.restarts_in_words())),
            Life::Restarting if case.policy.once => {
                self.looping(&format!("waits to be started again, {} so far", self.restarts_in_words()))
            }
            Life::Up(_) if case.policy.once && self.has_just_restarted() => {
                self.looping(&format!("was started again just now, {} so far", self.restarts_in_words()))
            }
            Life::Up(_) | Life::Restarting | Life::EndedBadly { .. } if self.is_looping() => {
                self.looping("3 restarts in 10 min").until(self.loops_until)
            }
            Life::Absent(problem) if case.kind == crate::Kind::Service => self.never_started(case, problem),
            Life::NotStarted if case.kind == crate::Kind::Service => self.never_started(case, NO_RUN),
            Life::Absent(problem) => self.failed_probe(problem),
            Life::NotStarted => self.failed_probe(NO_RUN),
            Life::Unwell(problem) => self.failed_probe(problem),
            Life::Up(words) => Finding::new(Status::Healthy, Cause::SelfReported, words)
                .because("it runs, or did what it had to"),
            Life::Restarting => self.crashed(is_killed, "", ", waits to be started again"),
            Life::EndedBadly { is_oom, result } => self.crashed(*is_oom || is_killed, result, ""),
            Life::EndedWell if self.is_oneshot => self.done(),
            Life::EndedWell => self.stopped(case),
        }
    }

    /// With what was seen of it.
    pub(super) fn proved(&self, finding: Finding) -> Finding {
        self.evidence.iter().fold(finding, |finding, (key, value)| finding.with(key, value))
    }

    /// Whether several looks have shown a crash loop.
    pub(super) const fn is_looping(&self) -> bool {
        self.loops_until.is_some()
    }

    /// Whether it is to end by itself.
    pub(super) const fn is_oneshot(&self) -> bool {
        self.is_oneshot
    }

    /// Whether a report of this age was written in an earlier life than this one.
    pub(super) fn began_after(&self, report_age: Duration) -> bool {
        self.since.is_some_and(|since| since + self.suspended + TOLERANCE < report_age)
    }

    /// Whether a report of this age may be younger than this life.
    pub(super) fn may_have_begun_before(&self, report_age: Duration) -> bool {
        self.since.is_some_and(|since| report_age + TOLERANCE < since + self.suspended)
    }

    /// Its counter is set back only by a start by hand, and its run has only begun: it ended, and was started again.
    fn has_just_restarted(&self) -> bool {
        let has_looped = u64::try_from(LOOP_RESTARTS).is_ok_and(|restarts| self.restarts >= restarts);
        has_looped && self.since.is_some_and(|since| since < SHORT_RUN)
    }

    /// Whether it ended, in whatever way.
    pub(super) const fn has_ended(&self) -> bool {
        matches!(self.life, Life::EndedWell | Life::EndedBadly { .. } | Life::GaveUp)
    }

    fn restarts_in_words(&self) -> String {
        let plural = if self.restarts == 1 { "" } else { "s" };
        format!("{} restart{plural}", self.restarts)
    }

    fn looping(&self, why: &str) -> Finding {
        let exit = self.exit.map(|exit| format!(", last {}", exit.in_words())).unwrap_or_default();
        let message = format!("crash loop: {} {why}{exit}", self.what);
        Finding::new(Status::Fatal, Cause::CrashLooping, &message)
            .because("it is started again and again, or was given up on")
    }

    fn crashed(&self, is_oom: bool, result: &str, after: &str) -> Finding {
        let (cause, how) = match (is_oom, self.exit, result) {
            (true, _, _) => (Cause::OomKilled, "was killed, out of memory".to_owned()),
            (_, Some(exit), "" | "exit-code" | "signal" | "core-dump") => {
                (Cause::Crashed, format!("failed ({})", exit.in_words()))
            }
            (_, Some(exit), result) => (Cause::Crashed, format!("failed ({result}, {})", exit.in_words())),
            (_, None, result) => (Cause::Crashed, format!("failed ({result})")),
        };
        Finding::new(Status::Error, cause, &format!("{} {how}{after}", self.what))
            .because("it ended in an error")
            .maybe_with("exit", self.exit.map(Exit::in_words).as_deref())
    }

    fn stopped(&self, case: &Case<'_>) -> Finding {
        let limit = case.policy.stopped_after;
        let is_too_long = case.is_expected() && self.since.is_some_and(|since| since >= limit);
        let status = if is_too_long { Status::Warning } else { Status::Healthy };
        let too_long =
            is_too_long.then(|| format!("expected, and stopped for {} or longer", wording::duration(limit)));
        let left = self.since.filter(|_| case.is_expected() && !is_too_long).map(|since| limit - since);
        Finding::new(status, Cause::Stopped, &format!("stopped: {} ended in success", self.what))
            .because("it was stopped, and ended in success")
            .maybe_because(too_long)
            .until(left.map(|left| case.now.boottime + left))
    }

    /// What runs once, and ended in success, has done what it had to.
    fn done(&self) -> Finding {
        Finding::new(Status::Healthy, Cause::Finished, &format!("finished: {} ended in success", self.what))
            .because("it runs once, and ended in success")
    }

    fn never_started(&self, case: &Case<'_>, problem: &str) -> Finding {
        let message = format!("{} {problem}", self.what);
        match case.grace() {
            Some(end) => Finding::new(Status::Unknown, Cause::NotObserved, &message)
                .because("grace is not over")
                .until(Some(end)),
            None => Finding::new(Status::Error, Cause::NeverStarted, &message)
                .because("it is expected, and has not reported since boot"),
        }
    }

    fn failed_probe(&self, problem: &str) -> Finding {
        Finding::new(Status::Error, Cause::ProbeFailed, &format!("{} {problem}", self.what))
            .because("it was looked at, and is bad")
    }
}

/// The boot time until which it is a crash loop.
fn loops_until(probed: &Probed, case: &Case<'_>) -> Option<Duration> {
    probed.restarts.loops_until(case.now.awake()).map(|end| case.now.boottime_of(end))
}

/// How long ago it was looked at, the machine being awake: so systemd counts too.
fn age(probed: &Probed, case: &Case<'_>) -> Duration {
    case.now.awake().saturating_sub(probed.seen_awake)
}

fn life_of_unit(unit: &UnitFacts) -> Life {
    match unit.load {
        UnitLoad::NotFound => return Life::Absent("is not there"),
        UnitLoad::Masked => return Life::Absent("is masked"),
        UnitLoad::Broken => return Life::Absent("has a file that systemd cannot use"),
        UnitLoad::Loaded | UnitLoad::NoSystemd => {}
    }
    let up = || Life::Up(format!("{} ({})", unit.active.as_str(), unit.sub));
    match unit.active {
        _ if unit.is_about_to_restart() => Life::Restarting,
        UnitActive::Active | UnitActive::Reloading | UnitActive::Activating | UnitActive::Deactivating => {
            up()
        }
        UnitActive::Failed if has_given_up(unit) => Life::GaveUp,
        UnitActive::Inactive if !unit.was_active => Life::NotStarted,
        UnitActive::Inactive if matches!(unit.result.as_str(), "" | "success") => Life::EndedWell,
        UnitActive::Failed | UnitActive::Inactive => {
            Life::EndedBadly { is_oom: unit.result == "oom-kill", result: unit.result.clone() }
        }
        UnitActive::Other => Life::Unwell(format!("is {} ({})", unit.active.as_str(), unit.sub)),
    }
}

/// After a stop that failed it is not started again either, but then it had run for long.
fn has_given_up(unit: &UnitFacts) -> bool {
    let was_restarted = unit.is_restarted && unit.restarts > 0;
    unit.result == "start-limit-hit" || (was_restarted && unit.last_run.is_some_and(|run| run < SHORT_RUN))
}

fn life_of_container(container: &ContainerFacts) -> Life {
    let says = |words: &str| match container.health_output.as_deref() {
        Some(output) if !output.is_empty() => format!("{words}: {output}"),
        _ => words.to_owned(),
    };
    match container.state {
        ContainerState::Absent => Life::Absent("is not there"),
        ContainerState::Created => Life::NotStarted,
        ContainerState::Running if container.health == Some(ContainerHealth::Unhealthy) => {
            Life::Unwell(says("is unhealthy"))
        }
        ContainerState::Running if container.health == Some(ContainerHealth::Starting) => {
            Life::Up("running, its health check is starting".to_owned())
        }
        ContainerState::Running | ContainerState::Removing => Life::Up(container.state.as_str().to_owned()),
        ContainerState::Restarting => Life::Restarting,
        ContainerState::Exited | ContainerState::Dead
            if container.exit_code == 0 && !container.oom_killed =>
        {
            Life::EndedWell
        }
        ContainerState::Exited | ContainerState::Dead => {
            Life::EndedBadly { is_oom: container.oom_killed, result: String::new() }
        }
        ContainerState::Paused | ContainerState::Other => {
            Life::Unwell(format!("is {}", container.state.as_str()))
        }
    }
}
