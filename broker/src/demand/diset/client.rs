//! One remote call: connect, handshake, proposal, arguments, answer.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use rustls_pki_types::ServerName;
use serde_json::{Value, json};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpStream, lookup_host},
    sync::Semaphore,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{address::Policy, clock::Clock};

use super::{
    Addresses, Credentials, DisetError, ServiceUrl,
    frame::{self, FrameError},
    handshake, tls,
    validity::Validity,
    value::{self, Answer},
};

/// The version that the server is told; it only logs it.
const CLIENT_VERSION: &str = concat!("dirac-operator ", env!("CARGO_PKG_VERSION"));

/// Limits of a call.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Time for the whole call, the wait for a free connection included.
    pub deadline: Duration,
    /// Time for one network address to take a connection and finish the TLS handshake; then the next is tried.
    pub connect: Duration,
    /// Which network addresses may be asked. DISET is always TLS.
    pub addresses: Policy,
    /// The network address that is asked whatever a host's name stands for; the certificate must be that host's all the same.
    pub at: Option<IpAddr>,
    /// The largest answer that is read, in bytes.
    pub largest_answer: usize,
    /// The most JSON values in it: each takes tens of bytes of memory, however short it is written.
    pub most_values: usize,
}

impl Default for Settings {
    fn default() -> Self {
        // Ten thousand task queues are some 3 MB with 200,000 values.
        Self {
            deadline: Duration::from_secs(30),
            connect: Duration::from_secs(5),
            addresses: Policy::OPEN,
            at: None,
            largest_answer: 16 << 20,
            most_values: 1 << 20,
        }
    }
}

/// The most connections that are open to one installation at once: DIRAC's services have some tens of threads for all clients.
const MOST_CONNECTIONS: usize = 8;

/// A client of one service. Its clones share one limit of connections, and which address answered last.
#[derive(Clone)]
pub struct Client {
    urls: Addresses,
    /// The number of the address that answered last: it is tried first.
    good: Arc<AtomicUsize>,
    connections: Arc<Semaphore>,
    group: String,
    settings: Settings,
    tls: Arc<rustls::ClientConfig>,
    /// The dates of our certificate.
    validity: Option<Validity>,
    clock: Clock,
}

impl Client {
    /// A client that acts as the DIRAC group `group`, or as a host when that is `hosts`. Nothing is sent yet.
    pub fn new(
        urls: Addresses,
        group: &str,
        credentials: &Credentials,
        settings: Settings,
        clock: Clock,
    ) -> Result<Self, DisetError> {
        let tls = Arc::new(tls::config(credentials)?);
        Ok(Self {
            urls,
            good: Arc::default(),
            connections: Arc::new(Semaphore::new(MOST_CONNECTIONS)),
            group: group.to_owned(),
            settings,
            tls,
            validity: tls::validity(credentials),
            clock,
        })
    }

    /// A client of another service of the same installation, with the same credentials and clock. The two share one limit of
    /// connections.
    pub fn beside(&self, urls: Addresses) -> Self {
        Self { urls, good: Arc::default(), ..self.clone() }
    }

    /// The same with another time for each call.
    pub fn within(self, deadline: Duration) -> Self {
        Self { settings: Settings { deadline, ..self.settings }, ..self }
    }

    /// The address that is tried first.
    pub fn url(&self) -> &ServiceUrl {
        self.urls.at(self.good.load(Ordering::Relaxed))
    }

    /// Wall time, by the clock that the client was given.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Connections that may be opened now.
    #[cfg(test)]
    pub(super) fn free_connections(&self) -> usize {
        self.connections.available_permits()
    }

    /// Calls `method` with positional `arguments`; the `Value` of its `S_OK`.
    pub async fn call(&self, method: &str, arguments: &Value) -> Result<Value, DisetError> {
        self.certificate_holds(self.now())?;
        let deadline = self.settings.deadline;
        match timeout(deadline, self.converse(method, arguments)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(DisetError::Timeout { url: self.url().to_string(), method: method.to_owned(), deadline }),
        }
    }

