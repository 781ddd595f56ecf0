//! Real libzmq peers, and whatever else may listen where one is expected.

use super::*;
use ::zmq::{Context, Socket, SocketType};
use healthcheck_core::{Echo, Unanswered};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{sleep, spawn};
use std::time::Instant as Began;

/// Longer than anything takes, even on a machine that is stopped and continued meanwhile.
const PATIENCE: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(300);
/// Enough for a handshake, and not much to wait for what never comes.
const MEDIUM: Duration = Duration::from_secs(2);

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let done = runtime.block_on(future);
    runtime.shutdown_background();
    done
}

fn asked(endpoint: &Endpoint, echo: Option<&[u8]>, timeout: Duration) -> Result<ZmqFacts, ProbeError> {
    let echo = echo.map(<[u8]>::to_vec);
    let question = Question { endpoint: endpoint.clone(), wanted: Some("PUB".to_owned()), echo };
    match block_on(async { look(&question, timeout).await })? {
        ProbeFacts::Zmq(facts) => Ok(facts),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn seen(endpoint: &Endpoint, timeout: Duration) -> ZmqSight {
    let began = Began::now();
    let facts = asked(endpoint, None, timeout).unwrap();
    assert!(began.elapsed() < timeout + PATIENCE, "it took {:?}", began.elapsed());
    assert_eq!((facts.endpoint, facts.wanted.as_deref()), (endpoint.to_string(), Some("PUB")));
    facts.sight
}

fn alive(socket: &str) -> ZmqSight {
    ZmqSight::Alive { socket: Some(socket.to_owned()), mechanism: "NULL".to_owned() }
}

fn tcp(address: &(impl ToString + ?Sized)) -> Endpoint {
    Endpoint::Tcp(address.to_string())
}

fn bound_at(kind: SocketType, address: &str) -> (Socket, Endpoint) {
    let socket = Context::new().socket(kind).unwrap();
    socket.set_linger(0).unwrap();
    socket.set_ipv6(address.contains("//[")).unwrap();
    socket.bind(address).unwrap();
    let bound = socket.get_last_endpoint().unwrap().unwrap();
    (socket, tcp(bound.trim_start_matches("tcp://")))
}

fn bound(kind: SocketType) -> (Socket, Endpoint) {
    bound_at(kind, "tcp://127.0.0.1:*")
}

/// Whoever listens and does as it likes with the first who comes.
fn stranger(act: impl FnOnce(TcpStream) + Send + 'static) -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    spawn(move || act(listener.accept().unwrap().0));
    tcp(&address)
}

/// Says this, and then nothing until the other side has enough.
fn says(text: impl Into<Vec<u8>>) -> Endpoint {
    let text = text.into();
    stranger(move |mut stream| {
        let _ = stream.write_all(&text);
        drain(&mut stream);
    })
}

fn drain(stream: &mut TcpStream) {
    let mut buffer = [0; 1024];
    while stream.read(&mut buffer).is_ok_and(|read| read > 0) {}
}

/// What a peer of ZMTP 3 says, with what follows its greeting.
fn greeting(mechanism: &str, rest: &[u8]) -> Vec<u8> {
    let mut text = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 1];
    text.extend(mechanism.as_bytes());
    text.resize(64, 0);
    text.extend(rest);
    text
}

#[test]
fn each_type_of_socket_is_named() {
    use SocketType::{DEALER, PAIR, PUB, PULL, PUSH, REP, REQ, ROUTER, SUB, XPUB, XSUB};
    for kind in [PAIR, PUB, SUB, REQ, REP, DEALER, ROUTER, PULL, PUSH, XPUB, XSUB] {
        let (_peer, endpoint) = bound(kind);
        assert_eq!(seen(&endpoint, PATIENCE), alive(&format!("{kind:?}")));
    }
}

#[test]
fn peers_are_found_by_name_by_ipv6_by_path_and_by_abstract_name() {
    let (_peer, Endpoint::Tcp(address)) = bound(SocketType::PUB) else { panic!("no address") };
    assert_eq!(seen(&tcp(&address.replace("127.0.0.1", "localhost")), PATIENCE), alive("PUB"));
    let (_peer, endpoint) = bound_at(SocketType::XPUB, "tcp://[::1]:*");
    assert_eq!(seen(&endpoint, PATIENCE), alive("XPUB"));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a socket");
    for path in [path, PathBuf::from(format!("@healthcheck-{}", std::process::id()))] {
        let _peer = bound_at(SocketType::PULL, &format!("ipc://{}", path.display()));
        assert_eq!(seen(&Endpoint::Ipc(path), PATIENCE), alive("PULL"));
    }
}

#[test]
fn f2_nothing_listening_is_told_at_once() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let began = Began::now();
    assert_eq!(seen(&tcp(&free), PATIENCE * 2), ZmqSight::Unreachable(Unanswered::Refused));
    assert!(began.elapsed() < PATIENCE, "refused after {:?}", began.elapsed());
}

