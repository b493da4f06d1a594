//! What the catalogue says, and what is said when something that was given is wrong.

use std::time::Duration;

use broker::cloud::{
    Cloud, CloudError, Wanted,
    openstack::{Credential, NameOrId},
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use testbeds::systems::openstack::{OpenStack, PROJECT, USER};

use super::real::{driver, try_driver};
use crate::{noise, order, password};

pub async fn the_catalogue_tells_what_there_is(it: &OpenStack, cloud: &dyn Cloud) {
    let offers = cloud.offers(&Wanted::default()).await.unwrap();
    assert_eq!(offers.missing, Vec::<String>::new());
    let gpu = offers.flavors.iter().find(|f| f.name == "g1.vgpu").unwrap();
    assert_eq!((gpu.cores, gpu.ram_mib, gpu.gpus()), (8, 32_768, 1));
    let zones: Vec<_> = offers.offers.iter().map(|o| o.zone.as_deref()).collect();
    assert!(zones.iter().all(|zone| *zone == Some("nova")), "{zones:?}");
    let headroom = cloud.headroom().await.unwrap();
    assert_eq!(headroom.classes[0].cores.limit, Some(1_000_000));
    assert!(headroom.classes[0].ports.limit.is_some() || headroom.classes[0].ports.used > 0, "{headroom:?}");

    let mut config = password(it, PROJECT);
    config.images.insert("gpu".to_owned(), NameOrId::Name("no-image".to_owned()));
    config.images.insert("gone".to_owned(), NameOrId::Id("00000000-0000-0000-0000-000000000000".to_owned()));
    config.networks.push(NameOrId::Name("no-net".to_owned()));
    config.security_groups.push("no-group".to_owned());
    config.zones.push("no-zone".to_owned());
    let missing = driver(config).offers(&Wanted::default()).await.unwrap().missing;
    for word in ["no-image", "00000000-0000", "no-net", "no-group", "no-zone"] {
        assert!(missing.iter().any(|sentence| sentence.contains(word)), "{word}: {missing:?}");
    }
    assert_eq!(missing.len(), 5, "{missing:?}");
}

pub async fn credentials_and_addresses_that_are_wrong_are_told_apart(it: &OpenStack) {
    let mut wrong = password(it, PROJECT);
    if let Credential::Password { password, .. } = &mut wrong.credential {
        *password = "hunter2-is-wrong".into();
    }
    let cloud = driver(wrong);
    let tries = futures::future::join_all((0..20).map(|_| cloud.list("c"))).await;
    for outcome in tries {
        let Err(error @ CloudError::Unauthorized(_)) = outcome else { panic!("{outcome:?}") };
        assert!(error.to_string().contains("renew the Secret"), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
    assert_eq!(cloud.authentications(), 1, "twenty calls do not lock an account");

    let mut elsewhere = password(it, PROJECT);
    elsewhere.region = "Nowhere".to_owned();
    let error = driver(elsewhere).list("c").await.unwrap_err();
    assert!(matches!(&error, CloudError::Invalid(text) if text.contains("\"Nowhere\"")), "{error}");

    let mut closed = password(it, PROJECT);
    closed.auth_url = "http://127.0.0.1:1/v3".to_owned();
    let error = driver(closed).list("c").await.unwrap_err();
    assert!(matches!(error, CloudError::Transient(_)), "nobody there may be somebody there later: {error}");

    let mut no_keystone = password(it, PROJECT);
    no_keystone.auth_url = it.auth_url().replace("/v3", "/no-keystone/v3");
    let error = driver(no_keystone).list("c").await.unwrap_err();
    assert!(matches!(&error, CloudError::Invalid(text) if text.contains("correct authUrl")), "{error}");

    let mut other_project = password(it, "no-such-project");
    other_project.networks.clear();
    let error = driver(other_project).list("c").await.unwrap_err();
    assert!(matches!(error, CloudError::Unauthorized(_)), "{error}");

    let (id, _) = it.application_credential(PROJECT, None).await.unwrap();
    let mut bad_secret = password(it, PROJECT);
    bad_secret.credential = Credential::Application { id, secret: "wrong".into() };
    let error = driver(bad_secret).list("c").await.unwrap_err();
    assert!(matches!(error, CloudError::Unauthorized(_)), "{error}");

    let mut no_ca = password(it, PROJECT);
    no_ca.ca_pem = Some(format!("not a certificate of {USER}"));
    let Err(error) = try_driver(no_ca) else { panic!("a CA that is none was taken") };
    assert!(error.to_string().contains("caSecretRef"), "{error}");

    an_unknown_ca_is_named_with_what_to_do(it).await;
}

async fn an_unknown_ca_is_named_with_what_to_do(it: &OpenStack) {
    let ca = testbeds::systems::pki::Authority::new(&[("CN", "a site's own CA")]).unwrap();
    let (address, server) = tls_server(&ca).await;
    let mut config = password(it, PROJECT);
    config.auth_url = format!("https://127.0.0.1:{address}/v3");
    let error = driver(config.clone()).list("c").await.unwrap_err();
    assert!(matches!(&error, CloudError::Invalid(text) if text.contains("caSecretRef")), "{error}");
    config.ca_pem = Some(ca.certificate.clone());
    let error = driver(config).list("c").await.unwrap_err();
    assert!(!error.to_string().contains("certificate"), "with its CA it is trusted: {error}");
    server.abort();
}

/// A TLS server that says nothing but goodbye.
async fn tls_server(ca: &testbeds::systems::pki::Authority) -> (u16, tokio::task::JoinHandle<()>) {
    let own = ca.issue(&[("CN", "keystone")], &["127.0.0.1"]).unwrap();
    let chain: Vec<_> = CertificateDer::pem_slice_iter(own.certificate.as_bytes()).map(|c| c.unwrap()).collect();
    let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    drop(stream);
                }
            });
        }
    });
    (port, task)
}

pub async fn orders_that_cannot_work_are_invalid(it: &OpenStack, cloud: &dyn Cloud, image: &str) {
    let mut any_network = password(it, PROJECT);
    any_network.networks.clear();
    let outcome = driver(any_network).create(&order("orders", "net", "m1.tiny", image, "")).await;
    assert!(
        matches!(&outcome, Err(CloudError::Invalid(text)) if text.contains("spec.openstack.networks")),
        "the testbed has two networks: {outcome:?}"
    );
    let mut no_network = password(it, PROJECT);
    no_network.networks.push(NameOrId::Name("no-net".to_owned()));
    let outcome = driver(no_network).create(&order("orders", "no-net", "m1.tiny", image, "")).await;
    assert!(
        matches!(&outcome, Err(CloudError::Invalid(text)) if text.contains("\"no-net\"")),
        "nothing is bought on the networks that are left: {outcome:?}"
    );
    let no_image = "00000000-0000-0000-0000-000000000000";
    let mut no_zone = order("orders", "zone", "m1.tiny", image, "");
    no_zone.choices[0].zone = Some("no-zone".to_owned());
    let huge = noise(120_000);
    for (what, order) in [
        ("image", order("orders", "image", "m1.tiny", no_image, "")),
        ("zone", no_zone),
        ("user-data", order("orders", "huge", "m1.tiny", image, &huge)),
    ] {
        let outcome = cloud.create(&order).await;
        assert!(matches!(outcome, Err(CloudError::Invalid(_))), "{what}: {outcome:?}");
    }
    assert_eq!(cloud.list("orders").await.unwrap(), []);
}
