//! The client against a server that misbehaves, in process.

use std::{sync::Arc, time::Duration};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, date_time_ymd,
};
use rustls::{RootCertStore, ServerConfig, server::WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use secrecy::ExposeSecret;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use super::{matcher::task_queues, *};

/// How a server reads and answers.
#[derive(Clone, Copy, PartialEq)]
enum Manners {
    /// It reads some bytes and answers.
    Hasty,
    /// It sends one byte a second.
    Drips,
    /// It lets a whole frame pile up before it reads and answers it.
    ReadsAll,
}

struct Pki {
    ca: String,
    issuer: Issuer<'static, KeyPair>,
}

fn pki() -> Pki {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "unit test CA");
    let ca = params.self_signed(&key).unwrap().pem();
    Pki { ca, issuer: Issuer::new(params, key) }
}

impl Pki {
    fn issue(&self, name: &str) -> (String, String) {
        self.issue_until(name, 2099)
    }

    /// A certificate and key that hold until the second of January of `year`.
    fn issue_until(&self, name: &str, year: i32) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(2000, 1, 1), date_time_ymd(year, 1, 2));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    fn credentials(&self) -> Credentials {
        let (certificate, key) = self.issue("client");
        Credentials { certificate: certificate.into(), key: key.into(), ca: self.ca.clone().into() }
    }

    /// A server that reads one frame's worth of bytes before each of `answers`, and then closes.
    async fn serve(&self, answers: Vec<Vec<u8>>) -> ServiceUrl {
        self.serve_as(self.issue("localhost"), answers, Manners::Hasty).await
    }

    /// The same with a certificate and key of its own, and with these manners.
    async fn serve_as(
        &self,
        (certificate, key): (String, String),
        answers: Vec<Vec<u8>>,
        manners: Manners,
    ) -> ServiceUrl {
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
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let Ok(mut tls) = TlsAcceptor::from(Arc::new(config.clone())).accept(tcp).await else { continue };
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
        ServiceUrl { host: "localhost".into(), port, service: "WorkloadManagement/Matcher".into() }
    }
}

fn frame(text: &str) -> Vec<u8> {
    format!("{}:{text}", text.len()).into_bytes()
}

const AGREED: &str = r#"{"OK": true, "Value": null}"#;

async fn call(answers: Vec<Vec<u8>>) -> Result<serde_json::Value, DisetError> {
    let pki = pki();
    let url = pki.serve(answers).await;
    let settings = Settings {
        deadline: Duration::from_secs(2),
        largest_answer: 1 << 20,
        most_values: 300_000,
        ..Settings::default()
    };
    Client::new(url.into(), "admin", &pki.credentials(), settings)
        .unwrap()
        .call("getActiveTaskQueues", &json!([]))
        .await
}