#[test]
fn f2_impostors_are_told_from_peers_by_what_they_say() {
    let not_zmtp = |text: &str| ZmqSight::NotZmtp(text.to_owned());
    for (said, sight) in [
        ("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n".to_owned(), not_zmtp("SSH-2.0-OpenSSH_9.2p1 Debian-2")),
        ("220 mail \x1b[31mESMTP\r\n".to_owned(), not_zmtp("220 mail .[31mESMTP")),
        ("x".repeat(100_000), not_zmtp(&"x".repeat(64))),
        ("\u{1}\0".to_owned(), ZmqSight::OldVersion(1)),
    ] {
        assert_eq!(seen(&says(said.clone()), PATIENCE), sight, "{said:.40}");
    }
}

#[test]
fn f2_a_server_that_waits_for_a_line_is_named_too() {
    let endpoint = stranger(|mut stream| {
        let mut heard = Vec::new();
        let mut byte = [0];
        while !heard.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() > 0 {
            heard.push(byte[0]);
        }
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").unwrap();
    });
    let sight = seen(&endpoint, MEDIUM);
    assert_eq!(sight, ZmqSight::NotZmtp("HTTP/1.1 400 Bad Request".to_owned()));
}

#[test]
fn a_peer_that_is_late_is_not_taken_for_another() {
    let endpoint = stranger(|mut stream| {
        let mut heard = [0; 64];
        stream.read_exact(&mut heard).unwrap();
        assert!(heard.starts_with(&[0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 0, b'N', b'U', b'L', b'L', 0]));
        stream.write_all(&greeting("NULL", b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03SUB")).unwrap();
        drain(&mut stream);
    });
    assert_eq!(seen(&endpoint, MEDIUM * 2), alive("SUB"));
}

#[test]
fn f2_a_listener_that_says_nothing_is_silent_until_the_deadline() {
    assert_eq!(seen(&says(""), SHORT), ZmqSight::Silent(SHORT));
    // Nobody even accepts.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    assert_eq!(seen(&tcp(&listener.local_addr().unwrap()), SHORT), ZmqSight::Silent(SHORT));
    assert_eq!(seen(&says(greeting("NULL", b"")), SHORT), ZmqSight::Silent(SHORT));
}

#[test]
fn a_conversation_that_ends_early_is_closed() {
    for said in [&b""[..], &greeting("NULL", b"")[..30], &greeting("NULL", b"\x04")] {
        let said = said.to_vec();
        let endpoint = stranger(move |mut stream| {
            stream.write_all(&said).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            drain(&mut stream);
        });
        assert_eq!(seen(&endpoint, PATIENCE), ZmqSight::Closed);
    }
}

#[test]
fn security_mechanisms_are_alive_and_hide_the_type() {
    for mechanism in ["PLAIN", "CURVE", "GSSAPI"] {
        let sight = ZmqSight::Alive { socket: None, mechanism: mechanism.to_owned() };
        assert_eq!(seen(&says(greeting(mechanism, b"")), PATIENCE), sight);
    }
    let socket = Context::new().socket(SocketType::REP).unwrap();
    socket.set_plain_server(true).unwrap();
    socket.bind("tcp://127.0.0.1:*").unwrap();
    let address = socket.get_last_endpoint().unwrap().unwrap();
    let sight = ZmqSight::Alive { socket: None, mechanism: "PLAIN".to_owned() };
    assert_eq!(seen(&tcp(address.trim_start_matches("tcp://")), PATIENCE), sight);
}

#[test]
fn old_versions_are_told_from_strangers() {
    let mut second = greeting("NULL", b"");
    second.truncate(14);
    for (version, sight) in [(0, 1), (1, 2), (2, 2)] {
        second[10] = version;
        assert_eq!(seen(&says(second.clone()), PATIENCE), ZmqSight::OldVersion(sight));
    }
}

#[test]
fn monstrous_frames_and_endless_metadata_end() {
    let huge = greeting("NULL", b"\x06\x80\0\0\0\0\0\0\0\x05READY");
    let ZmqSight::NotZmtp(said) = seen(&says(huge), PATIENCE) else { panic!("taken for a peer") };
    assert!(said.contains("9223372036854775808"), "{said}");
    let endless = stranger(|mut stream| {
        let _ = stream.write_all(&greeting("NULL", b"\x06\0\0\0\0\0\0\xff\xff\x05READY"));
        while stream.write_all(b"\x01x\0\0\0\x01y").is_ok() {}
    });
    let sight = seen(&endless, PATIENCE);
    assert_eq!(sight, ZmqSight::NotZmtp("a READY command without a socket type".to_owned()));
    let message = greeting("NULL", b"\x00\x05hello");
    assert!(matches!(seen(&says(message), PATIENCE), ZmqSight::NotZmtp(_)));
}

#[test]
fn a_greeting_that_drips_ends_at_the_deadline() {
    let endpoint = stranger(|mut stream| {
        for byte in greeting("NULL", b"") {
            if stream.write_all(&[byte]).is_err() {
                return;
            }
            sleep(Duration::from_millis(100));
        }
    });
    assert_eq!(seen(&endpoint, SHORT), ZmqSight::Silent(SHORT));
}

#[test]
fn a_name_without_address_is_unresolved() {
    let sight = seen(&tcp("no-such-host.invalid:5555"), PATIENCE);
    assert!(matches!(sight, ZmqSight::Unreachable(Unanswered::Unresolved(_))), "{sight:?}");
}

#[test]
fn paths_without_a_listening_socket_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let sight = |path: PathBuf| seen(&Endpoint::Ipc(path), SHORT);
    let failed = |why: &str| ZmqSight::Unreachable(Unanswered::Failed(why.to_owned()));
    assert_eq!(sight(at("missing")), failed("does not exist"));
    std::fs::write(at("file"), "").unwrap();
    assert_eq!(sight(at("file")), failed("is no socket"));
    assert_eq!(sight(at("file").join("below")), failed("does not exist"));
    drop(UnixListener::bind(at("left")).unwrap());
    assert_eq!(sight(at("left")), ZmqSight::Unreachable(Unanswered::Refused));
    let _datagrams = UnixDatagram::bind(at("datagrams")).unwrap();
    assert_eq!(sight(at("datagrams")), failed("is another kind of socket"));
    let too_long = Endpoint::Ipc(at(&"x".repeat(200)));
    assert!(asked(&too_long, None, SHORT).unwrap_err().to_string().contains("ipc://"));
}

#[test]
fn a_full_queue_is_a_peer_that_does_not_accept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("full");
    let _listener = UnixListener::bind(&path).unwrap();
    let mut waiting = Vec::new();
    block_on(async {
        while let Ok(Ok(stream)) = tokio::time::timeout(SHORT, tokio::net::UnixStream::connect(&path)).await {
            waiting.push(stream);
        }
    });
    assert!(!waiting.is_empty());
    assert_eq!(seen(&Endpoint::Ipc(path), SHORT), ZmqSight::Unreachable(Unanswered::TimedOut(SHORT)));
}

