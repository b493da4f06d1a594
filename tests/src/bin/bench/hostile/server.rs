//! Servers that do their worst at the address of a Cloud.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::{nova::token, request::read};

/// Of the answers that have an end.
const HUGE: usize = 100 << 20;
/// Written at once.
const BLOCK: usize = 64 << 10;
/// Longer than any operator waits.
const NEVER: Duration = Duration::from_secs(86_400);

/// What a server does with every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malice {
    /// 100 MB, said beforehand.
    Huge,
    /// 100 MB, not said beforehand.
    Surprise,
    /// An answer that never ends, as fast as it is read.
    Endless,
    /// One byte a second.
    Drip,
    /// Lists in lists, half a megabyte of them.
    Nested,
    /// A redirect to itself.
    Redirect,
    /// 429, and the longest pause that can be written.
    Throttle,
    /// Pages of servers and flavors without end, each with as much text as there can be.
    Pages,
}

impl Malice {
    pub const ALL: [Self; 8] = [
        Self::Huge,
        Self::Surprise,
        Self::Endless,
        Self::Drip,
        Self::Nested,
        Self::Redirect,
        Self::Throttle,
        Self::Pages,
    ];
}

/// A server; it ends when dropped.
pub struct Server {
    own: String,
    asked: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Opens a server of this malice; with `keystone` it gives tokens as it should, and does its worst as Nova.
    pub async fn open(malice: Malice, keystone: bool) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let (own, asked) = (format!("http://{}", listener.local_addr()?), Arc::<AtomicU64>::default());
        let (address, count) = (own.clone(), asked.clone());
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let n = count.fetch_add(1, Ordering::Relaxed);
                let own = address.clone();
                // A client that breaks off is right.
                tokio::spawn(async move { serve(client, malice, keystone, &own, n).await.ok() });
            }
        });
        Ok(Self { own, asked, task })
    }

    /// The address of its Keystone.
    pub fn auth_url(&self) -> String {
        format!("{}/v3", self.own)
    }

    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }
}

async fn serve(mut client: TcpStream, malice: Malice, keystone: bool, own: &str, n: u64) -> Result<()> {
    let request = read(&mut client).await?;
    if keystone && request.path == "/v3/auth/tokens" {
        let body = token(own).to_string();
        client
            .write_all(head(201, &format!("X-Subject-Token: t\r\nContent-Length: {}", body.len())).as_bytes())
            .await?;
        return Ok(client.write_all(body.as_bytes()).await?);
    }
    let blanks = vec![b' '; BLOCK];
    match malice {
        Malice::Huge => {
            client.write_all(head(200, &format!("Content-Length: {HUGE}")).as_bytes()).await?;
            for _ in 0..HUGE / BLOCK {
                client.write_all(&blanks).await?;
            }
        }
        Malice::Surprise | Malice::Endless => {
            client.write_all(head(200, "X-Subject-Token: t").as_bytes()).await?;
            client.write_all(br#"{"servers": ["#).await?;
            let blocks = if malice == Malice::Surprise { HUGE / BLOCK } else { usize::MAX };
            for _ in 0..blocks {
                client.write_all(&blanks).await?;
            }
        }
        Malice::Drip => {
            client.write_all(head(200, "Content-Length: 86400").as_bytes()).await?;
            loop {
                client.write_all(b" ").await?;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        Malice::Nested => {
            let body = "[".repeat(512 << 10);
            client
                .write_all(head(200, &format!("X-Subject-Token: t\r\nContent-Length: {}", body.len())).as_bytes())
                .await?;
            client.write_all(body.as_bytes()).await?;
        }
        Malice::Redirect => {
            client
                .write_all(head(302, &format!("Location: {own}{}\r\nContent-Length: 0", request.path)).as_bytes())
                .await?;
        }
        Malice::Throttle => {
            let said = format!("Retry-After: {}\r\nContent-Length: 0", u64::MAX);
            client.write_all(head(429, &said).as_bytes()).await?;
        }
        Malice::Pages => {
            let body = page(&request.path, n);
            client
                .write_all(head(200, &format!("X-Subject-Token: t\r\nContent-Length: {}", body.len())).as_bytes())
                .await?;
            client.write_all(body.as_bytes()).await?;
        }
    }
    tokio::time::timeout(NEVER, client.shutdown()).await??;
    Ok(())
}

fn head(status: u16, headers: &str) -> String {
    format!(
        "HTTP/1.1 {status} So\r\nConnection: close\r\nContent-Type: application/json\r\nOpenStack-API-Version: compute 2.61\r\n{headers}\r\n\r\n"
    )
}

/// The `n`th page: of flavors, or of servers that carry the tags of an operator.
fn page(path: &str, n: u64) -> String {
    let text = "x".repeat(255);
    let all = |one: &dyn Fn(usize) -> String| (0..500).map(one).collect::<Vec<_>>().join(",");
    if path.ends_with("/flavors/detail") {
        let flavor =
            |i: usize| format!(r#"{{"id": "{n}-{i}", "name": "{n}-{i}-{text}", "vcpus": 1, "ram": 2048, "disk": 9}}"#);
        return format!(r#"{{"flavors": [{}]}}"#, all(&flavor));
    }
    let server = |i: usize| {
        format!(
            r#"{{"id": "{n}-{i}", "name": "{text}", "status": "ACTIVE", "OS-EXT-AZ:availability_zone": "{text}",
                "tags": ["dirac-operator", "dirac-cluster-c", "dirac-pvm-{n}-{i}"], "fault": {{"message": "{text}"}}}}"#
        )
    };
    format!(r#"{{"servers": [{}], "servers_links": [{{"rel": "next", "href": "x"}}]}}"#, all(&server))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_such_as_nova_gives_and_each_has_others() {
        let ids = |path: &str, key: &str, n: u64| {
            let page: serde_json::Value = serde_json::from_str(&page(path, n)).unwrap();
            page[key].as_array().unwrap().iter().map(|entry| entry["id"].to_string()).collect::<Vec<_>>()
        };
        for (path, key) in [("/compute/v2.1/flavors/detail", "flavors"), ("/compute/v2.1/servers/detail", "servers")] {
            assert_eq!(ids(path, key, 1).len(), 500);
            assert_ne!(ids(path, key, 1), ids(path, key, 2));
        }
    }
}
