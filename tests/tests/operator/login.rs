//! Refresh tokens that are taken once: the operator writes the next one into the Secret, with exactly the chart's rights.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use testbeds::{
    host::port,
    systems::openstack::federation::{CLIENT, CLIENT_SECRET, Listening},
};

use super::{Fixture, until};

const NAMESPACE: &str = "federated";

pub async fn a_refresh_token_that_is_taken_once_is_replaced_in_its_secret(f: &Fixture) {
    let [plain, tls, nobody] = port::free().unwrap();
    let provider = Listening::open(plain, tls).await.unwrap();
    let with = || provider.provider.lock().unwrap();
    with().access_lives = Duration::from_secs(2);
    let first = with().login("jdoe@egi.eu", &["biomed"]);
    f.kubectl.run(&["create", "namespace", NAMESPACE]).unwrap();
    let literals = [("client_id", CLIENT), ("client_secret", CLIENT_SECRET), ("refresh_token", &first)];
    let literals: Vec<String> = literals.iter().map(|(k, v)| format!("--from-literal={k}={v}")).collect();
    let mut create = vec!["create", "secret", "generic", "checkin", "--namespace", NAMESPACE];
    create.extend(["--type=diracgrid.org/credential"].into_iter().chain(literals.iter().map(String::as_str)));
    f.kubectl.run(&create).unwrap();
    // Two Clouds of one Secret. No Keystone answers: the provider is asked first.
    for name in ["one", "other"] {
        let cloud = format!(
            r#"
apiVersion: diracgrid.org/v1alpha1
kind: Cloud
metadata: {{name: {name}, namespace: {NAMESPACE}}}
spec:
  siteRef: {{name: here}}
  openstack:
    authUrl: http://127.0.0.1:{nobody}/v3
    region: RegionOne
    project: {{name: biomed, domain: egi.eu}}
    auth:
      oidc:
        identityProvider: egi.eu
        protocol: openid
        issuer: {}
        secretRef: {{name: checkin}}
"#,
            provider.issuer
        );
        f.kubectl.apply(&cloud).unwrap();
    }
    let in_the_secret = || {
        let secret = f.get(NAMESPACE, "secret/checkin");
        let value = secret["data"]["refresh_token"].as_str().unwrap().to_owned();
        String::from_utf8(STANDARD.decode(value).unwrap()).unwrap()
    };
    until("five refresh tokens are taken, one after the other", 90, async || {
        let log = with().log.clone();
        if log.len() >= 5 { Ok(()) } else { Err(format!("{log:?}, {}", f.get(NAMESPACE, "cloud/one")["status"])) }
    })
    .await;
    let log = with().log.clone();
    let expected: Vec<String> = (1..=log.len()).map(|n| format!("{n} taken")).collect();
    assert_eq!(log, expected, "each once, although two Clouds use them");
    assert_ne!(in_the_secret(), first);
    let (supported, ..) = f.condition(NAMESPACE, "cloud/one", "Supported");
    assert_eq!(supported, "True");

    // Somebody logs in again.
    let another = with().login("robot@egi.eu", &["biomed"]);
    let number = another.split('-').nth(1).unwrap().to_owned();
    let patch = format!(r#"{{"data": {{"refresh_token": "{}"}}}}"#, STANDARD.encode(&another));
    f.kubectl.run(&["patch", "secret", "checkin", "--namespace", NAMESPACE, "--patch", &patch]).unwrap();
    until("the token that a person put there is taken", 60, async || {
        let log = with().log.clone();
        if log.contains(&format!("{number} taken")) { Ok(()) } else { Err(format!("{log:?}")) }
    })
    .await;
    assert!(with().log.iter().all(|used| used.ends_with("taken")), "{:?}", with().log);
    let told = f.kubectl.run(&["get", "clouds,events", "--namespace", NAMESPACE, "--output=yaml"]).unwrap();
    assert!(!told.contains("refresh-") && !told.contains("access-"), "{told}");
    // It goes while the next test runs.
    f.kubectl.run(&["delete", "namespace", NAMESPACE, "--wait=false"]).unwrap();
}
