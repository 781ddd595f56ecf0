//! The goodbye on SIGTERM and SIGINT.

use crate::State;
use crate::shared::Shared;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::{emulate_default_handler, signal_name};
use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// A supervisor waits longer than this before it kills.
const PATIENCE: Duration = Duration::from_secs(1);

pub(crate) fn stop_on_signals(shared: &Arc<Shared>) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let shared: Weak<Shared> = Arc::downgrade(shared);
    std::thread::Builder::new().name("health signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            if let Some(shared) = shared.upgrade() {
                shared.say_goodbye(State::Stopped, signal_name(signal).unwrap_or("signal"), PATIENCE);
            }
            // From here on it is as if nobody had caught the signal.
            let _ = emulate_default_handler(signal);
        }
    })?;
    Ok(())
}
