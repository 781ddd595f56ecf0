use super::*;

/// A server with LVM, snaps, containers, shares and disks that are plugged in; Linux 5.4.
const SERVER: &str = r"24 29 0:22 / /sys rw,nosuid,nodev,noexec,relatime shared:7 - sysfs sysfs rw
25 29 0:5 / /proc rw,nosuid,nodev,noexec,relatime shared:14 - proc proc rw
26 29 0:6 / /dev rw,nosuid,noexec,relatime shared:2 - devtmpfs udev rw,size=8129000k,nr_inodes=2032250,mode=755
27 26 0:23 / /dev/pts rw,nosuid,noexec,relatime shared:3 - devpts devpts rw,gid=5,mode=620,ptmxmode=000
28 29 0:24 / /run rw,nosuid,noexec,relatime shared:5 - tmpfs tmpfs rw,size=1632212k,mode=755
29 1 253:0 / / rw,relatime shared:1 - ext4 /dev/mapper/vg0-root rw,errors=remount-ro
30 24 0:7 / /sys/kernel/security rw,relatime shared:8 - securityfs securityfs rw
31 26 0:25 / /dev/shm rw,nosuid,nodev shared:4 - tmpfs tmpfs rw
33 24 0:27 / /sys/fs/cgroup ro,nosuid,nodev,noexec shared:9 - tmpfs tmpfs ro,mode=755
34 33 0:28 / /sys/fs/cgroup/unified rw,relatime shared:10 - cgroup2 cgroup2 rw,nsdelegate
40 25 0:38 / /proc/sys/fs/binfmt_misc rw,relatime shared:16 - autofs systemd-1 rw,fd=28,pgrp=1,direct
41 26 0:39 / /dev/hugepages rw,relatime shared:17 - hugetlbfs hugetlbfs rw,pagesize=2M
78 29 7:0 / /snap/core18/2128 ro,nodev,relatime shared:31 - squashfs /dev/loop0 ro
90 29 8:2 / /boot rw,relatime shared:45 - ext4 /dev/sda2 rw
91 90 8:1 / /boot/efi rw,relatime shared:47 - vfat /dev/sda1 rw,fmask=0077
92 29 253:1 / /var rw,relatime shared:49 - xfs /dev/mapper/vg0-var rw,attr2,inode64
93 92 0:44 / /var/lib/docker/overlay2/1f/merged rw,relatime shared:50 - overlay overlay rw,lowerdir=/a,upperdir=/b
94 28 0:4 net:[4026532281] /run/docker/netns/d rw shared:51 - nsfs nsfs rw
95 29 253:1 /lib/www /srv/www rw,relatime shared:49 - xfs /dev/mapper/vg0-var rw,attr2,inode64
96 29 0:50 / /mnt/nas rw,relatime shared:52 - nfs4 nas:/volume1 rw,vers=4.2,addr=10.0.0.2
97 96 8:32 / /mnt/nas/scratch rw,relatime shared:53 - ext4 /dev/sdc rw
98 29 0:51 / /mnt/dav rw,relatime - fuse https://me:s3/c@ret@dav.example.org/x?key=abc rw,user_id=0
99 29 8:17 / /media/My\040Book\011\303\251 rw,relatime shared:54 - exfat /dev/sdb1 rw
100 29 0:52 / /tmp rw,nosuid,nodev shared:55 - tmpfs tmpfs rw
101 28 0:53 / /run/user/1000 rw,nosuid,nodev shared:56 - tmpfs tmpfs rw,size=1632208k
102 101 0:54 / /run/user/1000/gvfs rw,nosuid,nodev shared:57 - fuse.gvfsd-fuse gvfsd-fuse rw
103 28 8:33 / /run/media/me/card rw,nosuid,nodev shared:58 - vfat /dev/sdd1 rw
";