#[test]
fn a_push_peer_loses_no_message_to_those_who_look() {
    const MESSAGES: u32 = 2000;
    let (push, endpoint) = bound(SocketType::PUSH);
    let Endpoint::Tcp(address) = endpoint.clone() else { panic!("no address") };
    push.set_sndtimeo(60_000).unwrap();
    let pushing = spawn(move || {
        for number in 0..MESSAGES {
            while push.send(&number.to_be_bytes()[..], 0) == Err(::zmq::Error::EINTR) {}
        }
        push
    });
    (0..50).for_each(|_| assert_eq!(seen(&endpoint, PATIENCE), alive("PUSH")));
    let pull = Context::new().socket(SocketType::PULL).unwrap();
    pull.connect(&format!("tcp://{address}")).unwrap();
    for number in 0..MESSAGES {
        if number % 100 == 0 {
            assert_eq!(seen(&endpoint, PATIENCE), alive("PUSH"));
        }
        assert_eq!(received(&pull), number.to_be_bytes());
    }
    pushing.join().unwrap();
}

#[track_caller]
fn received(socket: &Socket) -> Vec<u8> {
    socket.set_rcvtimeo(60_000).unwrap();
    loop {
        match socket.recv_bytes(0) {
            Err(::zmq::Error::EINTR) => {}
            message => return message.unwrap(),
        }
    }
}

