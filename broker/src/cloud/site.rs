//! A site for unit tests of drivers: an HTTP server that answers as a test says, also as no honest one does.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// A request that the site got.
pub struct Asked {
    /// As `GET /compute/v2.1/servers/detail?limit=1000`.
    pub line: String,
    pub body: String,
    /// The token of the header `X-Auth-Token`.
    pub token: String,
    /// The header `Authorization`.
    pub authorization: String,
    /// The header `X-Amz-Security-Token`.
    pub session: String,
    /// The header `Host`.
    host: String,
}

impl Asked {
    /// Where the site was asked.
    pub fn host(&self) -> String {
        format!("http://{}", self.host)
    }

    pub fn is(&self, start: &str) -> bool {
        self.line.starts_with(start)
    }
}

/// An answer.
pub struct Said {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    after: Duration,
    length: Length,
}

/// What an answer says of its length.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Length {
    Right,
    /// Nothing: its end is that of the connection.
    Unsaid,
    /// More than comes, and the connection stays.
    TooLong,
}

impl Said {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), after: Duration::ZERO, length: Length::Right }
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn after(mut self, pause: Duration) -> Self {
        self.after = pause;
        self
    }

    /// Its length is not said.
    pub fn of_unsaid_length(self) -> Self {
        Self { length: Length::Unsaid, ..self }
    }

    /// It stops before its end, and the connection stays open.
    pub fn that_stops(self) -> Self {
        Self { length: Length::TooLong, ..self }
    }
}

type Answers = dyn FnMut(&Asked) -> Said + Send;

/// The site; it ends when dropped.
pub struct Site {
    pub address: String,
    asked: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Site {
    /// Opens a site with these answers.
    pub async fn serve(answers: impl FnMut(&Asked) -> Said + Send + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let answers: Arc<Mutex<Box<Answers>>> = Arc::new(Mutex::new(Box::new(answers)));
        let log = asked.clone();
        let task = tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let (log, answers) = (log.clone(), answers.clone());
                tokio::spawn(async move {
                    let Some(asked) = request(&mut client).await else { return };
                    log.lock().unwrap().push(asked.line.clone());
                    let said = (answers.lock().unwrap())(&asked);
                    answer(&mut client, &said).await;
                });
            }
        });
        Self { address, asked, task }
    }

    /// How many requests began with this.
    pub fn asked(&self, start: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|line| line.starts_with(start)).count()
    }
}

async fn answer(client: &mut TcpStream, said: &Said) {
    tokio::time::sleep(said.after).await;
    let mut head = format!("HTTP/1.1 {} So\r\nConnection: close\r\n", said.status);
    for (name, value) in &said.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    match said.length {
        Length::Right => head.push_str(&format!("Content-Length: {}\r\n", said.body.len())),
        Length::TooLong => head.push_str(&format!("Content-Length: {}\r\n", said.body.len() + 1)),
        Length::Unsaid => {}
    }
    head.push_str("\r\n");
    // A client that breaks off is right.
    drop(client.write_all(&[head.as_bytes(), &said.body].concat()).await);
    if said.length == Length::TooLong {
        std::future::pending::<()>().await;
    }
}

async fn request(client: &mut TcpStream) -> Option<Asked> {
    let mut all = Vec::new();
    let mut buffer = [0; 16_384];
    loop {
        if let Some(end) = all.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&all[..end]).into_owned();
            let header = |name: &str| {
                let line = head.lines().find(|l| l.to_lowercase().starts_with(&format!("{name}:")))?;
                Some(line[name.len() + 1..].trim().to_owned())
            };
            let length: usize = header("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
            if all.len() >= end + 4 + length {
                let line = head.lines().next()?.trim_end_matches(" HTTP/1.1").to_owned();
                let body = String::from_utf8_lossy(&all[end + 4..]).into_owned();
                let [token, authorization, session, host] =
                    ["x-auth-token", "authorization", "x-amz-security-token", "host"]
                        .map(|name| header(name).unwrap_or_default());
                return Some(Asked { line, body, token, authorization, session, host });
            }
        }
        let n = client.read(&mut buffer).await.ok()?;
        if n == 0 {
            return None;
        }
        all.extend_from_slice(&buffer[..n]);
    }
}
