//! What is launched, how often, and what is refused.

use std::{sync::Arc, time::Duration};

use broker::{
    clock::Clock,
    cloud::{Attempt, Choice, Cloud, CloudError, Order, Pace, Purchase, Rate, Room, Scope, ec2::Ec2Cloud},
};
use testbeds::systems::ec2;

use crate::{
    clouds::{
        amazon::{Amazon, SMALL, config, driver, wanted},
        bed::Bed,
    },
    noise, nothing_left,
};

async fn take_away(cloud: &dyn Cloud, cluster: &str) {
    let ids: Vec<String> = cloud.list(cluster).await.unwrap().into_iter().map(|vm| vm.id).collect();
    for outcome in cloud.delete_many(&ids).await {
        outcome.unwrap();
    }
    nothing_left(cloud, cluster).await;
}

pub async fn an_instance_is_made_as_it_should_be(bed: &Amazon) {
    let cloud = bed.driver();
    let long = "#cloud-config\n".repeat(3_000);
    for (cluster, choices) in
        [("one", vec![bed.choice(SMALL, 0)]), ("fleet", vec![bed.choice(SMALL, 0), bed.choice(SMALL, 1)])]
    {
        let order = Order { user_data: long.clone().into(), choices, ..bed.order(cluster, "uid-1") };
        let vm = cloud.create(&order).await.unwrap();
        let made = bed.it.instances().await.unwrap().into_iter().find(|i| i.id == vm.id).unwrap();
        assert_eq!(
            (made.http_tokens.as_str(), made.hop_limit),
            ("required", 1),
            "{cluster}: only IMDSv2, and no further"
        );
        assert!(made.encrypted && made.volume_ends, "{cluster}: its disk is encrypted and goes with it");
        assert_eq!(made.on_shutdown, "terminate", "{cluster}");
        assert!(
            made.user_data_bytes <= 16_384,
            "{cluster}: 42,000 bytes are sent compressed: {}",
            made.user_data_bytes
        );
        assert!(!made.client_token.is_empty(), "{cluster}");
        for tags in [&made.tags, &made.volume_tags, &made.interface_tags] {
            assert_eq!(tags["dirac-operator:cluster"], cluster);
            assert_eq!((tags["dirac-operator:pilotvm"].as_str(), tags["dirac_pool"].as_str()), ("uid-1", "test"));
            assert_eq!(tags["Name"], order.name);
        }
        take_away(cloud.as_ref(), cluster).await;
    }
}

pub async fn of_several_choices_the_first_that_can_be_had_is_bought(bed: &Amazon) {
    let (cloud, zones) = (bed.driver(), bed.zones());
    let choices: Vec<Choice> = (0..3).map(|zone| bed.choice(SMALL, zone)).collect();
    let order = |uid: &str| Order { choices: choices.clone(), ..bed.order("several", uid) };
    bed.it.capacity(SMALL, &zones[0], ec2::Purchase::OnDemand, Some(0)).await.unwrap();
    let vm = cloud.create(&order("uid-1")).await.unwrap();
    assert_eq!(vm.bought.unwrap().zone.as_ref(), Some(&zones[1]), "the second, where the first is full");

    let full = Order { choices: vec![choices[0].clone()], ..bed.order("several", "uid-2") };
    let outcome = cloud.create(&full).await;
    assert!(matches!(outcome, Err(CloudError::NoCapacity { scope: Scope::Offer, .. })), "{outcome:?}");

    bed.it.capacity(SMALL, "*", ec2::Purchase::OnDemand, Some(0)).await.unwrap();
    let outcome = cloud.create(&order("uid-3")).await;
    assert!(matches!(outcome, Err(CloudError::NoCapacity { scope: Scope::Offer, .. })), "{outcome:?}");
    // What one choice says of all counts more than what the others say of themselves.
    bed.it.vcpus("L-1216C47A", Some(0)).await.unwrap();
    let outcome = cloud.create(&order("uid-4")).await;
    assert!(matches!(outcome, Err(CloudError::Quota { scope: Scope::Class, .. })), "{outcome:?}");
    bed.it.capacity(SMALL, "*", ec2::Purchase::OnDemand, None).await.unwrap();
    bed.relent().await;

    let spot = Order {
        choices: choices.iter().map(|c| Choice { purchase: Purchase::Spot, ..c.clone() }).collect(),
        ..bed.order("several", "uid-5")
    };
    let vm = cloud.create(&spot).await.unwrap();
    let made = bed.it.instances().await.unwrap().into_iter().find(|i| i.id == vm.id).unwrap();
    assert!(made.spot && vm.bought.unwrap().purchase == Purchase::Spot);
    assert_eq!(bed.it.templates().await.unwrap(), Vec::<String>::new(), "no launch template of ours is left");
    take_away(cloud.as_ref(), "several").await;

    let without = driver(config(bed.other_account()));
    bed.other_account().no_fleets().await.unwrap();
    without.offers(&wanted()).await.unwrap();
    let there = Order { image_id: bed.other_account().images()["default"].clone(), ..order("uid-6") };
    let vm = without.create(&there).await.expect("a provider without fleets sells the first choice");
    without.delete(&vm.id).await.unwrap();
}

