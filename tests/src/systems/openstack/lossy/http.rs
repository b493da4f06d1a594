//! HTTP messages as the way to Nova carries them: read whole, changed a little, sent on.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

/// Method and path of a request line, without the query.
pub fn method_and_path(line: &str) -> (&str, &str) {
    let mut words = line.split(' ');
    let method = words.next().unwrap_or_default();
    let path = words.next().unwrap_or_default();
    (method, path.split('?').next().unwrap_or_default())
}

pub async fn ask(nova: u16, request: &[u8]) -> Result<Vec<u8>> {
    let mut server = TcpStream::connect(("127.0.0.1", nova)).await?;
    server.write_all(request).await?;
    message(&mut server).await
}

pub async fn answer(client: &mut (impl AsyncWrite + Unpin), status: &str, headers: &str, body: &[u8]) -> Result<()> {
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    client.write_all(head.as_bytes()).await?;
    Ok(client.write_all(body).await?)
}

/// A list of Nova without these servers. Its page may become shorter than Nova's limit: so it is with a cell that is down.
pub fn without(hidden: &BTreeSet<String>, reply: Vec<u8>) -> Result<Vec<u8>> {
    if hidden.is_empty() {
        return Ok(reply);
    }
    let end = head_end(&reply).context("an answer of Nova has no head")?;
    let Ok(mut body) = serde_json::from_slice::<Value>(&reply[end..]) else { return Ok(reply) };
    let Some(servers) = body["servers"].as_array_mut() else { return Ok(reply) };
    servers.retain(|server| server["id"].as_str().is_none_or(|id| !hidden.contains(id)));
    let body = serde_json::to_vec(&body)?;
    let head = String::from_utf8_lossy(&reply[..end]).into_owned();
    let kept = head.lines().filter(|line| !line.to_lowercase().starts_with("content-length:") && !line.is_empty());
    let mut all: String = kept.flat_map(|line| [line, "\r\n"]).collect();
    all.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    Ok([all.into_bytes(), body].concat())
}

/// The same answer, which says that its connection ends: else the client would send its next request into a connection that we close.
pub fn closing(reply: Vec<u8>) -> Result<Vec<u8>> {
    let end = head_end(&reply).context("an answer of Nova has no head")?;
    let head = String::from_utf8_lossy(&reply[..end]).into_owned();
    let kept = head.lines().filter(|line| !line.to_lowercase().starts_with("connection:") && !line.is_empty());
    let mut all: String = kept.flat_map(|line| [line, "\r\n"]).collect();
    all.push_str("Connection: close\r\n\r\n");
    Ok([all.as_bytes(), &reply[end..]].concat())
}

/// Where the body begins.
fn head_end(message: &[u8]) -> Option<usize> {
    message.windows(4).position(|w| w == b"\r\n\r\n").map(|n| n + 4)
}

/// One HTTP message: its head, and a body of its `Content-Length`. Nova sends no other.
pub async fn message(stream: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    let mut buffer = [0; 16_384];
    loop {
        if let Some(end) = head_end(&all) {
            let head = String::from_utf8_lossy(&all[..end]).to_lowercase();
            let length: usize = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length:"))
                .and_then(|n| n.trim().parse().ok())
                .unwrap_or(0);
            if all.len() >= end + length {
                return Ok(all);
            }
        }
        let n = stream.read(&mut buffer).await?;
        anyhow::ensure!(n > 0, "the connection ended in the middle");
        all.extend_from_slice(&buffer[..n]);
    }
}
