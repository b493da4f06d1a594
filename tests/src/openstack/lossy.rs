//! A way to Nova that loses what a test says: it stands between the driver and Nova's API, for the region that leads here.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Result;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// What becomes of one `POST /servers`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Nova makes the server, and its answer is lost with the connection.
    Reply,
    /// The connection ends before Nova hears of it.
    Request,
    /// Nova makes the server, and a gateway answers 504 in its stead.
    Gateway,
    /// Nova does not hear of it; the answer is 429 with this `Retry-After` in seconds.
    Throttled(u32),
}

/// The way; it ends when dropped.
pub struct Lossy {
    /// Where it listens on 127.0.0.1.
    pub port: u16,
    losses: Arc<Mutex<VecDeque<Loss>>>,
    task: JoinHandle<()>,
}

impl Drop for Lossy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Lossy {
    /// Opens a way to the API on this port.
    pub async fn open(nova: u16) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let losses = Arc::new(Mutex::new(VecDeque::new()));
        let shared = losses.clone();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let losses = shared.clone();
                tokio::spawn(async move {
                    // A connection that breaks is what this is for.
                    drop(carry(client, nova, &losses).await);
                });
            }
        });
        Ok(Self { port, losses, task })
    }

    /// The next POSTs of servers suffer these losses, in this order.
    pub fn lose(&self, losses: &[Loss]) {
        self.losses.lock().unwrap_or_else(PoisonError::into_inner).extend(losses);
    }

    /// Losses that have not happened yet.
    pub fn left(&self) -> usize {
        self.losses.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Carries one request, for every connection is closed after it.
async fn carry(mut client: TcpStream, nova: u16, losses: &Mutex<VecDeque<Loss>>) -> Result<()> {
    let request = message(&mut client).await?;
    let makes_a_server =
        [&b"POST /v2.1/servers HTTP"[..], b"POST /v2.1/servers? HTTP"].iter().any(|p| request.starts_with(p));
    let loss = if makes_a_server { losses.lock().unwrap_or_else(PoisonError::into_inner).pop_front() } else { None };
    match loss {
        Some(Loss::Request) => return Ok(()),
        Some(Loss::Throttled(seconds)) => {
            let answer = format!(
                "HTTP/1.1 429 Too Many Requests\r\nRetry-After: {seconds}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
            return Ok(client.write_all(answer.as_bytes()).await?);
        }
        Some(Loss::Reply | Loss::Gateway) | None => {}
    }
    let mut server = TcpStream::connect(("127.0.0.1", nova)).await?;
    server.write_all(&request).await?;
    let answer = message(&mut server).await?;
    match loss {
        Some(Loss::Reply) => Ok(()),
        Some(_) => {
            let gateway = b"HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            Ok(client.write_all(gateway).await?)
        }
        None => Ok(client.write_all(&answer).await?),
    }
}

/// One HTTP message: its head, and a body of its `Content-Length`. Nova sends no other.
async fn message(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    let mut buffer = [0; 16_384];
    loop {
        if let Some(end) = all.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&all[..end]).to_lowercase();
            let length: usize = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length:"))
                .and_then(|n| n.trim().parse().ok())
                .unwrap_or(0);
            if all.len() >= end + 4 + length {
                return Ok(all);
            }
        }
        let n = stream.read(&mut buffer).await?;
        anyhow::ensure!(n > 0, "the connection ended in the middle");
        all.extend_from_slice(&buffer[..n]);
    }
}