/// A container: an overlay as its root, single files of the host, a volume.
const CONTAINER: &str = r"694 593 0:61 / / rw,relatime master:194 - overlay overlay rw,lowerdir=/x,upperdir=/y,workdir=/z
695 694 0:64 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw
696 694 0:65 / /dev rw,nosuid - tmpfs tmpfs rw,size=65536k,mode=755
697 696 0:66 / /dev/pts rw,nosuid,noexec,relatime - devpts devpts rw
698 694 0:67 / /sys ro,nosuid,nodev,noexec,relatime - sysfs sysfs ro
701 694 8:3 /docker/volumes/data/_data /data rw,relatime master:1 - ext4 /dev/sda3 rw
702 694 8:3 /docker/containers/5f/resolv.conf /etc/resolv.conf rw,relatime master:1 - ext4 /dev/sda3 rw
703 694 8:3 /docker/containers/5f/hosts /etc/hosts rw,relatime master:1 - ext4 /dev/sda3 rw
704 695 0:65 /null /proc/kcore rw,nosuid - tmpfs tmpfs rw,size=65536k,mode=755
705 694 0:68 / /proc/acpi ro,relatime - tmpfs tmpfs ro
";

/// A Raspberry Pi.
const PI: &str = r"21 1 179:2 / / rw,noatime shared:1 - ext4 /dev/root rw
22 21 0:6 / /dev rw,relatime shared:2 - devtmpfs devtmpfs rw,size=340460k,nr_inodes=85115,mode=755
45 21 179:1 / /boot/firmware rw,relatime shared:30 - vfat /dev/mmcblk0p1 rw,fmask=0022
";

/// WSL 2: the root is a disk, its programs are an overlay, and Windows is a 9p file system.
const WSL: &str = r"62 82 0:26 / /mnt/wsl rw,relatime shared:1 - tmpfs none rw
63 82 0:28 / /usr/lib/wsl/drivers ro,nosuid,nodev,noatime - 9p none ro,dirsync,aname=drivers;fmask=222
66 82 0:32 / /usr/lib/modules/5.15.167.4 rw,nosuid,nodev,noatime - overlay none rw,lowerdir=/modules
82 61 8:32 / / rw,relatime - ext4 /dev/sdc rw,discard,errors=remount-ro,data=ordered
83 82 0:33 / /mnt/wslg rw,relatime shared:2 - tmpfs none rw
90 82 0:25 /init /init ro - rootfs rootfs ro,size=8139720k,nr_inodes=2034930
140 82 0:56 / /mnt/c rw,noatime - 9p C:\134 rw,dirsync,aname=drvfs;path=C:\;uid=1000
";

/// The mount points of what can fill up; only two of all of them are files.
fn found(mountinfo: &str) -> Vec<String> {
    let is_folder = |mount: &Mount| !["/etc/hosts", "/etc/resolv.conf"].contains(&mount.name().as_str());
    file_systems(&parse(mountinfo.as_bytes()), is_folder).into_iter().map(Mount::name).collect()
}

#[test]
fn f13_each_file_system_is_found_once_and_no_view_of_the_kernel_is() {
    let real = [
        "/",
        "/boot",
        "/boot/efi",
        "/media/My Book\té",
        "/mnt/dav",
        "/mnt/nas",
        "/mnt/nas/scratch",
        "/run/media/me/card",
        "/tmp",
        "/var",
    ];
    assert_eq!(found(SERVER), real);
    assert_eq!(found(PI), ["/", "/boot/firmware"]);
    assert_eq!(found(WSL), ["/", "/mnt/c", "/mnt/wsl", "/mnt/wslg", "/usr/lib/wsl/drivers"]);
}

#[test]
fn a_container_has_its_root_and_its_volumes() {
    assert_eq!(found(CONTAINER), ["/", "/data"]);
}

