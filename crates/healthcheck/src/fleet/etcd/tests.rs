//! The client against a real etcd.

use super::*;
use crate::etcd_server::EtcdServer;
use std::path::Path;
use tempfile::TempDir;
use tokio::task::LocalSet;

fn with_etcd<F: AsyncFnOnce(&mut EtcdServer, Etcd)>(story: F) {
    let dir = TempDir::new().unwrap();
    let mut server = EtcdServer::start(dir.path());
    let client = client(&[&server.url()]);
    wait_for(story(&mut server, client));
}

fn client(endpoints: &[&str]) -> Etcd {
    let endpoints = endpoints.iter().map(|it| (*it).to_owned()).collect();
    Etcd::new(Access { endpoints, ..Access::default() }, patience())
}

fn patience() -> Patience {
    Patience { attempt: Duration::from_millis(700), whole: Duration::from_secs(3) }
}

fn wait_for(story: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, story);
}

/// The next changes that are more than a sign of life.
async fn next(watch: &mut Watch) -> Changes {
    loop {
        let changes = watch.next().await.unwrap();
        if !changes.changes.is_empty() {
            return changes;
        }
    }
}

#[test]
fn many_keys_are_listed_at_one_revision() {
    with_etcd(async |_, etcd| {
        for portion in 0..25 {
            let put = (0..100)
                .fold(Txn::default(), |txn, n| txn.put(&format!("/h/{:04}", portion * 100 + n), b"x", None));
            assert!(etcd.commit(put).await.unwrap().has_succeeded);
        }
        etcd.commit(Txn::default().put("/hh", b"elsewhere", None)).await.unwrap();
        let listing = etcd.list("/h/", |_| 64).await.unwrap();
        assert_eq!((listing.entries.len(), listing.revision), (2_500, 27));
        assert_eq!(
            (&listing.entries[2_499].key[..], &listing.entries[7].value[..]),
            (&b"/h/2499"[..], &b"x"[..])
        );
    });
}

#[test]
fn a_transaction_is_done_only_if_everything_is_as_it_should_be() {
    with_etcd(async |_, etcd| {
        let first =
            |value: &[u8]| Txn::default().if_created_at("/t", 0).put("/t", value, None).else_get("/t");
        let done = etcd.commit(first(b"one")).await.unwrap();
        assert!(done.has_succeeded && done.found.is_empty());
        let lost = etcd.commit(first(b"two")).await.unwrap();
        assert!(!lost.has_succeeded && lost.found[0].value == b"one");
        let since = lost.found[0].mod_revision;
        let swap = |value: &[u8]| Txn::default().if_modified_at("/t", since).put("/t", value, None);
        assert!(etcd.commit(swap(b"three")).await.unwrap().has_succeeded);
        assert!(!etcd.commit(swap(b"four")).await.unwrap().has_succeeded);
        assert_eq!(etcd.get("/t").await.unwrap().unwrap().value, b"three");
    });
}

#[test]
fn a_lease_lives_while_it_is_renewed_and_takes_its_keys_with_it() {
    with_etcd(async |_, etcd| {
        let lease = etcd.grant(Duration::from_secs(2)).await.unwrap();
        etcd.commit(Txn::default().put("/l/1", b"", Some(lease))).await.unwrap();
        for _ in 0..4 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(etcd.keep_alive(lease).await.unwrap(), Some(Duration::from_secs(2)));
        }
        let listing = etcd.list("/l/", |_| 64).await.unwrap();
        assert_eq!(listing.entries[0].lease, lease.0);
        let mut watch = etcd.watch("/l/", listing.revision + 1).await.unwrap();
        etcd.revoke(lease).await.unwrap();
        assert_eq!(next(&mut watch).await.changes, [Change::Deleted(b"/l/1".to_vec())]);
        assert_eq!(etcd.keep_alive(lease).await.unwrap(), None);
        assert!(etcd.revoke(lease).await.is_ok());
        let put = etcd.commit(Txn::default().put("/l/1", b"", Some(lease))).await;
        assert!(put.unwrap_err().is_lease_gone());
    });
}

#[test]
fn a_watch_goes_on_where_another_ended_and_says_what_is_not_known_any_more() {
    with_etcd(async |server, etcd| {
        for n in 0..10 {
            etcd.commit(Txn::default().put("/w/k", n.to_string().as_bytes(), None)).await.unwrap();
        }
        let mut watch = etcd.watch("/w/", 5).await.unwrap();
        let mut seen = Vec::new();
        while seen.len() < 7 {
            seen.extend(next(&mut watch).await.changes);
        }
        assert!(matches!(&seen[6], Change::Put(entry) if entry.value == b"9"));
        server.ctl(&["compact", "8"]);
        let mut late = etcd.watch("/w/", 5).await.unwrap();
        let why = loop {
            if let Err(why) = late.next().await {
                break why;
            }
        };
        assert!(matches!(why, Unwatched::Compacted(8)), "{why:?}");
    });
}

