//! Collects everything that is wrong with a configuration, so that it is told at once.

use std::cell::RefCell;
use std::fmt;

use super::address::mask;

/// Longer values are cut where they are shown.
const SHOWN_CHARS: usize = 80;

/// One thing that is wrong: where, what was written, what is wrong with it, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConfigError {
    /// The file, or the environment.
    pub(crate) place: String,
    pub(crate) key: Option<String>,
    /// Escaped, cut and masked; `None` also where the value may be a secret.
    pub(crate) value: Option<String>,
    pub(crate) problem: String,
    pub(crate) cure: Option<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        match (&self.key, &self.value) {
            (Some(key), Some(value)) => write!(f, "{key} = {value}: ")?,
            (Some(key), None) => write!(f, "{key}: ")?,
            (None, _) => {}
        }
        write!(f, "{}", self.problem)?;
        self.cure.as_ref().map_or(Ok(()), |cure| write!(f, "; {cure}"))
    }
}

/// All that is wrong, one line each; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConfigErrors(pub(crate) Vec<ConfigError>);

impl ConfigErrors {
    /// One error that concerns the whole file.
    pub(super) fn of_file(place: String, problem: String, cure: &str) -> Self {
        Self(vec![ConfigError { place, key: None, value: None, problem, cure: Some(cure.to_owned()) }])
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let line_break = if index == 0 { "" } else { "\n" };
            write!(f, "{line_break}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// A key in a place; what is wrong with its value is recorded here.
#[derive(Clone)]
pub(super) struct Scope<'a> {
    place: &'a str,
    key: String,
    errors: &'a RefCell<Vec<ConfigError>>,
}

impl<'a> Scope<'a> {
    /// The whole of a file, or the environment.
    pub(super) fn root(place: &'a str, errors: &'a RefCell<Vec<ConfigError>>) -> Self {
        Self { place, key: String::new(), errors }
    }

    pub(super) fn key(&self, name: &str) -> Self {
        let name = as_key(name);
        let key = if self.key.is_empty() { name } else { format!("{}.{name}", self.key) };
        Self { key, ..self.clone() }
    }

    pub(super) fn index(&self, index: usize) -> Self {
        Self { key: format!("{}[{index}]", self.key), ..self.clone() }
    }

    /// The whole key, empty at the root.
    pub(super) fn path(&self) -> &str {
        &self.key
    }

    /// Whether something was refused here or below.
    pub(super) fn is_refused(&self) -> bool {
        let below = |key: &str| {
            key.strip_prefix(&self.key).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        self.errors.borrow().iter().any(|error| error.key.as_deref().is_some_and(below))
    }

    /// A value that cannot be used.
    pub(super) fn refuse(&self, value: &str, problem: impl Into<String>, cure: impl Into<String>) {
        self.push(Some(quoted(value)), problem.into(), cure.into());
    }

    /// A value that is not text and cannot be used.
    pub(super) fn refuse_plain(
        &self,
        value: impl fmt::Display,
        problem: impl Into<String>,
        cure: impl Into<String>,
    ) {
        self.push(Some(value.to_string()), problem.into(), cure.into());
    }

    /// Something wrong whose value is none, or is better not shown.
    pub(super) fn refuse_unshown(&self, problem: impl Into<String>, cure: impl Into<String>) {
        self.push(None, problem.into(), cure.into());
    }

    fn push(&self, value: Option<String>, problem: String, cure: String) {
        let key = (!self.key.is_empty()).then(|| self.key.clone());
        let cure = (!cure.is_empty()).then_some(cure);
        self.errors.borrow_mut().push(ConfigError {
            place: self.place.to_owned(),
            key,
            value,
            problem,
            cure,
        });
    }
}

/// Text as it is shown: masked, escaped so that it stays on its line, and cut.
pub(super) fn quoted(text: &str) -> String {
    let masked = mask(text);
    if masked.chars().count() <= SHOWN_CHARS {
        return format!("{masked:?}");
    }
    let start: String = masked.chars().take(SHOWN_CHARS).collect();
    format!("{start:?}…")
}

/// A key as TOML writes it: bare where it may be.
fn as_key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(bare) { name.to_owned() } else { quoted(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_place_key_value_problem_and_cure() {
        let errors = RefCell::new(Vec::new());
        let root = Scope::root("a.toml", &errors);
        root.key("services").key("a b").key("retries").refuse("x\ny", "is wrong", "write 3");
        root.key("routes").index(2).refuse_unshown("is missing", "");
        let lines = ConfigErrors(errors.into_inner()).to_string();
        assert_eq!(
            lines,
            "a.toml: services.\"a b\".retries = \"x\\ny\": is wrong; write 3\na.toml: routes[2]: is missing"
        );
    }

    #[test]
    fn a_long_value_is_cut_at_a_character() {
        let shown = quoted(&"ä".repeat(200));
        assert_eq!(shown.chars().count(), SHOWN_CHARS + 3);
    }
}
