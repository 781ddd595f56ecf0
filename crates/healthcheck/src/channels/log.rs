//! A file with one JSON line a notice.

use super::plain_text::json;
use super::reach::Attempts;
use super::{Channel, unaccepted};
use healthcheck_core::alerts::{Notice, Outcome};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// On a dead mount nothing ever ends.
const DEADLINE: Duration = Duration::from_secs(10);
const MODE: u32 = 0o640;
const DIRECTORY_MODE: u32 = 0o750;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) path: PathBuf,
}

/// It holds no file open between two notices, so that it can be moved away.
#[derive(Debug)]
pub(crate) struct Log {
    settings: Settings,
    attempts: Attempts,
}

impl Log {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings, attempts: Attempts::default() }
    }
}

impl Channel for Log {
    fn send(&mut self, notice: &Notice) -> Outcome {
        let (path, line) = (self.settings.path.clone(), json(notice));
        let work = move || {
            let written = line.map_err(io::Error::from).and_then(|line| append(&path, &line));
            written.map_or_else(|error| refusal(&path, &error), |()| Outcome::Accepted)
        };
        self.attempts.within(DEADLINE, work).unwrap_or_else(|outcome| outcome)
    }
}

/// One write a line, so that lines of others never come between. What was written only in part stays a line of its own.
fn append(path: &Path, line: &str) -> io::Result<()> {
    let file = open(path)?;
    let size = file.metadata()?.size();
    let begin = if is_line_open(&file, size)? { "\n" } else { "" };
    let bytes = [begin.as_bytes(), line.as_bytes()].concat();
    let written = rustix::io::retry_on_intr(|| rustix::io::write(&file, &bytes))?;
    if written < bytes.len() {
        return Err(io::ErrorKind::StorageFull.into());
    }
    file.sync_data()
}

/// Neither a link is followed, for it may lead where its owner may not write, nor is a reader of a FIFO waited for.
fn open(path: &Path) -> io::Result<File> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(parent)?;
    }
    let how = OFlags::RDWR | OFlags::APPEND | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = rustix::fs::open(path, how | OFlags::CLOEXEC | OFlags::NOCTTY, Mode::from_raw_mode(MODE))?;
    let kind = FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode);
    if kind != FileType::RegularFile {
        return Err(Errno::NODEV.into());
    }
    Ok(File::from(file))
}

fn is_line_open(file: &File, size: u64) -> io::Result<bool> {
    let mut last = [b'\n'];
    if let Some(at) = size.checked_sub(1) {
        file.read_exact_at(&mut last, at)?;
    }
    Ok(last != [b'\n'])
}

fn refusal(path: &Path, error: &io::Error) -> Outcome {
    let (why, is_lasting) = match Errno::from_io_error(error) {
        Some(Errno::LOOP) => ("it is a symbolic link: name the file itself", true),
        Some(Errno::NODEV | Errno::NXIO | Errno::ISDIR) => ("it is no regular file: name another", true),
        Some(Errno::ACCESS | Errno::PERM) => ("permission denied: let this user write it", true),
        Some(Errno::NOTDIR | Errno::EXIST) => ("what should be its directory is a file", true),
        _ if error.kind() == io::ErrorKind::StorageFull => ("the disk is full", false),
        _ => ("", false),
    };
    let why = if why.is_empty() { error.to_string() } else { why.to_owned() };
    unaccepted(is_lasting, &format!("cannot write {}: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::super::specimen;
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::process::Command;

    fn log(path: &Path) -> Log {
        Log::new(Settings { path: path.to_owned() })
    }

    fn read(path: &Path) -> Vec<Notice> {
        let text = fs::read_to_string(path).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn each_notice_is_a_line_that_is_read_as_it_was_meant() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/notices.log");
        let mut log = log(&path);
        let notices: Vec<Notice> = specimen::naughty().iter().map(|text| specimen::saying(text)).collect();
        for notice in &notices {
            assert_eq!(log.send(notice), Outcome::Accepted);
        }
        assert_eq!(read(&path), notices);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(&path) & !MODE, mode(path.parent().unwrap()) & !DIRECTORY_MODE), (0, 0));
    }

    #[test]
    fn a_log_that_was_moved_away_is_begun_anew() {
        let dir = tempfile::tempdir().unwrap();
        let (path, moved) = (dir.path().join("n.log"), dir.path().join("n.log.1"));
        let mut log = log(&path);
        assert_eq!(log.send(&specimen::notice()), Outcome::Accepted);
        fs::rename(&path, &moved).unwrap();
        assert_eq!(log.send(&specimen::notice()), Outcome::Accepted);
        assert_eq!((read(&path).len(), read(&moved).len()), (1, 1));
    }

    #[test]
    fn what_was_written_in_part_harms_no_other_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("n.log");
        fs::write(&path, "{\"id\":\"half").unwrap();
        assert_eq!(log(&path).send(&specimen::notice()), Outcome::Accepted);
        let text = fs::read_to_string(&path).unwrap();
        let (half, rest) = text.split_once('\n').unwrap();
        assert_eq!(half, "{\"id\":\"half");
        assert_eq!(serde_json::from_str::<Notice>(rest).unwrap(), specimen::notice());
    }

    #[test]
    fn a_full_disk_is_a_failure_and_passes() {
        let dir = tempfile::tempdir().unwrap();
        let _mounted = Tmpfs::on(dir.path());
        let (path, filler) = (dir.path().join("n.log"), dir.path().join("filler"));
        // A page of the log takes the beginning of the line.
        fs::write(&path, "{}\n").unwrap();
        assert!(fs::write(&filler, vec![0; 1 << 20]).is_err());
        let big = specimen::saying(&"x".repeat(5_000));
        let full = log(&path).send(&big);
        assert!(
            matches!(&full, Outcome::Failed { error, .. } if error.ends_with("the disk is full")),
            "{full:?}"
        );
        fs::remove_file(&filler).unwrap();
        assert_eq!(log(&path).send(&big), Outcome::Accepted);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 3, "the whole one, the half one, the one of the next attempt");
        assert_eq!(serde_json::from_str::<Notice>(text.lines().last().unwrap()).unwrap(), big);
    }

    /// A file system of 64 KiB.
    struct Tmpfs(PathBuf);

    impl Tmpfs {
        fn on(path: &Path) -> Self {
            let mount =
                Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "none"]).arg(path).status();
            assert!(mount.unwrap().success());
            Self(path.to_owned())
        }
    }

    impl Drop for Tmpfs {
        fn drop(&mut self) {
            let _ = Command::new("umount").arg(&self.0).status();
        }
    }

    #[test]
    fn only_a_regular_file_of_that_very_name_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("target"), "kept").unwrap();
        symlink(at("target"), at("link")).unwrap();
        assert!(Command::new("mkfifo").arg(at("fifo")).status().unwrap().success());
        fs::create_dir(at("directory")).unwrap();
        for (name, why) in [
            ("link", "it is a symbolic link: name the file itself"),
            ("fifo", "it is no regular file: name another"),
            ("directory", "it is no regular file: name another"),
            ("target/below", "what should be its directory is a file"),
        ] {
            let outcome = log(&at(name)).send(&specimen::notice());
            assert!(
                matches!(&outcome, Outcome::Refused { error } if error.ends_with(why)),
                "{name} {outcome:?}"
            );
        }
        assert_eq!(fs::read_to_string(at("target")).unwrap(), "kept");
    }
}
