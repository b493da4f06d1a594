//! Certificates that cannot be used, have ended or are refused.

use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpListener};

use super::{
    stand_in::{Manners, client, pki},
    *,
};
use crate::{clock::Clock, demand::Fault};

#[tokio::test]
async fn a_server_without_tls_is_told_from_a_refused_certificate() {
    let listener = TcpListener::bind("localhost:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            tcp.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.ok();
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
    });
    let url = ServiceUrl { host: "localhost".into(), port, service: "WorkloadManagement/Matcher".into() };
    let client = client(url, &pki().credentials(), Settings::default());
    let error = client.call("ping", &json!([])).await.unwrap_err();
    assert!(matches!(error, DisetError::NoTls { .. }), "{error}");
}

#[tokio::test]
async fn a_certificate_that_has_ended_is_named_with_its_date() {
    let pki = pki();
    let (certificate, key) = pki.issue_until("client", 2020);
    let old = Credentials { certificate: certificate.into(), key: key.into(), ..pki.credentials() };
    assert_eq!(old.ends().map(|end| end.strftime("%F").to_string()).as_deref(), Some("2020-01-02"));
    let settings = Settings { deadline: Duration::from_secs(5), ..Settings::default() };
    let url = pki.serve(vec![]).await;

    // Known before anything is sent: nothing listens at port 1.
    let nowhere = ServiceUrl { port: 1, ..url.clone() };
    let known = client(nowhere, &old, settings).call("ping", &json!([])).await.unwrap_err();
    assert_eq!(known.fault(), Fault::CertificateExpired);
    assert!(known.to_string().contains("ended on 2020-01-02"), "{known}");

    // What the server says of it, as when its clock is ahead of ours.
    let told = client(url.clone(), &old, settings).converse("ping", &json!([])).await;
    let told = told.unwrap_err().to_string();
    assert!(told.contains("the server refuses our certificate (CertificateExpired)"), "{told}");
    assert!(told.contains("2020-01-02") && told.contains("renew it in the secret"), "{told}");

    // The service's own.
    let stale = pki.serve_as(pki.issue_until("localhost", 2021), vec![], Manners::Hasty).await;
    let theirs = client(stale, &pki.credentials(), settings).call("ping", &json!([])).await;
    let theirs = theirs.unwrap_err();
    assert_eq!(theirs.fault(), Fault::CertificateRefused);
    let theirs = theirs.to_string();
    assert!(
        theirs.contains("we refuse the server's certificate") && theirs.contains("ended on 2021-01-02"),
        "{theirs}"
    );
    assert!(theirs.contains("host certificate must be renewed"), "{theirs}");
}

#[tokio::test]
async fn certificates_are_refused_with_a_sentence_that_says_whose() {
    let (ours, theirs) = (pki(), pki());
    let url = theirs.serve(vec![]).await;
    let settings = Settings { deadline: Duration::from_secs(2), ..Settings::default() };
    let call = async |credentials: &Credentials, url: &ServiceUrl| {
        client(url.clone(), credentials, settings).call("ping", &json!([])).await.unwrap_err().to_string()
    };
    let wrong_ca = call(&ours.credentials(), &url).await;
    assert!(wrong_ca.contains("we refuse the server's certificate"), "{wrong_ca}");
    let stranger = Credentials { ca: theirs.ca.clone().into(), ..ours.credentials() };
    let refused = call(&stranger, &url).await;
    assert!(refused.contains("the server refuses our certificate"), "{refused}");
    let down = ServiceUrl { port: 1, ..url.clone() };
    assert!(call(&ours.credentials(), &down).await.contains("cannot be reached"));
}

#[test]
fn credentials_that_do_not_fit_are_named() {
    let (one, two) = (pki().credentials(), pki().credentials());
    let text = |c: Credentials| tls::config(&c).unwrap_err().to_string();
    assert!(text(Credentials { key: two.key.clone(), ..one.clone() }).contains("tls.crt and tls.key"));
    assert!(
        text(Credentials { key: "rubbish".to_owned().into(), ..one.clone() }).contains("tls.key holds no private key")
    );
    assert!(
        text(Credentials { certificate: String::new().into(), ..one.clone() }).contains("tls.crt holds no certificate")
    );
    assert!(
        text(Credentials {
            ca: "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n".to_owned().into(),
            ..one
        })
        .contains("ca.crt")
    );
}

#[test]
fn an_authority_that_cannot_be_read_does_not_fail_the_bundle() {
    let credentials = pki().credentials();
    let odd = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let bundle = format!("{odd}{}{odd}", credentials.ca.expose_secret());
    tls::config(&Credentials { ca: bundle.into(), ..credentials.clone() }).unwrap();
    let none = tls::config(&Credentials { ca: odd.to_owned().into(), ..credentials }).unwrap_err();
    assert!(none.to_string().contains("ca.crt"), "{none}");
}

#[tokio::test]
async fn a_certificate_ends_by_the_clock_that_the_client_was_given() {
    let nowhere = ServiceUrl { host: "localhost".into(), port: 1, service: "WorkloadManagement/Matcher".into() };
    let credentials = pki().credentials();
    for (now, fault) in [
        ("1999-12-31", Fault::CertificateNotYetValid),
        ("2026-01-01", Fault::Unreachable),
        ("2099-01-03", Fault::CertificateExpired),
    ] {
        let clock = Clock::driven(move || format!("{now}T00:00:00Z").parse().unwrap());
        let client = Client::new(nowhere.clone().into(), "admin", &credentials, Settings::default(), clock).unwrap();
        assert_eq!(client.call("ping", &json!([])).await.unwrap_err().fault(), fault, "on {now}");
    }
}
