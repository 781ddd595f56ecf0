//! What the properties of a unit say; whatever is absent or of another type is not known.

use healthcheck_core::{Exit, UnitActive, UnitFacts, UnitLoad};
use rustix::time::{ClockId, clock_gettime};
use std::collections::HashMap;
use std::time::Duration;
use zbus::Variant;

/// Longer than any word of systemd.
const MAX_WORD: usize = 64;
const MAX_STATUS: usize = 512;
const MAX_FILES: usize = 16;
/// A path that is longer is left out: half of it would be another one.
const MAX_PATH: usize = 512;
const INVOCATION_BYTES: usize = 16;
const NO_USER: u64 = 0xffff_ffff;

/// The clock of systemd's time stamps. It stands still while the machine is suspended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    pub(super) monotonic: Duration,
    /// How long it has stood still in this boot.
    pub(super) suspended: Duration,
}

impl Clock {
    pub(super) fn now() -> Self {
        let read = |id| Duration::try_from(clock_gettime(id)).unwrap_or_default();
        // In this order, so that whoever never was suspended is at zero, and not by what passes between the two.
        let (boottime, monotonic) = (read(ClockId::Boottime), read(ClockId::Monotonic));
        Self { monotonic, suspended: boottime.saturating_sub(monotonic) }
    }
}

/// The properties of a unit, of all its interfaces.
#[derive(Debug)]
pub(super) struct Properties<'m>(HashMap<&'m str, Variant<'m>>);

impl<'m> Properties<'m> {
    pub(super) fn new(shown: HashMap<&'m str, Variant<'m>>) -> Self {
        Self(shown)
    }

    /// The facts about the unit that was asked for by `name`.
    pub(super) fn unit(&self, name: &str, clock: Clock, default_owner: Option<u32>) -> UnitFacts {
        let active = UnitActive::from_word(self.word("ActiveState"));
        UnitFacts {
            name: health_reporter::bounded(self.text("Id").unwrap_or(name), super::MAX_NAME),
            load: load(self.word("LoadState")),
            active,
            sub: self.bounded_word("SubState"),
            result: self.bounded_word("Result"),
            is_oneshot: self.word("Type") == "oneshot",
            exit: self.exit(),
            main_pid: self
                .number("ExecMainPID")
                .and_then(|pid| u32::try_from(pid).ok())
                .filter(|pid| *pid > 0),
            restarts: self.number("NRestarts").unwrap_or(0),
            is_restarted: is_restarted(self.word("Restart"), self.word("Result")),
            since: self.since(active, clock.monotonic),
            suspended: clock.suspended,
            last_run: self.last_run(),
            was_active: self.was_active(),
            status_text: self.text("StatusText").and_then(one_line),
            memory_bytes: self.number("MemoryCurrent"),
            cpu_s: self.number("CPUUsageNSec").map(|ns| Duration::from_nanos(ns).as_secs_f64()),
            watchdog: self.micros("WatchdogUSec"),
            file_state: self.bounded_word("UnitFileState"),
            owner_uid: self.owner(default_owner),
            files: self.files(),
            invocation_id: self.invocation_id(),
        }
    }

    fn text(&self, key: &str) -> Option<&str> {
        match self.0.get(key)? {
            Variant::Str(text) => Some(text.as_str()),
            _ => None,
        }
    }

    fn word(&self, key: &str) -> &str {
        self.text(key).unwrap_or_default()
    }

    fn bounded_word(&self, key: &str) -> String {
        health_reporter::bounded(self.word(key), MAX_WORD)
    }

