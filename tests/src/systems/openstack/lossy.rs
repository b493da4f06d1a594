//! A way to Nova that fails as a test says: it stands between the driver and Nova's API, for the region that leads here.
//!
//! Losses come in two manners: [`Lossy::lose`] names those of the next `POST /servers`, one after the other, and
//! [`Lossy::always`] names the one that every request meets until it is lifted. [`Lossy::hide`] and [`Lossy::down`] change
//! what Nova's lists say of some servers. This is a filter of ours and not Nova: what it does to a list is what Nova does
//! while the database of one cell of several is out of reach.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// What Nova says with 403 where quotas are unified limits of Keystone (`nova.limit`, oslo.limit's `ProjectOverLimit`).
pub const OVER_UNIFIED_LIMIT: &str = r#"{"forbidden": {"code": 403, "message": "Project 0f4b8c5cbe3e4f6e8f0d7a3c6d1b2a90 is over a limit for [Resource servers is over limit of 10 due to current usage 10 and delta 1]"}}"#;
/// The same for the resources of a flavor.
pub const OVER_UNIFIED_CORES: &str = r#"{"forbidden": {"code": 403, "message": "Project 0f4b8c5cbe3e4f6e8f0d7a3c6d1b2a90 is over a limit for [Resource class:VCPU is over limit of 40 due to current usage 38 and delta 4, Resource class:MEMORY_MB is over limit of 102400 due to current usage 100000 and delta 8192]"}}"#;
/// What Nova says with 403 to a network that only an administrator may use (`ExternalNetworkAttachForbidden`).
pub const EXTERNAL_NETWORK: &str = r#"{"forbidden": {"code": 403, "message": "It is not allowed to create an interface on external network 2d1b0a52-52a4-4ab4-9a73-3f1b3d6f1c55"}}"#;
/// What Nova says with 500 of a server whose cell does not answer, below microversion 2.69.
const DOWN: &str = r#"{"computeFault": {"code": 500, "message": "Unexpected API Error. Please report this at http://bugs.launchpad.net/nova/ and attach the Nova API log if possible.\n<class 'nova.exception.NovaException'>"}}"#;

/// What becomes of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Nova carries it out, and its answer is lost with the connection.
    Reply,
    /// The connection ends before Nova hears of it.
    Request,
    /// Nova carries it out, and a gateway answers 504 in its stead.
    Gateway,
    /// The connection ends at once, and Nova hears of it this much later, also after the way is closed.
    Late(Duration),
    /// It is held for this time: Nova hears of it then, and its answer comes back.
    Slow(Duration),
    /// It is taken and never answered, and Nova does not hear of it. It ends when the client gives up.
    Hang,
    /// Nova does not hear of it; the answer is 429 with this `Retry-After` in seconds.
    Throttled(u32),
    /// Nova does not hear of it; the answer has this status and this JSON, word by word.
    Answer(u16, &'static str),
}

#[derive(Default)]
struct Fate {
    losses: VecDeque<Loss>,
    always: Option<Loss>,
    /// Servers that lists leave out.
    hidden: BTreeSet<String>,
    /// Of those the ones of which Nova says 500 when asked.
    down: BTreeSet<String>,
    requests: usize,
    late: usize,
}

/// The way; it ends when dropped.
pub struct Lossy {
    /// The port of 127.0.0.1 where it listens.
    pub port: u16,
    fate: Arc<Mutex<Fate>>,
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
        let fate = Arc::new(Mutex::new(Fate::default()));
        let shared = fate.clone();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let fate = shared.clone();
                tokio::spawn(async move {
                    // A connection that breaks is what this is for.
                    drop(carry(client, nova, fate).await);
                });
            }
        });
        Ok(Self { port, fate, task })
    }

    /// The next POSTs of servers suffer these losses, in this order.
    pub fn lose(&self, losses: &[Loss]) {
        locked(&self.fate).losses.extend(losses);
    }

    /// Losses of [`Lossy::lose`] that have not happened yet.
    pub fn left(&self) -> usize {
        locked(&self.fate).losses.len()
    }

    /// Every request suffers this, whatever it asks for, until this is called with `None`. Requests that hang by then stay so.
    pub fn always(&self, loss: Option<Loss>) {
        locked(&self.fate).always = loss;
    }

    /// Lists leave these servers out, with 200; Nova knows them when asked for one by its id.
    pub fn hide(&self, ids: &[String]) {
        locked(&self.fate).hidden.extend(ids.iter().cloned());
    }

    /// Lists leave these servers out, with 200, and a request for one by its id is answered with 500: their cell is down.
    pub fn down(&self, ids: &[String]) {
        let mut fate = locked(&self.fate);
        fate.hidden.extend(ids.iter().cloned());
        fate.down.extend(ids.iter().cloned());
    }

    /// Ends [`Lossy::hide`] and [`Lossy::down`].
    pub fn show(&self) {
        let mut fate = locked(&self.fate);
        fate.hidden.clear();
        fate.down.clear();
    }

    /// Requests that came so far.
    pub fn requests(&self) -> usize {
        locked(&self.fate).requests
    }

    /// Requests of [`Loss::Late`] that Nova has answered by now.
    pub fn delivered_late(&self) -> usize {
        locked(&self.fate).late
    }
}

