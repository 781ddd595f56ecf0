//! Names of services, endpoints, probes and channels.

use super::problems::Scope;

const MAX_CHARS: usize = 64;
const PROBLEM: &str = "is not a name";
const CURE: &str = "write at most 64 of A-Z a-z 0-9 . _ @ -, beginning with a letter or a digit";

fn is_name(text: &str) -> bool {
    let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'@' | b'-');
    text.len() <= MAX_CHARS
        && text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric)
        && text.bytes().all(known)
}

/// Whether the value is a name; if not, it is reported.
pub(super) fn check_value(at: &Scope<'_>, text: &str) -> bool {
    if !is_name(text) {
        at.refuse(text, PROBLEM, CURE);
    }
    is_name(text)
}

/// The same for a name that is a key.
pub(super) fn check_key(at: &Scope<'_>, text: &str) -> bool {
    if !is_name(text) {
        at.key(text).refuse_unshown(PROBLEM, CURE);
    }
    is_name(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_a_file_may_have() {
        for good in ["a", "9", "factory-db", "camera@2", "A.b_c", &"x".repeat(64)] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", ".hidden", "-a", "@a", "a/b", "a b", "ä", "a\n", &"x".repeat(65)] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
