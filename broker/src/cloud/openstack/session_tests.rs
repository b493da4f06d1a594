//! Of tokens that are refused, and of the pace.

use std::num::NonZeroU32;

use serde_json::json;

use super::super::fake::{Said, Site, owner};
use super::*;
use crate::cloud::{Cloud, Rate, Wanted};

#[tokio::test]
async fn an_expired_token_is_renewed_and_a_service_that_refuses_every_token_costs_no_more() {
    let site = Site::open(|asked| {
        let expired = asked.is("GET /compute") && asked.token == "token-0";
        (expired || asked.is("GET /network")).then(|| Said::new(401, ""))
    })
    .await;
    let cloud = site.cloud();
    cloud.find(&owner("a")).await.unwrap();
    assert_eq!(cloud.authentications(), 2, "the token was renewed");
    for _ in 0..5 {
        let refused = cloud.offers(&Wanted::default()).await;
        assert!(matches!(refused, Err(CloudError::Unauthorized(_))), "{refused:?}");
        cloud.find(&owner("a")).await.unwrap();
    }
    assert_eq!(cloud.authentications(), 3, "one more try, and no other while it holds");
}

#[tokio::test]
async fn a_keystone_that_wants_silence_gets_it() {
    let site = Site::open(|asked| asked.is("POST /v3").then(|| Said::new(429, "").with("Retry-After", "60"))).await;
    let cloud = site.cloud();
    for pause in [0, 1_200] {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let outcome = cloud.find(&owner("a")).await;
        assert!(matches!(outcome, Err(CloudError::Throttled { .. })), "{outcome:?}");
    }
    assert_eq!(cloud.authentications(), 1);
}

#[tokio::test]
async fn the_pace_is_of_requests_and_not_of_calls() {
    let site = Site::open(|_| None).await;
    let two = NonZeroU32::MIN.saturating_add(1);
    let cloud = site.cloud_with(Rate { per_second: two.saturating_add(2), burst: two }, Clock::system());
    let begun = Instant::now();
    cloud.offers(&Wanted::default()).await.unwrap();
    assert_eq!(site.asked(""), 4, "a token, two pages of flavors, a network");
    cloud.headroom().await.unwrap();
    cloud.headroom().await.unwrap();
    // Of Nova's: two pages of flavors, twice the limits: two of the four wait a quarter of a second each.
    assert!(begun.elapsed() >= Duration::from_millis(450), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_service_that_wants_silence_silences_what_comes_after() {
    let mut answers = 0;
    let site = Site::open(move |asked| {
        answers += usize::from(asked.is("GET /compute"));
        (answers == 1 && asked.is("GET /compute")).then(|| {
            Said::json(429, &json!({"overLimit": {"code": 429, "message": "slow down"}})).with("Retry-After", "1")
        })
    })
    .await;
    let cloud = site.cloud();
    assert!(matches!(cloud.find(&owner("a")).await, Err(CloudError::Throttled { .. })));
    let begun = Instant::now();
    cloud.find(&owner("a")).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(900), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_address_that_may_not_be_asked_gets_neither_the_credential_nor_a_token() {
    let site = Site::open(|_| None).await;
    let strict = crate::address::Policy { http: true, private: false };
    let session = |config| Session::new(config, Arc::new(Pace::new(Rate::default())), Clock::system());
    let refused = session(Config { addresses: strict, ..site.config() }).err().unwrap();
    assert_eq!(refused.reason(), "AddressNotAllowed");
    let unknown = session(Config { auth_url: "ftp://example.org/v3".to_owned(), ..site.config() }).err().unwrap();
    assert_eq!(unknown.reason(), "AddressNotAllowed");
    let mut led_there = session(site.config()).unwrap();
    led_there.config.addresses = strict;
    assert_eq!(led_there.keystone("projects").await.unwrap_err().reason(), "AddressNotAllowed");
    assert_eq!(site.asked(""), 0);
}

#[tokio::test]
async fn the_clusters_list_does_not_wait_behind_the_looks_of_orders() {
    let site = Site::open(|asked| {
        let look = asked.is("GET /compute/v2.1/servers/detail") && asked.line.contains("dirac-pvm");
        look.then(|| Said::servers(&[]).after(Duration::from_secs(20)))
    })
    .await;
    let cloud = Arc::new(site.cloud());
    cloud.list("k").await.unwrap();
    let looks: Vec<_> = (0..8)
        .map(|_| {
            tokio::spawn({
                let cloud = cloud.clone();
                async move { cloud.find(&owner("a")).await }
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let begun = moment();
    cloud.list("k").await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    looks.iter().for_each(tokio::task::JoinHandle::abort);
}
