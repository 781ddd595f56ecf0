//! The machine itself: its name, its mode, its memory and its load.

use healthcheck_core::{Capacity, Load, Resources};
use std::path::Path;
use sysinfo::{MemoryRefreshKind, System};

/// Looks at memory and load; nothing where the kernel does not tell.
pub(crate) fn resources() -> Option<Resources> {
    let mut system = System::new().ok()?;
    system.refresh_memory_specifics(MemoryRefreshKind::everything());
    let average = System::load_average().ok()?;
    Some(Resources {
        memory: capacity(system.total_memory(), system.available_memory()),
        swap: capacity(system.total_swap(), system.free_swap()),
        load: Some(Load {
            one: average.one,
            five: average.five,
            fifteen: average.fifteen,
            cores: std::thread::available_parallelism().map_or(1, usize::from),
        }),
        ..Resources::default()
    })
}

fn capacity(total_bytes: u64, available_bytes: u64) -> Option<Capacity> {
    (total_bytes > 0).then_some(Capacity { total_bytes, available_bytes })
}

pub(crate) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Whether the machine was booted with systemd: what sd_booted(3) looks at.
pub(crate) fn is_booted_with_systemd(root: &Path) -> bool {
    root.join("run/systemd/system").is_dir()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_memory_and_is_not_beyond_it() {
        let resources = resources().unwrap();
        assert!(resources.memory.unwrap().total_bytes > 1 << 20);
        assert!((0.01..=1.0).contains(&resources.memory.unwrap().used_ratio()));
        assert!(resources.load.unwrap().cores > 0);
    }

    #[test]
    fn the_mode_is_what_the_folder_says() {
        let root = tempfile::tempdir().unwrap();
        assert!(!is_booted_with_systemd(root.path()));
        std::fs::create_dir_all(root.path().join("run/systemd/system")).unwrap();
        assert!(is_booted_with_systemd(root.path()));
    }
}
