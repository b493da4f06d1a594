//! A way to the API server that takes requests and never answers them, as a load balancer or a server that hangs does.
//!
//! It speaks TLS with the testbed's own CA on both sides and hands each request on with the client's bearer token: a client
//! certificate would end here. Every connection carries one request, so a watch streams until either side ends it.

use std::{
    collections::VecDeque,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context, Result, ensure};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt, copy, sink},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::ControlPlane;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hang {
    /// The API server never hears of it, and it is never answered.
    Before,
    /// The API server carries it out, and its answer never comes.
    After,
}

#[derive(Clone, Debug)]
struct Rule {
    method: String,
    part: String,
    hang: Hang,
    /// How many requests more; `None` is all.
    left: Option<usize>,
}

#[derive(Default)]
struct Rules {
    rules: Vec<Rule>,
    taken: VecDeque<String>,
}

/// The way; it ends when dropped.
pub struct Proxy {
    port: u16,
    server: String,
    rules: Arc<Mutex<Rules>>,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ControlPlane {
    /// Opens a way to the API server that a test can let hang.
    pub async fn proxied(&self) -> Result<Proxy> {
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        let pki = self.state.join("pki");
        let certificates = vec![CertificateDer::from_pem_file(pki.join("apiserver.crt"))?];
        let key = PrivateKeyDer::from_pem_file(pki.join("apiserver.key"))?;
        let inside = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(certificates, key)?;
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(pki.join("ca.crt"))?)?;
        let outside = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let (acceptor, connector) = (TlsAcceptor::from(Arc::new(inside)), TlsConnector::from(Arc::new(outside)));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let rules = Arc::new(Mutex::new(Rules::default()));
        let (shared, server) = (rules.clone(), self.address().to_owned());
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let way = Way { acceptor: acceptor.clone(), connector: connector.clone(), server: server.clone() };
                let rules = shared.clone();
                tokio::spawn(async move {
                    // A client that goes away is no fault of the way.
                    drop(way.carry(client, &rules).await);
                });
            }
        });
        Ok(Proxy { port, server: self.url.clone(), rules, task })
    }
}

impl Proxy {
    /// A copy of a kubeconfig that leads through here. It must hold a token, as a service account's does.
    pub fn kubeconfig(&self, direct: &Path) -> Result<PathBuf> {
        let text = fs::read_to_string(direct).with_context(|| format!("cannot read {}", direct.display()))?;
        ensure!(text.contains("token:"), "{} has no token, and a certificate ends at the proxy", direct.display());
        ensure!(text.contains(&self.server), "{} does not lead to {}", direct.display(), self.server);
        let file = direct.with_extension(format!("through-{}.kubeconfig", self.port));
        fs::write(&file, text.replace(&self.server, &format!("https://127.0.0.1:{}", self.port)))?;
        Ok(file)
    }

    /// Takes every request of this method whose path and query contain `part`, for example `POST` and `/pilotvms`, and never answers
    /// it. `*` is any method.
    pub fn hang(&self, method: &str, part: &str, hang: Hang) {
        self.rule(method, part, hang, None);
    }

    /// The same for the next such request alone.
    pub fn hang_one(&self, method: &str, part: &str, hang: Hang) {
        self.rule(method, part, hang, Some(1));
    }

    fn rule(&self, method: &str, part: &str, hang: Hang, left: Option<usize>) {
        let rule = Rule { method: method.to_owned(), part: part.to_owned(), hang, left };
        locked(&self.rules).rules.push(rule);
    }

    /// Requests are carried again. Those that were taken are never answered.
    pub fn mend(&self) {
        locked(&self.rules).rules.clear();
    }

    /// The requests that were taken and not answered, as method and target, the oldest first.
    pub fn taken(&self) -> Vec<String> {
        locked(&self.rules).taken.iter().cloned().collect()
    }
}

fn locked(rules: &Mutex<Rules>) -> MutexGuard<'_, Rules> {
    rules.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Rules {
    /// What becomes of a request with this line.
    fn meet(&mut self, method: &str, target: &str) -> Option<Hang> {
        let fits = |rule: &Rule| {
            (rule.method == "*" || rule.method == method) && target.contains(&rule.part) && rule.left != Some(0)
        };
        let rule = self.rules.iter_mut().find(|rule| fits(rule))?;
        rule.left = rule.left.map(|left| left - 1);
        self.taken.push_back(format!("{method} {target}"));
        Some(rule.hang)
    }
}

struct Way {
    acceptor: TlsAcceptor,
    connector: TlsConnector,
    server: String,
}