    /// At each call: a certificate ends while the client lives.
    fn certificate_holds(&self, now: Timestamp) -> Result<(), DisetError> {
        match self.validity {
            Some(v) if v.ends < now => Err(DisetError::CertificateExpired { ended: v.ends }),
            Some(v) if now < v.begins => Err(DisetError::CertificateNotYetValid { begins: v.begins }),
            _ => Ok(()),
        }
    }

    /// The call, whatever the dates of our certificate and however long it takes.
    pub(super) async fn converse(&self, method: &str, arguments: &Value) -> Result<Value, DisetError> {
        // Never closed, so that an error does not come; without a permit the call would still be right.
        let _permit = self.connections.acquire().await.ok();
        let (url, mut stream) = self.connect().await?;
        // Service, setup (gone in v9) and VO; the action; who we want to be; our version: InnerRPCClient, BaseClient._proposeAction.
        let proposal =
            json!({"OK": true, "Value": [[url.service, "None", ""], ["RPC", method], self.group, CLIENT_VERSION]});
        self.send(url, &mut stream, method, &proposal).await?;
        self.receive(url, &mut stream, method).await?;
        self.send(url, &mut stream, method, &json!({"OK": true, "Value": arguments})).await?;
        self.receive(url, &mut stream, method).await
    }

    /// A connection to the first address that takes one, beginning with the one that answered last. What fails later is not tried
    /// again elsewhere: the service may have done what it was asked for.
    async fn connect(&self) -> Result<(&ServiceUrl, TlsStream<TcpStream>), DisetError> {
        let first = self.good.load(Ordering::Relaxed);
        let mut why = None;
        let last = first + self.urls.count() - 1;
        for number in first..=last {
            let url = self.urls.at(number);
            match self.connect_to(url, number == last).await {
                Ok(stream) => {
                    self.good.store(number % self.urls.count(), Ordering::Relaxed);
                    return Ok((url, stream));
                }
                Err(error) => {
                    why.get_or_insert(error);
                }
            }
        }
        Err(why.unwrap_or_else(|| unreachable(self.url(), "it has no address".to_owned())))
    }

