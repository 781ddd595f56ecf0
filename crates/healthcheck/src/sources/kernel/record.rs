//! The records of the kernel's log, of which some say that memory ran out.

/// In lines that are told.
const MAX_LINE_BYTES: usize = 200;
/// Linux 5.x and later; the first of them also before, where it follows what else was said of the choice.
const BEGINNINGS: [&str; 4] = [
    "Killed process ",
    "Out of memory: Killed process ",
    "Out of memory (oom_kill_allocating_task): Killed process ",
    "Memory cgroup out of memory: Killed process ",
];

/// A process that the kernel killed because memory ran out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Oom {
    pub(crate) pid: u32,
    /// What the kernel said.
    pub(crate) line: String,
}

/// Those of one or more records: `PRIORITY,SEQUENCE,TIME,FLAGS;TEXT`. A line that begins with a space says more of the
/// one before.
pub(super) fn ooms(records: &str) -> impl Iterator<Item = Oom> {
    records.lines().filter_map(|record| {
        let (prefix, text) = record.split_once(';')?;
        let priority: u32 = prefix.split(',').next()?.parse().ok()?;
        // Whoever else writes into it is of another facility than the kernel's.
        (priority >> 3 == 0).then(|| oom(text)).flatten()
    })
}

/// What a line of the kernel says. The name of a process may be anything, so the beginning has to be the kernel's own.
pub(crate) fn oom(text: &str) -> Option<Oom> {
    let rest = BEGINNINGS.iter().find_map(|beginning| text.strip_prefix(beginning))?;
    let (pid, _) = rest.split_once(" (")?;
    Some(Oom { pid: pid.parse().ok()?, line: health_reporter::bounded(text, MAX_LINE_BYTES) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINUX_4_19: &str = "3,940,72093716,-;Killed process 2134 (stress) total-vm:2105900kB, anon-rss:1937816kB, file-rss:4kB, shmem-rss:0kB";
    const LINUX_5_10: &str = "3,1302,9123374,-;Out of memory: Killed process 2592 (python3) total-vm:8218476kB, anon-rss:7684452kB, \
         file-rss:2272kB, shmem-rss:0kB, UID:1000 pgtables:15164kB oom_score_adj:0";
    const LINUX_6_1: &str = "3,733,401828091,-,caller=T3321;Memory cgroup out of memory: Killed process 3321 (stress-ng-vm) \
         total-vm:308736kB, anon-rss:65368kB, file-rss:456kB, shmem-rss:36kB, UID:0 pgtables:188kB oom_score_adj:1000";
    const LINUX_6_8: &str = "3,1183,5521093412,-;Out of memory: Killed process 41027 (java) total-vm:12648240kB, anon-rss:9874120kB, \
         file-rss:128kB, shmem-rss:0kB, UID:998 pgtables:20456kB oom_score_adj:200\n SUBSYSTEM=x\n DEVICE=+y";

    const NONE: [u32; 0] = [];

    fn pids(records: &str) -> Vec<u32> {
        ooms(records).map(|oom| oom.pid).collect()
    }

    #[test]
    fn each_kernel_is_understood() {
        let all = [LINUX_4_19, LINUX_5_10, LINUX_6_1, LINUX_6_8].map(pids);
        assert_eq!(all, [[2134], [2592], [3321], [41027]]);
        let lines: Vec<_> = ooms(LINUX_6_1).collect();
        assert!(lines[0].line.starts_with("Memory cgroup out of memory: Killed process 3321 (stress-ng-vm)"));
        assert!(lines[0].line.ends_with("oom_score_adj:1000"));
    }

    #[test]
    fn only_the_kernel_itself_is_believed() {
        for facility in [1, 3, 10, 23] {
            assert_eq!(pids(&LINUX_5_10.replacen('3', &(facility * 8 + 3).to_string(), 1)), NONE);
        }
    }

    #[test]
    fn other_lines_say_nothing() {
        for text in [
            "Out of memory: Kill process 2134 (stress) score 943 or sacrifice child",
            "oom_reaper: reaped process 2592 (python3), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB",
            "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),task=python3,pid=2592,uid=1000",
            "Out of memory: [77]: Killed process 5 (x)",
            "x: Out of memory: Killed process 5 (x)",
            "Out of memory: Killed process -5 (x)",
            "Out of memory: Killed process 99999999999 (x)",
            "Out of memory: Killed process 5",
        ] {
            assert_eq!(pids(&format!("3,1,1,-;{text}")), NONE, "{text}");
        }
        for record in ["", ";", "x;Killed process 5 (x)", " 3;Killed process 5 (x)", "3,1,1,-", "\u{fffd};"] {
            assert_eq!(pids(record), NONE, "{record}");
        }
    }
}
