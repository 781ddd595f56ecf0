//! What is mounted where, as `/proc/self/mountinfo` shows it, and which of it are file systems that can fill up.

use super::text;
use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// Views of the kernel, in which nothing is stored. Who asks an autofs mounts something.
const PSEUDO: &[&str] = &[
    "autofs",
    "binder",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fuse.gvfsd-fuse",
    "fuse.lxcfs",
    "fuse.portal",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nfsd",
    "nsfs",
    "pipefs",
    "proc",
    "pstore",
    "resctrl",
    "rootfs",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "smackfs",
    "sysfs",
    "tracefs",
];
/// Full from the beginning.
const IMAGES: &[&str] = &[
    "cramfs",
    "erofs",
    "fuse.snapfuse",
    "fuse.squashfuse",
    "fuse.squashfuse_ll",
    "iso9660",
    "romfs",
    "squashfs",
    "udf",
];
/// Those that answer from the kernel's own memory; all others may wait for a machine or a process that is gone.
const LOCAL: &[&str] = &[
    "bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "hfs", "hfsplus", "jffs2", "jfs", "minix",
    "msdos", "nilfs2", "ntfs", "ntfs3", "overlay", "ramfs", "reiserfs", "tmpfs", "ubifs", "vfat", "xfs",
    "zfs",
];
/// Where programs keep what is theirs alone.
const RUNTIME: [&str; 4] = ["/dev", "/run", "/sys", "/proc"];
/// More mounts than these are never stacked on one path.
const MAX_STACK: usize = 64;

/// One line of mountinfo.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Mount {
    id: u32,
    parent: u32,
    /// Major and minor number: the same for all mounts of one file system.
    device: String,
    pub(super) point: PathBuf,
    /// Without what may be secret in it.
    pub(super) source: String,
    pub(super) kind: String,
    pub(super) is_read_only: bool,
    /// Read-only as a whole, and not only where it is mounted: a sandbox makes mounts read-only, for itself alone.
    pub(super) is_frozen: bool,
    /// Who asks it, or follows a path into it, may wait for ever.
    pub(super) may_hang: bool,
}

impl Mount {
    pub(super) fn name(&self) -> String {
        self.point.to_string_lossy().into_owned()
    }

    pub(super) fn below_root(&self) -> &Path {
        self.point.strip_prefix("/").unwrap_or(&self.point)
    }

    pub(super) fn is_image(&self) -> bool {
        IMAGES.contains(&self.kind.as_str())
    }

    fn is_stored(&self) -> bool {
        let is_runtime = || RUNTIME.iter().any(|top| self.point.starts_with(top));
        match self.kind.as_str() {
            "tmpfs" | "ramfs" => !is_runtime(),
            // All of them are a part of a file system that is looked at itself; in a container only this one is seen.
            "overlay" => self.point == Path::new("/"),
            kind => !PSEUDO.contains(&kind) && !self.is_image(),
        }
    }
}

/// The points of mounts of which one may never answer.
#[derive(Debug)]
pub(crate) struct MayHang(HashSet<PathBuf>);

