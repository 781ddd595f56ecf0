//! What is told of an end besides how it was: its last words, and what was changed before it.

use super::{Case, Finding};
use crate::ending::{Blame, Ending, MAX_LINES};
use crate::{Part, wording};

const JOURNAL: [&str; MAX_LINES] =
    ["journal_1", "journal_2", "journal_3", "journal_4", "journal_5", "journal_6", "journal_7", "journal_8"];

/// With what was changed, and the last lines of the journal.
pub(super) fn proved(case: &Case<'_>, ending: &Ending, finding: Finding) -> Finding {
    let changes: Vec<_> = ending.changes.iter().map(|blame| in_words(case, blame)).collect();
    let changed = Some(changes.join("; ")).filter(|changed| !changed.is_empty());
    let lines = JOURNAL.iter().zip(&ending.journal);
    let finding = finding.maybe_with("changed", changed.as_deref());
    lines.fold(finding, |finding, (key, line)| finding.with(key, line))
}

/// ` 40 s after its executable was replaced, 1.4.2 → 1.5.0`
pub(super) fn blamed(case: &Case<'_>, ending: &Ending) -> Option<String> {
    let blame = ending.changes.first()?;
    let lead = blame.lead.map(|lead| format!(" {}", wording::duration(lead))).unwrap_or_default();
    let part = match blame.part {
        Part::Executable => "executable",
        Part::Unit => "unit",
        Part::Configuration => "configuration file",
    };
    Some(format!("{lead} after its {part} was {}{}", verb(blame), versions(case, blame)))
}

/// `executable /usr/bin/camera replaced 40 s before, 1.4.2 → 1.5.0`
fn in_words(case: &Case<'_>, blame: &Blame) -> String {
    let part = match blame.part {
        Part::Executable => "executable",
        Part::Unit => "unit",
        Part::Configuration => "configuration",
    };
    let lead = blame.lead.map(|lead| format!(" {} before", wording::duration(lead))).unwrap_or_default();
    format!("{part} {} {}{lead}{}", blame.path, verb(blame), versions(case, blame))
}

const fn verb(blame: &Blame) -> &'static str {
    match (blame.lead, blame.part) {
        (None, _) => "removed",
        (_, Part::Executable) => "replaced",
        (_, Part::Unit | Part::Configuration) => "changed",
    }
}

/// Only a run that was started with the new program shows what it is.
fn versions(case: &Case<'_>, blame: &Blame) -> String {
    let version = case.memory.report.as_ref().and_then(|report| report.version.as_deref());
    let former = case.memory.former_version.as_deref();
    let both = former.zip(version).filter(|(former, version)| former != version);
    both.filter(|_| blame.part == Part::Executable && blame.is_before_start)
        .map(|(former, version)| format!(", {former} → {version}"))
        .unwrap_or_default()
}