#[test]
fn what_another_mount_lies_over_is_not_looked_at() {
    let stacked =
        "20 1 8:1 / / rw - ext4 a rw\n21 20 8:2 / /data rw - ext4 b rw\n22 21 8:3 / /data rw - ext4 c rw\n";
    let devices = |text: &str| -> Vec<_> {
        file_systems(&parse(text.as_bytes()), |_| true).iter().map(|mount| mount.source.clone()).collect()
    };
    assert_eq!(devices(stacked), ["a", "c"]);
    let above = "20 1 8:1 / / rw - ext4 a rw\n21 20 8:2 / /x/y rw - ext4 b rw\n22 20 8:3 / /x rw - ext4 c rw\n\
                 23 21 8:4 / /x/y/z rw - ext4 d rw\n24 22 8:5 / /x/w rw - ext4 e rw\n";
    assert_eq!(devices(above), ["a", "c", "e"]);
    // The root of a `chroot` is no mount.
    assert_eq!(devices("21 20 8:2 / /data rw - ext4 b rw\n30 21 8:3 / /data/x rw - ext4 c rw\n"), ["b", "c"]);
    // The root of all is its own parent.
    assert_eq!(devices("1 1 0:2 / / rw - tmpfs rootfs rw\n2 1 8:1 / / rw - ext4 b rw\n"), ["b"]);
}

#[test]
fn what_may_hang_is_what_waits_for_others_or_lies_below_it() {
    let mounts = parse(SERVER.as_bytes());
    let may_hang: Vec<_> = mounts.iter().filter(|mount| mount.may_hang).map(Mount::name).collect();
    let wanted =
        ["/proc/sys/fs/binfmt_misc", "/mnt/nas", "/mnt/nas/scratch", "/mnt/dav", "/run/user/1000/gvfs"];
    assert_eq!(may_hang, wanted);
    for kind in
        ["nfs", "cifs", "smb3", "fuse.sshfs", "fuseblk", "9p", "ceph", "glusterfs", "afs", "lustre", "gfs2"]
    {
        assert!(is_remote(kind), "{kind}");
    }
}

#[test]
fn read_only_is_told_apart_from_frozen() {
    let of = |options: &str, super_options: &str| {
        let mounts = parse(format!("29 1 8:0 / / {options} - ext4 a {super_options}").as_bytes());
        (mounts[0].is_read_only, mounts[0].is_frozen)
    };
    assert_eq!(of("rw", "rw,errors=remount-ro"), (false, false));
    assert_eq!(of("ro,relatime", "rw"), (true, false));
    assert_eq!(of("rw", "ro"), (true, true));
}

#[test]
fn no_password_of_a_source_is_kept() {
    let mounts = parse(SERVER.as_bytes());
    let dav = mounts.iter().find(|mount| mount.name() == "/mnt/dav").unwrap();
    assert_eq!(dav.source, "https://dav.example.org/x");
}

#[test]
fn torn_and_hostile_text_is_no_panic_and_has_an_end() {
    for whole in [SERVER, CONTAINER, PI, WSL] {
        for cut in 0..whole.len() {
            let _ = file_systems(&parse(&whole.as_bytes()[..cut]), |_| true);
        }
    }
    let circle = "2 3 8:1 / / rw - ext4 a rw\n3 2 8:2 / / rw - ext4 b rw\n";
    let mounts = parse(circle.as_bytes());
    assert!(file_systems(&mounts, |_| true).len() < 2);
    assert_eq!(parse(b"1 1 0:2 / relative rw - ext4 a rw\n1 1 0:2 / /x rw - ext4\n- - - - -\n\n  \n"), []);
    let empty_source = parse(b"20 1 0:2 / /x rw -  tmpfs  rw\n20 1 0:2 / /x rw - tmpfs  rw\n");
    assert_eq!((empty_source[1].kind.as_str(), empty_source[1].source.as_str()), ("tmpfs", ""));
}

#[test]
fn flipped_bytes_are_no_panic() {
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    for _ in 0..5_000 {
        let mut text = SERVER.as_bytes().to_vec();
        for _ in 0..8 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let [at, byte, ..] = random.to_le_bytes().map(usize::from);
            let at = at * text.len() / 256;
            text[at] = u8::try_from(byte).unwrap();
        }
        let _ = file_systems(&parse(&text), |_| true);
    }
}

#[test]
fn twenty_thousand_mounts_take_no_time_to_speak_of() {
    let line = |n: usize| format!("{n} 1 0:{n} / /mnt/{n}/deep/down rw - nfs4 there:/{n} rw\n");
    let text: String = (2..20_002).map(line).collect();
    let began = std::time::Instant::now();
    assert_eq!(file_systems(&parse(text.as_bytes()), |_| true).len(), 20_000);
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
}
