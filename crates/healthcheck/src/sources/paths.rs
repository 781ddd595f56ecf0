//! Paths, any of which may lead to a file system that does not answer: following it then never comes back.

use super::canary;
use super::machine::{self, MayHang};
use super::threads::{self, Unfinished};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Component, Path, PathBuf};
use std::sync::mpsc::channel;
use tokio::time::Instant;

/// As many links as the kernel follows.
const MAX_LINKS: usize = 40;

/// Does on a thread of its own what follows a path. Where the path leads below a mount that may hang, another process
/// goes ahead: without its return nothing is done.
pub(crate) async fn follow<T: Send + 'static>(
    path: &Path,
    deadline: Instant,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Unfinished> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    // The canary ends with this channel, also where it is sent after the deadline.
    let (to_us, _canary) = channel();
    let follow = move || {
        let is_safe = !leads_below(&path, &machine::may_hang())
            || canary::has_come_back(&path, |canary| drop(to_us.send(canary)));
        is_safe.then(work)
    };
    threads::finish(deadline, follow).await?.ok_or(Unfinished::Stuck)
}

/// Connects to a Unix socket, without waiting for room in its queue; what is no socket is told as that.
pub(crate) async fn connect(path: &Path, deadline: Instant) -> Result<io::Result<UnixStream>, &'static str> {
    let socket = path.to_owned();
    let connected = follow(path, deadline, move || {
        let is_other = || fs::metadata(&socket).is_ok_and(|metadata| !metadata.file_type().is_socket());
        match SocketAddrUnix::new(&socket).and_then(|address| knock(&address)) {
            Err(Errno::CONNREFUSED) if is_other() => Err(Errno::NOTSOCK.into()),
            connected => connected.map_err(io::Error::from),
        }
    });
    connected.await.map_err(Unfinished::why)
}

/// Connects to a name in the abstract namespace, over no file system.
pub(crate) fn connect_to_name(name: &str) -> io::Result<UnixStream> {
    Ok(knock(&SocketAddrUnix::new_abstract_name(name.as_bytes())?)?)
}

fn knock(address: &SocketAddrUnix) -> Result<UnixStream, Errno> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    net::connect(&socket, address)?;
    Ok(socket.into())
}

impl Unfinished {
    /// Why a path was not followed.
    pub(crate) fn why(self) -> &'static str {
        match self {
            Self::NoThread(why) => why,
            Self::Stuck => "its file system does not answer: is a mount dead?",
        }
    }
}

/// Whether a path, or a link on its way, leads below one of these mounts; none of those is asked for that.
pub(super) fn leads_below(path: &Path, mounts: &MayHang) -> bool {
    if mounts.is_empty() {
        return false;
    }
    let mut ahead: VecDeque<OsString> = components(path).collect();
    let (mut here, mut links) = (PathBuf::from("/"), 0);
    while !mounts.has(&here) {
        let Some(next) = ahead.pop_front() else { return false };
        if next == ".." {
            here.pop();
            continue;
        }
        here.push(next);
        if mounts.has(&here) || links == MAX_LINKS {
            continue;
        }
        if let Ok(target) = here.read_link() {
            links += 1;
            here.pop();
            components(&target).rev().for_each(|part| ahead.push_front(part));
            // One that is absolute takes the place of all that was before it.
            here.push(if target.is_absolute() { "/" } else { "" });
        }
    }
    true
}

fn components(path: &Path) -> impl DoubleEndedIterator<Item = OsString> {
    let named = path.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
    named.map(|part| part.as_os_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_path_is_followed_over_its_links_and_no_further_than_to_the_mount() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let mounts = MayHang::at([at("dead")]);
        fs::create_dir_all(at("a/b")).unwrap();
        symlink(at("dead/sub"), at("absolute")).unwrap();
        symlink("../../dead", at("a/b/relative")).unwrap();
        symlink("absolute", at("twice")).unwrap();
        symlink("round", at("round")).unwrap();
        for path in ["dead", "dead/x/y", "absolute/x", "a/b/relative/x", "twice", "a/../dead/x", "dead/../a"]
        {
            assert!(leads_below(&at(path), &mounts), "{path}");
        }
        for path in ["", "a/b", "a/nowhere/x", "deadly", "round/x", "a/b/../../a"] {
            assert!(!leads_below(&at(path), &mounts), "{path}");
        }
        assert!(leads_below(Path::new("/a"), &MayHang::at([PathBuf::from("/")])));
    }

    #[test]
    fn what_is_mounted_here_and_does_not_hang_is_followed() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let soon = Instant::now() + std::time::Duration::from_secs(20);
        assert_eq!(runtime.block_on(follow(Path::new("/proc/self/exe"), soon, || 7)), Ok(7));
    }
}
