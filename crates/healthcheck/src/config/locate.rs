//! Which file is read, whether it may be trusted, and its text.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use super::problems::ConfigErrors;

const FILE_NAME: &str = "healthcheck.toml";
const SYSTEM_FILE: &str = "/etc/healthcheck/healthcheck.toml";
const MAX_BYTES: u64 = 1024 * 1024;
const WRITABLE_BY_OTHERS: u32 = 0o022;
const ROOT: u32 = 0;

/// What the process was given from outside; everything that the configuration depends on.
pub(crate) struct Surroundings<'a> {
    /// The file that `--config` names.
    pub(crate) flag: Option<&'a Path>,
    /// An environment variable; an empty one counts as not set.
    pub(crate) env: &'a dyn Fn(&str) -> Option<OsString>,
    pub(crate) working_dir: &'a Path,
    pub(crate) system_file: &'a Path,
    pub(crate) uid: u32,
}

impl<'a> Surroundings<'a> {
    /// Those of this process; only the environment comes from the caller.
    pub(crate) fn of_this_process(flag: Option<&'a Path>, env: &'a dyn Fn(&str) -> Option<OsString>) -> Self {
        Self {
            flag,
            env,
            working_dir: Path::new("."),
            system_file: Path::new(SYSTEM_FILE),
            uid: rustix::process::geteuid().as_raw(),
        }
    }

    pub(super) fn var(&self, name: &str) -> Option<OsString> {
        (self.env)(name).filter(|value| !value.is_empty())
    }
}

/// Where the configuration comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Defaults,
    File(PathBuf),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Defaults => f.write_str("defaults"),
            Self::File(path) => write!(f, "{}", printable(path)),
        }
    }
}

/// The file's text, empty for the defaults.
pub(super) struct Located {
    pub(super) source: Source,
    pub(super) text: String,
    pub(super) warnings: Vec<String>,
}

/// Takes the first of `--config`, `HEALTHCHECK_CONFIG`, `./healthcheck.toml` and the system's file that exists. One that was asked
/// for must exist; one that is found and cannot be trusted or read is an error, not a reason to go on.
pub(super) fn locate(given: &Surroundings<'_>) -> Result<Located, ConfigErrors> {
    let named = given.var("HEALTHCHECK_CONFIG").map(PathBuf::from);
    if let Some(path) = given.flag.map(Path::to_path_buf).or(named) {
        let text = read(&path, given.uid).map_err(|refusal| refusal.into_errors(&path))?;
        return Ok(Located { source: Source::File(path), text, warnings: Vec::new() });
    }
    let mut warnings = Vec::new();
    for (path, is_local) in
        [(given.working_dir.join(FILE_NAME), true), (given.system_file.to_path_buf(), false)]
    {
        let foreign_link = if is_local { owner_of_foreign_link(&path, given.uid) } else { None };
        let read = foreign_link.map_or_else(|| read(&path, given.uid), |uid| Err(Refusal::Owner { uid }));
        match read {
            Ok(text) => return Ok(Located { source: Source::File(path), text, warnings }),
            Err(Refusal::Missing) => {}
            Err(Refusal::Owner { uid }) if is_local && given.uid == ROOT => {
                let cure = "name it with --config after chown root, or leave it";
                warnings
                    .push(format!("{}: not taken by root: belongs to uid {uid}; {cure}", printable(&path)));
            }
            Err(refusal) => return Err(refusal.into_errors(&path)),
        }
    }
    Ok(Located { source: Source::Defaults, text: String::new(), warnings })
}

/// Why a file is not taken.
#[derive(Debug)]
enum Refusal {
    Missing,
    Unreadable(io::Error),
    NotRegular,
    Owner { uid: u32 },
    Writable { mode: u32 },
    TooLarge,
    NotText { at: usize },
}

