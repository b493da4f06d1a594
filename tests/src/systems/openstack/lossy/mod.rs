//! A way to Nova that fails as a test says: it stands between the driver and Nova's API, for the region that leads here.
//!
//! Losses come in two manners: [`Lossy::lose`] names those of the next `POST /servers`, one after the other, and
//! [`Lossy::always`] names the one that every request meets until it is lifted. [`Lossy::hide`] and [`Lossy::down`] change
//! what Nova's lists say of some servers. This is a filter of ours and not Nova: what it does to a list is what Nova does
//! while the database of one cell of several is out of reach.

pub(super) mod http;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Result;
use http::{answer, ask, closing, message, method_and_path, without};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// What Nova says with 403 where quotas are unified limits of Keystone (`nova.limit`, oslo.limit's `ProjectOverLimit`).
pub const OVER_UNIFIED_LIMIT: &str = r#"{"forbidden": {"code": 403, "message": "Project 0f4b8c5cbe3e4f6e8f0d7a3c6d1b2a90 is over a limit for [Resource servers is over limit of 10 due to current usage 10 and delta 1]"}}"#;
/// The same for the resources of a flavor.
pub const OVER_UNIFIED_CORES: &str = r#"{"forbidden": {"code": 403, "message": "Project 0f4b8c5cbe3e4f6e8f0d7a3c6d1b2a90 is over a limit for [Resource class:VCPU is over limit of 40 due to current usage 38 and delta 4, Resource class:MEMORY_MB is over limit of 102400 due to current usage 100000 and delta 8192]"}}"#;
/// What Nova says with 500 of a server whose cell does not answer, below microversion 2.69.
const DOWN: &str = r#"{"computeFault": {"code": 500, "message": "Unexpected API Error. Please report this at http://bugs.launchpad.net/nova/ and attach the Nova API log if possible.\n<class 'nova.exception.NovaException'>"}}"#;

/// What becomes of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Nova carries it out, and its answer is lost with the connection.
    Reply,
    /// The connection ends before Nova hears of it.
    Request,
    /// Nova carries it out, and a gateway answers 504 instead of it.
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
    /// How often each of those that lists leave out was asked for by its id.
    asked: BTreeMap<String, usize>,
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
        fate.asked.clear();
    }

    /// How often a server was asked for by its id since lists leave it out.
    pub fn asked_for(&self, id: &str) -> usize {
        locked(&self.fate).asked.get(id).copied().unwrap_or_default()
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
        let about = about.filter(|id| method == "GET" && fate.hidden.contains(*id));
        if let Some(id) = about {
            *fate.asked.entry(id.to_owned()).or_default() += 1;
        }
        (one.or(fate.always), about.is_some_and(|id| fate.down.contains(id)))
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

#[cfg(test)]
#[path = "lossy_tests.rs"]
mod tests;