#[test]
fn a_question_is_answered_by_the_application_or_times_out() {
    let (rep, endpoint) = bound(SocketType::REP);
    let answering = spawn(move || {
        let heard = received(&rep);
        rep.send("pong", 0).unwrap();
        (rep, heard)
    });
    let facts = asked(&endpoint, Some(b"ping"), PATIENCE).unwrap();
    assert_eq!((facts.sight, facts.echo), (alive("REP"), Some(Echo::Answered)));
    let (_rep, heard) = answering.join().unwrap();
    assert_eq!(heard, b"ping");
    // It hangs: its library shakes hands, and nobody answers.
    let facts = asked(&endpoint, Some(b"ping"), MEDIUM).unwrap();
    assert_eq!(facts.sight, alive("REP"));
    assert!(matches!(facts.echo, Some(Echo::TimedOut(left)) if left <= MEDIUM), "{:?}", facts.echo);
}

#[test]
fn a_router_is_asked_over_ipv6_and_over_a_path() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("router");
    let by_path = Endpoint::Ipc(path.clone());
    let (over_ipv6, endpoint) = bound_at(SocketType::ROUTER, "tcp://[::1]:*");
    let over_path = bound_at(SocketType::ROUTER, &format!("ipc://{}", path.display())).0;
    for (router, endpoint) in [(over_ipv6, endpoint), (over_path, by_path)] {
        let answering = spawn(move || {
            let frames = [received(&router), received(&router), received(&router)];
            router.send_multipart(frames, 0).unwrap();
            router
        });
        assert_eq!(asked(&endpoint, Some(b"ping"), PATIENCE).unwrap().echo, Some(Echo::Answered));
        answering.join().unwrap();
    }
}

#[test]
fn a_question_that_no_thread_could_ask_is_not_unanswered() {
    let (_rep, endpoint) = bound(SocketType::REP);
    let question = Question { endpoint, wanted: None, echo: Some(b"ping".to_vec()) };
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        tokio::task::spawn_blocking(|| sleep(MEDIUM * 2));
        let error = look(&question, MEDIUM).await.unwrap_err();
        assert!(error.to_string().contains("every thread is stuck"), "{error}");
    });
    runtime.shutdown_background();
}