impl Way {
    async fn carry(self, client: TcpStream, rules: &Mutex<Rules>) -> Result<()> {
        client.set_nodelay(true)?;
        let mut client = self.acceptor.accept(client).await?;
        let (head, body) = request(&mut client).await?;
        let mut words = head.split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let hang = locked(rules).meet(method, target);
        let (mut from_client, mut to_client) = tokio::io::split(client);
        if hang == Some(Hang::Before) {
            gone(&mut from_client).await?;
            return Ok(());
        }
        let server = TcpStream::connect(&self.server).await?;
        server.set_nodelay(true)?;
        let server = self.connector.connect(ServerName::try_from("127.0.0.1")?, server).await?;
        let (mut from_server, mut to_server) = tokio::io::split(server);
        to_server.write_all(closing(&head).as_bytes()).await?;
        to_server.write_all(&body).await?;
        to_server.flush().await?;
        if hang == Some(Hang::After) {
            gone(&mut from_server).await?;
            gone(&mut from_client).await?;
            return Ok(());
        }
        // The client's end ends a watch, which else goes on until the next event.
        tokio::select! {
            answered = copy(&mut from_server, &mut to_client) => {
                answered?;
                to_client.shutdown().await?;
            }
            left = gone(&mut from_client) => {
                left?;
            }
        }
        Ok(())
    }
}

/// Takes what comes until the other side ends.
async fn gone(from: &mut (impl AsyncRead + Unpin)) -> std::io::Result<u64> {
    copy(from, &mut sink()).await
}

/// Head and body of a request. Kubernetes' clients send bodies of a `Content-Length`.
async fn request(client: &mut (impl AsyncRead + Unpin)) -> Result<(String, Vec<u8>)> {
    let mut all = Vec::new();
    let mut buffer = [0; 16_384];
    loop {
        if let Some(end) = all.windows(4).position(|w| w == b"\r\n\r\n").map(|n| n + 4) {
            let head = String::from_utf8(all[..end].to_vec()).context("a request's head is not text")?;
            ensure!(!head.to_lowercase().contains("\r\ntransfer-encoding:"), "a request came in chunks");
            let length = header(&head, "content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
            if all.len() >= end + length {
                return Ok((head, all.split_off(end)));
            }
        }
        let n = client.read(&mut buffer).await?;
        ensure!(n > 0, "the connection ended in the middle of a request");
        all.extend_from_slice(&buffer[..n]);
    }
}

fn header(head: &str, name: &str) -> Option<String> {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned()).next()
}

/// The same head, for the last request of its connection.
fn closing(head: &str) -> String {
    let kept = head.lines().filter(|line| !line.is_empty() && !line.to_lowercase().starts_with("connection:"));
    let mut all: String = kept.flat_map(|line| [line, "\r\n"]).collect();
    all.push_str("Connection: close\r\n\r\n");
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_takes_its_requests_and_one_of_one_takes_one() {
        let mut rules = Rules::default();
        let rule = |method: &str, part: &str, left| Rule {
            method: method.to_owned(),
            part: part.to_owned(),
            hang: Hang::Before,
            left,
        };
        rules.rules = vec![rule("POST", "/pilotvms", None), rule("*", "/leases/", Some(1))];
        let pilotvms = "/apis/diracgrid.org/v1alpha1/namespaces/n/pilotvms?fieldManager=x";
        assert_eq!(rules.meet("GET", pilotvms), None);
        assert_eq!(
            (rules.meet("POST", pilotvms), rules.meet("POST", pilotvms)),
            (Some(Hang::Before), Some(Hang::Before))
        );
        let lease = "/apis/coordination.k8s.io/v1/namespaces/n/leases/dirac-operator";
        assert_eq!((rules.meet("PUT", lease), rules.meet("PATCH", lease)), (Some(Hang::Before), None));
        assert_eq!(rules.taken.len(), 3);
    }

    #[tokio::test]
    async fn a_request_is_read_with_its_body_and_ends_its_connection() {
        let (mut near, mut far) = tokio::io::duplex(16);
        let text =
            "POST /a HTTP/1.1\r\nConnection: keep-alive\r\nAuthorization: Bearer t\r\ncontent-length: 4\r\n\r\nbody";
        tokio::spawn(async move { near.write_all(text.as_bytes()).await });
        let (head, body) = request(&mut far).await.unwrap();
        assert_eq!(body, b"body");
        let closing = closing(&head);
        assert!(closing.ends_with("\r\nConnection: close\r\n\r\n") && !closing.contains("keep-alive"), "{closing}");
        assert!(closing.contains("Authorization: Bearer t\r\n"));
    }
}
