//! Of access tokens, and of refresh tokens that are spent once.

use std::collections::HashSet;

use futures::future::join_all;

use super::super::fake_provider::{Provider, asks, client};
use super::*;

fn sent(access: &Access) -> &str {
    access.header.to_str().unwrap()
}

#[tokio::test]
async fn however_many_ask_the_provider_is_asked_once_and_a_new_refresh_token_is_kept_before_it_is_spent() {
    let provider = Provider::rotating();
    let site = provider.site().await;
    let identity = provider.identity(&site, Provider::by_refresh_token());
    let asks = asks();
    let all = join_all((0..10).map(|_| identity.access(&asks, None))).await;
    let all: HashSet<String> = all.into_iter().map(|access| sent(&access.unwrap()).to_owned()).collect();
    assert_eq!(all, HashSet::from(["Bearer a1".to_owned()]));
    let first = identity.access(&asks, None).await.unwrap();
    let second = identity.access(&asks, Some(&first)).await.unwrap();
    assert_eq!(sent(&second), "Bearer a2");
    assert_eq!(provider.log(), ["spent r0", "given a1", "kept r1", "spent r1", "given a2", "kept r2"]);
    assert!(["r0", "r1", "r2"].iter().all(|token| identity.knows(&(*token).into())), "they are no news in the Secret");
    assert!(!identity.knows(&"of-another".into()));
    assert_eq!(identity.told(), Told::default());
}

#[tokio::test]
async fn a_refresh_token_that_cannot_be_kept_is_said_used_and_kept_as_soon_as_that_works() {
    let provider = Provider::rotating();
    let site = provider.site().await;
    let identity = provider.identity(&site, Provider::by_refresh_token());
    let asks = asks();
    provider.with(|w| w.full = true);
    let first = identity.access(&asks, None).await.unwrap();
    assert!(matches!(identity.told().not_kept, Some(CloudError::Transient(_))), "{:?}", identity.told());
    let second = identity.access(&asks, Some(&first)).await.unwrap();
    provider.with(|w| w.full = false);
    identity.access(&asks, Some(&second)).await.unwrap();
    let log = provider.log();
    let expected = [
        "spent r0", "given a1", "not kept", "not kept", "spent r1", "given a2", "not kept", "kept r2", "spent r2",
        "given a3", "kept r3",
    ];
    assert_eq!(log, expected, "it is tried again before the next use, and in the place of the one that is there");
    assert_eq!(identity.told().not_kept, None);
}

#[tokio::test]
async fn another_refresh_token_that_somebody_put_there_is_left_and_used() {
    let provider = Provider::rotating();
    let site = provider.site().await;
    let identity = provider.identity(&site, Provider::by_refresh_token());
    let asks = asks();
    provider.with(|w| w.slow = Duration::from_millis(300));
    let (access, ()) = tokio::join!(identity.access(&asks, None), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        provider.with(|w| w.shelf = "of-a-person".to_owned());
    });
    assert_eq!(provider.with(|w| w.shelf.clone()), "of-a-person");
    assert!(identity.access(&asks, Some(&access.unwrap())).await.is_err(), "the provider knows no such token");
    assert_eq!(provider.log().last().unwrap(), "spent of-a-person");
}

#[tokio::test]
async fn a_refresh_token_that_was_used_twice_is_said_and_not_tried_again_at_once() {
    let provider = Provider::rotating();
    let site = provider.site().await;
    let (one, other) = (provider.identity(&site, Provider::by_refresh_token()), Provider::rotating());
    let asks = asks();
    one.access(&asks, None).await.unwrap();
    // Another Secret with a copy of the same token.
    let copy = Arc::new(Identity::new(
        &format!("{}/idp", site.address),
        Provider::by_refresh_token(),
        Vec::new(),
        None,
        Arc::new(other),
        Clock::system(),
    ));
    for _ in 0..5 {
        let Err(CloudError::Unauthorized(said)) = copy.access(&asks, None).await else { panic!("it was taken") };
        assert!(said.contains("used twice") && said.contains("Token was used already"), "{said}");
    }
    assert_eq!(provider.log().iter().filter(|line| *line == "spent r0").count(), 2, "one use, and one that is refused");
    assert!(matches!(copy.told().refused, Some(CloudError::Unauthorized(_))));
}

#[tokio::test]
async fn what_is_answered_is_kept_although_whoever_asked_is_gone() {
    let provider = Provider::rotating();
    let site = provider.site().await;
    let identity = provider.identity(&site, Provider::by_refresh_token());
    provider.with(|w| w.slow = Duration::from_millis(200));
    let asks = asks();
    let gave_up = tokio::time::timeout(Duration::from_millis(50), identity.access(&asks, None)).await;
    assert!(gave_up.is_err());
    let access = identity.access(&asks, None).await.unwrap();
    assert_eq!(sent(&access), "Bearer a1", "the next one finds what the first asked for");
    assert_eq!(provider.log(), ["spent r0", "given a1", "kept r1"]);
}

