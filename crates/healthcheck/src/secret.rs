//! Tokens, passwords and addresses that nobody must see: read when they are needed, and never shown.

use crate::system_error::plain;
use health_reporter::mask_credentials;
use rustix::fs::OFlags;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const MAX_BYTES: u64 = 64 * 1024;
const MASK: &str = "***";
/// A secret so short cannot be told from a part of a word.
const MIN_SECRET: usize = 4;

/// Where a secret is. It is read at each use: whoever replaces it need not tell us.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Secret {
    File(PathBuf),
    /// Of the environment.
    Value(String),
}

impl Secret {
    /// The secret without the blanks around it; or what is wrong, without a word of it.
    pub(crate) fn read(&self) -> Result<String, String> {
        let text = match self {
            Self::File(path) => read_file(path)?,
            Self::Value(text) => text.clone(),
        };
        match text.trim() {
            "" => Err(format!("{self}: it is empty: write the secret into it")),
            text => Ok(text.to_owned()),
        }
    }
}

/// Where it is, and nothing of it.
impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Value(_) => f.write_str("a secret of the environment"),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({self})")
    }
}

fn read_file(path: &Path) -> Result<String, String> {
    let problem = |why: &str| format!("cannot read {}: {why}", path.display());
    let bytes = read_bytes(path).map_err(|error| problem(&with_cure(&error)))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(problem("it is larger than 64 KiB: a secret is one short line"));
    }
    String::from_utf8(bytes).map_err(|_| problem("it is not UTF-8: a secret is one line of text"))
}

/// Never waits for a writer of a pipe, and never reads what has no end.
fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let file: File = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn with_cure(error: &io::Error) -> String {
    let why = plain(error);
    match error.kind() {
        io::ErrorKind::NotFound => format!("{why}: write the secret into it"),
        io::ErrorKind::PermissionDenied => format!("{why}: let the user of the monitor read it"),
        _ => why,
    }
}

/// The text with a mask in place of each secret.
pub(crate) fn masked(text: &str, secrets: &[String]) -> String {
    let mut secrets: Vec<&str> = secrets.iter().map(String::as_str).filter(|it| !it.is_empty()).collect();
    // What is a part of another must not break that.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    let mut text = text.to_owned();
    for secret in secrets {
        if text.contains(secret) && secret.len() < MIN_SECRET {
            return MASK.to_owned();
        }
        text = text.replace(secret, MASK);
    }
    text
}

/// An address that may be a secret itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    Shown(Url),
    Hidden(Secret),
}

/// An address that may be shown, but for what of a login and a question is in it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Url(pub(crate) String);

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = self.0.split(['?', '#']).next().unwrap_or_default();
        f.write_str(&mask_credentials(plain))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_secret_is_read_anew_each_time_and_trimmed() {
        let dir = tempfile::tempdir().unwrap();
        let secret = Secret::File(dir.path().join("token"));
        for text in ["canary-1\n", " canary-2 \r\n"] {
            fs::write(dir.path().join("token"), text).unwrap();
            assert_eq!(secret.read().unwrap(), text.trim());
        }
        assert_eq!(Secret::Value("canary".into()).read().unwrap(), "canary");
        let url = Url("https://user:canary@host/path?key=canary".to_owned());
        assert!(!format!("{:?}{secret:?}{url:?}", Secret::Value("canary".into())).contains("canary"));
    }

    #[test]
    fn what_cannot_be_read_is_named_with_its_cure() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let fifo = std::process::Command::new("mkfifo").arg(at("fifo")).status().unwrap();
        assert!(fifo.success());
        fs::write(at("large"), "canary ".repeat(10_000)).unwrap();
        fs::write(at("empty"), "\n").unwrap();
        fs::write(at("binary"), b"canary\xff").unwrap();
        for (name, words) in [
            ("none", "no such file or directory: write"),
            ("fifo", "no file"),
            ("large", "larger than 64 KiB"),
            ("empty", "is empty"),
            ("binary", "not UTF-8"),
        ] {
            let error = Secret::File(at(name)).read().unwrap_err();
            let names_it = error.contains(&*at(name).to_string_lossy());
            assert!(error.contains(words) && names_it && !error.contains("canary"), "{error}");
        }
    }
}
