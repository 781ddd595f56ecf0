//! The processors, as `/proc/stat` and `/proc/loadavg` show them.

use healthcheck_core::Load;

/// What all processors did since boot, in hundredths of a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Times {
    busy: u64,
    idle: u64,
}

/// The line of all processors: user, nice, system, idle, iowait, irq, softirq, steal; what guests had is in the first
/// two already. Waiting for a disk is idle, and what the host of a virtual machine took is busy.
pub(super) fn times(stat: &str) -> Option<Times> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let mut fields = line.split_ascii_whitespace().take(8).map(str::parse::<u64>);
    let mut next = || fields.next().transpose().ok();
    let busy = next()??.checked_add(next()??)?.checked_add(next()??)?;
    let idle = next()??.checked_add(next()?.unwrap_or(0))?;
    let late = [next()?, next()?, next()?].into_iter().flatten();
    Some(Times { busy: late.fold(busy, u64::saturating_add), idle })
}

impl Times {
    /// The busy share between two samples; nothing where no time passed, or where it ran backwards. The time of waiting
    /// for a disk is known to do so by a little.
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more digits")]
    pub(super) fn busy_ratio_until(self, later: Self) -> Option<f64> {
        let busy = later.busy.checked_sub(self.busy)?;
        let both = later.busy.checked_add(later.idle)?.checked_sub(self.busy.checked_add(self.idle)?)?;
        (both > 0).then(|| (busy as f64 / both as f64).min(1.0))
    }
}

/// How many processors the machine has online, whichever of them this process may use.
pub(super) fn online(stat: &str) -> Option<usize> {
    let is_one =
        |line: &&str| line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(char::is_numeric));
    Some(stat.lines().filter(is_one).count()).filter(|&count| count > 0)
}

/// Processes that ran or wanted to.
pub(super) fn load(loadavg: &str, cores: usize) -> Option<Load> {
    let mut fields = loadavg.split_ascii_whitespace().map(str::parse::<f64>);
    let mut next = || fields.next()?.ok().filter(|load| load.is_finite() && *load >= 0.0);
    Some(Load { one: next()?, five: next()?, fifteen: next()?, cores })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "cpu  740464 11374 227123 1341959 14656 0 2236 5245 7 3\n\
                        cpu0 351574 6549 103652 702831 3947 0 211 2599 0 0\n\
                        cpu1 388889 4824 123471 639127 10709 0 2025 2645 0 0\n\
                        intr 9285269 0 0\nctxt 18519413\nbtime 1795309783\nprocs_running 1\n";

    fn of(line: &str) -> Times {
        times(line).unwrap()
    }

    #[test]
    fn guests_are_not_counted_twice_and_waiting_for_a_disk_is_idle() {
        let busy = 740_464 + 11_374 + 227_123 + 2_236 + 5_245;
        assert_eq!(times(STAT), Some(Times { busy, idle: 1_341_959 + 14_656 }));
        // Linux 2.4 had four.
        assert_eq!(times("cpu 1 2 3 4\n"), Some(Times { busy: 6, idle: 4 }));
    }

    #[test]
    fn the_busy_share_is_that_of_the_time_between() {
        let before = of("cpu 100 0 100 800 0 0 0 0\n");
        assert_eq!(before.busy_ratio_until(of("cpu 130 0 110 860 0 0 0 0\n")), Some(0.4));
        assert_eq!(before.busy_ratio_until(of("cpu 100 0 100 900 0 0 0 0\n")), Some(0.0));
    }

    #[test]
    fn counters_that_stand_still_or_run_backwards_tell_nothing() {
        let before = of("cpu 100 0 100 800 50 0 0 0\n");
        assert_eq!(before.busy_ratio_until(before), None);
        assert_eq!(before.busy_ratio_until(of("cpu 90 0 100 900 50 0 0 0\n")), None);
        assert_eq!(before.busy_ratio_until(of("cpu 101 0 100 700 50 0 0 0\n")), None);
        // The time of waiting for a disk may run back by a little.
        assert_eq!(before.busy_ratio_until(of("cpu 120 0 100 800 49 0 0 0\n")), Some(1.0));
    }

    #[test]
    fn f13_cores_are_those_of_the_machine() {
        assert_eq!(online(STAT), Some(2));
        // The third of four was taken offline.
        assert_eq!(online("cpu  1 2 3 4\ncpu0 1 2\ncpu1 1 2\ncpu3 1 2\n"), Some(3));
        assert_eq!(online("cpu  1 2 3 4\n"), None);
    }

    #[test]
    fn load_is_of_three_averages() {
        let wanted = Load { one: 1.54, five: 0.57, fifteen: 0.51, cores: 4 };
        assert_eq!(load("1.54 0.57 0.51 2/182 1294276\n", 4), Some(wanted));
        for text in ["", "1.54 0.57", "nan 0 0", "-1 0 0", "inf 0 0"] {
            assert_eq!(load(text, 4), None, "{text}");
        }
    }

    #[test]
    fn torn_text_is_no_panic() {
        for cut in 0..STAT.len() {
            let _ = (times(&STAT[..cut]), online(&STAT[..cut]));
        }
        let big = format!("cpu {0} {0} {0} {0} {0} {0} {0} {0}\n", u64::MAX);
        assert_eq!(times(&big), None);
        assert_eq!(times("cpu  a b c d\n"), None);
        let last = Times { busy: u64::MAX, idle: u64::MAX };
        assert_eq!(last.busy_ratio_until(last), None);
    }
}
