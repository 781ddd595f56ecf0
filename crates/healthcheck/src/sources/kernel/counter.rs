//! The counter of processes that were killed in a control group because memory ran out.

use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

const MAX_BYTES: u64 = 16 * 1024;

/// The file in which the kernel counts for a control group.
#[derive(Debug)]
pub(crate) struct OomCounter(Box<Path>);

impl OomCounter {
    /// That of the group of a process, given its folder and where control groups are mounted. The outermost group,
    /// in which anybody may be, has none.
    pub(crate) fn of_process(process: &Path, groups: &Path) -> Option<Self> {
        let text = text(&process.join("cgroup"))?;
        let places = places(&text).filter_map(|(hierarchy, group, file)| {
            let group = group.strip_prefix('/').filter(|group| is_below(group))?;
            Some(groups.join(hierarchy).join(group).join(file))
        });
        // With both versions mounted, memory is counted in one of them.
        places.map(PathBuf::into_boxed_path).map(Self).find(|counter| counter.count().is_some())
    }

    /// How many were killed; nothing where the group is gone.
    pub(crate) fn count(&self) -> Option<u64> {
        let text = text(&self.0)?;
        let counts = text.lines().filter_map(|line| line.strip_prefix("oom_kill "));
        counts.filter_map(|count| count.trim().parse().ok()).next()
    }
}

/// Version 1 and version 2, in the text of `/proc/PID/cgroup`.
fn places(cgroup: &str) -> impl Iterator<Item = (&'static str, &str, &'static str)> {
    cgroup.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':');
        match (fields.next()?, fields.next()?, fields.next()?) {
            ("0", "", group) => Some(("", group, "memory.events")),
            (_, controllers, group) if controllers.split(',').any(|name| name == "memory") => {
                Some(("memory", group, "memory.oom_control"))
            }
            _ => None,
        }
    })
}

fn is_below(group: &str) -> bool {
    !group.is_empty() && Path::new(group).components().all(|part| matches!(part, Component::Normal(_)))
}

fn text(path: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(path).ok()?.take(MAX_BYTES).read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn count(cgroup: &str, files: &[(&str, &str)]) -> Option<u64> {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("cgroup"), cgroup).unwrap();
        for (path, text) in files {
            let path = root.path().join("groups").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        OomCounter::of_process(root.path(), &root.path().join("groups"))?.count()
    }

    const V1: &str = "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n";
    const V2: &str = "low 0\nhigh 0\nmax 71\noom 2\noom_kill 2\noom_group_kill 0\n";

    #[test]
    fn it_is_found_under_each_layout_of_control_groups() {
        let v2 = [("system.slice/a.service/memory.events", V2)];
        assert_eq!(count("0::/system.slice/a.service\n", &v2), Some(2));
        let v1 = [("memory/a/memory.oom_control", V1), ("a/cgroup.events", "")];
        assert_eq!(count("9:name=systemd:/x\n4:cpu,memory:/a\n0::/a\n", &v1), Some(3));
        assert_eq!(count("4:memory:/a\n", &[]), None);
    }

    #[test]
    fn the_outermost_group_and_one_outside_have_none() {
        let files = [("memory.events", V2), ("memory/memory.oom_control", V1), ("a/memory.events", V2)];
        for cgroup in
            ["0::/\n4:memory:/\n", "0::/a/../../groups/a\n", "0::a\n", "0::/../a\n", "", "0", "::\n"]
        {
            assert_eq!(count(cgroup, &files), None, "{cgroup}");
        }
    }
}
