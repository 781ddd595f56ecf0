//! TCP: whether something accepts a connection; and what a failed connection shows.

use super::threads::{Unfinished, finish};
pub(crate) use crate::system_error::{own_fault, plain};
pub(crate) use crate::tls::bare;
use healthcheck_core::{Connection, ProbeError, ProbeFacts, ProbeKind, Unanswered};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{self, Instant};

/// Addresses of one name that are tried.
const MAX_ADDRESSES: usize = 8;

/// What the C libraries say of a name that has no address; nothing else tells it from a name server that is away.
const NO_SUCH_NAME: [&str; 5] = [
    "name or service not known",
    "no address associated with hostname",
    "address family for hostname not supported",
    "name does not resolve",
    "name has no usable address",
];
pub(crate) const NO_NAME_SERVER: &str = "no name server answers in time";

/// Connects to `host:port` or `[v6]:port`, and hangs up.
pub(crate) async fn look(address: &str, timeout: Duration) -> Result<ProbeFacts, ProbeError> {
    let outcome = try_all(ProbeKind::Tcp, address, timeout).await?.map(drop);
    Ok(ProbeFacts::Tcp(Connection { address: address.to_owned(), outcome }))
}

/// What a failed connection shows of the peer, or that it was we who could not connect.
pub(crate) fn unanswered(
    kind: ProbeKind,
    error: &io::Error,
    timeout: Duration,
) -> Result<Unanswered, ProbeError> {
    if let Some(problem) = own_fault(error) {
        return Err(ProbeError::of(kind, problem));
    }
    Ok(match error.kind() {
        ErrorKind::ConnectionRefused => Unanswered::Refused,
        ErrorKind::TimedOut | ErrorKind::WouldBlock => Unanswered::TimedOut(timeout),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
            Unanswered::Failed("the connection was reset".into())
        }
        ErrorKind::UnexpectedEof => Unanswered::Failed("the connection was closed before the answer".into()),
        _ => Unanswered::Failed(plain(error)),
    })
}

fn is_own_fault(error: &io::Error) -> bool {
    own_fault(error).is_some()
}

/// Why the name leads to no address. That a name server is away or out of order says nothing of whom it would name.
pub(crate) fn unresolved(kind: ProbeKind, error: &io::Error) -> Result<Unanswered, ProbeError> {
    let text = plain(error);
    let why = text.rsplit(": ").next().unwrap_or_default().to_lowercase();
    match NO_SUCH_NAME.contains(&why.as_str()) {
        true => Ok(Unanswered::Unresolved(why)),
        false => {
            let problem = own_fault(error).unwrap_or_else(|| format!("cannot ask a name server: {why}"));
            Err(ProbeError::of(kind, problem))
        }
    }
}

/// Tries one address after the other, each within its share of the time that is left; who accepts, and where.
pub(crate) async fn try_all(
    kind: ProbeKind,
    address: &str,
    timeout: Duration,
) -> Result<Result<(TcpStream, SocketAddr), Unanswered>, ProbeError> {
    let deadline = Instant::now() + timeout;
    let addresses = match resolve(kind, address, deadline).await? {
        Ok(addresses) => addresses,
        Err(unresolved) => return Ok(Err(unresolved)),
    };
    let mut failure = None;
    for (tried, address) in addresses.iter().enumerate() {
        let left = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        match connect(*address, deadline.saturating_duration_since(Instant::now()) / left).await {
            Ok(stream) => return Ok(Ok((stream, *address))),
            // What a peer said counts for more than that this machine could not ask another.
            Err(error) if failure.as_ref().is_none_or(is_own_fault) => failure = Some(error),
            Err(_) => {}
        }
    }
    let failure = failure.unwrap_or_else(|| ErrorKind::NotFound.into());
    unanswered(kind, &failure, timeout).map(Err)
}

/// Addresses are not looked up, so that those who are asked by address need no thread.
async fn resolve(
    kind: ProbeKind,
    address: &str,
    deadline: Instant,
) -> Result<Result<Vec<SocketAddr>, Unanswered>, ProbeError> {
    let parsed = address.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
    let Some((host, port)) = parsed else {
        return Err(ProbeError::of(kind, format!("{address} is not host:port")));
    };
    let host = bare(host).to_owned();
    if let Ok(ip) = host.parse() {
        return Ok(Ok(vec![SocketAddr::new(ip, port)]));
    }
    match finish(deadline, move || addresses(&host, port)).await {
        Ok(Ok(found)) => Ok(Ok(found)),
        Ok(Err(error)) => unresolved(kind, &error).map(Err),
        Err(Unfinished::NoThread(why)) => Err(ProbeError::of(kind, why)),
        Err(Unfinished::Stuck) => Err(ProbeError::of(kind, NO_NAME_SERVER)),
    }
}