#[tokio::test]
async fn an_answer_arrives_with_keep_alives_before_it() {
    let mut late = b"dkadka".to_vec();
    late.extend(frame(r#"{"OK": true, "Value": {"7": 1}}"#));
    assert_eq!(call(vec![frame(AGREED), late]).await.unwrap(), json!({"7": 1}));
}

#[tokio::test]
async fn an_unauthorised_group_is_told_from_other_errors() {
    let refused = call(vec![frame(r#"{"OK": false, "Errno": 1111, "Message": "Unauthorized"}"#)]).await.unwrap_err();
    assert!(matches!(refused, DisetError::Unauthorized { .. }), "{refused}");
    let other =
        call(vec![frame(AGREED), frame(r#"{"OK": false, "Message": "database down", "CallStack": ["secret"]}"#)]).await;
    let other = other.unwrap_err();
    assert!(matches!(&other, DisetError::Service { errno: 0, what, .. } if what == "database down"), "{other}");
    let unknown = call(vec![frame(r#"{"OK": false, "Message": "Unknown method getActive"}"#)]).await.unwrap_err();
    assert!(matches!(unknown, DisetError::UnknownMethod { .. }), "{unknown}");
}

#[tokio::test]
async fn garbage_of_every_kind_is_an_error_and_never_a_hang() {
    for garbage in ["HTTP/1.1 400 Bad Request\r\n", ":", "-5:hello", "dkx", "2:[]", "4:nope"] {
        let error = call(vec![garbage.as_bytes().to_vec()]).await.unwrap_err();
        assert!(matches!(error, DisetError::Garbage { .. }), "{garbage:?}: {error}");
    }
    let huge = call(vec![frame(AGREED), b"104857600:{".to_vec()]).await.unwrap_err();
    assert!(matches!(huge, DisetError::TooLarge { size: 104_857_600, .. }), "{huge}");
    let absurd = call(vec![b"99999999999999999999:".to_vec()]).await.unwrap_err();
    assert!(matches!(absurd, DisetError::Garbage { .. }), "{absurd}");
    let many =
        call(vec![frame(AGREED), frame(&format!(r#"{{"OK": true, "Value": [0{}]}}"#, ",0".repeat(400_000)))]).await;
    let many = many.unwrap_err();
    assert!(matches!(many, DisetError::TooLarge { limit: 300_000, of: "JSON values", .. }), "{many}");
}

#[tokio::test]
async fn a_service_that_hangs_up_is_away_and_not_garbage() {
    for answers in [vec![vec![]], vec![frame(AGREED), b"12".to_vec()], vec![frame(AGREED), b"400:{\"OK\": tr".to_vec()]]
    {
        let error = call(answers).await.unwrap_err();
        assert!(matches!(error, DisetError::Unreachable { .. }), "{error}");
    }
}

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
    let client = Client::new(url.into(), "admin", &pki().credentials(), Settings::default()).unwrap();
    let error = client.call("ping", &json!([])).await.unwrap_err();
    assert!(matches!(error, DisetError::NoTls { .. }), "{error}");
}

/// Nothing of what we say may stay in our own buffers while the server waits for the rest of it.
#[tokio::test]
async fn an_argument_larger_than_the_sockets_buffers_arrives_whole() {
    let pki = pki();
    let url = pki.serve_as(pki.issue("localhost"), vec![frame(AGREED), frame(AGREED)], Manners::ReadsAll).await;
    let settings = Settings { deadline: Duration::from_secs(60), ..Settings::default() };
    let client = Client::new(url.into(), "admin", &pki.credentials(), settings).unwrap();
    client.call("getPilotInfo", &json!(["x".repeat(32 << 20)])).await.unwrap();
}

#[tokio::test]
async fn silence_ends_at_the_deadline() {
    let error = call(vec![]).await.unwrap_err();
    assert!(matches!(error, DisetError::Timeout { .. }), "{error}");
}

#[tokio::test]
async fn a_hundred_megabytes_that_really_come_are_not_waited_for() {
    const SIZE: usize = 100 << 20;
    let begun = std::time::Instant::now();
    let announced = call(vec![frame(AGREED), frame(&"x".repeat(SIZE))]).await.unwrap_err();
    assert!(matches!(announced, DisetError::TooLarge { size: SIZE, limit: 1_048_576, .. }), "{announced}");
    let endless = call(vec![frame(AGREED), vec![b'7'; SIZE]]).await.unwrap_err();
    assert!(matches!(endless, DisetError::Garbage { .. }), "{endless}");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    // A busy server that never gets to the point has its time and no more.
    let busy = call(vec![frame(AGREED), b"dka".repeat(SIZE / 3)]).await.unwrap_err();
    assert!(matches!(busy, DisetError::Timeout { .. } | DisetError::Garbage { .. }), "{busy}");
}

#[tokio::test]
async fn a_hundred_megabytes_are_read_by_who_allows_them() {
    let pki = pki();
    let text = "x".repeat(100 << 20);
    let url = pki.serve(vec![frame(AGREED), frame(&json!({"OK": true, "Value": text}).to_string())]).await;
    let settings = Settings { deadline: Duration::from_secs(120), largest_answer: 101 << 20, ..Settings::default() };
    let client = Client::new(url.into(), "admin", &pki.credentials(), settings).unwrap();
    assert_eq!(client.call("ping", &json!([])).await.unwrap(), json!(text));
}

#[tokio::test]
async fn a_drip_is_ended_by_the_deadline() {
    let pki = pki();
    let answers = vec![frame(AGREED), frame(r#"{"OK": true, "Value": 1}"#)];
    let url = pki.serve_as(pki.issue("localhost"), answers, Manners::Drips).await;
    let deadline = Duration::from_secs(3);
    let settings = Settings { deadline, ..Settings::default() };
    let begun = std::time::Instant::now();
    let error = Client::new(url.into(), "admin", &pki.credentials(), settings).unwrap().call("ping", &json!([])).await;
    let error = error.unwrap_err();
    assert!(matches!(error, DisetError::Timeout { .. }), "{error}");
    assert!(begun.elapsed() < deadline + Duration::from_secs(2), "each byte has not begun it anew");
}

#[tokio::test]
async fn a_certificate_that_has_ended_is_named_with_its_date() {
    let pki = pki();
    let (certificate, key) = pki.issue_until("client", 2020);
    let old = Credentials { certificate: certificate.into(), key: key.into(), ..pki.credentials() };
    let settings = Settings { deadline: Duration::from_secs(5), ..Settings::default() };
    let url = pki.serve(vec![]).await;

    // Known before anything is sent: nothing listens at port 1.
    let nowhere = ServiceUrl { port: 1, ..url.clone() };
    let known =
        Client::new(nowhere.into(), "admin", &old, settings).unwrap().call("ping", &json!([])).await.unwrap_err();
    assert_eq!(known.reason(), "CertificateExpired");
    assert!(known.to_string().contains("ended on 2020-01-02"), "{known}");

    // What the server says of it, as when its clock is ahead of ours.
    let told = Client::new(url.clone().into(), "admin", &old, settings).unwrap().converse("ping", &json!([])).await;
    let told = told.unwrap_err().to_string();
    assert!(told.contains("the server refuses our certificate (CertificateExpired)"), "{told}");
    assert!(told.contains("2020-01-02") && told.contains("renew the secret"), "{told}");

    // The service's own.
    let stale = pki.serve_as(pki.issue_until("localhost", 2021), vec![], Manners::Hasty).await;
    let theirs =
        Client::new(stale.into(), "admin", &pki.credentials(), settings).unwrap().call("ping", &json!([])).await;
    let theirs = theirs.unwrap_err();
    assert_eq!(theirs.reason(), "CertificateRefused");
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
        Client::new(url.clone().into(), "admin", credentials, settings)
            .unwrap()
            .call("ping", &json!([]))
            .await
            .unwrap_err()
            .to_string()
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
fn addresses_are_read_or_refused() {
    let url: ServiceUrl = "dips://dirac.example.org:9170/WorkloadManagement/Matcher".parse().unwrap();
    assert_eq!(
        (url.host.as_str(), url.port, url.service.as_str()),
        ("dirac.example.org", 9170, "WorkloadManagement/Matcher")
    );
    assert_eq!(url.to_string(), "dips://dirac.example.org:9170/WorkloadManagement/Matcher");
    for bad in [
        "",
        "dips://",
        "https://h:1/A/B",
        "dips://h/A/B",
        "dips://h:1/A",
        "dips://h:99999/A/B",
        "dips://:1/A/B",
        "dips://h:1/A/B/C",
    ] {
        assert!(bad.parse::<ServiceUrl>().is_err(), "{bad}");
    }
}

#[test]
fn task_queues_are_read_as_dirac_writes_them() {
    let value = json!({
        "3": {"Priority": 333.3, "Jobs": 2, "Owner": "opuser", "OwnerGroup": "biomed_user", "CPUTime": 86400, "JobTypes": ["User"],
              "Tags": ["8Processors", "MultiProcessor"], "MinRAM": 16384, "MaxRAM": 0, "Later": "unknown fields are no harm"},
        "2": {"Priority": 1, "Jobs": 5, "Owner": "opuser", "OwnerGroup": "biomed_user", "CPUTime": 3600}
    });
    let queues = task_queues(&value).unwrap();
    assert_eq!(queues.iter().map(|q| (q.id, q.jobs, q.min_ram_mb)).collect::<Vec<_>>(), [(2, 5, 0), (3, 2, 16_384)]);
    assert_eq!(queues[1].tags, ["8Processors", "MultiProcessor"]);
    for (field, bad) in [
        ("Jobs", json!("many")),
        ("Jobs", json!(-1)),
        ("Jobs", json!(u64::MAX)),
        ("Tags", json!("GPU")),
        ("Tags", json!([1])),
        ("OwnerGroup", json!(null)),
    ] {
        let mut broken = value.clone();
        broken["3"][field] = bad;
        let rest = task_queues(&broken).unwrap();
        assert_eq!(rest.iter().map(|q| q.id).collect::<Vec<_>>(), [2], "{field}: one odd queue takes no other with it");
        broken.as_object_mut().unwrap().remove("2");
        let said = task_queues(&broken).unwrap_err();
        assert!(said.contains("\"3\"") && said.contains(field), "{said}");
    }
    assert!(task_queues(&json!([])).is_err());
}

#[test]
fn several_addresses_are_read_as_dirac_writes_them() {
    let text = "dips://a.example.org:9170/WorkloadManagement/Matcher, dips://[::1]:9170/WorkloadManagement/Matcher";
    let both: Addresses = text.parse().unwrap();
    assert_eq!((both.count(), both.at(0).host.as_str(), both.at(1).host.as_str()), (2, "a.example.org", "::1"));
    for bad in ["", ",", "dips://a:1/A/B,", "dips://a:1/A/B,http://b"] {
        assert!(bad.parse::<Addresses>().is_err(), "{bad}");
    }
}

/// Takes connections and never says a word.
async fn black_hole() -> ServiceUrl {
    let listener = TcpListener::bind("localhost:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut all = Vec::new();
        while let Ok((tcp, _)) = listener.accept().await {
            all.push(tcp);
        }
    });
    ServiceUrl { host: "localhost".into(), port, service: "WorkloadManagement/Matcher".into() }
}

#[tokio::test]
async fn an_address_that_is_silent_or_down_costs_its_part_of_the_time_and_then_no_more() {
    let pki = pki();
    let live = pki.serve(vec![frame(AGREED), frame(AGREED)]).await;
    let (hole, down) = (black_hole().await, ServiceUrl { port: 1, ..live.clone() });
    let all: Addresses = format!("{hole},{down},{live}").parse().unwrap();
    let connect = Duration::from_millis(400);
    let settings = Settings { connect, deadline: Duration::from_secs(20), ..Settings::default() };
    let client = Client::new(all, "admin", &pki.credentials(), settings).unwrap();
    client.call("ping", &json!([])).await.unwrap();
    assert_eq!(client.url(), &live, "what answered is tried first");
    let begun = std::time::Instant::now();
    client.clone().call("ping", &json!([])).await.unwrap();
    assert!(begun.elapsed() < connect, "the silent one is not asked again: {:?}", begun.elapsed());
}

#[tokio::test]
async fn an_installation_has_no_more_than_eight_connections_at_once() {
    let hole = black_hole().await;
    let settings = Settings { deadline: Duration::from_secs(2), ..Settings::default() };
    let client = Client::new(hole.clone().into(), "admin", &pki().credentials(), settings).unwrap();
    let pilots = client.beside(hole.into());
    let calls: Vec<_> = (0..20)
        .map(|n| {
            let client = if n % 2 == 0 { client.clone() } else { pilots.clone() };
            tokio::spawn(async move { client.call("ping", &json!([])).await.unwrap_err() })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(client.free_connections(), 0);
    for call in calls {
        assert!(matches!(call.await.unwrap(), DisetError::Timeout { .. }));
    }
    assert_eq!(client.free_connections(), 8);
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
