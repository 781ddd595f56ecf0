//! What a heartbeat goes by: a part of its key.

use std::fmt;

const MAX_BYTES: usize = 128;
const HOLE: &str = "{namespace}";

/// A name without anything that would make another key of its key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Namespace(String);

impl Namespace {
    /// # Errors
    ///
    /// What is wrong with it, and the cure.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let shown: String = text.escape_debug().take(MAX_BYTES).collect();
        let turns = |c| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        let breaks = |c: char| c == '/' || c.is_control() || c.is_whitespace() || turns(c);
        if text.is_empty() {
            return Err("the namespace is empty: name it".to_owned());
        }
        if text.len() > MAX_BYTES {
            return Err(format!("namespace \"{shown}…\" has more than {MAX_BYTES} bytes: shorten it"));
        }
        if text.contains(breaks) {
            let cure = "write it without slashes, blanks and control characters";
            return Err(format!("namespace \"{shown}\" would break its key: {cure}"));
        }
        Ok(Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a key is made of a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyTemplate(String);

impl KeyTemplate {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.matches(HOLE).count() != 1 || text.chars().any(char::is_control) || text.len() > 1024 {
            return Err(format!("must have {HOLE} in it once, as in /chora/capabilities/{HOLE}/health"));
        }
        Ok(Self(text.to_owned()))
    }

    pub(crate) fn key(&self, namespace: &Namespace) -> String {
        self.0.replacen(HOLE, namespace.as_str(), 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_one_part_of_a_key() {
        for good in ["chora-base", "a", "org.example:x", "käse", "camera@2", "{namespace}", &"x".repeat(128)]
        {
            assert_eq!(Namespace::parse(good).map(|it| it.0).as_deref(), Ok(good));
        }
        for bad in ["", "a/b", "/", "a b", "a\nb", "a\0", "a\u{202e}b", "a\u{a0}", &"x".repeat(129)] {
            let problem = Namespace::parse(bad).unwrap_err();
            assert!(problem.contains(": ") && !problem.contains(['\n', '\u{202e}']), "{problem:?}");
        }
    }

    #[test]
    fn a_template_makes_another_key_of_each_namespace() {
        let template = KeyTemplate::parse("/chora/capabilities/{namespace}/health").unwrap();
        let key = |text: &str| template.key(&Namespace::parse(text).unwrap());
        assert_eq!(key("a"), "/chora/capabilities/a/health");
        assert_eq!(key("{namespace}"), "/chora/capabilities/{namespace}/health");
        for bad in ["", "/health", "/{namespace}/{namespace}", "/{namespace}\n"] {
            assert!(KeyTemplate::parse(bad).unwrap_err().contains("{namespace}"));
        }
    }
}
