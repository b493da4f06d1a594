//! What every driver keeps to.

use broker::cloud::{Cloud, CloudError, Owner, VmState};
use serde_json::json;
use testbeds::openstack::{OpenStack, PROJECT};

use crate::{listed, nothing_left, order};

pub async fn holds(cloud: &dyn Cloud, flavor: &str, image: &str) {
    let catalogue = cloud.catalogue().await.unwrap();
    let offered = catalogue.flavors.iter().find(|f| f.name == flavor).expect("the flavor is offered");
    assert_eq!(offered.cores, 1);
    assert_eq!(cloud.list("contract").await.unwrap(), []);

    // Ten at once: more than a page of the testbed's Nova.
    let orders: Vec<_> =
        (0..10).map(|n| order("contract", &format!("uid-{n}"), flavor, image, "#cloud-config\n{}\n")).collect();
    let made = futures::future::join_all(orders.iter().map(|o| cloud.create(o))).await;
    let made: Vec<_> = made.into_iter().map(|vm| vm.unwrap()).collect();
    let repeated = cloud.create(&orders[3]).await.unwrap();
    assert_eq!(repeated.id, made[3].id, "a repeated order is the same VM");

    for (order, vm) in orders.iter().zip(&made) {
        assert_eq!(vm.owner, order.owner);
        let seen =
            listed(cloud, "contract", &order.owner.uid, |s| matches!(s, VmState::Active | VmState::Building)).await;
        assert_eq!((&seen.id, &seen.name), (&vm.id, &order.name));
    }
    assert_eq!(cloud.list("contract").await.unwrap().len(), 10, "all of them, each once");
    assert_eq!(cloud.list("another-cluster").await.unwrap(), [], "another cluster has none");

    let found = cloud.find(&orders[0].owner).await.unwrap();
    assert_eq!(found.iter().map(|vm| &vm.id).collect::<Vec<_>>(), [&made[0].id]);
    let nobody = Owner { cluster: "contract".to_owned(), uid: "nobody".to_owned() };
    assert_eq!(cloud.find(&nobody).await.unwrap(), []);

    let unknown = cloud.create(&order("contract", "uid-x", "no-such-flavor", image, "")).await;
    assert!(matches!(&unknown, Err(CloudError::Invalid(text)) if text.contains("no-such-flavor")), "{unknown:?}");

    futures::future::join_all(made.iter().map(|vm| cloud.delete(&vm.id))).await.into_iter().for_each(|r| r.unwrap());
    cloud.delete(&made[0].id).await.expect("deleting what is going or gone is no error");
    nothing_left(cloud, "contract").await;
    cloud.delete(&made[0].id).await.expect("deleting what is gone is no error");
    assert_eq!(cloud.console(&made[0].id, 1_000).await.unwrap(), "", "what is gone has no console");
    assert_eq!(cloud.find(&orders[0].owner).await.unwrap(), []);
}

/// Nova refuses a quota at once, or takes the order and refuses it later.
pub async fn quota_is_a_refusal(cloud: &dyn Cloud, flavor: &str, image: &str, room: usize) {
    for n in 0..room {
        let uid = format!("fits-{n}");
        cloud.create(&order("quota", &uid, flavor, image, "")).await.unwrap();
        listed(cloud, "quota", &uid, |s| *s == VmState::Active).await;
    }
    let one_more = order("quota", "too-many", flavor, image, "");
    match cloud.create(&one_more).await {
        Err(CloudError::Quota(_)) => {}
        Ok(_) => {
            listed(cloud, "quota", "too-many", |s| matches!(s, VmState::Failed(CloudError::Quota(_)))).await;
        }
        other => panic!("{other:?}"),
    }
    let used = cloud.catalogue().await.unwrap().quota.vms;
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
