//! `healthcheck history prune`, `export` and `backup`: what is kept, and for how long.

use super::history::History;
use super::remembered::since;
use super::running_monitor::RunningMonitor;
use super::show::{Shape, show};
use super::store::{self, Opened};
use super::uptime::Uptime;
use crate::cli::Format;
use crate::config::Config;
use crate::history::{RunRow, Selection};
use clap::{Args, Subcommand};
use health_reporter::directory::Environment;
use healthcheck_core::Transition;
use healthcheck_core::history::Window;
use healthcheck_core::history::retention::PrunePlan;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::time::Duration;

/// Rows that are dropped at once.
const AT_ONCE: u32 = 10_000;
/// The columns of a comma-separated export, in the order of the table.
const COLUMNS: &str = "id,host,kind,service_name,status,cause,current_task,begun_at,heartbeat_timestamp,heartbeats,\
                       created_at,opens,from_status,since,message,is_flapping,is_healed_by_supervisor";

/// What happened, and how that is kept.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct OfHistory {
    #[command(subcommand)]
    keeping: Option<Keeping>,
    /// Of another machine, where several write to one history
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    #[command(flatten)]
    history: History,
}

#[derive(Debug, Args)]
pub(crate) struct OfUptime {
    /// Of another machine, where several write to one history
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    #[command(flatten)]
    uptime: Uptime,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Keeping {
    /// Drop what is older than its retention, or too much in all; the monitor does so by itself each day
    Prune(Prune),
    /// Write every run as one JSON line, the newest first
    Export(Export),
    /// Copy the history into a new file, while the monitor goes on writing
    Backup(Backup),
}

#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// Only tell what would be dropped, and why
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Only of this service
    #[arg(value_name = "SERVICE")]
    name: Option<String>,
    /// Only what reaches into this time, as in 30d
    #[arg(long, value_name = "DURATION", value_parser = since)]
    since: Option<Duration>,
    /// Comma-separated values, with a head line
    #[arg(long)]
    csv: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// A file that is not there yet
    #[arg(value_name = "FILE")]
    to: PathBuf,
}

impl OfHistory {
    pub(crate) fn run(
        &self,
        monitor: Option<&RunningMonitor>,
        config: &Config,
        env: &Environment,
        format: Option<Format>,
    ) -> anyhow::Result<()> {
        let open = || store::open_to_read(config, monitor, self.host.clone());
        match &self.keeping {
            None => store::ask(config, open()?, |it| self.history.show(it, Timestamp::now(), format, env)),
            Some(Keeping::Prune(prune)) => prune.prune(config, env, format),
            Some(Keeping::Export(export)) => export.export(&mut open()?),
            Some(Keeping::Backup(backup)) => backup.copy(config, env, format),
        }
    }
}

impl OfUptime {
    pub(crate) fn show(
        &self,
        monitor: Option<&RunningMonitor>,
        config: &Config,
        env: &Environment,
        format: Option<Format>,
    ) -> anyhow::Result<()> {
        let opened = store::open_to_read(config, monitor, self.host.clone())?;
        store::ask(config, opened, |it| self.uptime.show(it, Timestamp::now(), format, env))
    }
}

impl Prune {
    /// Tells the plan, and follows it.
    pub(crate) fn prune(
        &self,
        config: &Config,
        env: &Environment,
        format: Option<Format>,
    ) -> anyhow::Result<()> {
        let mut store = store::open(config, !self.dry_run);
        let plan = PrunePlan::of(&store.stock()?, &store::limits(&config.history), Timestamp::now());
        let mut rows = 0;
        for step in plan.steps.iter().filter(|_| !self.dry_run) {
            loop {
                let pruned = store.prune(&step.slice, AT_ONCE)?;
                rows += pruned.rows;
                if pruned.is_done {
                    break;
                }
            }
        }
        let told = Told { plan: &plan, is_dry_run: self.dry_run, rows };
        show("what is dropped", format, env, |shape, out| match shape {
            Shape::Table(_) => told.write(out),
            Shape::Json { for_people: true } => writeln!(out, "{}", serde_json::to_string_pretty(&told)?),
            Shape::Json { for_people: false } => writeln!(out, "{}", serde_json::to_string(&told)?),
        })
    }
}

/// What was planned, and what became of it.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    plan: &'a PrunePlan,
    is_dry_run: bool,
    /// That were dropped.
    rows: u64,
}

impl Told<'_> {
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        for step in &self.plan.steps {
            writeln!(out, "{step}")?;
        }
        match (self.plan.steps.is_empty(), self.is_dry_run) {
            (true, _) => writeln!(out, "nothing is to be dropped"),
            (false, true) => writeln!(out, "nothing was dropped: this was a dry run"),
            (false, false) => writeln!(out, "{} rows were dropped", self.rows),
        }
    }
}

