//! The table of file systems, `/etc/fstab`, beside what is mounted.

use super::mounts::Mount;
use super::text;
use healthcheck_core::MountSight;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

/// As many as the kernel follows.
const MAX_LINKS: usize = 40;

/// A line that says what is mounted when the machine starts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    point: PathBuf,
    is_device: bool,
    is_optional: bool,
    wants_writing: bool,
}

/// Each line that says so: not swap, and not what is mounted by hand or by whoever looks.
pub(super) fn parse(fstab: &[u8]) -> Vec<Entry> {
    fstab.split(|&byte| byte == b'\n').filter_map(entry).collect()
}

fn entry(line: &[u8]) -> Option<Entry> {
    let mut fields = line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty());
    let (source, point, kind) = (fields.next()?, fields.next()?, fields.next()?);
    let options: Vec<_> = fields.next().unwrap_or_default().split(|&byte| byte == b',').collect();
    let has = |wanted: &str| options.contains(&wanted.as_bytes());
    let waits = has("noauto") || has("x-systemd.automount") || has("comment=systemd.automount");
    let is_mounted = !source.starts_with(b"#") && point.starts_with(b"/") && !waits;
    let last_word = options.iter().rev().find(|option| matches!(**option, b"ro" | b"rw"));
    (is_mounted && ![&b"swap"[..], b"ignore"].contains(&kind)).then(|| Entry {
        // Without the slash at its end.
        point: PathBuf::from(OsString::from_vec(text::unescaped(point))).components().collect(),
        is_device: is_device(source),
        is_optional: has("nofail"),
        wants_writing: last_word.is_none_or(|word| *word == b"rw"),
    })
}

fn is_device(source: &[u8]) -> bool {
    let tags: [&[u8]; 5] = [b"/dev/", b"UUID=", b"LABEL=", b"PARTUUID=", b"PARTLABEL="];
    let source = source.strip_prefix(b"\"").unwrap_or(source);
    tags.iter().any(|tag| source.starts_with(tag))
}

/// What became of each entry. In a container the devices of its table are not there, and systemd passes them over too.
pub(super) fn sights<'a>(
    root: &'a Path,
    entries: &'a [Entry],
    mounts: &'a [Mount],
) -> impl Iterator<Item = (String, MountSight)> + 'a {
    let is_container = mounts.iter().any(|mount| mount.point == Path::new("/sys") && mount.is_read_only);
    let here = entries.iter().filter(move |entry| !(is_container && entry.is_device));
    here.map(|entry| (entry.point.to_string_lossy().into_owned(), sight(root, entry, mounts)))
}

fn sight(root: &Path, entry: &Entry, mounts: &[Mount]) -> MountSight {
    let at = |point: &Path| mounts.iter().rev().find(|mount| mount.point == point);
    match at(&entry.point).or_else(|| at(&without_links(root, &entry.point, mounts))) {
        // The root of a `chroot` is no mount of its own.
        None if entry.point == Path::new("/") => MountSight::AsExpected,
        None if entry.is_optional => MountSight::VanishedOptional,
        None => MountSight::Vanished,
        Some(mount) if entry.wants_writing && mount.is_frozen && !mount.is_image() => MountSight::ReadOnly,
        Some(_) => MountSight::AsExpected,
    }
}

/// The path that mount(8) makes of it. What is on a mount that may hang is not followed.
fn without_links(root: &Path, point: &Path, mounts: &[Mount]) -> PathBuf {
    let may_hang = |path: &Path| mounts.iter().any(|mount| mount.may_hang && path.starts_with(&mount.point));
    let (mut at, mut left, mut links) = (PathBuf::from("/"), parts(point), 0);
    while let Some(part) = left.pop() {
        if part == ".." {
            at.pop();
            continue;
        }
        at.push(part);
        if links == MAX_LINKS || may_hang(&at) {
            continue;
        }
        let Ok(target) = std::fs::read_link(root.join(at.strip_prefix("/").unwrap_or(&at))) else { continue };
        links += 1;
        at = if target.is_absolute() { PathBuf::from("/") } else { at.parent().unwrap_or(&at).to_owned() };
        left.extend(parts(&target));
    }
    at
}