    /// A number that is set: the highest one stands for none, and for infinity.
    fn number(&self, key: &str) -> Option<u64> {
        match self.0.get(key)? {
            Variant::U64(u64::MAX) => None,
            Variant::U64(number) => Some(*number),
            Variant::U32(number) => Some(u64::from(*number)),
            Variant::I32(number) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    /// A span, or an instant of the monotonic clock, that is not zero.
    fn micros(&self, key: &str) -> Option<Duration> {
        self.number(key).filter(|us| *us > 0).map(Duration::from_micros)
    }

    /// Only a process that is over has an exit: the figures of the one before stay while the next one runs.
    fn exit(&self) -> Option<Exit> {
        const CLD_EXITED: u64 = 1;
        const CLD_KILLED: u64 = 2;
        const CLD_DUMPED: u64 = 3;
        self.micros("ExecMainExitTimestampMonotonic")?;
        if self.number("MainPID").is_some_and(|pid| pid > 0) {
            return None;
        }
        let status = i64::try_from(self.number("ExecMainStatus")?).ok()?;
        match self.number("ExecMainCode")? {
            CLD_EXITED => Some(Exit::Code(status)),
            CLD_KILLED | CLD_DUMPED => Some(Exit::Signal(status)),
            _ => None,
        }
    }

    /// How long it is what it is; an active unit that only changed its sub-state did not become active by that.
    fn since(&self, active: UnitActive, now: Duration) -> Option<Duration> {
        let entered = match active {
            UnitActive::Active | UnitActive::Reloading => "ActiveEnterTimestampMonotonic",
            UnitActive::Inactive | UnitActive::Failed => "InactiveEnterTimestampMonotonic",
            UnitActive::Activating => "InactiveExitTimestampMonotonic",
            UnitActive::Deactivating => "ActiveExitTimestampMonotonic",
            UnitActive::Other => "StateChangeTimestampMonotonic",
        };
        let entered = self.micros(entered).or_else(|| self.micros("StateChangeTimestampMonotonic"))?;
        Some(now.saturating_sub(entered))
    }

    /// How long the main process ran that ended last.
    fn last_run(&self) -> Option<Duration> {
        let (start, end) =
            (self.micros("ExecMainStartTimestampMonotonic")?, self.micros("ExecMainExitTimestampMonotonic")?);
        end.checked_sub(start)
    }

    fn was_active(&self) -> bool {
        let stamps = [
            "ActiveEnterTimestampMonotonic",
            "InactiveEnterTimestampMonotonic",
            "ExecMainStartTimestampMonotonic",
        ];
        stamps.iter().any(|stamp| self.micros(stamp).is_some())
    }

    /// `UID` is known once it was started; before, a unit that names a user is not the manager's.
    fn owner(&self, default_owner: Option<u32>) -> Option<u32> {
        match self.number("UID") {
            Some(uid) if uid != NO_USER => u32::try_from(uid).ok(),
            _ if self.is_set("DynamicUser") => None,
            _ if self.word("User").is_empty() => default_owner,
            _ => uid_of(self.word("User")),
        }
    }

    /// Each run has its own; a unit that was never started has none.
    fn invocation_id(&self) -> Option<String> {
        let Variant::Array(bytes) = self.0.get("InvocationID")? else { return None };
        let digits = |byte: &Variant<'_>| match byte {
            Variant::U8(byte) => Some(format!("{byte:02x}")),
            _ => None,
        };
        let id = bytes.inner().iter().take(INVOCATION_BYTES + 1).map(digits).collect::<Option<String>>()?;
        (id.len() == INVOCATION_BYTES * 2).then_some(id)
    }

    fn files(&self) -> Vec<String> {
        let drop_ins = match self.0.get("DropInPaths") {
            Some(Variant::Array(paths)) => paths.inner(),
            _ => &[],
        };
        let drop_ins = drop_ins.iter().map(|path| match path {
            Variant::Str(path) => path.as_str(),
            _ => "",
        });
        let paths = std::iter::once(self.word("FragmentPath")).chain(drop_ins);
        let paths = paths.chain([self.word("SourcePath")]);
        let whole = paths.filter(|path| path.starts_with('/') && path.len() <= MAX_PATH);
        whole.take(MAX_FILES).map(str::to_owned).collect()
    }

    fn is_set(&self, key: &str) -> bool {
        matches!(self.0.get(key), Some(Variant::Bool(true)))
    }
}

/// systemd lets go of the user of a unit that does not run: then only its name is known.
fn uid_of(user: &str) -> Option<u32> {
    user.parse().ok().or_else(|| uid_in(&std::fs::read_to_string("/etc/passwd").ok()?, user))
}

fn uid_in(passwd: &str, user: &str) -> Option<u32> {
    let mut lines = passwd.lines().map(|line| line.split(':'));
    lines.find_map(|mut fields| {
        fields.next().filter(|name| *name == user).and_then(|_| fields.nth(1)?.parse().ok())
    })
}

fn load(word: &str) -> UnitLoad {
    match word {
        "not-found" => UnitLoad::NotFound,
        "masked" => UnitLoad::Masked,
        "bad-setting" | "error" => UnitLoad::Broken,
        _ => UnitLoad::Loaded,
    }
}

/// Whether a unit of this policy is started again after such a result; one that began well, or was given up, tells
/// nothing of its last failure.
fn is_restarted(policy: &str, result: &str) -> bool {
    let is_unknown = matches!(result, "" | "success" | "start-limit-hit");
    match policy {
        "always" | "on-failure" => true,
        "on-abnormal" => result != "exit-code",
        "on-abort" => is_unknown || matches!(result, "signal" | "core-dump"),
        "on-watchdog" => is_unknown || result == "watchdog",
        _ => false,
    }
}

/// What a service says of itself is anything; nothing of it begins a line or steers a terminal.
fn one_line(text: &str) -> Option<String> {
    let plain = |c: char| match c {
        c if c.is_whitespace() => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    let line: String = text.trim().chars().take(MAX_STATUS).map(plain).collect();
    (!line.is_empty()).then(|| health_reporter::bounded(&line, MAX_STATUS))
}