impl Refusal {
    fn into_errors(self, path: &Path) -> ConfigErrors {
        let (problem, cure) = match self {
            Self::Missing => ("does not exist".to_owned(), "name a file that is there"),
            Self::Unreadable(error) => {
                (format!("cannot be read: {error}"), "make it readable, or name another with --config")
            }
            Self::NotRegular => ("is not a regular file".to_owned(), "name a file"),
            Self::Owner { uid } => (
                format!("belongs to uid {uid}, who is neither root nor the caller"),
                "chown it to root or to yourself",
            ),
            Self::Writable { mode } => {
                (format!("can be written by others (mode {:03o})", mode & 0o777), "chmod go-w it")
            }
            Self::TooLarge => (format!("is larger than {MAX_BYTES} bytes"), "make it smaller"),
            Self::NotText { at } => (format!("is not UTF-8 at byte {at}"), "save it as UTF-8"),
        };
        ConfigErrors::of_file(printable(path), problem, cure)
    }
}

/// Where a stranger's link in the working directory leads is the stranger's choice, whoever owns what is there.
fn owner_of_foreign_link(path: &Path, uid: u32) -> Option<u32> {
    let link = std::fs::symlink_metadata(path).ok().filter(std::fs::Metadata::is_symlink)?;
    Some(link.uid()).filter(|owner| ![ROOT, uid].contains(owner))
}

/// Everything is asked of the opened file, so that nobody can put another one in its place between; and a
/// FIFO does not block.
fn read(path: &Path, uid: u32) -> Result<String, Refusal> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let handle = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| match errno {
        rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR => Refusal::Missing,
        other => Refusal::Unreadable(other.into()),
    })?;
    let file = File::from(handle);
    refuse_untrusted(&file, uid)?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(Refusal::Unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Refusal::TooLarge);
    }
    String::from_utf8(bytes).map_err(|error| Refusal::NotText { at: error.utf8_error().valid_up_to() })
}

fn refuse_untrusted(file: &File, uid: u32) -> Result<(), Refusal> {
    let metadata = file.metadata().map_err(Refusal::Unreadable)?;
    if !metadata.is_file() {
        return Err(Refusal::NotRegular);
    }
    if metadata.uid() != ROOT && metadata.uid() != uid {
        return Err(Refusal::Owner { uid: metadata.uid() });
    }
    if metadata.mode() & WRITABLE_BY_OTHERS != 0 {
        return Err(Refusal::Writable { mode: metadata.mode() });
    }
    if metadata.len() > MAX_BYTES {
        return Err(Refusal::TooLarge);
    }
    Ok(())
}

