//! Work that blocks, on threads of their own: each of them may get stuck, and there are only so many.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, timeout_at};

/// Why work has no result: the one is what was looked at, the other is us.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unfinished {
    /// It has not come back by the deadline, and keeps its thread until it does.
    Stuck,
    /// It never began, for this reason.
    NoThread(&'static str),
}

const NONE_FREE: &str = "every thread is stuck in other looks, at a name server or a dead mount";
const NONE_GIVEN: &str = "the system gives no thread: raise TasksMax or ulimit -u";

pub(crate) async fn finish<T: Send + 'static>(
    deadline: Instant,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Unfinished> {
    let has_begun = Arc::new(AtomicBool::new(false));
    let begins = Arc::clone(&has_begun);
    let work = move || {
        begins.store(true, Ordering::Relaxed);
        work()
    };
    let mut working = begin(work).ok_or(Unfinished::NoThread(NONE_GIVEN))?;
    match timeout_at(deadline, &mut working).await {
        Ok(Ok(done)) => Ok(done),
        Err(_) if has_begun.load(Ordering::Relaxed) => Err(Unfinished::Stuck),
        Ok(Err(_)) | Err(_) => {
            working.abort();
            Err(Unfinished::NoThread(NONE_FREE))
        }
    }
}

/// Begins on a thread, where there is one.
///
/// The runtime panics, and says so, where not even its first thread is given: so one is asked for before.
pub(crate) fn begin<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<JoinHandle<T>> {
    static GIVEN: AtomicBool = AtomicBool::new(false);
    if !GIVEN.load(Ordering::Relaxed) {
        thread::Builder::new().spawn(|| ()).ok()?;
        GIVEN.store(true, Ordering::Relaxed);
    }
    catch_unwind(AssertUnwindSafe(|| spawn_blocking(work))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    #[test]
    fn what_is_stuck_is_told_from_what_never_began() {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().max_blocking_threads(1).build().unwrap();
        let soon = || Instant::now() + Duration::from_millis(300);
        let (release, wait) = channel::<()>();
        runtime.block_on(async {
            assert_eq!(finish(soon() + Duration::from_secs(20), || 7).await, Ok(7));
            let stuck = finish(soon(), move || wait.recv().is_ok()).await;
            assert_eq!(stuck, Err(Unfinished::Stuck));
            assert_eq!(finish(soon(), || 7).await, Err(Unfinished::NoThread(NONE_FREE)));
            release.send(()).unwrap();
            assert_eq!(finish(soon() + Duration::from_secs(20), || 7).await, Ok(7));
        });
    }
}
