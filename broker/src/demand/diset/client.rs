//! One remote call: connect, handshake, proposal, arguments, answer.

use std::{io, sync::Arc, time::Duration};

use jiff::Timestamp;
use rustls_pki_types::ServerName;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    Credentials, DisetError, ServiceUrl,
    frame::{self, FrameError},
    handshake, tls,
    validity::Validity,
    value::{self, Answer},
};

/// The version that is told to the server, which only logs it.
const CLIENT_VERSION: &str = concat!("dirac-operator ", env!("CARGO_PKG_VERSION"));

/// Limits of a call.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Time for the whole call.
    pub deadline: Duration,
    /// The largest answer that is read, in bytes.
    pub largest_answer: usize,
    /// The most JSON values in it: each takes tens of bytes of memory, however short it is written.
    pub most_values: usize,
}

impl Default for Settings {
    fn default() -> Self {
        // Ten thousand task queues are some 3 MB with 200,000 values.
        Self { deadline: Duration::from_secs(30), largest_answer: 16 << 20, most_values: 1 << 20 }
    }
}

/// A client of one service.
#[derive(Clone)]
pub struct Client {
    url: ServiceUrl,
    group: String,
    settings: Settings,
    tls: Arc<rustls::ClientConfig>,
    /// The dates of our certificate.
    validity: Option<Validity>,
}

impl Client {
    /// A client that acts as the DIRAC group `group`, or as a host when that is `hosts`. Nothing is sent yet.
    pub fn new(
        url: ServiceUrl,
        group: &str,
        credentials: &Credentials,
        settings: Settings,
    ) -> Result<Self, DisetError> {
        let tls = Arc::new(tls::config(credentials)?);
        Ok(Self { url, group: group.to_owned(), settings, tls, validity: tls::validity(credentials) })
    }

    /// The service's address.
    pub fn url(&self) -> &ServiceUrl {
        &self.url
    }

    /// Calls `method` with positional `arguments`; the `Value` of its `S_OK`.
    pub async fn call(&self, method: &str, arguments: &Value) -> Result<Value, DisetError> {
        self.certificate_holds(Timestamp::now())?;
        let deadline = self.settings.deadline;
        match timeout(deadline, self.converse(method, arguments)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(DisetError::Timeout { url: self.url.to_string(), method: method.to_owned(), deadline }),
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
        let mut stream = self.connect().await?;
        // Service, setup (gone in v9) and VO; the action; who we want to be; our version: InnerRPCClient, BaseClient._proposeAction.
        let proposal =
            json!({"OK": true, "Value": [[self.url.service, "None", ""], ["RPC", method], self.group, CLIENT_VERSION]});
        self.send(&mut stream, method, &proposal).await?;
        self.receive(&mut stream, method).await?;
        self.send(&mut stream, method, &json!({"OK": true, "Value": arguments})).await?;
        self.receive(&mut stream, method).await
    }

    async fn connect(&self) -> Result<TlsStream<TcpStream>, DisetError> {
        let unreachable = |what: String| DisetError::Unreachable { url: self.url.to_string(), what };
        let tcp = TcpStream::connect((self.url.host.as_str(), self.url.port))
            .await
            .map_err(|e| unreachable(e.to_string()))?;
        tcp.set_nodelay(true).ok();
        let name = ServerName::try_from(self.url.host.clone()).map_err(|e| unreachable(e.to_string()))?;
        TlsConnector::from(self.tls.clone()).connect(name, tcp).await.map_err(|e| self.tls_failed(&e))
    }

    async fn send(&self, stream: &mut TlsStream<TcpStream>, method: &str, body: &Value) -> Result<(), DisetError> {
        let frame = frame::encode(body.to_string().as_bytes());
        let sent = async {
            stream.write_all(&frame).await?;
            // What does not fit into the socket stays in the TLS layer, and no read would send it.
            stream.flush().await
        };
        sent.await.map_err(|e| self.broke(method, FrameError::Io(e)))
    }

    async fn receive(&self, stream: &mut TlsStream<TcpStream>, method: &str) -> Result<Value, DisetError> {
        let body = frame::read(stream, self.settings.largest_answer).await.map_err(|e| self.broke(method, e))?;
        let (url, method) = (self.url.to_string(), method.to_owned());
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
                what: "the answer is no S_OK and no S_ERROR in JSON".to_owned(),
            }),
        }
    }

    fn broke(&self, method: &str, error: FrameError) -> DisetError {
        let (url, method) = (self.url.to_string(), method.to_owned());
        match error {
            FrameError::TooLarge(size) => {
                DisetError::TooLarge { url, method, size, limit: self.settings.largest_answer, of: "bytes" }
            }
            FrameError::Garbage(what) => DisetError::Garbage { url, method, what },
            // With TLS 1.3 a refused client certificate shows at the first read, not in the handshake.
            FrameError::Io(e) if e.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) => self.tls_failed(&e),
            // A service that is restarted does this, and one that is none.
            FrameError::Io(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                DisetError::Unreachable { url, what: format!("it closed the connection before it answered {method}") }
            }
            FrameError::Io(e) => DisetError::Unreachable { url, what: e.to_string() },
        }
    }

    fn tls_failed(&self, error: &io::Error) -> DisetError {
        let url = self.url.to_string();
        match error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()) {
            Some(inner) => match handshake::refused(inner, self.validity) {
                Some(what) => DisetError::CertificateRefused { url, what },
                None => DisetError::NoTls { url, what: inner.to_string() },
            },
            None => DisetError::Unreachable { url, what: error.to_string() },
        }
    }
}
