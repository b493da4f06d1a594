//! What every driver keeps to.

use broker::cloud::{Cloud, CloudError, Owner, Purchase, VmState, Wanted};

use crate::{buy, listed, noise, nothing_left, order};

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
    let longest = noise(cloud.limits().user_data_bytes * 2);
    let outcome = cloud.create(&order("contract", "uid-y", flavor, image, &longest)).await;
    assert!(matches!(outcome, Err(CloudError::Invalid(_))), "{outcome:?}");
}
