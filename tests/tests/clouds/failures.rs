//! OpenStack failing in its own ways.

use std::time::{Duration, Instant};

use broker::cloud::{Attempt, Cloud, CloudError, End, Owner, VmState, Wanted, openstack::Credential};
use testbeds::systems::openstack::{OpenStack, PROJECT, Service, lossy::Loss};

use super::real::driver;
use crate::{listed, nothing_left, order, ours, password};

pub async fn no_valid_host_is_no_capacity(cloud: &dyn Cloud, image: &str) {
    let vm = cloud.create(&order("full", "uid-1", "m1.impossible", image, "")).await.unwrap();
    let failed = listed(cloud, "full", "uid-1", |s| matches!(s, VmState::Ended(End::Failed(_)))).await;
    assert!(matches!(failed.state, VmState::Ended(End::Failed(CloudError::NoCapacity { .. }))), "{:?}", failed.state);
    cloud.delete(&vm.id).await.unwrap();
    nothing_left(cloud, "full").await;
}

pub async fn a_token_is_renewed_once_however_many_calls_find_it_expired(it: &OpenStack) {
    let mut config = password(it, PROJECT);
    config.auth_url = it.short_auth_url();
    let cloud = driver(config);
    let owner = Owner { cluster: "tokens".to_owned(), uid: "nobody".to_owned() };
    cloud.find(&owner).await.unwrap();
    assert_eq!(cloud.authentications(), 1);
    for round in 2..=3 {
        tokio::time::sleep(Duration::from_secs(6)).await;
        let calls = futures::future::join_all((0..8).map(|_| cloud.find(&owner))).await;
        assert!(calls.into_iter().all(|found| found.unwrap().is_empty()));
        assert_eq!(cloud.authentications(), round, "one more token for all of them");
    }
}

pub async fn a_keystone_that_hangs_is_said_once_to_all(it: &mut OpenStack) {
    let cloud = driver(password(it, PROJECT));
    it.pause(Service::Keystone).unwrap();
    let owner = Owner { cluster: "silent".to_owned(), uid: "nobody".to_owned() };
    let started = Instant::now();
    let calls = futures::future::join_all((0..5).map(|_| cloud.find(&owner))).await;
    it.resume(Service::Keystone).unwrap();
    assert!(calls.iter().all(|c| matches!(c, Err(CloudError::Transient(_)))), "{calls:?}");
    assert!(started.elapsed() < Duration::from_secs(35), "the calls did not wait one after the other");
    tokio::time::sleep(Duration::from_secs(2)).await;
    cloud.find(&owner).await.expect("it goes on when Keystone does");
}

pub async fn an_expired_application_credential_is_said(it: &OpenStack) {
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(8);
    let text = soon.strftime("%Y-%m-%dT%H:%M:%S").to_string();
    let (id, secret) = it.application_credential(PROJECT, Some(&text)).await.unwrap();
    let mut config = password(it, PROJECT);
    config.credential = Credential::Application { id, secret: secret.into() };
    let cloud = driver(config);
    let expires =
        cloud.offers(&Wanted::default()).await.unwrap().credential_expires.expect("Keystone says when it ends");
    assert_eq!(expires.as_second(), soon.as_second());
    let left = Duration::try_from(soon.duration_since(jiff::Timestamp::now())).unwrap_or_default();
    tokio::time::sleep(left + Duration::from_secs(2)).await;
    let outcome = cloud.list("expired").await;
    assert!(matches!(outcome, Err(CloudError::Unauthorized(_))), "{outcome:?}");
}

pub async fn a_lost_reply_makes_no_second_server(it: &OpenStack, image: &str) {
    let way = it.lossy_region("Lossy").await.unwrap();
    let mut config = password(it, PROJECT);
    config.region = "Lossy".to_owned();
    let cloud = driver(config);
    cloud.offers(&Wanted::default()).await.unwrap();
    for (loss, uid) in [(Loss::Reply, "reply"), (Loss::Gateway, "gateway")] {
        way.lose(&[loss]);
        let vm = cloud.create(&order("lossy", uid, "m1.tiny", image, "")).await.unwrap();
        assert_eq!(way.left(), 0, "the answer was lost");
        assert_eq!(cloud.find(&vm.owner).await.unwrap().len(), 1, "{loss:?}: one server");
    }
    let started = Instant::now();
    way.lose(&[Loss::Request]);
    let lost = order("lossy", "request", "m1.tiny", image, "");
    let outcome = cloud.create(&lost).await;
    assert!(matches!(outcome, Err(CloudError::Unclear { .. })), "{outcome:?}");
    assert!(started.elapsed() < Duration::from_secs(15), "it holds nobody while the doubt lasts");
    let mut again = lost.clone();
    again.attempt.repeated = true;
    let outcome = cloud.create(&again).await;
    assert!(matches!(outcome, Err(CloudError::Unclear { .. })), "it only looks: {outcome:?}");
    again.attempt.since -= jiff::SignedDuration::from_secs(180);
    let outcome = cloud.create(&again).await;
    assert!(matches!(outcome, Err(CloudError::Transient(_))), "the doubt is over: {outcome:?}");
    again.attempt = Attempt { n: 2, since: jiff::Timestamp::now(), repeated: false, look_only: false };
    cloud.create(&again).await.unwrap();
    way.lose(&[Loss::Throttled(7)]);
    let outcome = cloud.create(&order("lossy", "throttled", "m1.tiny", image, "")).await;
    let expected = Some(Duration::from_secs(7));
    assert!(
        matches!(&outcome, Err(CloudError::Throttled { retry_after, .. }) if *retry_after == expected),
        "{outcome:?}"
    );
    let begun = Instant::now();
    let outcome = cloud.list("lossy").await;
    assert!(matches!(outcome, Err(CloudError::Throttled { .. })), "the silence is kept: {outcome:?}");
    assert!(begun.elapsed() < Duration::from_secs(1), "and nobody is held while it lasts");
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert_eq!(ours(it).await.len(), 3, "three orders, three servers");
    for vm in cloud.list("lossy").await.unwrap() {
        cloud.delete(&vm.id).await.unwrap();
    }
    nothing_left(&cloud, "lossy").await;
}

pub async fn a_paused_hypervisor_loses_nothing(it: &mut OpenStack, cloud: &dyn Cloud, image: &str) {
    it.pause(Service::NovaCompute).unwrap();
    let stays = cloud.create(&order("paused", "stays", "m1.tiny", image, "")).await.unwrap();
    let goes = cloud.create(&order("paused", "goes", "m1.tiny", image, "")).await.unwrap();
    listed(cloud, "paused", "goes", |s| *s == VmState::Building).await;
    cloud.delete(&goes.id).await.expect("a server is deleted while it is built");
    it.resume(Service::NovaCompute).unwrap();
    let active = listed(cloud, "paused", "stays", |s| *s == VmState::Active).await;
    assert_eq!(active.id, stays.id);
    for _ in 0..120 {
        if cloud.list("paused").await.unwrap().len() == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    assert_eq!(cloud.list("paused").await.unwrap().len(), 1, "the deleted one is gone");

    it.pause(Service::NovaConductor).unwrap();
    let waits = cloud.create(&order("paused", "waits", "m1.tiny", image, "")).await.unwrap();
    it.resume(Service::NovaConductor).unwrap();
    listed(cloud, "paused", "waits", |s| *s == VmState::Active).await;
    for id in [stays.id, waits.id] {
        cloud.delete(&id).await.unwrap();
    }
    nothing_left(cloud, "paused").await;
}
