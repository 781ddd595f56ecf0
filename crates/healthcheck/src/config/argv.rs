//! Text that must not be empty, and commands: a program and its arguments.

use std::path::PathBuf;

use super::problems::Scope;

/// Text with something in it, and without control characters.
pub(super) fn text(at: &Scope<'_>, raw: Option<String>) -> Option<String> {
    let written = raw?;
    if written.trim().is_empty() {
        at.refuse_unshown("is empty", "write a value or leave the key out");
        return None;
    }
    if written.chars().any(char::is_control) {
        at.refuse(&written, "has a control character in it", "leave it out");
        return None;
    }
    Some(written)
}

pub(super) fn path(at: &Scope<'_>, raw: Option<String>) -> Option<PathBuf> {
    text(at, raw).map(PathBuf::from)
}

/// A list with something in it.
pub(super) fn filled<T>(at: &Scope<'_>, raw: Option<Vec<T>>) -> Option<Vec<T>> {
    let written = raw?;
    if written.is_empty() {
        at.refuse_plain("[]", "is empty", "write at least one, or leave the key out");
        return None;
    }
    Some(written)
}

/// Patterns of names; each has something in it.
pub(super) fn patterns(at: &Scope<'_>, raw: Option<Vec<String>>) -> Option<Vec<String>> {
    let written = filled(at, raw)?;
    for (index, pattern) in written.iter().enumerate() {
        text(&at.index(index), Some(pattern.clone()));
    }
    Some(written)
}

/// A program and its arguments. An argument may be empty or long; only NUL can never be passed.
pub(super) fn command(at: &Scope<'_>, raw: Option<Vec<String>>) -> Option<Vec<String>> {
    let argv = filled(at, raw)?;
    if argv[0].trim().is_empty() {
        at.index(0)
            .refuse_unshown("names no program", "write the program first, then each argument by itself");
        return None;
    }
    if let Some(index) = argv.iter().position(|argument| argument.contains('\0')) {
        at.index(index).refuse_unshown("has a NUL character in it", "leave it out");
        return None;
    }
    Some(argv)
}