    /// A connection to one of the network addresses, IPv4 and IPv6, that the host's name stands for. The last address of the `last` URL
    /// has all the time that is left until the deadline of the call: nothing else would be tried in it, and a busy service is slow to
    /// shake hands.
    async fn connect_to(&self, url: &ServiceUrl, last: bool) -> Result<TlsStream<TcpStream>, DisetError> {
        let limit = self.settings.connect;
        let seconds = limit.as_secs();
        let silent = |what: String| unreachable(url, format!("{what} within {seconds} s"));
        let allowed = match self.settings.at {
            Some(address) => vec![SocketAddr::new(address, url.port)],
            None => {
                let found = timeout(limit, lookup_host((url.host.as_str(), url.port)))
                    .await
                    .map_err(|_| silent("its host's name was not resolved".to_owned()))?
                    .map_err(|e| unreachable(url, e.to_string()))?;
                let allowed = self.settings.addresses.among(&url.host, found);
                allowed.map_err(|e| DisetError::AddressNotAllowed(e.to_string()))?
            }
        };
        let mut why = None;
        let mut allowed = allowed.into_iter().peekable();
        while let Some(address) = allowed.next() {
            let patience = if last && allowed.peek().is_none() { Duration::MAX } else { limit };
            match timeout(patience, self.shake_hands(url, address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => {
                    why.get_or_insert(error);
                }
                Err(_) => {
                    why.get_or_insert_with(|| silent(format!("{} did not answer", address.ip())));
                }
            }
        }
        Err(why.unwrap_or_else(|| unreachable(url, "its host's name has no address".to_owned())))
    }

    async fn shake_hands(&self, url: &ServiceUrl, address: SocketAddr) -> Result<TlsStream<TcpStream>, DisetError> {
        let tcp = TcpStream::connect(address).await.map_err(|e| unreachable(url, e.to_string()))?;
        tcp.set_nodelay(true).ok();
        let name = ServerName::try_from(url.host.clone()).map_err(|e| unreachable(url, e.to_string()))?;
        TlsConnector::from(self.tls.clone()).connect(name, tcp).await.map_err(|e| self.tls_failed(url, &e))
    }

    async fn send(
        &self,
        url: &ServiceUrl,
        stream: &mut TlsStream<TcpStream>,
        method: &str,
        body: &Value,
    ) -> Result<(), DisetError> {
        let frame = frame::encode(body.to_string().as_bytes());
        let sent = async {
            stream.write_all(&frame).await?;
            // What does not fit into the socket stays in the TLS layer, and no read would send it.
            stream.flush().await
        };
        sent.await.map_err(|e| self.broke(url, method, FrameError::Io(e)))
    }

    async fn receive(
        &self,
        url: &ServiceUrl,
        stream: &mut TlsStream<TcpStream>,
        method: &str,
    ) -> Result<Value, DisetError> {
        let body = frame::read(stream, self.settings.largest_answer).await.map_err(|e| self.broke(url, method, e))?;
        let (url, method) = (url.to_string(), method.to_owned());
        let (values, limit) = (value::count(&body), self.settings.most_values);
        if values > limit {
            return Err(DisetError::TooLarge { url, method, size: values, limit, of: "JSON values" });
        }
        match value::answer(&body) {
            Some(Answer::Ok(value)) => Ok(value),
            Some(Answer::Err { errno: value::UNAUTHORIZED, message }) => {
                Err(DisetError::Unauthorized { url, method, what: message })
            }
            // DIRAC has no number for this (`RequestHandler._rh_executeAction`, `Service._authorizeProposal`).
            Some(Answer::Err { message, .. }) if message.to_lowercase().contains("unknown method") => {
                Err(DisetError::UnknownMethod { url, method, what: message })
            }
            Some(Answer::Err { errno, message }) => Err(DisetError::Service { url, method, errno, what: message }),
            None => Err(DisetError::Garbage {
                url,
                method,
                what: "it is neither an S_OK nor an S_ERROR in JSON".to_owned(),
            }),
        }
    }

    fn broke(&self, at: &ServiceUrl, method: &str, error: FrameError) -> DisetError {
        let (url, method) = (at.to_string(), method.to_owned());
        match error {
            FrameError::TooLarge(size) => {
                DisetError::TooLarge { url, method, size, limit: self.settings.largest_answer, of: "bytes" }
            }
            FrameError::Garbage(what) => DisetError::Garbage { url, method, what },
            // With TLS 1.3 a refused client certificate shows at the first read, not in the handshake.
            FrameError::Io(e) if e.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) => {
                self.tls_failed(at, &e)
            }
            // A service that is being restarted does this, and so does something that is not a DIRAC service.
            FrameError::Io(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                DisetError::Unreachable { url, what: format!("it closed the connection before it answered {method}") }
            }
            FrameError::Io(e) => DisetError::Unreachable { url, what: e.to_string() },
        }
    }

    fn tls_failed(&self, url: &ServiceUrl, error: &io::Error) -> DisetError {
        let url = url.to_string();
        match error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()) {
            Some(inner) => match handshake::refused(inner, self.validity) {
                Some(what) => DisetError::CertificateRefused { url, what },
                None => DisetError::NoTls { url, what: inner.to_string() },
            },
            None => DisetError::Unreachable { url, what: error.to_string() },
        }
    }
}

fn unreachable(url: &ServiceUrl, what: String) -> DisetError {
    DisetError::Unreachable { url: url.to_string(), what }
}
