//! Main memory and swap, as `/proc/meminfo` shows them: of the machine, whatever part of it a cgroup may have.

use healthcheck_core::Capacity;

/// Main memory, and swap where there is some.
pub(super) fn stores(meminfo: &str) -> (Option<Capacity>, Option<Capacity>) {
    let bytes = |key: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        line.trim().strip_suffix("kB")?.trim_end().parse::<u64>().ok()?.checked_mul(1024)
    };
    // Before Linux 3.14, and in WSL 1, nobody adds it up.
    let added = || Some(bytes("MemFree")?.saturating_add(bytes("Buffers")?).saturating_add(bytes("Cached")?));
    let memory = capacity(bytes("MemTotal"), bytes("MemAvailable").or_else(added));
    (memory, capacity(bytes("SwapTotal"), bytes("SwapFree")))
}

fn capacity(total: Option<u64>, available: Option<u64>) -> Option<Capacity> {
    let (total_bytes, available_bytes) = (total.filter(|&total| total > 0)?, available?);
    Some(Capacity { total_bytes, available_bytes: available_bytes.min(total_bytes) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Raspberry Pi with Linux 6.6.
    const PI: &str = "MemTotal:         945512 kB\nMemFree:          111112 kB\nMemAvailable:     600000 kB\n\
                      Buffers:           33140 kB\nCached:           480004 kB\nSwapCached:          128 kB\n\
                      SwapTotal:        204796 kB\nSwapFree:         200000 kB\nHugePages_Total:       0\n";

    #[test]
    fn what_the_kernel_only_caches_is_available() {
        let (memory, swap) = stores(PI);
        let kib = |total: u64, available: u64| Capacity {
            total_bytes: total << 10,
            available_bytes: available << 10,
        };
        assert_eq!((memory, swap), (Some(kib(945_512, 600_000)), Some(kib(204_796, 200_000))));
    }

    #[test]
    fn where_nobody_adds_it_up_we_do() {
        let old = PI.replace("MemAvailable:", "MemAbsent:");
        assert_eq!(stores(&old).0.unwrap().available_bytes, (111_112 + 33_140 + 480_004) << 10);
    }

    #[test]
    fn what_is_not_told_is_absent_and_not_zero() {
        assert_eq!(stores(&PI.replace("SwapTotal:        204796", "SwapTotal: 0")).1, None);
        assert_eq!(stores(""), (None, None));
        assert_eq!(stores("MemTotal: 18446744073709551615 kB\nMemAvailable: 1 kB\n").0, None);
        for cut in 0..PI.len() {
            let _ = stores(&PI[..cut]);
        }
    }
}
