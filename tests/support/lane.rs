//! A way to a server that can be cut.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{sleep, spawn};
use std::time::Duration;

const LOOK: Duration = Duration::from_millis(20);

/// Forwards to a port of this machine. While it is cut everything that is on its way stays there, as on a wire that
/// somebody pulled: nobody is refused, and nobody hears anything.
pub(crate) struct Lane {
    port: u16,
    is_cut: Arc<AtomicBool>,
}

impl Lane {
    pub(crate) fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let is_cut = Arc::new(AtomicBool::new(false));
        let cut = Arc::clone(&is_cut);
        spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let cut = Arc::clone(&cut);
                spawn(move || forward(stream, server, &cut));
            }
        });
        Self { port, is_cut }
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
    }

    pub(crate) fn mend(&self) {
        self.is_cut.store(false, Ordering::SeqCst);
    }
}

fn forward(here: TcpStream, server: u16, is_cut: &Arc<AtomicBool>) {
    wait(is_cut);
    let Ok(there) = TcpStream::connect(("127.0.0.1", server)) else { return };
    let (back_from, back_to) = (there.try_clone().unwrap(), here.try_clone().unwrap());
    let cut = Arc::clone(is_cut);
    spawn(move || pump(back_from, back_to, &cut));
    pump(here, there, is_cut);
}

/// One direction, until an end is gone.
fn pump(mut from: TcpStream, mut to: TcpStream, is_cut: &AtomicBool) {
    from.set_read_timeout(Some(LOOK)).unwrap();
    let _ = to.set_nodelay(true);
    let mut read = vec![0; 1 << 16];
    loop {
        match from.read(&mut read) {
            Ok(0) => break,
            Ok(count) => {
                wait(is_cut);
                if to.write_all(&read[..count]).is_err() {
                    break;
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
    }
    wait(is_cut);
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

fn wait(is_cut: &AtomicBool) {
    while is_cut.load(Ordering::SeqCst) {
        sleep(LOOK);
    }
}