/// The names on a path, the last first.
fn parts(path: &Path) -> Vec<OsString> {
    let named = path.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
    named.rev().map(|part| OsStr::to_owned(part.as_os_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::super::mounts;
    use super::*;
    use std::os::unix::fs::symlink;

    const FSTAB: &str = "# /etc/fstab: static file system information.\n\
        UUID=6cbcdd32-c4b4-4a31-95d1-2a5ff62e1fbe /               ext4    errors=remount-ro 0 1\n\
        LABEL=EFI  /boot/efi/  vfat  umask=0077  0 1\n\
        UUID=1f none swap sw 0 0\n/dev/sr0 /media/cdrom0 udf,iso9660 user,noauto 0 0\n\
        nas:/volume1 /mnt/nas nfs4 _netdev,nofail 0 0\nnas:/volume2 /mnt/lazy nfs4 x-systemd.automount 0 0\n\
        tmpfs /tmp tmpfs defaults,size=1G\n/dev/sdb1 /media/My\\040Book exfat defaults,ro 0 0\n\
        /srv/data /exports/data none bind 0 0\n/dev/sdc1\t/old\text4\n   \n/dev/sdd1 /half";

    fn here(points: &[(&str, &str)]) -> Vec<Mount> {
        let line = |(point, flag): &(&str, &str)| format!("9 1 8:1 / {point} rw - ext4 x {flag}\n");
        mounts::parse(points.iter().map(line).collect::<String>().as_bytes())
    }

    fn told(fstab: &str, mounts: &[Mount]) -> Vec<(String, MountSight)> {
        sights(Path::new("/nowhere"), &parse(fstab.as_bytes()), mounts).collect()
    }

    #[test]
    fn what_should_be_mounted_and_is_not_has_vanished() {
        let told = told(FSTAB, &here(&[("/", "rw"), (r"/media/My\040Book", "ro"), ("/exports/data", "rw")]));
        let told: Vec<_> = told.iter().map(|(point, sight)| (point.as_str(), *sight)).collect();
        let wanted = [
            ("/", MountSight::AsExpected),
            ("/boot/efi", MountSight::Vanished),
            ("/mnt/nas", MountSight::VanishedOptional),
            ("/tmp", MountSight::Vanished),
            ("/media/My Book", MountSight::AsExpected),
            ("/exports/data", MountSight::AsExpected),
            ("/old", MountSight::Vanished),
        ];
        assert_eq!(told, wanted);
    }

    #[test]
    fn what_should_be_writable_and_is_not_is_read_only() {
        let told = |line: &str, mounts: &[Mount]| told(line, mounts)[0].1;
        assert_eq!(told("/dev/a /d ext4 defaults", &here(&[("/d", "ro")])), MountSight::ReadOnly);
        assert_eq!(told("/dev/a /d ext4 ro", &here(&[("/d", "ro")])), MountSight::AsExpected);
        assert_eq!(told("/dev/a /d ext4 ro,rw", &here(&[("/d", "ro")])), MountSight::ReadOnly);
        // Under the sandbox of a unit all mounts are read-only, and no file system is.
        let sandboxed = mounts::parse(b"9 1 8:1 / /d ro - ext4 x rw\n");
        assert_eq!(told("/dev/a /d ext4 defaults", &sandboxed), MountSight::AsExpected);
        assert_eq!(told("/dev/a / ext4 defaults", &sandboxed), MountSight::AsExpected);
        let image = mounts::parse(b"9 1 7:1 / /d ro - squashfs x ro\n");
        assert_eq!(told("/a.img /d squashfs loop", &image), MountSight::AsExpected);
    }

    #[test]
    fn in_a_container_the_devices_of_its_table_are_not_missed() {
        let container = mounts::parse(b"9 1 0:1 / /sys ro - sysfs sysfs ro\n");
        let told = told("UUID=1 / ext4 rw\n/dev/sda1 /x ext4 rw\nnas:/x /nas nfs rw\n", &container);
        assert_eq!(told, [("/nas".to_owned(), MountSight::Vanished)]);
    }

    #[test]
    fn links_are_followed_as_mount_does_and_circles_have_an_end() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("mnt/disk")).unwrap();
        symlink("/mnt", root.path().join("media")).unwrap();
        symlink("../mnt/./disk", root.path().join("mnt/other")).unwrap();
        symlink("circle", root.path().join("circle")).unwrap();
        let mounts = here(&[("/mnt/disk", "rw")]);
        let entries = parse(b"/dev/a /media/other ext4\n/dev/a /media/disk/ ext4\n/dev/a /circle/x ext4\n");
        let told: Vec<_> = sights(root.path(), &entries, &mounts).map(|(_, sight)| sight).collect();
        assert_eq!(told, [MountSight::AsExpected, MountSight::AsExpected, MountSight::Vanished]);
    }

    #[test]
    fn torn_text_is_no_panic() {
        for cut in 0..FSTAB.len() {
            let _ = told(&FSTAB[..cut], &here(&[("/", "ro")]));
        }
        assert_eq!(parse(b"\xff\xfe \xff /\xff\n"), []);
    }
}
