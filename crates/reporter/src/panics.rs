//! Panics of the service, recorded while the process can still write.

use crate::reporter::LAST_WORDS_PATIENCE;
use crate::shared::Shared;
use std::panic::PanicHookInfo;
use std::sync::{Arc, Mutex, Once, PoisonError, Weak};

/// The reporters of this process that record panics.
static REPORTERS: Mutex<Vec<Weak<Shared>>> = Mutex::new(Vec::new());
static HOOK: Once = Once::new();

pub(crate) fn record_into(shared: &Arc<Shared>) {
    let mut reporters = REPORTERS.lock().unwrap_or_else(PoisonError::into_inner);
    reporters.retain(|reporter| reporter.strong_count() > 0);
    reporters.push(Arc::downgrade(shared));
    drop(reporters);
    // The hook cannot be changed by a thread that panics, and tells so by another panic.
    if !std::thread::panicking() {
        HOOK.call_once(|| {
            let next = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                record(panic);
                next(panic);
            }));
        });
    }
}

/// The hook that comes next may end the process, so the report is waited for, for a moment.
fn record(panic: &PanicHookInfo<'_>) {
    // A panic while the list is changed must not wait for itself.
    let Ok(reporters) = REPORTERS.try_lock() else { return };
    let reporters: Vec<_> = reporters.iter().filter_map(Weak::upgrade).collect();
    let message = describe(panic);
    for reporter in &reporters {
        reporter.record_error(&message, false);
    }
    for reporter in reporters {
        let _ = reporter.pulse.flush(LAST_WORDS_PATIENCE);
    }
}

fn describe(panic: &PanicHookInfo<'_>) -> String {
    let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    match panic.payload_as_str() {
        Some(message) => format!("panicked at {place}: {message}"),
        None => format!("panicked at {place}"),
    }
}
