//! One alarm on the clock that cannot be set, and that goes on while the machine is suspended.

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Rings once, at the boot time for which it was set.
#[derive(Debug)]
pub(crate) struct Alarm {
    timer: AsyncFd<OwnedFd>,
    set_for: Option<Duration>,
}

impl Alarm {
    #[expect(deprecated, reason = "its successor is unsafe, for the sake of others than OwnedFd")]
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Boottime, flags)?;
        Ok(Self { timer: AsyncFd::with_interest(timer, Interest::READABLE)?, set_for: None })
    }

    /// Sets it; an instant that is over rings at once, nothing never does.
    pub(crate) fn set(&mut self, boottime: Option<Duration>) -> io::Result<()> {
        if self.set_for == boottime {
            return Ok(());
        }
        let it_value = boottime.map_or(Timespec::default(), |at| timespec(at.max(Duration::from_nanos(1))));
        let time = Itimerspec { it_interval: Timespec::default(), it_value };
        timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &time)?;
        self.set_for = boottime;
        Ok(())
    }

    /// Waits until it rings. It has to be set anew then.
    pub(crate) async fn rings(&mut self) {
        // Without a driver there is no loop that could wait at all.
        let Ok(mut ready) = self.timer.readable_mut().await else { return };
        let mut count = [0; 8];
        let _ = ready.try_io(|timer| Ok(rustix::io::read(timer.get_ref(), &mut count)?));
        self.set_for = None;
    }
}

fn timespec(time: Duration) -> Timespec {
    let tv_sec = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    Timespec { tv_sec, tv_nsec: i64::from(time.subsec_nanos()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use health_reporter::clock;

    #[test]
    fn it_rings_when_it_is_set_for_and_not_before() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        runtime.block_on(async {
            let mut alarm = Alarm::new().unwrap();
            for wait in [Duration::from_millis(20), Duration::ZERO] {
                let due = clock::boottime() + wait;
                alarm.set(Some(due)).unwrap();
                alarm.rings().await;
                assert!(clock::boottime() >= due);
            }
        });
    }
}