#[tokio::test]
async fn a_provider_that_is_down_is_said_until_it_answers() {
    let provider = Provider::rotating();
    let site = provider.site().await;
    let identity = provider.identity(&site, Provider::by_refresh_token());
    let asks = asks();
    provider.with(|w| w.instead = Some((503, String::new())));
    let down = identity.access(&asks, None).await;
    assert!(matches!(down, Err(CloudError::Transient(_))), "{:?}", down.map(|_| ()));
    assert!(matches!(identity.told().refused, Some(CloudError::Transient(_))));
    provider.with(|w| w.instead = None);
    tokio::time::sleep(SILENCE_HOLDS).await;
    assert_eq!(sent(&identity.access(&asks, None).await.unwrap()), "Bearer a1");
    assert_eq!(identity.told().refused, None);
}

#[tokio::test]
async fn an_end_that_the_provider_says_is_known_and_one_that_moves_with_each_use_is_none() {
    let at = Arc::new(Lock::new(1_000_000));
    let hands = at.clone();
    let clock = Clock::driven(move || Timestamp::from_second(*hands.lock().unwrap()).unwrap());
    let provider = Provider::rotating();
    let site = provider.site().await;
    let identity = provider.identity_at(&site, Provider::by_refresh_token(), clock);
    let asks = asks();
    provider.with(|w| w.refresh_lives = Some(10_000));
    let first = identity.access(&asks, None).await.unwrap();
    assert_eq!(identity.told().ends.map(Timestamp::as_second), Some(1_010_000));
    *at.lock().unwrap() += 3_000;
    provider.with(|w| w.refresh_lives = Some(7_000));
    let second = identity.access(&asks, Some(&first)).await.unwrap();
    assert_eq!(identity.told().ends.map(Timestamp::as_second), Some(1_010_000), "it comes nearer");
    *at.lock().unwrap() += 3_000;
    provider.with(|w| w.refresh_lives = Some(10_000));
    identity.access(&asks, Some(&second)).await.unwrap();
    assert_eq!(identity.told().ends, None, "each use renews it");
}

#[tokio::test]
async fn a_client_that_is_the_identity_needs_no_refresh_token() {
    let provider = Provider::default();
    let site = provider.site().await;
    let identity = provider.identity(&site, Grant::ClientCredentials(client()));
    assert_eq!(sent(&identity.access(&asks(), None).await.unwrap()), "Bearer a1");
    assert_eq!(provider.log(), ["given a1"]);
}

#[tokio::test]
async fn an_access_token_that_something_else_renews_is_read_again_when_it_is_refused_or_ends() {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let provider = Provider::default();
    let site = provider.site().await;
    let identity = provider.identity(&site, Grant::AccessToken);
    let asks = asks();
    let put = |token: &str| provider.with(|w| w.shelf = token.to_owned());
    put("first");
    let first = identity.access(&asks, None).await.unwrap();
    assert_eq!((sent(&first), identity.told().ends), ("Bearer first", None));
    let same = identity.access(&asks, Some(&first)).await;
    assert!(matches!(&same, Err(CloudError::Unauthorized(said)) if said.contains("was refused")));
    let claims = |text: String| format!("e30.{}.x", URL_SAFE_NO_PAD.encode(text));
    let jwt = |end: i64| claims(format!(r#"{{"exp": {end}}}"#));
    let now = Timestamp::now().as_second();
    let ended = provider.identity(&site, Grant::AccessToken);
    put(&jwt(now - 10));
    let over = ended.access(&asks, None).await;
    assert!(matches!(&over, Err(CloudError::Unauthorized(said)) if said.contains("ended at")));
    let fresh = provider.identity(&site, Grant::AccessToken);
    put(&jwt(now + 600));
    fresh.access(&asks, None).await.unwrap();
    assert_eq!(fresh.told().ends.map(Timestamp::as_second), Some(now + 600));
    let short = provider.identity(&site, Grant::AccessToken);
    put(&claims(format!(r#"{{"iat": {now}, "exp": {}}}"#, now + 3_600)));
    short.access(&asks, None).await.unwrap();
    assert_eq!(short.told().ends, None, "what lasts an hour is renewed all the time");
}

#[tokio::test]
async fn an_issuer_that_is_another_or_none_or_not_to_be_asked_gets_no_credential() {
    let provider = Provider::rotating();
    let site = provider.site().await;
    let identity = |issuer: &str| {
        let grant = Provider::by_refresh_token();
        Arc::new(Identity::new(issuer, grant, Vec::new(), None, Arc::new(provider.clone()), Clock::system()))
    };
    let elsewhere = site.address.replace("127.0.0.1", "localhost");
    let told = |outcome: Result<Arc<Access>, CloudError>| outcome.map(|_| ()).unwrap_err();
    // Its document names the address at which it was asked.
    let error = told(identity(&format!("{}/nothing", site.address)).access(&asks(), None).await);
    assert!(matches!(&error, CloudError::Invalid(said) if said.contains("auth.oidc.issuer")), "{error}");
    let strict = Asks { addresses: crate::address::Policy { http: false, private: true }, ..asks() };
    let error = told(identity(&format!("{elsewhere}/idp")).access(&strict, None).await);
    assert_eq!(error.reason(), "AddressNotAllowed");
    assert_eq!(provider.log(), [""; 0]);
}
