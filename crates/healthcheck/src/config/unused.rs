//! Which parts of the configuration are checked, but not used by this version: one warning for each.

use toml::Table;

/// What of a section is not used.
enum Unused {
    All,
    /// All but these keys.
    AllBut(&'static [&'static str]),
}

/// A section leaves this table, and its warning goes, when its part exists.
const SECTIONS: [(&str, Unused); 5] = [
    ("alerts", Unused::AllBut(&["grace", "stopped_after", "unknown_after"])),
    ("channels", Unused::All),
    ("routes", Unused::All),
    ("history", Unused::All),
    ("fleet", Unused::All),
];

pub(super) fn warnings(written: &Table) -> Vec<String> {
    SECTIONS.iter().filter_map(|(section, unused)| warning(written, section, unused)).collect()
}

fn warning(written: &Table, section: &str, unused: &Unused) -> Option<String> {
    let value = written.get(section)?;
    let table = value.as_table();
    let keys: Vec<&str> = match unused {
        Unused::All => return Some(format!("[{section}] is checked but not used yet by this version")),
        Unused::AllBut(used) => {
            let keys = table.into_iter().flat_map(|table| table.keys().map(String::as_str));
            keys.filter(|key| !used.contains(key)).collect()
        }
    };
    let verb = if keys.len() == 1 { "is" } else { "are" };
    let all = keys.join(", ");
    (!keys.is_empty()).then(|| format!("[{section}] {all} {verb} checked but not used yet by this version"))
}