#[test]
fn nobody_is_asked_who_is_not_alive() {
    let facts = asked(&says("SSH-2.0-x\r\n"), Some(b"ping"), PATIENCE).unwrap();
    assert_eq!(facts.echo, None);
    let (push, endpoint) = bound(SocketType::PUSH);
    assert!(matches!(asked(&endpoint, Some(b"ping"), MEDIUM).unwrap().echo, Some(Echo::TimedOut(_))));
    assert_eq!(push.send("lost?", ::zmq::DONTWAIT), Err(::zmq::Error::EAGAIN), "a question takes no message");
}

#[test]
fn a_listener_knows_how_long_no_message_came() {
    let max = Duration::from_secs(30);
    for kind in [SocketType::PUB, SocketType::XPUB] {
        let (publisher, endpoint) = bound(kind);
        let listener = Listener::start(&endpoint).unwrap();
        sleep(SHORT);
        assert!(listener.silence(max).lasted >= SHORT);
        let began = Began::now();
        while listener.silence(max).lasted >= SHORT / 2 {
            assert!(began.elapsed() < PATIENCE, "no message is heard of");
            publisher.send_multipart(["topic", "message"], 0).unwrap();
            sleep(Duration::from_millis(1));
        }
        sleep(SHORT);
        let silence = listener.silence(max);
        assert!(silence.lasted >= SHORT && silence.max == max, "{silence:?}");
    }
}

#[test]
fn a_listener_ends_its_thread_also_while_it_is_flooded() {
    let (publisher, endpoint) = bound(SocketType::PUB);
    let ending = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&ending);
    let flooding = spawn(move || {
        while !flag.load(Ordering::Relaxed) {
            let _ = publisher.send(&b"flood"[..], 0);
        }
    });
    let began = Began::now();
    for _ in 0..5 {
        let listener = Listener::start(&endpoint).unwrap();
        sleep(SHORT / 10);
        drop(listener);
    }
    assert!(began.elapsed() < PATIENCE, "ended after {:?}", began.elapsed());
    ending.store(true, Ordering::Relaxed);
    flooding.join().unwrap();
}

#[test]
fn a_listener_hears_a_publisher_again_that_came_back() {
    let (publisher, endpoint) = bound(SocketType::PUB);
    let address = publisher.get_last_endpoint().unwrap().unwrap();
    let listener = Listener::start(&endpoint).unwrap();
    drop(publisher);
    sleep(SHORT);
    let began = Began::now();
    let publisher = Context::new().socket(SocketType::PUB).unwrap();
    publisher.set_linger(0).unwrap();
    while publisher.bind(&address).is_err() {
        assert!(began.elapsed() < PATIENCE, "{address} is not free");
        sleep(Duration::from_millis(10));
    }
    while listener.silence(PATIENCE).lasted >= SHORT {
        assert!(began.elapsed() < PATIENCE, "not heard again");
        publisher.send("message", 0).unwrap();
        sleep(Duration::from_millis(5));
    }
}

#[test]
fn only_publishers_are_listened_at() {
    let refused = |endpoint: &Endpoint| Listener::start(endpoint).unwrap_err();
    let (push, endpoint) = bound(SocketType::PUSH);
    assert!(refused(&endpoint).to_string().contains("is PUSH"));
    assert_eq!(push.send("lost?", ::zmq::DONTWAIT), Err(::zmq::Error::EAGAIN));
    assert_eq!(refused(&says("SSH-2.0-x\r\n")).kind, Some(ProbeKind::Zmq));
    assert!(refused(&says(greeting("CURVE", b""))).to_string().contains("CURVE"));
}

#[test]
fn a_listener_may_be_started_where_other_looks_are_driven() {
    let (_publisher, endpoint) = bound(SocketType::PUB);
    assert!(block_on(async { Listener::start(&endpoint).is_ok() }));
}
