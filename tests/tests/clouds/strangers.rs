//! What is not ours, and what is not left for us.

use broker::cloud::{Cloud, CloudError, End, VmState};
use serde_json::json;
use testbeds::systems::openstack::{OpenStack, PROJECT};

use crate::{buy, listed, nothing_left, order};

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
