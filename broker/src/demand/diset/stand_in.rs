//! Stands in for DIRAC's services in unit tests: authorities, certificates, and servers that answer as they are told.

use std::{sync::Arc, time::Duration};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, date_time_ymd,
};
use rustls::{RootCertStore, ServerConfig, server::WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use super::{Client, Credentials, DisetError, ServiceUrl, Settings, frame};
use crate::clock::Clock;

/// How a server reads and answers.
#[derive(Clone, Copy, PartialEq)]
pub enum Manners {
    /// It reads some bytes and answers.
    Hasty,
    /// It sends one byte a second.
    Drips,
    /// It lets a whole frame pile up before it reads and answers it.
    ReadsAll,
}

pub struct Pki {
    pub ca: String,
    issuer: Issuer<'static, KeyPair>,
}

pub fn pki() -> Pki {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "unit test CA");
    let ca = params.self_signed(&key).unwrap().pem();
    Pki { ca, issuer: Issuer::new(params, key) }
}

impl Pki {
    pub fn issue(&self, name: &str) -> (String, String) {
        self.issue_until(name, 2099)
    }

    /// A certificate and key that hold until the second of January of `year`.
    pub fn issue_until(&self, name: &str, year: i32) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(2000, 1, 1), date_time_ymd(year, 1, 2));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    pub fn credentials(&self) -> Credentials {
        let (certificate, key) = self.issue("client");
        Credentials { certificate: certificate.into(), key: key.into(), ca: self.ca.clone().into() }
    }

    /// A server that reads one frame's worth of bytes before each of `answers`, and then closes.
    pub async fn serve(&self, answers: Vec<Vec<u8>>) -> ServiceUrl {
        self.serve_as(self.issue("localhost"), answers, Manners::Hasty).await
    }

    /// The same with a certificate and key of its own, and with these manners.
    pub async fn serve_as(
        &self,
        (certificate, key): (String, String),
        answers: Vec<Vec<u8>>,
        manners: Manners,
    ) -> ServiceUrl {
        let (config, listener, url) = self.listen(certificate, key).await;
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let Ok(mut tls) = config.accept(tcp).await else { continue };
                for answer in &answers {
                    let mut asked = [0; 4096];
                    let heard = match manners {
                        Manners::ReadsAll => {
                            tokio::time::sleep(Duration::from_millis(500)).await;
                            frame::read(&mut tls, usize::MAX).await.is_ok()
                        }
                        Manners::Hasty | Manners::Drips => tls.read(&mut asked).await.unwrap_or(0) > 0,
                    };
                    if !heard {
                        break;
                    }
                    let drips = manners == Manners::Drips;
                    for part in answer.chunks(if drips { 1 } else { answer.len().max(1) }) {
                        if tls.write_all(part).await.is_err() {
                            break;
                        }
                        if drips {
                            tls.flush().await.ok();
                            tokio::time::sleep(Duration::from_secs(1)).await;
                        }
                    }
                }
                tls.flush().await.ok();
                if answers.is_empty() {
                    tokio::time::sleep(Duration::from_secs(60)).await;
                }
                tls.shutdown().await.ok();
            }
        });
        url
    }

    /// A service that speaks DISET: `answer` gives its `S_OK` or `S_ERROR` for a method and its arguments; at
    /// `None` it closes the connection instead.
    pub async fn service<A>(&self, answer: A) -> ServiceUrl
    where
        A: Fn(&str, &Value) -> Option<Value> + Send + Sync + 'static,
    {
        let (certificate, key) = self.issue("localhost");
        let (tls, listener, url) = self.listen(certificate, key).await;
        let answer = Arc::new(answer);
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (tls, answer) = (tls.clone(), answer.clone());
                tokio::spawn(async move {
                    let mut stream = tls.accept(tcp).await.ok()?;
                    let proposal: Value =
                        serde_json::from_slice(&frame::read(&mut stream, 1 << 20).await.ok()?).ok()?;
                    stream.write_all(&self::frame(AGREED)).await.ok()?;
                    stream.flush().await.ok()?;
                    let asked: Value = serde_json::from_slice(&frame::read(&mut stream, 1 << 20).await.ok()?).ok()?;
                    let said = answer(proposal["Value"][1][1].as_str()?, &asked["Value"])?;
                    stream.write_all(&self::frame(&said.to_string())).await.ok()?;
                    stream.shutdown().await.ok()
                });
            }
        });
        url
    }

    /// A listener that asks for a certificate of this authority.
    async fn listen(&self, certificate: String, key: String) -> (TlsAcceptor, TcpListener, ServiceUrl) {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.ca.as_bytes()).unwrap()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            )
            .unwrap();
        let listener = TcpListener::bind("localhost:0").await.unwrap();
        let url = url_of(&listener);
        (TlsAcceptor::from(Arc::new(config)), listener, url)
    }
}

fn url_of(listener: &TcpListener) -> ServiceUrl {
    let port = listener.local_addr().unwrap().port();
    ServiceUrl { host: "localhost".into(), port, service: "WorkloadManagement/Matcher".into() }
}

/// A client of the group `admin`.
pub fn client(url: ServiceUrl, credentials: &Credentials, settings: Settings) -> Client {
    Client::new(url.into(), "admin", credentials, settings, Clock::system()).unwrap()
}

pub fn frame(text: &str) -> Vec<u8> {
    format!("{}:{text}", text.len()).into_bytes()
}

/// The agreement to a proposal.
pub const AGREED: &str = r#"{"OK": true, "Value": null}"#;

/// What a client makes of these answers.
pub async fn call(answers: Vec<Vec<u8>>) -> Result<Value, DisetError> {
    let pki = pki();
    let url = pki.serve(answers).await;
    let settings = Settings {
        deadline: Duration::from_secs(2),
        largest_answer: 1 << 20,
        most_values: 300_000,
        ..Settings::default()
    };
    client(url, &pki.credentials(), settings).call("getActiveTaskQueues", &Value::Array(Vec::new())).await
}

/// Takes connections and never says a word.
pub async fn black_hole() -> ServiceUrl {
    let listener = TcpListener::bind("localhost:0").await.unwrap();
    let url = url_of(&listener);
    tokio::spawn(async move {
        let mut all = Vec::new();
        while let Ok((tcp, _)) = listener.accept().await {
            all.push(tcp);
        }
    });
    url
}
