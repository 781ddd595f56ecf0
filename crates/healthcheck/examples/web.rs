//! A web server that says "well" to everybody on the port that is its argument, until its input ends: for the benchmarks.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

fn main() -> io::Result<()> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or_default();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream));
        }
    });
    io::stdin().read_to_end(&mut Vec::new()).map(drop)
}

/// Whoever only connects is told nothing.
fn answer(mut stream: TcpStream) -> io::Result<()> {
    if stream.read(&mut [0; 4096])? > 0 {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nwell")?;
    }
    Ok(())
}
