//! What an account has, and what is said of what it has not.

use broker::cloud::{Cloud, Purchase, Shape, Wanted, ec2::ImageRef};

use crate::{
    buy,
    clouds::{
        amazon::{Amazon, GPU, SMALL, config, driver, wanted},
        bed::Bed,
    },
    nothing_left,
};

pub async fn what_is_offered_is_what_the_subnets_zones_sell(bed: &Amazon) {
    bed.it.spot_price(SMALL, "*", Some(0.0042)).await.unwrap();
    let offers = bed.driver().offers(&wanted()).await.unwrap();
    assert_eq!(offers.missing, Vec::<String>::new());
    assert_eq!(offers.currency.as_deref(), Some("USD"));
    assert_eq!(offers.project.as_deref(), Some(bed.it.account().as_str()));
    assert!(offers.flavors.len() == 3, "only what the pools name: {:?}", offers.flavors);
    let gpu = offers.flavors.iter().find(|f| f.name == GPU).unwrap();
    let known = gpu.gpu.clone().unwrap();
    assert_eq!((gpu.cores, known.thousandths, known.model.as_deref()), (4, 1_000, Some("T4")));
    assert_eq!((known.vendor.as_deref(), known.memory_mib), (Some("NVIDIA"), Some(16_384)));
    for zone in bed.zones() {
        let of = |purchase| {
            let mut all = offers.offers.iter();
            all.find(|o| o.flavor == SMALL && o.zone.as_ref() == Some(&zone) && o.purchase == purchase).unwrap()
        };
        let (spot, demand) = (of(Purchase::Spot), of(Purchase::OnDemand));
        assert_eq!((spot.price_micros, demand.price_micros), (Some(4_200), None), "{zone}");
        assert_eq!((spot.quota_class.as_str(), demand.quota_class.as_str()), ("L-34B43A08", "L-1216C47A"));
    }
    bed.it.spot_price(SMALL, "*", None).await.unwrap();

    let shape = Shape { cores: (Some(4), Some(8)), gpus: (Some(1), None), ..Shape::default() };
    let offers = bed.driver().offers(&Wanted { shapes: vec![shape] }).await.unwrap();
    assert!(offers.flavors.iter().any(|f| f.name == GPU), "{:?}", offers.flavors);
    assert!(offers.flavors.iter().all(|f| (4..=8).contains(&f.cores) && f.gpus() >= 1));
    assert!(offers.offers.iter().all(|o| o.purchase == Purchase::OnDemand), "nobody asks for Spot");
    bed.driver().offers(&wanted()).await.unwrap();
}

pub async fn what_a_cloud_names_and_there_is_not_is_said(bed: &Amazon) {
    let mut there = config(&bed.it);
    there.images = [
        ("newest", ImageRef::Newest { name: "dirac-pilot-*".to_owned(), owner: "self".to_owned() }),
        ("parameter", ImageRef::Parameter(bed.it.image_parameter().to_owned())),
    ]
    .map(|(name, image)| (name.to_owned(), image))
    .into();
    let offers = driver(there).offers(&wanted()).await.unwrap();
    assert_eq!(offers.missing, Vec::<String>::new());
    assert_eq!(offers.images["newest"].id, bed.it.images()["newer"]);
    assert_eq!(offers.images["parameter"].id, bed.it.images()["default"]);
    assert_eq!(offers.images["newest"].arch.as_deref(), Some("x86_64"));

    let mut wrong = config(&bed.it);
    wrong.images = [
        ("id", ImageRef::Id("ami-0000000000000000f".to_owned())),
        ("name", ImageRef::Newest { name: "no-such-image".to_owned(), owner: "self".to_owned() }),
        ("parameter", ImageRef::Parameter("/no/such".to_owned())),
    ]
    .map(|(name, image)| (name.to_owned(), image))
    .into();
    wrong.subnets.push("subnet-0000000000000000f".to_owned());
    wrong.security_groups.push("sg-0000000000000000f".to_owned());
    wrong.root_volume_gib = Some(4);
    let missing = driver(wrong).offers(&wanted()).await.unwrap().missing;
    for words in
        ["ami-0000000000000000f", "no-such-image", "/no/such", "subnet-0000000000000000f", "sg-0000000000000000f"]
    {
        assert!(missing.iter().any(|sentence| sentence.contains(words)), "{words}: {missing:?}");
    }

    let mut small = config(&bed.it);
    small.root_volume_gib = Some(4);
    let missing = driver(small).offers(&wanted()).await.unwrap().missing;
    assert!(missing.iter().any(|s| s.contains("volume of 8 GiB")), "{missing:?}");

    let mut elsewhere = config(&bed.it);
    elsewhere.subnets = vec![bed.it.other_subnet()];
    let missing = driver(elsewhere.clone()).offers(&wanted()).await.unwrap().missing;
    assert!(missing.iter().any(|s| s.contains(&bed.it.security_group())), "a group of another VPC: {missing:?}");
    elsewhere.subnets.push(bed.it.subnets()[1].0.clone());
    let missing = driver(elsewhere).offers(&wanted()).await.unwrap().missing;
    assert!(missing.iter().any(|s| s.contains("several VPCs")), "{missing:?}");
}

pub async fn quotas_are_counted_by_class(bed: &Amazon) {
    let cloud = driver(config(&bed.it));
    cloud.offers(&wanted()).await.unwrap();
    bed.it.vcpus("L-1216C47A", Some(40)).await.unwrap();
    // What others run in the account counts, too.
    let others = cloud.headroom().await.unwrap().class("L-1216C47A").unwrap().cores.used;
    buy(&cloud, &bed.order("quota", "uid-1")).await.unwrap();
    let headroom = cloud.headroom().await.unwrap();
    let class = |name: &str| headroom.class(name).unwrap_or_else(|| panic!("{name}: {headroom:?}")).cores;
    assert_eq!((class("L-1216C47A").limit, class("L-1216C47A").used), (Some(40), others + 1));
    assert!(class("L-DB2E81BA").limit.is_some(), "G and VT: {headroom:?}");
    for vm in cloud.list("quota").await.unwrap() {
        cloud.delete(&vm.id).await.unwrap();
    }
    nothing_left(&cloud, "quota").await;
    bed.relent().await;

    bed.it.deny("servicequotas:GetServiceQuota").await.unwrap();
    let blind = driver(config(&bed.it));
    blind.offers(&wanted()).await.unwrap();
    let headroom = blind.headroom().await.expect("whoever may not read quotas learns from refusals");
    assert!(headroom.classes.iter().all(|class| class.cores.limit.is_none()) && !headroom.classes.is_empty());
    bed.relent().await;
}
