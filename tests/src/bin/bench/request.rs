//! HTTP requests as servers on paper read them.

use anyhow::Result;
use serde_json::Value;
use tokio::{io::AsyncReadExt, net::TcpStream};

/// A request of HTTP, as it came in.
pub struct Request {
    pub method: String,
    /// Without what follows the question mark.
    pub path: String,
    pub query: String,
    pub body: Value,
}

pub async fn read(client: &mut TcpStream) -> Result<Request> {
    let (mut all, mut buffer) = (Vec::new(), [0; 16_384]);
    loop {
        if let Some(end) = all.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&all[..end]).into_owned();
            let length =
                head.lines().find_map(|l| l.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
            if all.len() >= end + 4 + length.unwrap_or(0) {
                let mut words = head.split_whitespace();
                let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
                let (path, query) = target.split_once('?').unwrap_or((target, ""));
                let body = serde_json::from_slice(&all[end + 4..]).unwrap_or_default();
                return Ok(Request { method: method.into(), path: path.into(), query: query.into(), body });
            }
        }
        let n = client.read(&mut buffer).await?;
        anyhow::ensure!(n > 0, "the client broke off");
        all.extend_from_slice(&buffer[..n]);
    }
}