impl Export {
    /// Writes to the standard output, row by row.
    pub(crate) fn export(&self, opened: &mut Opened) -> anyhow::Result<()> {
        let to = Timestamp::now();
        let since = self.since.and_then(|since| SignedDuration::try_from(since).ok());
        let from = since.and_then(|since| to.checked_sub(since).ok()).unwrap_or(Timestamp::UNIX_EPOCH);
        let window = Window { from, to };
        let mut known = opened.remembered(to)?;
        let subject = self.name.as_deref().map(|name| known.subject(name, window)).transpose()?;
        let of = Selection { host: Some(opened.host.clone()), subject };
        let mut out = BufWriter::new(io::stdout().lock());
        if self.csv {
            writeln!(out, "{COLUMNS}")?;
        }
        let mut written = Ok(());
        opened.store.runs(&of, window, &mut |run| {
            written = if self.csv { write_csv(&run, &mut out) } else { write_json(&run, &mut out) };
            written.is_ok()
        })?;
        written.and_then(|()| out.flush())?;
        Ok(())
    }
}

/// One line of JSON, with the names of the table's columns.
fn write_json(run: &RunRow, out: &mut dyn Write) -> io::Result<()> {
    let mut row = serde_json::json!({
        "id": run.id,
        "host": run.host,
        "kind": run.subject.kind,
        "service_name": run.subject.name.as_ref(),
        "status": run.status,
        "cause": run.cause,
        "current_task": run.current_task,
        "begun_at": run.begun_at,
        "heartbeat_timestamp": run.heartbeat_timestamp,
        "heartbeats": run.heartbeats,
        "created_at": run.created_at,
        "opens": run.opens,
    });
    if let (Some(transition), Some(row)) = (&run.transition, row.as_object_mut()) {
        row.insert("from_status".to_owned(), serde_json::json!(transition.from));
        row.insert("is_flapping".to_owned(), serde_json::json!(transition.is_flapping));
        let is_healed = serde_json::json!(transition.is_healed_by_supervisor);
        row.insert("is_healed_by_supervisor".to_owned(), is_healed);
        row.insert("message".to_owned(), serde_json::json!(transition.message));
        row.insert("since".to_owned(), serde_json::json!(transition.since));
        row.insert("reasons".to_owned(), serde_json::json!(transition.reasons));
        row.insert("evidence".to_owned(), serde_json::json!(transition.evidence));
    }
    writeln!(out, "{row}")
}

fn write_csv(run: &RunRow, out: &mut dyn Write) -> io::Result<()> {
    let transition = |text: fn(&Transition) -> String| run.transition.as_ref().map(text).unwrap_or_default();
    let texts = [
        run.id.to_string(),
        run.host.clone(),
        run.subject.kind.to_string(),
        run.subject.name.to_string(),
        run.status.to_string(),
        run.cause.to_string(),
        run.current_task.clone().unwrap_or_default(),
        run.begun_at.to_string(),
        run.heartbeat_timestamp.to_string(),
        run.heartbeats.to_string(),
        run.created_at.to_string(),
        run.opens.to_string(),
        transition(|it| it.from.to_string()),
        transition(|it| it.since.to_string()),
        transition(|it| it.message.clone()),
        transition(|it| it.is_flapping.to_string()),
        transition(|it| it.is_healed_by_supervisor.to_string()),
    ];
    writeln!(out, "{}", texts.map(|text| quoted(&text)).join(","))
}

/// As RFC 4180 says; a spreadsheet takes what begins like a formula for one, so that is made a text.
fn quoted(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '@', '\t', '\r'])
        || text.starts_with('-') && text.parse::<f64>().is_err();
    let text = if is_formula { format!("'{text}") } else { text.to_owned() };
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

impl Backup {
    /// Copies the history.
    pub(crate) fn copy(
        &self,
        config: &Config,
        env: &Environment,
        format: Option<Format>,
    ) -> anyhow::Result<()> {
        store::open(config, false).backup(&self.to)?;
        let bytes = self.to.metadata().map_or(0, |file| file.len());
        let words = format!("{} has the whole history, {bytes} bytes", self.to.display());
        let json = serde_json::json!({ "file": self.to, "size_bytes": bytes });
        super::show::confirm("the copy", format, env, &words, &json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_quoted_where_it_must_be_and_never_a_formula() {
        for (text, cell) in [
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"\n", "\"say \"\"hi\"\"\n\""),
            ("=1+1", "'=1+1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("-3", "-3"),
            ("-cmd", "'-cmd"),
        ] {
            assert_eq!(quoted(text), cell);
        }
    }
}
