//! ZMQ endpoints to look at: `zmq_endpoints REAL CHEAP` opens so many PUB sockets of libzmq and so many listeners that
//! only greet as a PUB socket does, prints the address of each, then `ready`, and stays until its input ends.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::error::Error;
use std::io::{self, Read, Write};
use std::net::Ipv4Addr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

fn main() -> Result<(), Box<dyn Error>> {
    let mut counts = std::env::args().skip(1).map(|count| count.parse::<usize>());
    let (real, cheap) = (counts.next().ok_or("no REAL")??, counts.next().ok_or("no CHEAP")??);
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    let context = zmq::Context::new();
    let sockets = (0..real).map(|_| publisher(&context)).collect::<Result<Vec<_>, _>>()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        for _ in 0..cheap {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            writeln!(io::stdout(), "{}", listener.local_addr()?)?;
            tokio::spawn(greet_all(listener));
        }
        writeln!(io::stdout(), "ready")?;
        tokio::task::spawn_blocking(|| io::stdin().read_to_end(&mut Vec::new())).await?
    })?;
    drop(sockets);
    Ok(())
}

fn publisher(context: &zmq::Context) -> Result<zmq::Socket, Box<dyn Error>> {
    let socket = context.socket(zmq::PUB)?;
    socket.set_linger(0)?;
    socket.bind("tcp://127.0.0.1:*")?;
    let address = socket.get_last_endpoint()?.map_err(|_| "no address")?;
    writeln!(io::stdout(), "{}", address.trim_start_matches("tcp://"))?;
    Ok(socket)
}

async fn greet_all(listener: TcpListener) {
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            // Whoever looks may leave at any time.
            tokio::spawn(async move { greet(stream).await.ok() });
        }
    }
}

async fn greet(mut stream: TcpStream) -> io::Result<()> {
    let mut greeting = [0; 64];
    greeting[..16].copy_from_slice(b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\0NULL");
    let mut heard = [0; 64];
    stream.read_exact(&mut heard[..11]).await?;
    stream.write_all(&greeting).await?;
    stream.read_exact(&mut heard[11..]).await?;
    stream.write_all(b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03PUB").await?;
    stream.read(&mut heard).await.map(drop)
}