/// The template of an order whose reply was lost is kept for the next call, and taken away when nobody can need it any more.
pub async fn a_template_that_was_left_behind_is_swept(bed: &Amazon) {
    let cloud = bed.driver();
    bed.it.lose(ec2::Loss::Reply).await.unwrap();
    let order = Order { choices: vec![bed.choice(SMALL, 0), bed.choice(SMALL, 1)], ..bed.order("left", "uid-1") };
    cloud.create(&order).await.expect("its instance is found by its tags");
    assert_eq!(bed.it.templates().await.unwrap().len(), 1, "its outcome was in doubt");
    let later = || jiff::Timestamp::now() + jiff::SignedDuration::from_mins(20);
    let pace = Arc::new(Pace::new(Rate::default()));
    let restarted = Ec2Cloud::new(config(&bed.it), pace, Room::default(), Clock::driven(later)).unwrap();
    restarted.list("left").await.unwrap();
    restarted.headroom().await.unwrap();
    assert_eq!(bed.it.templates().await.unwrap(), Vec::<String>::new());
    take_away(cloud.as_ref(), "left").await;
}

/// EC2 may know nothing of what it just made, for a while, wherever it is asked.
pub async fn an_instance_that_answers_lack_for_a_while_is_no_second_one(bed: &Amazon) {
    let cloud = bed.driver();
    bed.it.late(Duration::from_secs(6)).await.unwrap();
    let order = bed.order("young", "uid-1");
    let vm = cloud.create(&order).await.unwrap();
    assert_eq!(cloud.find(&order.owner).await.unwrap(), [], "it is in no answer");
    let denied = cloud.get(&vm.id).await;
    assert!(matches!(denied, Err(CloudError::Transient(_))), "it is too young to be believed gone: {denied:?}");
    let listed = cloud.list("young").await.unwrap();
    assert_eq!(listed.iter().map(|vm| &vm.id).collect::<Vec<_>>(), [&vm.id], "the driver knows what it made");

    let nobody = bed.order("young", "uid-2");
    let only = Order { attempt: Attempt { repeated: true, look_only: true, ..nobody.attempt }, ..nobody };
    let outcome = cloud.create(&only).await;
    assert!(matches!(&outcome, Err(CloudError::Unclear { .. })), "it is not sent: {outcome:?}");

    let again = Order { attempt: Attempt { repeated: true, ..order.attempt }, ..order.clone() };
    assert_eq!(cloud.create(&again).await.unwrap().id, vm.id, "the same token is the same instance");
    let other = Order { user_data: "#cloud-config\nruncmd: [other]\n".into(), ..again };
    let outcome = cloud.create(&other).await;
    assert!(matches!(&outcome, Err(CloudError::Unclear { .. })), "it is there, and nobody can see it yet: {outcome:?}");
    bed.it.late(Duration::ZERO).await.unwrap();
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(cloud.create(&other).await.unwrap().id, vm.id, "the same order, whatever its user-data say");
    let history = bed.it.history().await.unwrap();
    let made = history
        .iter()
        .filter(|e| e.what == "launched" && e.tags.get("dirac-operator:cluster").is_some_and(|c| c == "young"));
    assert_eq!(made.count(), 1, "one instance was ever made");

    // An attempt whose instance has ended makes none: another attempt does.
    cloud.delete(&vm.id).await.unwrap();
    for _ in 0..40 {
        if cloud.find(&order.owner).await.unwrap().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let ended = Order { attempt: Attempt { repeated: true, ..order.attempt }, ..order.clone() };
    let outcome = cloud.create(&ended).await;
    assert!(matches!(outcome, Err(CloudError::Transient(_))), "{outcome:?}");
    let next = Order { attempt: Attempt { n: 2, ..order.attempt }, ..order };
    assert_ne!(cloud.create(&next).await.unwrap().id, vm.id);
    take_away(cloud.as_ref(), "young").await;
}

pub async fn orders_that_cannot_work_are_invalid(bed: &Amazon) {
    let cloud = bed.driver();
    let refused = async |order: Order, words: &str| {
        let outcome = cloud.create(&order).await;
        assert!(matches!(&outcome, Err(CloudError::Invalid(said)) if said.contains(words)), "{words}: {outcome:?}");
    };
    let order = bed.order("invalid", "uid-1");
    refused(Order { image_id: "ami-0000000000000000f".to_owned(), ..order.clone() }, "ami-0000000000000000f").await;
    refused(Order { user_data: noise(40_000).into(), ..order.clone() }, "40000 bytes").await;
    let nowhere = Choice { zone: Some("eu-west-3z".to_owned()), ..bed.choice(SMALL, 0) };
    refused(Order { choices: vec![nowhere], ..order.clone() }, "eu-west-3z").await;

    let mut both = config(&bed.it);
    both.images.insert("arm".to_owned(), broker::cloud::ec2::ImageRef::Id(bed.it.images()["arm"].clone()));
    let both = driver(both);
    both.offers(&wanted()).await.unwrap();
    let arm = Order { image_id: bed.it.images()["arm"].clone(), ..order };
    let outcome = both.create(&arm).await;
    assert!(matches!(&outcome, Err(CloudError::Invalid(said)) if said.contains("aarch64")), "{outcome:?}");
}

/// The template's own version stays as it is, whatever is ordered.
pub async fn a_template_of_the_account_says_what_fields_do_not(bed: &Amazon) {
    bed.it.add_template("pilots", &serde_json::json!({"KeyName": "admin"})).await.unwrap();
    let mut config = config(&bed.it);
    config.launch_template = Some(broker::cloud::ec2::Template::Name("pilots".to_owned()));
    let cloud = driver(config);
    cloud.offers(&wanted()).await.unwrap();
    for (uid, choices) in
        [("one", vec![bed.choice(SMALL, 0)]), ("fleet", vec![bed.choice(SMALL, 0), bed.choice(SMALL, 1)])]
    {
        let order = Order { choices, ..bed.order("template", uid) };
        let vm = cloud.create(&order).await.unwrap();
        let made = bed.it.instances().await.unwrap().into_iter().find(|i| i.id == vm.id).unwrap();
        assert_eq!(made.key_name.as_deref(), Some("admin"), "{uid}: what the template says");
        assert_eq!(
            (made.http_tokens.as_str(), made.image),
            ("required", order.image_id),
            "{uid}: and what the operator says"
        );
    }
    assert_eq!(bed.it.templates().await.unwrap(), ["pilots"]);
    assert_eq!(bed.it.template_versions("pilots").await.unwrap(), 1, "versions that an order needed are taken away");
    take_away(&cloud, "template").await;
}
