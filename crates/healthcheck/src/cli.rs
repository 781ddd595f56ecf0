//! The command line.

use crate::commands::ack::Ack;
use crate::commands::drill::Drill;
use crate::commands::fleet::Fleet;
use crate::commands::forget::Forget;
use crate::commands::incidents::ListIncidents;
use crate::commands::keeping::{OfHistory, OfUptime};
use crate::commands::past::{self, Moment};
use crate::commands::publish::Publish;
use crate::commands::replay::Replay;
use crate::commands::report::Report;
use crate::commands::retire::Retire;
use crate::commands::run::Run;
use crate::commands::silence::Silence;
use crate::commands::silences::Unsilence;
use crate::commands::why::Why;
use crate::config::units;
use clap::{Parser, Subcommand, ValueEnum};
use health_reporter::MAX_DEADLINE_S;
use std::path::PathBuf;
use std::time::Duration;
use tracing_subscriber::filter::LevelFilter;

/// Tells how the services on this machine are, from the health files that they write.
///
/// Without a command: a snapshot. Exit codes: 0 healthy, 1 warning, 2 error or fatal, 3 unknown, which includes
/// wrong usage and nothing to judge.
#[derive(Debug, Parser)]
#[command(name = "healthcheck", version, max_term_width = 100, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Look at the services directly, even where a monitor runs
    #[arg(long)]
    pub(crate) direct: bool,
    /// Show what was known at an instant: 2026-11-22T10:00:00Z, "2026-11-22 10:00", 10:00, or 3h for so long ago
    #[arg(long, value_name = "TIME", value_parser = past::moment, conflicts_with_all = ["direct", "sample"])]
    pub(crate) at: Option<Moment>,
    /// What exit codes mean: 0 to 3 by status, or 0 (healthy, warning) and 1
    #[arg(long, value_enum, default_value_t = ExitCodes::Nagios, value_name = "KIND")]
    pub(crate) exit_code: ExitCodes,
    /// Measure the processors for so long, as in 200ms, and look directly; otherwise their share is not shown
    #[arg(long, value_name = "DURATION", value_parser = sample)]
    pub(crate) sample: Option<Duration>,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What stands before or after the command.
#[derive(Debug, clap::Args)]
pub(crate) struct Common {
    /// The configuration; otherwise HEALTHCHECK_CONFIG, ./healthcheck.toml, /etc/healthcheck/healthcheck.toml
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where the health files are; otherwise HEALTH_DIR, the configuration, /var/cache/APP/health in
    /// production, or logs/health
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) health_dir: Option<PathBuf>,
    /// A table on a terminal, JSON elsewhere
    #[arg(long, global = true, value_enum)]
    pub(crate) format: Option<Format>,
    /// error, warn, info, debug or trace; otherwise LOG_LEVEL or RUST_LOG
    #[arg(long, global = true, value_name = "LEVEL")]
    pub(crate) log_level: Option<LevelFilter>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// For programs
    Json,
    /// A Nagios or Icinga plug-in, with performance data
    Nagios,
    /// A file for node_exporter's textfile collector
    Prometheus,
    /// The health check response of an HTTP service
    #[value(name = "health+json")]
    HealthJson,
    /// Checkmk's local checks
    Checkmk,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExitCodes {
    Nagios,
    Simple,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Watch continuously: one JSON line an event on the standard output
    Monitor,
    /// Report how a service is, from a shell script
    Report(Report),
    /// Run a command as a service that reports
    Run(Run),
    /// Tell how the verdict on a service came about
    Why(Why),
    /// Show what is wrong and what was, from its beginning to its end
    Incidents(ListIncidents),
    /// Show what happened, of all or of one service; or see to how that is kept
    History(OfHistory),
    /// Show for how much of the time everything worked
    Uptime(OfUptime),
    /// Say that somebody cares for an incident: nobody is reminded of it any more
    Ack(Ack),
    /// Tell nobody of something for a time, or while a command runs; it is judged and recorded all the same
    Silence(Silence),
    /// Show what is muted
    Silences,
    /// End a silence: what is still bad then is told
    Unsilence(Unsilence),
    /// Tell what other alert settings, those of --config, would have sent, beside what was sent
    Replay(Replay),
    /// Let the monitor drop what it knows of a service, which then is no longer expected to report
    Forget(Forget),
    /// Show all machines that share an etcd, the bad ones first
    #[command(args_conflicts_with_subcommands = true)]
    Fleet(Fleet),
    /// Prove each channel with a notice of nothing, and tell how long it took
    Drill(Drill),
    /// Say that this machine is gone for good: neither other machines nor a dead-man's message are to miss it
    Retire(Retire),
    /// Publish the health of services under a lease in etcd, until it is ended
    Publish(Box<Publish>),
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Say which file is used, and everything that is wrong with it
    Check,
    /// Print what is in force, defaults included
    Show,
    /// Print the JSON Schema
    Schema,
}

/// A deadline, as people write it.
pub(crate) fn deadline(text: &str) -> Result<Duration, String> {
    let deadline = units::parse_duration(text).map_err(|error| error.to_string())?;
    if deadline.is_zero() || deadline.as_secs_f64() > MAX_DEADLINE_S {
        return Err("must be above 0 and at most 35d".to_owned());
    }
    Ok(deadline)
}

/// How long the processors are measured: long enough to count something, and not a whole coffee.
fn sample(text: &str) -> Result<Duration, String> {
    let sample = units::parse_duration(text).map_err(|error| error.to_string())?;
    if !(Duration::from_millis(10)..=Duration::from_secs(60)).contains(&sample) {
        return Err("must be 10ms to 1m".to_owned());
    }
    Ok(sample)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
