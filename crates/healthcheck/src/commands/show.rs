//! Where and in which shape something is shown: a table on a terminal, JSON elsewhere.

use crate::cli::Format;
use crate::render::table::Surface;
use crate::terminal;
use anyhow::{Context, bail};
use health_reporter::directory::Environment;
use std::io::{self, IsTerminal, Write};

/// How something is shown.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    Table(Surface),
    Json { for_people: bool },
}

/// Writes to the standard output.
pub(super) fn show(
    what: &str,
    format: Option<Format>,
    env: &Environment,
    write: impl FnOnce(Shape, &mut dyn Write) -> io::Result<()>,
) -> anyhow::Result<()> {
    let stdout = io::stdout();
    let is_terminal = stdout.is_terminal();
    let shape = match format.unwrap_or(if is_terminal { Format::Table } else { Format::Json }) {
        Format::Table => Shape::Table(terminal::surface(env, is_terminal)),
        Format::Json => Shape::Json { for_people: is_terminal },
        _ => bail!("{what} is shown with --format table or json only"),
    };
    let mut out = io::BufWriter::new(stdout.lock());
    write(shape, &mut out).and_then(|()| out.flush()).with_context(|| format!("cannot write {what}"))
}

/// Writes that something is done.
pub(super) fn confirm(
    what: &str,
    format: Option<Format>,
    env: &Environment,
    words: &str,
    json: &serde_json::Value,
) -> anyhow::Result<()> {
    show(what, format, env, |shape, out| match shape {
        Shape::Table(_) => writeln!(out, "{words}"),
        Shape::Json { for_people: true } => writeln!(out, "{json:#}"),
        Shape::Json { for_people: false } => writeln!(out, "{json}"),
    })
}