#[test]
fn who_does_not_answer_is_passed_over_and_what_is_wrong_is_said() {
    with_etcd(async |server, etcd| {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let silent = format!("http://{}", silent.local_addr().unwrap());
        let url = server.url();
        let several = client(&["http://127.0.0.1:1", &silent, &url]);
        assert!(several.get("/x").await.unwrap().is_none());
        assert_eq!(several.endpoint(), url);
        server.hang();
        let error = etcd.get("/x").await.unwrap_err();
        assert!(error.is_unreachable() && error.to_string().contains("no answer within 0.7 s"), "{error}");
        server.go_on();
        server.kill();
        let error = etcd.get("/x").await.unwrap_err();
        assert!(error.to_string().contains("refused"), "{error}");
        server.go();
        assert!(etcd.get("/x").await.unwrap().is_none());
    });
}

#[test]
fn whoever_is_no_etcd_is_named_as_such() {
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", server.local_addr().unwrap());
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        for line in server.incoming().flatten() {
            let mut line = line;
            let _ = line.read(&mut [0; 4_096]);
            let _ = line.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhola");
        }
    });
    wait_for(async {
        let error = client(&[&url]).get("/x").await.unwrap_err();
        assert!(error.to_string().contains("does not answer as etcd 3.4 or later does"), "{error}");
    });
}

#[test]
fn with_a_password_each_token_is_one_of_many() {
    with_etcd(async |server, _| {
        for words in ["user add root:hunter22", "user grant-role root root", "auth enable"] {
            server.ctl(&words.split(' ').collect::<Vec<_>>());
        }
        let as_user = |password: &str| {
            let login = Some(("root".to_owned(), Secret::Value(password.to_owned())));
            Etcd::new(Access { endpoints: vec![server.url()], login, ..Access::default() }, patience())
        };
        let etcd = as_user("hunter22");
        let lease = etcd.grant(Duration::from_secs(5)).await.unwrap();
        etcd.commit(Txn::default().put("/a", b"", Some(lease))).await.unwrap();
        etcd.token.replace(Some("one.that.ended".to_owned()));
        assert!(etcd.keep_alive(lease).await.unwrap().is_some());
        let mut watch = etcd.watch("/a", 1).await.unwrap();
        assert_eq!(next(&mut watch).await.changes.len(), 1);
        for stranger in [as_user("wrong"), client(&[&server.url()])] {
            let error = stranger.get("/a").await.unwrap_err().to_string();
            assert!(error.contains("etcdserver") && !error.contains("wrong"), "{error}");
        }
    });
}

#[test]
fn with_tls_only_the_right_authority_and_certificate_are_taken() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    certificates(dir.path());
    let (cert, key, ca) = (at("server.pem"), at("server.key"), at("ca.pem"));
    let options = ["--cert-file", &cert, "--key-file", &key, "--trusted-ca-file", &ca, "--client-cert-auth"];
    let server = EtcdServer::start_with(&dir.path().join("etcd"), "https", &options);
    let asking = |ca: &str, identity: Option<(&str, &str)>| {
        let identity = identity.map(|(cert, key)| (at(cert).into(), at(key).into()));
        let access =
            Access { endpoints: vec![server.url()], ca_file: Some(at(ca).into()), identity, login: None };
        Etcd::new(access, patience())
    };
    wait_for(async {
        let own = Some(("client.pem", "client.key"));
        assert!(asking("ca.pem", own).get("/x").await.unwrap().is_none());
        for (ca, identity, why) in [
            ("ca.pem", None, "certificate"),
            ("other.pem", own, "certificate"),
            ("missing.pem", own, "ca_file"),
            ("ca.pem", Some(("client.pem", "missing.key")), "key_file"),
            ("ca.pem", Some(("client.key", "client.key")), "cert_file"),
        ] {
            let error = asking(ca, identity).get("/x").await.unwrap_err().to_string();
            assert!(error.to_lowercase().contains(why), "{ca} {identity:?}: {error}");
        }
    });
}

/// An authority with a server and a client, and one that knows nobody.
fn certificates(dir: &Path) {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    let write = |name: &str, text: String| std::fs::write(dir.join(name), text).unwrap();
    let authority = || {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    };
    let ca = authority();
    write("ca.pem", ca.pem());
    write("other.pem", authority().pem());
    for name in ["server", "client"] {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        write(&format!("{name}.pem"), params.signed_by(&key, &ca).unwrap().pem());
        write(&format!("{name}.key"), key.serialize_pem());
    }
}
