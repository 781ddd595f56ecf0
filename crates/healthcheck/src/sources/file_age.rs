//! The age of a file.

use super::connect::plain;
use super::paths::follow;
use healthcheck_core::{FileAge, ProbeError, ProbeFacts, ProbeKind};
use std::collections::HashSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// Files at which somebody is looking: a dead mount keeps one thread for ever, and not one more each time.
static LOOKED_AT: LazyLock<Mutex<HashSet<PathBuf>>> = LazyLock::new(Mutex::default);

/// Looks when the file, or what the link leads to, was last written.
pub(crate) async fn look(
    path: &Path,
    max_age: Duration,
    timeout: Duration,
) -> Result<ProbeFacts, ProbeError> {
    let problem =
        |why: &str| ProbeError::of(ProbeKind::FileAge, format!("cannot look at {}: {why}", path.display()));
    let Some(sight) = Sight::begin(path) else {
        return Err(problem("the look before has not come back: is a mount dead?"));
    };
    let modified = match follow(path, Instant::now() + timeout, move || sight.modified()).await {
        Ok(modified) => modified,
        Err(unfinished) => return Err(problem(unfinished.why())),
    };
    let age = match modified {
        Ok(modified) => Some(SystemTime::now().duration_since(modified).unwrap_or_default()),
        Err(error) if is_absent(&error) => None,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            return Err(problem("permission denied: let this user search its directories"));
        }
        Err(error) => return Err(problem(&plain(&error))),
    };
    Ok(ProbeFacts::FileAge(FileAge { path: path.display().to_string(), age, max_age }))
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// One look, until it comes back.
struct Sight(PathBuf);

impl Sight {
    fn begin(path: &Path) -> Option<Self> {
        let is_first = LOOKED_AT.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned());
        is_first.then(|| Self(path.to_owned()))
    }

    fn modified(&self) -> io::Result<SystemTime> {
        fs::metadata(&self.0)?.modified()
    }
}

impl Drop for Sight {
    fn drop(&mut self) {
        LOOKED_AT.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::unix::fs::symlink;

    const HOUR: Duration = Duration::from_secs(3600);

    fn seen(path: &Path) -> Result<Option<Duration>, ProbeError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(look(path, HOUR, HOUR)).map(|facts| match facts {
            ProbeFacts::FileAge(file) => file.age,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn an_age_is_that_of_the_content_and_never_negative() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("backup");
        let file = File::create(&path).unwrap();
        file.set_modified(SystemTime::now() - 2 * HOUR).unwrap();
        let link = dir.path().join("latest");
        symlink(&path, &link).unwrap();
        let age = seen(&link).unwrap().unwrap();
        assert!((2 * HOUR..3 * HOUR).contains(&age), "{age:?}");
        file.set_modified(SystemTime::now() + HOUR).unwrap();
        assert_eq!(seen(&path), Ok(Some(Duration::ZERO)));
    }

    #[test]
    fn what_is_not_there_has_no_age() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(seen(&dir.path().join("backup")), Ok(None));
        let file = dir.path().join("file");
        File::create(&file).unwrap();
        assert_eq!(seen(&file.join("below")), Ok(None));
    }

    #[test]
    fn a_look_that_did_not_come_back_is_not_doubled() {
        let stuck = Sight::begin(Path::new("/dead/mount")).unwrap();
        let error = seen(Path::new("/dead/mount")).unwrap_err();
        assert!(error.to_string().ends_with("is a mount dead?"), "{error}");
        drop(stuck);
        assert_eq!(seen(Path::new("/dead/mount")), Ok(None));
    }
}
