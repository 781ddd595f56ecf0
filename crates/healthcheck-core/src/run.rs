//! Which process a subject is, or was.

use crate::{Subject, UnitFacts};

/// The last known run of a subject in this boot: of the process that its report names, or else of its unit's main
/// process. A process of another pid namespace is none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Run<'a> {
    /// Whose run it is.
    pub subject: &'a Subject,
    /// Its process.
    pub pid: u64,
    /// When that started, in hundredths of a second since boot, where its report says so.
    pub start_ticks: Option<u64>,
    /// Whether it is known to have ended.
    pub has_ended: bool,
    /// The unit in which it runs, as it was last seen.
    pub unit: Option<&'a UnitFacts>,
}
