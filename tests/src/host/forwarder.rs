//! A TCP forwarder on this machine that a test cuts and mends: between it and its target the network fails.

use std::{
    io::ErrorKind,
    net::Ipv4Addr,
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    runtime::Runtime,
    task::{JoinHandle, JoinSet},
};

use crate::host::port;

/// How long ending all connections may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Carries every connection to its port on to a port of 127.0.0.1. It ends when dropped.
pub struct Forwarder {
    address: Ipv4Addr,
    port: u16,
    to: u16,
    carrying: Mutex<Option<JoinHandle<()>>>,
    /// Its own, so that a test that blocks its thread does not hold the traffic. `None` only while it is dropped.
    runtime: Option<Runtime>,
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        // Plain dropping waits for the threads, which is not allowed in a test that is a task itself.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Forwarder {
    /// Listens on a free port and carries to the port `to`.
    pub fn open(to: u16) -> Result<Self> {
        let [port] = port::free()?;
        Self::open_at(Ipv4Addr::LOCALHOST, port, to)
    }

    /// Listens on this port of an address of this machine.
    pub fn open_at(address: Ipv4Addr, port: u16, to: u16) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("forwarder")
            .enable_all()
            .build()
            .context("cannot start the threads of a forwarder")?;
        let it = Self { address, port, to, carrying: Mutex::new(None), runtime: Some(runtime) };
        it.mend()?;
        Ok(it)
    }

    /// The port on which it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends all connections and refuses new ones, as a machine does whose service has stopped.
    pub fn cut(&self) -> Result<()> {
        let mut carrying = self.carrying.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(task) = carrying.take() else { return Ok(()) };
        task.abort();
        let begun = Instant::now();
        while !task.is_finished() {
            ensure!(begun.elapsed() < PATIENCE, "the forwarder on port {} does not end", self.port);
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// Carries again after [`Forwarder::cut`].
    pub fn mend(&self) -> Result<()> {
        let mut carrying = self.carrying.lock().unwrap_or_else(PoisonError::into_inner);
        if carrying.is_some() {
            return Ok(());
        }
        let runtime = self.runtime.as_ref().context("the forwarder has ended")?;
        let listener = std::net::TcpListener::bind((self.address, self.port))
            .with_context(|| format!("the forwarder cannot listen on {}:{}", self.address, self.port))?;
        listener.set_nonblocking(true)?;
        let inside = runtime.enter();
        let listener = TcpListener::from_std(listener)?;
        drop(inside);
        *carrying = Some(runtime.spawn(accept(listener, self.to)));
        Ok(())
    }
}

/// Takes connections. When this task is aborted, those end too.
async fn accept(listener: TcpListener, to: u16) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((client, _)) => {
                connections.spawn(carry(client, to));
            }
            Err(e) if e.kind() == ErrorKind::ConnectionAborted => {}
            // For example no file is left to open: the next try may have one.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn carry(client: TcpStream, to: u16) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", to)).await else { return };
    for stream in [&client, &server] {
        stream.set_nodelay(true).ok();
    }
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    // A side that has said its last may still listen, so both directions come to their own end.
    tokio::join!(pump(from_client, to_server), pump(from_server, to_client));
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let mut buffer = vec![0; 65_536];
    loop {
        let read = from.read(&mut buffer).await.unwrap_or(0);
        if read == 0 || to.write_all(&buffer[..read]).await.is_err() {
            to.shutdown().await.ok();
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    /// A server that sends back what it is sent; its port.
    fn echo() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for client in listener.incoming() {
                let mut client = client.unwrap();
                thread::spawn(move || {
                    let mut byte = [0];
                    while client.read(&mut byte).is_ok_and(|n| n == 1) {
                        client.write_all(&byte).unwrap();
                    }
                });
            }
        });
        port
    }

    fn connect(way: &Forwarder) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", way.port())).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream
    }

    fn answers(stream: &mut TcpStream, byte: u8) -> bool {
        let mut got = [0];
        stream.write_all(&[byte]).is_ok() && stream.read_exact(&mut got).is_ok() && got[0] == byte
    }

    #[test]
    fn a_cut_ends_connections_and_refuses_others_until_it_is_mended() {
        let way = Forwarder::open(echo()).unwrap();
        let mut old = connect(&way);
        assert!(answers(&mut old, 1));
        for _ in 0..3 {
            way.cut().unwrap();
            assert!(!answers(&mut old, 2), "the connection ended");
            assert!(TcpStream::connect(("127.0.0.1", way.port())).is_err(), "a new one is refused");
            way.mend().unwrap();
            old = connect(&way);
            assert!(answers(&mut old, 3));
        }
    }

    #[tokio::test]
    async fn it_may_be_dropped_in_a_task() {
        drop(Forwarder::open(echo()).unwrap());
    }
}
