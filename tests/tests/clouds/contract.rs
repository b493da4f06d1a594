//! What every driver keeps to.

use broker::cloud::{Cloud, CloudError, End, Owner, Purchase, VmState, Wanted};
use serde_json::json;
use testbeds::systems::openstack::{OpenStack, PROJECT};

use crate::{buy, listed, nothing_left, order};

pub async fn holds(cloud: &dyn Cloud, flavor: &str, image: &str) {
    let offers = cloud.offers(&Wanted::default()).await.unwrap();
    let offered = offers.flavors.iter().find(|f| f.name == flavor).expect("the flavor is there");
    assert_eq!(offered.cores, 1);
    let headroom = cloud.headroom().await.unwrap();
    let offer = offers.offers.iter().find(|o| o.flavor == flavor).expect("the flavor is offered");
    assert_eq!(offer.purchase, Purchase::OnDemand);
    assert!(headroom.class(&offer.quota_class).is_some(), "{offer:?}: {headroom:?}");
    assert_eq!(cloud.list("contract").await.unwrap(), []);

    // Ten at once: more than a page of the testbed's Nova.
    let orders: Vec<_> =
        (0..10).map(|n| order("contract", &format!("uid-{n}"), flavor, image, "#cloud-config\n{}\n")).collect();
    let made = futures::future::join_all(orders.iter().map(|o| buy(cloud, o))).await;
    let made: Vec<_> = made.into_iter().map(|vm| vm.unwrap()).collect();
    let repeated = buy(cloud, &orders[3]).await.unwrap();
    assert_eq!(repeated.id, made[3].id, "a repeated order is the same VM");

    for (order, vm) in orders.iter().zip(&made) {
        assert_eq!(vm.owner, order.owner);
        let seen =
            listed(cloud, "contract", &order.owner.uid, |s| matches!(s, VmState::Active | VmState::Building)).await;
        assert_eq!((&seen.id, &seen.name), (&vm.id, &order.name));
    }
    assert_eq!(cloud.list("contract").await.unwrap().len(), 10, "all of them, each once");
    assert_eq!(cloud.list("another-cluster").await.unwrap(), [], "another cluster has none");

    let one = cloud.get(&made[0].id).await.unwrap().expect("it is there");
    assert_eq!((&one.id, &one.owner), (&made[0].id, &orders[0].owner));
    let found = cloud.find(&orders[0].owner).await.unwrap();
    assert_eq!(found.iter().map(|vm| &vm.id).collect::<Vec<_>>(), [&made[0].id]);
    let nobody = Owner { cluster: "contract".to_owned(), uid: "nobody".to_owned() };
    assert_eq!(cloud.find(&nobody).await.unwrap(), []);

    let unknown = cloud.create(&order("contract", "uid-x", "no-such-flavor", image, "")).await;
    assert!(matches!(&unknown, Err(CloudError::Invalid(text)) if text.contains("no-such-flavor")), "{unknown:?}");

    let ids: Vec<String> = made.iter().map(|vm| vm.id.clone()).collect();
    let outcomes = cloud.delete_many(&ids).await;
    assert_eq!(outcomes, vec![Ok(()); ids.len()], "one outcome for each");
    cloud.delete(&made[0].id).await.expect("deleting what is going or gone is no error");
    nothing_left(cloud, "contract").await;
    cloud.delete(&made[0].id).await.expect("deleting what is gone is no error");
    assert_eq!(cloud.console(&made[0].id, 1_000).await.unwrap(), "", "what is gone has no console");
    assert_eq!(cloud.find(&orders[0].owner).await.unwrap(), []);
    assert_eq!(cloud.get(&made[0].id).await, Ok(None), "the provider says that it is gone");
    let longest = "x".repeat(cloud.limits().user_data_bytes + 1);
    let outcome = cloud.create(&order("contract", "uid-y", flavor, image, &longest)).await;
    assert!(matches!(outcome, Err(CloudError::Invalid(_))), "{outcome:?}");
}

/// Nova refuses a quota at once, or takes the order and refuses it later.
pub async fn quota_is_a_refusal(cloud: &dyn Cloud, flavor: &str, image: &str, room: usize) {
    for n in 0..room {
        let uid = format!("fits-{n}");
        buy(cloud, &order("quota", &uid, flavor, image, "")).await.unwrap();
        listed(cloud, "quota", &uid, |s| *s == VmState::Active).await;
    }
    let one_more = order("quota", "too-many", flavor, image, "");
    match buy(cloud, &one_more).await {
        Err(CloudError::Quota { .. }) => {}
        Ok(_) => {
            listed(cloud, "quota", "too-many", |s| matches!(s, VmState::Ended(End::Failed(CloudError::Quota { .. }))))
                .await;
        }
        other => panic!("{other:?}"),
    }
    let used = cloud.headroom().await.unwrap().classes[0].vms;
    assert_eq!((used.limit, used.used >= 2), (Some(2), true), "{used:?}");

    for vm in cloud.list("quota").await.unwrap() {
        cloud.delete(&vm.id).await.unwrap();
    }
    nothing_left(cloud, "quota").await;
}

pub async fn strangers_are_left_alone(it: &OpenStack, cloud: &dyn Cloud, image: &str) {
    let strangers: [(&str, &[&str]); 4] = [
        ("dirac-uid-1", &[]),
        ("dirac-uid-1", &["dirac"]),
        ("dirac-operator", &["dirac-operator-old", "dirac-pvm-uid-1"]),
        ("dirac-uid-1", &["dirac-cluster-strangers", "dirac-pvm-uid-1"]),
    ];
    let mut theirs = Vec::new();
    for (name, tags) in strangers {
        theirs.push(it.make_server(PROJECT, name, tags, &json!({"dirac_pool": "test"})).await.unwrap());
    }
    let ours = cloud.create(&order("strangers", "uid-1", "m1.tiny", image, "")).await.unwrap();
    assert!(!theirs.contains(&ours.id), "none of theirs was adopted");
    listed(cloud, "strangers", "uid-1", |s| *s == VmState::Active).await;
    assert_eq!(cloud.list("strangers").await.unwrap().len(), 1);
    cloud.delete(&ours.id).await.unwrap();
    nothing_left(cloud, "strangers").await;
    let left: Vec<_> = it.servers(PROJECT).await.unwrap().into_iter().map(|s| s.id).collect();
    for id in theirs {
        assert!(left.contains(&id), "a stranger is gone");
        it.delete_server(PROJECT, &id).await.unwrap();
    }
}
