//! Of refresh tokens in Secrets: who reads them, who writes them, and what is another identity.

use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use super::*;
use crate::{api::fake::Fake, context::State};

fn key() -> Key {
    Key { namespace: "ns".into(), name: "s".into() }
}

/// A world whose Secret has these values.
fn world(values: &Value) -> (Fake, Context) {
    let fake = Fake::default();
    put(&fake, values);
    let ctx = Context::of(fake.client(), State::default());
    (fake, ctx)
}

fn put(fake: &Fake, values: &Value) {
    let label = json!({"diracgrid.org/credential": "true"});
    let metadata = json!({"name": "s", "namespace": "ns", "uid": "u", "resourceVersion": "1", "labels": label});
    let mut secret: Secret = serde_json::from_value(json!({ "metadata": metadata })).unwrap();
    let bytes = |value: &Value| k8s_openapi::ByteString(value.as_str().unwrap().as_bytes().to_vec());
    secret.data = Some(values.as_object().unwrap().iter().map(|(k, v)| (k.clone(), bytes(v))).collect());
    fake.put("secrets", &secret);
}

fn value(fake: &Fake, name: &str) -> String {
    let secret: Secret = serde_json::from_value(fake.0.lock().unwrap().objects["secrets/s"].clone()).unwrap();
    String::from_utf8(secret.data.unwrap()[name].0.clone()).unwrap()
}

fn oidc(grant: Option<OidcGrant>) -> Oidc {
    Oidc { issuer: "https://aai.example.org".to_owned(), grant, ..Oidc::default() }
}

async fn found(ctx: &Context, oidc: &Oidc) -> Result<(Arc<Identity>, u64), Trouble> {
    let secret = ctx.api.open(&key()).await?;
    identity(ctx, &key(), oidc, &secret)
}

fn shelf(ctx: &Context) -> Shelf {
    Shelf { api: ctx.api.clone(), errands: ctx.errands.clone(), secret: key(), name: REFRESH_TOKEN }
}

fn tokens(refresh: &str) -> Value {
    json!({"client_id": "c", "client_secret": "x", "refresh_token": refresh})
}

#[tokio::test]
async fn a_new_refresh_token_takes_the_place_of_the_old_one_and_nothing_else_changes() {
    let (fake, ctx) = world(&tokens("r0\n"));
    let shelf = shelf(&ctx);
    let (old, new) = (shelf.read().await.unwrap(), SecretString::from("r1"));
    assert_eq!(old.expose_secret(), "r0");
    assert_eq!(shelf.keep(&old, &new).await.unwrap(), Kept::Written);
    assert_eq!((value(&fake, "refresh_token"), value(&fake, "client_secret")), ("r1".to_owned(), "x".to_owned()));
    assert_eq!(shelf.keep(&old, &new).await.unwrap(), Kept::Written, "a write whose reply was lost is repeated");
    assert_eq!(fake.asked("PATCH").len(), 1);
}

#[tokio::test]
async fn a_token_that_a_person_put_there_is_not_written_over() {
    let (fake, ctx) = world(&tokens("of-a-person"));
    let kept = shelf(&ctx).keep(&"r0".into(), &"r1".into()).await.unwrap();
    assert_eq!((kept, value(&fake, "refresh_token").as_str()), (Kept::Another, "of-a-person"));
    assert_eq!(fake.asked("PATCH").len(), 0);
}

#[tokio::test]
async fn a_write_that_meets_another_is_made_again_from_what_is_there() {
    let (fake, ctx) = world(&tokens("r0"));
    fake.0.lock().unwrap().conflicts = 2;
    assert_eq!(shelf(&ctx).keep(&"r0".into(), &"r1".into()).await.unwrap(), Kept::Written);
    assert_eq!(value(&fake, "refresh_token"), "r1");
    fake.0.lock().unwrap().conflicts = 100;
    let never = shelf(&ctx).keep(&"r1".into(), &"r2".into()).await;
    assert!(matches!(&never, Err(CloudError::Transient(said)) if !said.contains("r2")), "{never:?}");
}

#[tokio::test]
async fn clouds_of_one_secret_share_an_identity_until_somebody_else_changes_it() {
    let (fake, ctx) = world(&tokens("r0"));
    let (first, one) = found(&ctx, &oidc(None)).await.unwrap();
    let (again, same) = found(&ctx, &oidc(None)).await.unwrap();
    assert!(Arc::ptr_eq(&first, &again) && one == same, "a label or a finalizer is no change, nor another Cloud");
    put(&fake, &tokens("of-a-person"));
    let (second, two) = found(&ctx, &oidc(None)).await.unwrap();
    assert!(!Arc::ptr_eq(&first, &second) && one != two);
    let other = Oidc { issuer: "https://other.example.org".to_owned(), ..oidc(None) };
    let (third, three) = found(&ctx, &other).await.unwrap();
    assert!(!Arc::ptr_eq(&second, &third) && two != three, "it is known by its issuer, too");
    ctx.state.identities.retain(|secret| secret.name != "s");
    assert_ne!(found(&ctx, &oidc(None)).await.unwrap().1, two, "what no Cloud names is forgotten");
}

#[tokio::test]
async fn each_grant_names_the_keys_that_it_lacks() {
    let lacks = async |grant, values: Value| {
        let (_, ctx) = world(&values);
        found(&ctx, &oidc(grant)).await.map(|_| ()).map_err(|trouble| trouble.message)
    };
    assert_eq!(lacks(None, json!({"client_id": "public", "refresh_token": "r"})).await, Ok(()));
    for (grant, values, key) in [
        (None, json!({"client_id": "c"}), "refresh_token"),
        (None, json!({"refresh_token": "r"}), "client_id"),
        (Some(OidcGrant::ClientCredentials), json!({"client_id": "c"}), "client_secret"),
        (Some(OidcGrant::AccessToken), json!({"refresh_token": "r"}), "access_token"),
    ] {
        let error = lacks(grant, values).await.unwrap_err();
        assert!(error.contains(&format!("no key {key:?}")), "{error}");
    }
}

#[tokio::test]
async fn while_the_api_server_does_not_answer_the_token_is_unknown_and_not_refused() {
    let (fake, ctx) = world(&tokens("r0"));
    fake.0.lock().unwrap().objects.clear();
    assert!(matches!(shelf(&ctx).read().await, Err(CloudError::Unauthorized(said)) if said.contains("create it")));
    let trouble = Trouble::new(Reason::SecretUnreadable, "no answer");
    assert!(matches!(answer(trouble), CloudError::Transient(_)));
}
