//! Which parts of the configuration are checked, but not used by this version: one warning for each.

use toml::Table;

/// A section leaves this list, and its warning goes, when its part exists.
const SECTIONS: [&str; 1] = ["fleet"];

pub(super) fn warnings(written: &Table) -> Vec<String> {
    let unused = SECTIONS.iter().filter(|section| written.contains_key(**section));
    unused.map(|section| format!("[{section}] is checked but not used yet by this version")).collect()
}
