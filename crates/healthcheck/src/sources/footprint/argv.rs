//! The command line of a process: which of its words may name a file, and which of them is the program.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const MAX_BYTES: u64 = 16 * 1024;
const MAX_WORDS: usize = 64;
/// Programs that run other programs, without the version in their names.
const INTERPRETERS: [&str; 20] = [
    "ash", "bash", "beam.smp", "bun", "dash", "deno", "dotnet", "java", "ksh", "lua", "mono", "node",
    "nodejs", "perl", "php", "pypy", "python", "ruby", "sh", "zsh",
];
/// After these an interpreter takes its program from the word itself.
const WITHOUT_SCRIPT: [&[u8]; 4] = [b"-c", b"-e", b"-m", b"--eval"];
/// What a program writes for others to find, and does not read.
const WRITTEN: [&str; 4] = ["lock", "log", "pid", "sock"];

/// The words of a command line.
pub(super) struct Argv(Vec<u8>);

impl Argv {
    pub(super) fn of_process(process: &Path) -> Self {
        let mut bytes = Vec::new();
        if let Ok(file) = File::open(process.join("cmdline")) {
            // What was read before it failed is still true.
            let _ = file.take(MAX_BYTES).read_to_end(&mut bytes);
        }
        Self(bytes)
    }

    fn words(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|&byte| byte == 0).take(MAX_WORDS)
    }

    /// By which path it was started.
    pub(super) fn program(&self) -> Option<&Path> {
        self.words().next().map(path).filter(|program| program.is_absolute())
    }

    /// The words after the first that may name a file, in order, and whether it may be the program of an interpreter.
    pub(super) fn named(&self) -> impl Iterator<Item = (&Path, bool)> {
        let mut may_be_script = true;
        self.words().skip(1).filter_map(move |word| {
            may_be_script &= !WITHOUT_SCRIPT.contains(&word);
            let is_option = word.starts_with(b"-");
            let named = named(word).map(path).filter(|path| is_like_a_file(path))?;
            Some((named, may_be_script && !is_option))
        })
    }
}

fn path(word: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(word))
}

/// The word, or what an option is set to.
fn named(word: &[u8]) -> Option<&[u8]> {
    if word.starts_with(b"/") || word.starts_with(b".") {
        return Some(word);
    }
    let value = word.iter().position(|&byte| byte == b'=').map(|at| &word[at + 1..]);
    value.or((!word.starts_with(b"-")).then_some(word))
}

/// A bare word is more likely an order than a file.
fn is_like_a_file(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    let is_written = path.extension().is_some_and(|ending| WRITTEN.iter().any(|written| ending == *written));
    !is_written && bytes.iter().any(|byte| b"/.".contains(byte))
}

/// `python3.11` is `python`.
pub(super) fn is_interpreter(program: &Path) -> bool {
    let name = program.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
    let plain = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    INTERPRETERS.contains(&plain) || INTERPRETERS.contains(&&*name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named_by(words: &[&str]) -> Vec<(String, bool)> {
        let argv = Argv(words.join("\0").into_bytes());
        argv.named().map(|(path, may_be_script)| (path.display().to_string(), may_be_script)).collect()
    }

    fn no(names: &[&str]) -> Vec<(String, bool)> {
        names.iter().map(|name| ((*name).to_owned(), false)).collect()
    }

    #[test]
    fn files_are_named_by_themselves_and_by_options() {
        let words = ["camera", "--config=/etc/c.toml", "-Dx=a/b", "-v", "--fast", "start", "--", "-"];
        assert_eq!(named_by(&words), no(&["/etc/c.toml", "a/b"]));
        let words = ["camera", "-c", "/etc/a=b", "conf=./x", "--log=/var/x.log", "--pid", "/run/x.pid"];
        assert_eq!(named_by(&words), no(&["/etc/a=b", "./x"]));
        assert_eq!(named_by(&["camera"]), []);
        assert_eq!(named_by(&[]), []);
    }

    #[test]
    fn the_script_is_looked_for_before_what_takes_its_place() {
        let words = ["python3", "-u", "app.py", "c.toml"];
        let may_be = |name: &str| (name.to_owned(), true);
        assert_eq!(named_by(&words), [may_be("app.py"), may_be("c.toml")]);
        assert_eq!(named_by(&["python3", "-m", "app", "c.toml"]), no(&["c.toml"]));
    }

    #[test]
    fn an_interpreter_is_known_in_each_version() {
        for name in ["python3.11", "python", "node", "ruby3.1", "perl5.36.0", "php8.2", "sh", "beam.smp"] {
            assert!(is_interpreter(&Path::new("/usr/bin").join(name)), "{name}");
        }
        for name in ["camera", "shd", "pythonista", "", ".."] {
            assert!(!is_interpreter(&Path::new("/usr/bin").join(name)), "{name}");
        }
    }
}