/// A path on one line: plain where it can be.
fn printable(path: &Path) -> String {
    let text = path.to_string_lossy();
    if text.chars().any(char::is_control) { format!("{text:?}") } else { text.into_owned() }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    /// A folder with a working directory and a system file in it; nothing is there at first.
    struct Machine {
        dir: tempfile::TempDir,
        uid: u32,
    }

    impl Machine {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir(dir.path().join("work")).unwrap();
            Self { dir, uid: rustix::process::geteuid().as_raw() }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        fn write(&self, name: &str, mode: u32) -> PathBuf {
            let path = self.path(name);
            fs::write(&path, format!("# {name}")).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            path
        }

        fn locate(&self, flag: Option<&str>, variable: Option<&str>) -> Result<Located, String> {
            let flag = flag.map(|name| self.path(name));
            let variable =
                variable.map(|name| if name.is_empty() { OsString::new() } else { self.path(name).into() });
            let env = |name: &str| variable.clone().filter(|_| name == "HEALTHCHECK_CONFIG");
            let given = Surroundings {
                flag: flag.as_deref(),
                env: &env,
                working_dir: &self.path("work"),
                system_file: &self.path("system.toml"),
                uid: self.uid,
            };
            locate(&given)
                .map_err(|errors| errors.to_string().replace(self.dir.path().to_str().unwrap(), "D"))
        }

        fn text(&self, flag: Option<&str>, variable: Option<&str>) -> String {
            self.locate(flag, variable).unwrap().text
        }
    }

    #[test]
    fn the_flag_wins_then_the_variable_then_here_then_the_system() {
        let machine = Machine::new();
        assert_eq!(machine.locate(None, None).unwrap().source, Source::Defaults);
        machine.write("system.toml", 0o644);
        assert_eq!(machine.text(None, Some("")), "# system.toml");
        machine.write("work/healthcheck.toml", 0o600);
        assert_eq!(machine.text(None, None), "# work/healthcheck.toml");
        machine.write("named.toml", 0o600);
        assert_eq!(machine.text(None, Some("named.toml")), "# named.toml");
        let flag = machine.write("flag.toml", 0o600);
        let located = machine.locate(Some("flag.toml"), Some("named.toml")).unwrap();
        assert_eq!((located.text.as_str(), located.source), ("# flag.toml", Source::File(flag)));
    }

    #[test]
    fn a_file_that_was_asked_for_must_exist() {
        let machine = Machine::new();
        machine.write("system.toml", 0o644);
        let missing = "D/none.toml: does not exist; name a file that is there";
        assert_eq!(machine.locate(Some("none.toml"), None).err().unwrap(), missing);
        assert_eq!(machine.locate(None, Some("none.toml")).err().unwrap(), missing);
    }

    #[test]
    fn a_file_that_others_can_write_is_refused_wherever_it_is() {
        let machine = Machine::new();
        for (mode, shown) in [(0o664, "664"), (0o646, "646"), (0o602, "602")] {
            let message = format!("can be written by others (mode {shown}); chmod go-w it");
            machine.write("work/healthcheck.toml", mode);
            assert_eq!(
                machine.locate(None, None).err().unwrap(),
                format!("D/work/healthcheck.toml: {message}")
            );
            machine.write("flag.toml", mode);
            assert_eq!(
                machine.locate(Some("flag.toml"), None).err().unwrap(),
                format!("D/flag.toml: {message}")
            );
        }
    }

    #[test]
    fn only_regular_small_text_is_read_and_a_fifo_does_not_block() {
        let machine = Machine::new();
        fs::create_dir(machine.path("dir")).unwrap();
        let fifo = rustix::fs::CWD;
        rustix::fs::mknodat(
            fifo,
            machine.path("fifo"),
            rustix::fs::FileType::Fifo,
            Mode::RUSR | Mode::WUSR,
            0,
        )
        .unwrap();
        symlink("fifo", machine.path("link")).unwrap();
        for name in ["dir", "fifo", "link"] {
            let error = machine.locate(Some(name), None).err().unwrap();
            assert_eq!(error, format!("D/{name}: is not a regular file; name a file"));
        }
        fs::write(machine.path("large"), "#".repeat(1_048_577)).unwrap();
        let error = machine.locate(Some("large"), None).err().unwrap();
        assert_eq!(error, "D/large: is larger than 1048576 bytes; make it smaller");
        fs::write(machine.path("binary"), b"# \xff").unwrap();
        let error = machine.locate(Some("binary"), None).err().unwrap();
        assert_eq!(error, "D/binary: is not UTF-8 at byte 2; save it as UTF-8");
    }

    #[test]
    fn a_file_of_somebody_else_is_refused_and_root_passes_by_the_one_in_its_working_directory() {
        let mut machine = Machine::new();
        let local = machine.write("work/healthcheck.toml", 0o644);
        machine.write("system.toml", 0o644);
        if machine.uid != ROOT {
            // Only root can give a file away; any other caller can at least be taken for root.
            machine.uid = ROOT;
        } else {
            std::os::unix::fs::chown(&local, Some(4711), None).unwrap();
        }
        let owner = fs::metadata(&local).unwrap().uid();
        if owner == 4711 {
            let located = machine.locate(None, None).unwrap();
            assert_eq!(located.text, "# system.toml");
            assert!(
                located.warnings[0].contains("not taken by root: belongs to uid 4711"),
                "{:?}",
                located.warnings
            );
            machine.uid = 815;
            let error = machine.locate(None, None).err().unwrap();
            assert!(error.contains("belongs to uid 4711, who is neither root nor the caller"), "{error}");
            machine.uid = 4711;
            assert_eq!(machine.text(None, None), "# work/healthcheck.toml");
            machine.uid = ROOT;
        }
        let error = machine.locate(Some("work/healthcheck.toml"), None).err().unwrap();
        assert!(
            error.contains(&format!("belongs to uid {owner}, who is neither root nor the caller")),
            "{error}"
        );
    }
}
