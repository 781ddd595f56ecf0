//! What the operating system says when something cannot be done, in words.

use rustix::io::Errno;
use std::io;

/// What keeps us from it, whomever we ask, and its cure.
pub(crate) fn own_fault(error: &io::Error) -> Option<String> {
    let cure = match Errno::from_io_error(error)? {
        Errno::MFILE => "raise LimitNOFILE or ulimit -n",
        Errno::NFILE => "raise the sysctl fs.file-max",
        Errno::NOMEM | Errno::NOBUFS => "free some memory",
        Errno::ADDRNOTAVAIL => "this machine has no address or no free port to connect from",
        Errno::AFNOSUPPORT => "this machine has no such network",
        Errno::PERM | Errno::ACCESS => "a firewall or IPAddressDeny of this machine forbids it",
        _ => return None,
    };
    Some(format!("{}: {cure}", plain(error)))
}

/// The error without its number, as the end of a sentence.
pub(crate) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}