fn locked(fate: &Mutex<Fate>) -> MutexGuard<'_, Fate> {
    fate.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Carries one request, for every connection is closed after it.
async fn carry(mut client: TcpStream, nova: u16, fate: Arc<Mutex<Fate>>) -> Result<()> {
    let request = message(&mut client).await?;
    let line = String::from_utf8_lossy(request.split(|b| *b == b'\r').next().unwrap_or_default()).into_owned();
    let (method, path) = method_and_path(&line);
    let (loss, is_down) = {
        let mut fate = locked(&fate);
        fate.requests += 1;
        let one = (method == "POST" && path == "/v2.1/servers").then(|| fate.losses.pop_front()).flatten();
        let about = path.strip_prefix("/v2.1/servers/").and_then(|rest| rest.split('/').next());
        (one.or(fate.always), method == "GET" && about.is_some_and(|id| fate.down.contains(id)))
    };
    match loss {
        Some(Loss::Request) => return Ok(()),
        Some(Loss::Hang) => {
            // Until the client closes the connection.
            client.read_to_end(&mut Vec::new()).await?;
            return Ok(());
        }
        Some(Loss::Throttled(seconds)) => {
            return answer(&mut client, "429 Too Many Requests", &format!("Retry-After: {seconds}\r\n"), b"").await;
        }
        Some(Loss::Answer(status, body)) => {
            return answer(
                &mut client,
                &format!("{status} Refused"),
                "Content-Type: application/json\r\n",
                body.as_bytes(),
            )
            .await;
        }
        Some(Loss::Late(by)) => {
            drop(client);
            tokio::time::sleep(by).await;
            ask(nova, &request).await?;
            locked(&fate).late += 1;
            return Ok(());
        }
        Some(Loss::Slow(by)) => tokio::time::sleep(by).await,
        Some(Loss::Reply | Loss::Gateway) | None => {}
    }
    if is_down {
        return answer(&mut client, "500 Internal Server Error", "Content-Type: application/json\r\n", DOWN.as_bytes())
            .await;
    }
    let reply = ask(nova, &request).await?;
    match loss {
        Some(Loss::Reply) => Ok(()),
        Some(Loss::Slow(_)) => Ok(client.write_all(&closing(reply)?).await?),
        Some(_) => answer(&mut client, "504 Gateway Timeout", "", b"").await,
        None if method == "GET" && matches!(path, "/v2.1/servers" | "/v2.1/servers/detail") => {
            let hidden = locked(&fate).hidden.clone();
            Ok(client.write_all(&closing(without(&hidden, reply)?)?).await?)
        }
        None => Ok(client.write_all(&closing(reply)?).await?),
    }
}

/// Method and path of a request line, without the query.
fn method_and_path(line: &str) -> (&str, &str) {
    let mut words = line.split(' ');
    let method = words.next().unwrap_or_default();
    let path = words.next().unwrap_or_default();
    (method, path.split('?').next().unwrap_or_default())
}

async fn ask(nova: u16, request: &[u8]) -> Result<Vec<u8>> {
    let mut server = TcpStream::connect(("127.0.0.1", nova)).await?;
    server.write_all(request).await?;
    message(&mut server).await
}

async fn answer(client: &mut TcpStream, status: &str, headers: &str, body: &[u8]) -> Result<()> {
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    client.write_all(head.as_bytes()).await?;
    Ok(client.write_all(body).await?)
}

