//! Of what a Cloud object tells the driver.

use k8s_openapi::{ByteString, api::core::v1::Secret};
use serde_json::{Value, json};

use super::*;
use crate::{api::fake::Fake, context::State};

/// The configuration of a driver whose credential's Secret has these values.
async fn configured(spec: Value, values: Value) -> Result<Config, Trouble> {
    let fake = Fake::default();
    let secret = json!({"metadata": {"name": "s", "namespace": "ns", "labels": {"diracgrid.org/credential": "true"}}});
    let mut secret: Secret = serde_json::from_value(secret).unwrap();
    let bytes = |value: &Value| ByteString(value.as_str().unwrap().as_bytes().to_vec());
    secret.data = Some(values.as_object().unwrap().iter().map(|(k, v)| (k.clone(), bytes(v))).collect());
    fake.put("secrets", &secret);
    let spec: CloudSpec = serde_json::from_value(spec).unwrap();
    let openstack = spec.openstack.clone().unwrap();
    let key = Key { namespace: "ns".into(), name: "c".into() };
    let ctx = Context::of(fake.client(), State::default());
    config(&ctx, &key, &spec, &openstack).await.map(|(config, _)| config)
}

fn spec(more: &Value) -> Value {
    let mut spec = json!({"siteRef": {"name": "s"}, "openstack": {
        "authUrl": "https://keystone.example.org/v3", "region": "here",
        "project": {"id": "p-1"}, "auth": {"password": {"secretRef": {"name": "s"}}}}});
    for (key, value) in more.as_object().unwrap() {
        spec["openstack"][key] = value.clone();
    }
    spec
}

#[tokio::test]
async fn a_project_and_both_domains_may_be_named_by_their_ids() {
    let entered = async |project: Value, user: Value| {
        let config = configured(spec(&json!({ "project": project })), user).await.unwrap();
        let Credential::Password { user_domain, project, .. } = config.credential else { panic!() };
        (user_domain, project)
    };
    let (name, id) = (|n: &str| NameOrId::Name(n.to_owned()), |i: &str| NameOrId::Id(i.to_owned()));
    let by_id = entered(json!({"id": "p-1"}), json!({"username": "u", "password": "p"})).await;
    assert_eq!(by_id, (name("Default"), Project::Id("p-1".to_owned())));
    let user = json!({"username": "u", "password": "p", "user_domain_id": "d-1"});
    let in_domain = entered(json!({"name": "biomed", "domainId": "d-2"}), user).await;
    assert_eq!(in_domain, (id("d-1"), Project::Named { name: "biomed".to_owned(), domain: id("d-2") }));
    let user = json!({"username": "u", "password": "p", "user_domain": "egi"});
    let by_name = entered(json!({"name": "biomed", "domain": "egi.eu"}), user).await;
    assert_eq!(by_name, (name("egi"), Project::Named { name: "biomed".to_owned(), domain: name("egi.eu") }));
}

#[tokio::test]
async fn a_federated_site_is_entered_by_an_identity_and_a_project_that_is_named() {
    let by = json!({"oidc": {"identityProvider": "egi.eu", "protocol": "openid", "issuer": "https://aai.egi.eu",
        "secretRef": {"name": "s"}}});
    let tokens = json!({"client_id": "c", "refresh_token": "r"});
    let config = configured(spec(&json!({ "auth": by })), tokens.clone()).await.unwrap();
    let Credential::Federated { provider, protocol, project, identity } = config.credential else { panic!() };
    assert_eq!((provider.as_str(), protocol.as_str(), project), ("egi.eu", "openid", Project::Id("p-1".to_owned())));
    assert!(identity.knows(&"r".into()));
    let mut none = spec(&json!({ "auth": by }));
    none["openstack"]["project"] = Value::Null;
    let error = configured(none, tokens).await.unwrap_err();
    assert!(error.reason == Reason::Invalid && error.message.contains("spec.openstack.project"), "{error:?}");
}

#[tokio::test]
async fn config_drives_root_volumes_and_flavors_reach_the_driver() {
    let user = json!({"username": "u", "password": "p"});
    let plain = configured(spec(&json!({})), user.clone()).await.unwrap();
    assert_eq!((plain.config_drive, plain.root_volume_gib, plain.gpus.len()), (true, None, 0));
    let mut other = spec(&json!({"configDrive": false, "rootVolumeGiB": 20}));
    other["flavors"] = json!([
        {"name": "g", "gpus": {"count": 2, "model": "A100"}},
        {"name": "q", "gpus": {"count": 1, "shares": 3, "model": "L4", "vendor": "NVIDIA", "memoryGiB": 7}},
        {"name": "f", "gpus": {"count": 0}},
        {"name": "n"},
    ]);
    let other = configured(other, user).await.unwrap();
    assert_eq!((other.config_drive, other.root_volume_gib), (false, Some(20)));
    let third = Gpu {
        thousandths: 334,
        shared: false,
        vendor: Some("NVIDIA".to_owned()),
        model: Some("L4".to_owned()),
        memory_mib: Some(7_168),
    };
    let whole = Gpu::whole(2, Some("A100".to_owned()));
    let expected = [("f".to_owned(), None), ("g".to_owned(), whole), ("q".to_owned(), Some(third))];
    assert_eq!(other.gpus, BTreeMap::from(expected));
}
