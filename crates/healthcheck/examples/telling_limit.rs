//! The least that telling of deaths can cost: waits for the ends of processes and posts their numbers, and nothing else.
//!
//! `telling_limit ADDRESS PID…`

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::error::Error;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().ok_or("no address")?;
    let mut watched = Vec::new();
    for argument in arguments {
        let pid = Pid::from_raw(argument.parse()?).ok_or("no process has this number")?;
        watched.push((argument, pidfd_open(pid, PidfdFlags::empty())?));
    }
    writeln!(io::stdout(), "ready")?;
    while !watched.is_empty() {
        let (pid, _) = watched.swap_remove(next(&watched)?);
        post(&address, &pid)?;
    }
    Ok(())
}

/// Which of them has ended.
fn next(watched: &[(String, OwnedFd)]) -> io::Result<usize> {
    let mut fds: Vec<PollFd<'_>> = watched.iter().map(|(_, fd)| PollFd::new(fd, PollFlags::IN)).collect();
    poll(&mut fds, None)?;
    fds.iter().position(|fd| !fd.revents().is_empty()).ok_or_else(|| io::ErrorKind::Interrupted.into())
}

fn post(address: &str, pid: &str) -> io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    let body = format!("<{pid}>");
    let head = format!("POST /phone HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all((head + &body).as_bytes())?;
    stream.read_to_end(&mut Vec::new()).map(|_| ())
}