impl MayHang {
    pub(super) fn of(mounts: Vec<Mount>) -> Self {
        Self(mounts.into_iter().filter(|mount| mount.may_hang).map(|mount| mount.point).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them is just here.
    pub(crate) fn has(&self, point: &Path) -> bool {
        self.0.contains(point)
    }

    #[cfg(test)]
    pub(crate) fn at(points: impl IntoIterator<Item = PathBuf>) -> Self {
        Self(points.into_iter().collect())
    }
}

/// Each whole line.
pub(super) fn parse(mountinfo: &[u8]) -> Vec<Mount> {
    let mut mounts: Vec<_> = mountinfo.split(|&byte| byte == b'\n').filter_map(mount).collect();
    let remote: HashSet<_> =
        mounts.iter().filter(|mount| mount.may_hang).map(|mount| mount.point.clone()).collect();
    for mount in &mut mounts {
        mount.may_hang = mount.point.ancestors().any(|folder| remote.contains(folder));
    }
    mounts
}

fn is_remote(kind: &str) -> bool {
    let is_local = || [LOCAL, PSEUDO, IMAGES].iter().any(|kinds| kinds.contains(&kind));
    kind.starts_with("fuse") || kind == "autofs" || !is_local()
}

/// `ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [TAG…] - TYPE SOURCE SUPER-OPTIONS`
fn mount(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|&byte| byte == b' ');
    let mut text = || Some(String::from_utf8_lossy(fields.next()?));
    let (id, parent, device) = (text()?.parse().ok()?, text()?.parse().ok()?, text()?.into_owned());
    let (point, options) = (fields.nth(1)?, fields.next()?);
    let mut fields = fields.skip_while(|field| field != b"-").skip(1);
    let mut text = || Some(String::from_utf8_lossy(&text::unescaped(fields.next()?)).into_owned());
    let (kind, source, super_options) = (text()?, text()?, text()?);
    let is_frozen = has_option(super_options.as_bytes(), "ro");
    let point = PathBuf::from(OsString::from_vec(text::unescaped(point)));
    let is_read_only = is_frozen || has_option(options, "ro");
    let source = without_secrets(&source);
    let may_hang = is_remote(&kind);
    let mount = Mount { id, parent, device, point, source, kind, is_read_only, is_frozen, may_hang };
    mount.point.is_absolute().then_some(mount)
}

fn has_option(options: &[u8], wanted: &str) -> bool {
    options.split(|&byte| byte == b',').any(|option| option == wanted.as_bytes())
}

/// A file system may be mounted from a URL, with its password in it.
fn without_secrets(source: &str) -> String {
    let Some((scheme, rest)) = source.split_once("://") else { return source.to_owned() };
    let rest = rest.rsplit_once('@').map_or(rest, |(_, after)| after);
    let rest = rest.split(['?', '#']).next().unwrap_or(rest);
    format!("{scheme}://{rest}")
}

/// The file systems that can fill up, in the order of mount points; each once, at its shortest mount point that is a
/// folder: a container has single files of its host mounted.
pub(super) fn file_systems(mounts: &[Mount], is_folder: impl Fn(&Mount) -> bool) -> Vec<&Mount> {
    let mut stored: Vec<_> = on_top(mounts).filter(|mount| mount.is_stored()).collect();
    stored.sort_by_key(|mount| (mount.point.as_os_str().len(), &mount.point));
    let mut devices = HashSet::new();
    stored.retain(|mount| (mount.may_hang || is_folder(mount)) && devices.insert(&mount.device));
    stored.sort_by_key(|mount| &mount.point);
    stored
}

/// Those that a path leads to: nothing is mounted over them, or over a folder above them.
fn on_top(mounts: &[Mount]) -> impl Iterator<Item = &Mount> {
    let ids: HashSet<_> = mounts.iter().map(|mount| mount.id).collect();
    let parent_of =
        |mount: &Mount| (mount.parent != mount.id && ids.contains(&mount.parent)).then_some(mount.parent);
    let by_place: HashMap<_, _> =
        mounts.iter().map(|mount| ((parent_of(mount), mount.point.as_path()), mount.id)).collect();
    mounts.iter().filter(move |mount| led_to(&mount.point, &by_place) == Some(mount.id))
}

/// Follows a path from mount to mount, as the kernel does.
fn led_to(point: &Path, by_place: &HashMap<(Option<u32>, &Path), u32>) -> Option<u32> {
    let mut folders: Vec<_> = point.ancestors().collect();
    folders.reverse();
    folders.into_iter().fold(None, |mut at, folder| {
        for _ in 0..MAX_STACK {
            let Some(over) = by_place.get(&(at, folder)) else { break };
            at = Some(*over);
        }
        at
    })
}

#[cfg(test)]
mod tests;
