//! How much of a file system is left.

use healthcheck_core::{Capacity, Inodes};
use rustix::fs::StatVfs;
use rustix::io::{Errno, retry_on_intr};
use std::path::Path;

/// What a file system has, for an ordinary user.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Space {
    pub(super) bytes: Capacity,
    pub(super) inodes: Option<Inodes>,
}

/// Asks a file system, however long that takes; nothing where nothing can be stored, or where others may not look, as
/// in what another user has mounted.
pub(super) fn ask(path: &Path) -> Result<Option<Space>, Errno> {
    match retry_on_intr(|| rustix::fs::statvfs(path)) {
        Ok(answer) => Ok(space(&answer)),
        Err(Errno::ACCESS | Errno::PERM | Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The numbers of `df`: shares are of what users may have, without the blocks that are kept for root.
fn space(answer: &StatVfs) -> Option<Space> {
    let bytes = |blocks: u64| blocks.saturating_mul(answer.f_frsize);
    let available = answer.f_bavail.min(answer.f_blocks);
    let used = answer.f_blocks.saturating_sub(answer.f_bfree.max(available));
    let inodes = Inodes { total: answer.f_files, available: answer.f_favail.min(answer.f_files) };
    (answer.f_blocks > 0).then_some(Space {
        bytes: Capacity {
            total_bytes: bytes(used.saturating_add(available)),
            available_bytes: bytes(available),
        },
        inodes: (inodes.total > 0).then_some(inodes),
    })
}