/// A list of Nova without these servers. Its page may become shorter than Nova's limit: so it is with a cell that is down.
fn without(hidden: &BTreeSet<String>, reply: Vec<u8>) -> Result<Vec<u8>> {
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
fn closing(reply: Vec<u8>) -> Result<Vec<u8>> {
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
async fn message(stream: &mut TcpStream) -> Result<Vec<u8>> {
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

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// A Nova that notes what it is asked and always lists two servers.
    async fn nova() -> (u16, Arc<Mutex<Vec<(String, Instant)>>>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = asked.clone();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let request = String::from_utf8(message(&mut client).await.unwrap()).unwrap();
                let line = request.lines().next().unwrap().to_owned();
                noted.lock().unwrap().push((line, Instant::now()));
                let body = br#"{"servers": [{"id": "a"}, {"id": "b"}], "servers_links": []}"#;
                answer(&mut client, "200 OK", "X-Kept: yes\r\n", body).await.unwrap();
            }
        });
        (port, asked)
    }

    async fn send(way: &Lossy, method: reqwest::Method, path: &str) -> Option<(u16, String)> {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_millis(700)).build().unwrap();
        let url = format!("http://127.0.0.1:{}/v2.1/{path}", way.port);
        let answer = http.request(method, url).send().await.ok()?;
        let status = answer.status().as_u16();
        let kept = answer.headers().contains_key("x-kept");
        let text = answer.text().await.ok()?;
        assert_eq!(status == 200, kept, "Nova's headers stay");
        Some((status, text))
    }

    #[tokio::test]
    async fn a_late_request_is_carried_out_after_its_connection_broke() {
        let (port, asked) = nova().await;
        let way = Lossy::open(port).await.unwrap();
        let late = Duration::from_secs(3);
        way.lose(&[Loss::Late(late)]);
        let begun = Instant::now();
        assert_eq!(send(&way, reqwest::Method::POST, "servers").await, None);
        assert!(begun.elapsed() < late, "the client learns at once that its connection broke");
        assert!(asked.lock().unwrap().is_empty());
        while way.delivered_late() == 0 {
            assert!(begun.elapsed() < Duration::from_secs(60));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let asked = asked.lock().unwrap();
        assert_eq!(asked.len(), 1);
        assert!(asked[0].0.starts_with("POST /v2.1/servers ") && asked[0].1 >= begun + late);
    }

    #[tokio::test]
    async fn a_slow_request_is_held_and_then_answered_by_nova() {
        let (port, asked) = nova().await;
        let way = Lossy::open(port).await.unwrap();
        way.lose(&[Loss::Slow(Duration::from_millis(300))]);
        let begun = Instant::now();
        assert_eq!(send(&way, reqwest::Method::POST, "servers").await.unwrap().0, 200);
        assert!(asked.lock().unwrap()[0].1 >= begun + Duration::from_millis(300));
    }

    #[tokio::test]
    async fn what_is_always_so_meets_every_request_until_it_is_lifted() {
        let (port, asked) = nova().await;
        let way = Lossy::open(port).await.unwrap();
        way.always(Some(Loss::Hang));
        assert_eq!(send(&way, reqwest::Method::GET, "flavors/detail").await, None);
        way.always(Some(Loss::Throttled(3_600)));
        assert_eq!(send(&way, reqwest::Method::GET, "servers/detail").await.unwrap().0, 429);
        way.lose(&[Loss::Answer(403, OVER_UNIFIED_LIMIT)]);
        let (status, text) = send(&way, reqwest::Method::POST, "servers").await.unwrap();
        assert_eq!((status, text.as_str()), (403, OVER_UNIFIED_LIMIT), "the loss of one request goes first");
        assert_eq!(send(&way, reqwest::Method::DELETE, "servers/a").await.unwrap().0, 429);
        way.always(None);
        assert!(asked.lock().unwrap().is_empty(), "Nova heard of none");
        assert_eq!(send(&way, reqwest::Method::GET, "limits").await.unwrap().0, 200);
        assert_eq!(way.requests(), 5);
    }

    #[tokio::test]
    async fn a_client_that_keeps_its_connections_never_meets_a_closed_one() {
        let (port, _) = nova().await;
        let way = Lossy::open(port).await.unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        for _ in 0..200 {
            let answer =
                http.post(format!("http://127.0.0.1:{}/v2.1/servers", way.port)).body("{}").send().await.unwrap();
            assert_eq!(answer.headers()["connection"], "close");
            answer.bytes().await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_list_leaves_out_what_is_hidden_and_says_200() {
        let (port, _) = nova().await;
        let way = Lossy::open(port).await.unwrap();
        way.hide(&["a".to_owned()]);
        let (status, text) = send(&way, reqwest::Method::GET, "servers/detail?limit=7").await.unwrap();
        assert_eq!((status, text.as_str()), (200, r#"{"servers":[{"id":"b"}],"servers_links":[]}"#));
        assert_eq!(send(&way, reqwest::Method::GET, "servers/a").await.unwrap().0, 200);
        way.down(&["a".to_owned()]);
        assert_eq!(send(&way, reqwest::Method::GET, "servers/a").await.unwrap().0, 500);
        assert_eq!(send(&way, reqwest::Method::GET, "servers/b").await.unwrap().0, 200);
        way.show();
        assert_eq!(send(&way, reqwest::Method::GET, "servers/a").await.unwrap().0, 200);
        assert!(send(&way, reqwest::Method::GET, "servers/detail").await.unwrap().1.contains("\"a\""));
    }
}
