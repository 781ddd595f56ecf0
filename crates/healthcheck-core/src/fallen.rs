//! A run that ended badly, so that it can be told who started it again.

use crate::memory::Memory;
use crate::{Cause, UnitActive, UnitFacts};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A run that ended badly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fallen {
    run: Option<(Option<u64>, Option<u64>)>,
    main_pid: Option<u32>,
    /// When a keeper had last started it again, as time awake.
    last_restart: Option<Duration>,
    /// Whether its unit was seen to have ended for good: then somebody else started it.
    is_given_up: bool,
}

/// Who started it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Healer {
    Supervisor,
    Somebody,
}

impl Healer {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Supervisor => "its supervisor started it again",
            Self::Somebody => "it was started again",
        }
    }
}

impl Fallen {
    /// What is known of it after another look, as long as it is down.
    pub(crate) fn after(former: Option<Box<Self>>, cause: Cause, memory: &Memory) -> Option<Box<Self>> {
        is_fall(cause).then(|| {
            let mut fallen = former.unwrap_or_else(|| Box::new(Self::of(memory)));
            fallen.is_given_up |= memory.probes.unit().is_some_and(has_ended_for_good);
            fallen
        })
    }

    fn of(memory: &Memory) -> Self {
        Self {
            run: run(memory),
            main_pid: memory.probes.unit().and_then(|unit| unit.main_pid),
            last_restart: memory.probes.last_restart(),
            is_given_up: false,
        }
    }

    /// Who started it again, if another run is there.
    pub(crate) fn healer(&self, held: Cause, memory: &Memory) -> Option<Healer> {
        let unit = memory.probes.unit();
        let is_restarted = unit.is_some_and(|unit| unit.is_restarted) && !self.is_given_up;
        let was_looping = held == Cause::CrashLooping;
        let is_counted = memory.probes.last_restart() > self.last_restart.filter(|_| !was_looping);
        let main_pid = unit.and_then(|unit| unit.main_pid);
        let has_other_main = main_pid.zip(self.main_pid).is_some_and(|(now, then)| now != then);
        let is_new = was_looping || is_counted || has_other_main || self.is_other_run(run(memory));
        let healer = if is_restarted || is_counted { Healer::Supervisor } else { Healer::Somebody };
        is_new.then_some(healer)
    }

    /// A report that names no process is never of the same run as one that was known to be dead.
    fn is_other_run(&self, run: Option<(Option<u64>, Option<u64>)>) -> bool {
        run.is_some_and(|run| run.0.is_none() || self.run != Some(run))
    }
}

/// Whether something ended badly that may be started again.
const fn is_fall(cause: Cause) -> bool {
    matches!(cause, Cause::Crashed | Cause::OomKilled | Cause::CrashLooping)
}

fn run(memory: &Memory) -> Option<(Option<u64>, Option<u64>)> {
    memory.report.as_ref().map(|report| (report.pid, report.pid_start_ticks))
}

/// On its way to being started again a unit passes through states that look like its end.
fn has_ended_for_good(unit: &UnitFacts) -> bool {
    matches!(unit.active, UnitActive::Failed | UnitActive::Inactive) && !unit.is_about_to_restart()
}
