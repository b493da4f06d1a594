//! A service with the testbed's host certificate that is none: it agrees to every proposal, and then answers what it was told to.

use std::{fs, path::Path, sync::Arc};

use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

const AGREED: &[u8] = br#"27:{"OK": true, "Value": null}"#;

/// Starts it on a free port, which comes back; `state` is the DIRAC testbed's folder. It lives as long as the test's runtime.
pub async fn start(state: &Path, answer: Vec<u8>) -> u16 {
    let read = |name: &str| fs::read(state.join(name)).unwrap();
    let certificate = CertificateDer::from_pem_slice(&read("host.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(&read("host.key")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("localhost:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let (acceptor, answer) = (acceptor.clone(), answer.clone());
            tokio::spawn(async move {
                let Ok(mut tls) = acceptor.accept(tcp).await else { return };
                let mut heard = [0; 4096];
                for said in [AGREED, &answer] {
                    // A client that has heard enough hangs up.
                    if tls.read(&mut heard).await.unwrap_or(0) == 0 || tls.write_all(said).await.is_err() {
                        return;
                    }
                    tls.flush().await.ok();
                }
                tls.shutdown().await.ok();
            });
        }
    });
    port
}
