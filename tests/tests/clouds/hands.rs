//! What the tests of all clouds do: order, buy, wait for what lists say.

use std::{collections::BTreeMap, time::Duration};

use broker::{
    cloud::{Attempt, Choice, Cloud, CloudError, Order, Owner, Vm, VmState},
    pilot::Pilot,
};

pub fn order(cluster: &str, uid: &str, flavor: &str, image_id: &str, user_data: &str) -> Order {
    Order {
        owner: Owner { cluster: cluster.to_owned(), uid: uid.to_owned() },
        attempt: Attempt { n: 1, since: jiff::Timestamp::now(), repeated: false, look_only: false },
        name: format!("dirac-{uid}"),
        choices: vec![Choice { flavor: flavor.to_owned(), ..Choice::default() }],
        image_id: image_id.to_owned(),
        user_data: user_data.into(),
        pilot: Pilot { reference: format!("cloud://{uid}"), cores: 1, ..Pilot::default() },
        metadata: BTreeMap::from([("dirac_pool".to_owned(), "test".to_owned())]),
    }
}

/// Orders, again where the driver says that nothing was carried out and to come back.
pub async fn buy(cloud: &dyn Cloud, order: &Order) -> Result<Vm, CloudError> {
    let mut order = order.clone();
    loop {
        order.attempt.since = jiff::Timestamp::now();
        match cloud.create(&order).await {
            Err(CloudError::Throttled { retry_after: Some(pause), .. }) if order.attempt.n < 60 => {
                tokio::time::sleep(pause).await;
                order.attempt.n += 1;
            }
            outcome => return outcome,
        }
    }
}

/// Waits until the list has the VM in a state that the test wants.
pub async fn listed(cloud: &dyn Cloud, cluster: &str, uid: &str, wanted: impl Fn(&VmState) -> bool) -> Vm {
    let mut last = None;
    for _ in 0..240 {
        let found = cloud.list(cluster).await.unwrap().into_iter().find(|vm| vm.owner.uid == uid);
        if let Some(vm) = &found
            && wanted(&vm.state)
        {
            return vm.clone();
        }
        last = found;
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    panic!("after a minute the list says of {uid}: {last:?}");
}

/// Waits until the cluster's list is empty.
pub async fn nothing_left(cloud: &dyn Cloud, cluster: &str) {
    let mut left = Vec::new();
    for _ in 0..240 {
        left = cloud.list(cluster).await.unwrap();
        if left.is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    panic!("after a minute these are left: {left:?}");
}

/// So many bytes, which compression makes hardly fewer.
pub fn noise(length: usize) -> String {
    let mut state = 1_u64;
    let letter = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b' ' + u8::try_from((state >> 33) % 95).unwrap())
    };
    (0..length).map(letter).collect()
}
