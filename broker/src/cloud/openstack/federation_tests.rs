//! Of a Keystone that lets in the identities of another provider.

use serde_json::Value;

use super::super::{
    OpenStackCloud,
    fake::{Said, Site, owner},
    fake_provider::Provider,
};
use super::*;
use crate::cloud::{Cloud, Wanted};

async fn entered(provider: &Provider) -> (Site, OpenStackCloud) {
    let site = provider.site().await;
    let identity = provider.identity(&site, Provider::by_refresh_token());
    let cloud = site.cloud_of(provider.config(&site, identity));
    (site, cloud)
}

#[tokio::test]
async fn an_access_token_becomes_the_token_of_the_project() {
    let provider = Provider::rotating();
    let (site, cloud) = entered(&provider).await;
    let offers = cloud.offers(&Wanted::default()).await.unwrap();
    assert_eq!((offers.project.as_deref(), offers.credential_expires), (Some("p-1"), None));
    assert_eq!(provider.log(), ["spent r0", "given a1", "kept r1", "entered by a1"]);
    assert_eq!((site.asked("POST /v3/auth/tokens"), cloud.authentications()), (1, 1));
}

#[tokio::test]
async fn two_clouds_of_one_identity_spend_one_refresh_token() {
    let provider = Provider::rotating();
    let site = provider.site().await;
    let identity = provider.identity(&site, Provider::by_refresh_token());
    let clouds = [0, 1].map(|_| site.cloud_of(provider.config(&site, identity.clone())));
    let (x, y) = (owner("x"), owner("y"));
    let (one, other) = tokio::join!(clouds[0].find(&x), clouds[1].find(&y));
    assert!(one.is_ok() && other.is_ok(), "{one:?} {other:?}");
    let spent: Vec<_> = provider.log().into_iter().filter(|line| line.starts_with("spent")).collect();
    assert_eq!(spent, ["spent r0"]);
}

#[tokio::test]
async fn an_access_token_that_was_revoked_is_asked_for_once_more_and_one_that_is_new_is_not() {
    let provider = Provider::rotating();
    let site = provider.site().await;
    let identity = provider.identity(&site, Provider::by_refresh_token());
    let first = site.cloud_of(provider.config(&site, identity.clone()));
    first.find(&owner("x")).await.unwrap();
    provider.with(|w| w.revoked.push("a1".to_owned()));
    let second = site.cloud_of(provider.config(&site, identity.clone()));
    second.find(&owner("x")).await.unwrap();
    assert_eq!(
        provider.log()[3..],
        ["entered by a1", "entered by a1", "spent r1", "given a2", "kept r2", "entered by a2"]
    );
    provider.with(|w| w.revoked.extend(["a2".to_owned(), "a3".to_owned()]));
    let third = site.cloud_of(provider.config(&site, identity));
    let Err(CloudError::Unauthorized(said)) = third.find(&owner("x")).await else { panic!("it was let in") };
    assert!(said.contains("must belong to a VO that the site serves") && !said.contains("a3"), "{said}");
    assert_eq!(provider.log().last().unwrap(), "entered by a3");
    assert!(third.find(&owner("x")).await.is_err());
    assert_eq!(provider.log().last().unwrap(), "entered by a3", "and not again at once");
}

#[tokio::test]
async fn a_project_that_is_not_open_to_the_identity_is_said_with_those_that_are() {
    let provider = Provider::rotating();
    let it = provider.clone();
    let site = Site::open(move |asked| {
        let refuses = asked.is("POST /v3/auth/tokens");
        let body = serde_json::json!({"error": {"code": 401, "title": "Unauthorized", "message": "no unscoped"}});
        if refuses { Some(Said::json(401, &body)) } else { it.answer(asked) }
    })
    .await;
    let identity = provider.identity(&site, Provider::by_refresh_token());
    let error = site.cloud_of(provider.config(&site, identity)).find(&owner("x")).await.unwrap_err();
    let CloudError::Unauthorized(said) = &error else { panic!("{error:?}") };
    assert!(said.contains("biomed (id p-1): correct spec.openstack.project"), "{said}");
    assert!(!said.contains("no unscoped"), "the token is not quoted: {said}");
    assert!(wrong_project(Some(Vec::new())).contains("no project of this site"));
}

#[tokio::test]
async fn a_project_is_named_by_name_and_domain_and_the_unscoped_token_proves_who_asks() {
    let provider = Provider::rotating();
    let bodies = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let (it, seen) = (provider.clone(), bodies.clone());
    let site = Site::open(move |asked| {
        if asked.is("POST /v3/auth/tokens") {
            seen.lock().unwrap().push(serde_json::from_str::<Value>(&asked.body).unwrap());
        }
        it.answer(asked)
    })
    .await;
    let identity = provider.identity(&site, Provider::by_refresh_token());
    let mut config = provider.config(&site, identity);
    if let super::super::Credential::Federated { project, .. } = &mut config.credential {
        let domain = super::super::NameOrId::Name("egi.eu".to_owned());
        *project = Project::Named { name: "biomed".to_owned(), domain };
    }
    site.cloud_of(config).find(&owner("x")).await.unwrap();
    let expected = json!({"auth": {
        "identity": {"methods": ["token"], "token": {"id": "unscoped"}},
        "scope": {"project": {"name": "biomed", "domain": {"name": "egi.eu"}}}}});
    assert_eq!(*bodies.lock().unwrap(), [expected]);
}

#[tokio::test]
async fn names_that_keystone_does_not_know_are_to_be_corrected() {
    let provider = Provider::rotating();
    let (site, cloud) = {
        let site = provider.site().await;
        let mut config = provider.config(&site, provider.identity(&site, Provider::by_refresh_token()));
        if let super::super::Credential::Federated { provider, .. } = &mut config.credential {
            *provider = "no/such".to_owned();
        }
        let cloud = site.cloud_of(config);
        (site, cloud)
    };
    let error = cloud.find(&owner("x")).await.unwrap_err();
    assert!(matches!(&error, CloudError::Invalid(said) if said.contains("auth.oidc.identityProvider")), "{error}");
    assert_eq!(site.asked("POST /v3/OS-FEDERATION/identity_providers/no%2Fsuch/"), 1);
}