/// The first addresses of a name, however long that takes; those of IPv4 first, at which most listen.
pub(crate) fn addresses(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let mut found: Vec<_> = (host, port).to_socket_addrs()?.take(MAX_ADDRESSES).collect();
    found.sort_by_key(SocketAddr::is_ipv6);
    Ok(found)
}

async fn connect(address: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
    let stream = time::timeout(timeout, TcpStream::connect(address)).await??;
    // Where nobody listens at a port that the kernel gives to clients, one may by chance connect to itself.
    if stream.local_addr()? == address {
        return Err(ErrorKind::ConnectionRefused.into());
    }
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;
    use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};

    fn outcome(address: &str, timeout: Duration) -> Result<(), Unanswered> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        match runtime.block_on(look(address, timeout)).unwrap() {
            ProbeFacts::Tcp(connection) => connection.outcome,
            other => panic!("{other:?}"),
        }
    }

    const LONG: Duration = Duration::from_secs(10);

    #[test]
    fn an_open_port_is_found_by_address_and_by_name() {
        let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = v4.local_addr().unwrap().port();
        assert_eq!(outcome(&format!("127.0.0.1:{port}"), LONG), Ok(()));
        // The name may have an address at which nobody listens, too.
        assert_eq!(outcome(&format!("localhost:{port}"), LONG), Ok(()));
        let v6 = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
        assert_eq!(outcome(&format!("[::1]:{}", v6.local_addr().unwrap().port()), LONG), Ok(()));
    }

    #[test]
    fn refused_unresolved_and_silent_are_told_apart() {
        let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        assert_eq!(outcome(&closed.to_string(), LONG), Err(Unanswered::Refused));
        let nowhere = outcome("no-such-host.invalid:1", LONG);
        assert!(matches!(nowhere, Err(Unanswered::Unresolved(_))), "{nowhere:?}");
        // A queue that is full answers no further SYN.
        let full = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        rustix::net::listen(&full, 0).unwrap();
        let _held: Vec<_> = (0..4).map(|_| held(full.local_addr().unwrap())).collect();
        let short = Duration::from_millis(300);
        let started = Instant::now();
        assert_eq!(outcome(&full.local_addr().unwrap().to_string(), short), Err(Unanswered::TimedOut(short)));
        assert!(started.elapsed() < Duration::from_secs(5));
    }

    fn held(address: SocketAddr) -> io::Result<std::net::TcpStream> {
        std::net::TcpStream::connect_timeout(&address, Duration::from_millis(50))
    }

    #[test]
    fn a_name_that_does_not_exist_is_told_from_a_name_server_that_is_away() {
        let told = |why: &str| {
            let error = io::Error::other(format!("failed to lookup address information: {why}"));
            unresolved(ProbeKind::Zmq, &error)
        };
        for why in
            ["Name or service not known", "No address associated with hostname", "Name does not resolve"]
        {
            assert_eq!(told(why), Ok(Unanswered::Unresolved(why.to_lowercase())));
        }
        for why in [
            "Temporary failure in name resolution",
            "Non-recoverable failure in name resolution",
            "Try again",
        ] {
            let error = told(why).unwrap_err();
            assert_eq!(error.to_string(), format!("cannot ask a name server: {}", why.to_lowercase()));
        }
        assert!(unresolved(ProbeKind::Zmq, &Errno::MFILE.into()).is_err());
    }

    #[test]
    fn what_we_lack_is_not_the_fault_of_the_peer() {
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::PERM, Errno::ADDRNOTAVAIL] {
            let error = unanswered(ProbeKind::Tcp, &errno.into(), LONG).unwrap_err();
            assert_eq!(error.kind, Some(ProbeKind::Tcp));
            assert!(error.to_string().contains(": "), "{error}");
        }
        let unreachable = unanswered(ProbeKind::Tcp, &Errno::HOSTUNREACH.into(), LONG).unwrap();
        assert_eq!(unreachable, Unanswered::Failed("no route to host".into()));
    }
}
