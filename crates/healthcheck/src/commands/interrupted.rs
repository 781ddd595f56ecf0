//! A run that is ended in its middle: what it started is ended with it.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::{flag, low_level};
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// How long a signal waits at most to be seen.
const TICK: Duration = Duration::from_millis(50);

/// Does `work`, and drops it where a signal ends this process meanwhile; then the signal does what it always does.
pub(super) async fn unless_interrupted<T>(work: impl Future<Output = T>) -> T {
    let (seen, is_over) = (Arc::default(), Arc::default());
    // Without a handler the signal ends the process at once, as before.
    let _ = listen(&seen, &is_over);
    let signal = {
        let mut work = pin!(work);
        loop {
            if let Ok(done) = tokio::time::timeout(TICK, work.as_mut()).await {
                is_over.store(true, Ordering::Relaxed);
                return done;
            }
            match seen.load(Ordering::Relaxed) {
                0 => {}
                signal => break signal,
            }
        }
    };
    let _ = low_level::emulate_default_handler(i32::try_from(signal).unwrap_or(SIGTERM));
    std::process::abort()
}

/// Does `work`, and drops it where it is over meanwhile.
pub(super) async fn unless_over<T>(work: impl Future<Output = T>, is_over: &AtomicBool) -> Option<T> {
    let mut work = pin!(work);
    while !is_over.load(Ordering::Relaxed) {
        if let Ok(done) = tokio::time::timeout(TICK, work.as_mut()).await {
            return Some(done);
        }
    }
    None
}

fn listen(seen: &Arc<AtomicUsize>, is_over: &Arc<AtomicBool>) -> io::Result<()> {
    for signal in [SIGTERM, SIGINT, SIGHUP] {
        flag::register_conditional_default(signal, Arc::clone(is_over))?;
        flag::register_usize(signal, Arc::clone(seen), usize::try_from(signal).unwrap_or_default())?;
    }
    Ok(())
}
