//! Clouds: one contract for both drivers, and OpenStack's own failures against a real Keystone, Nova, Glance, Neutron and Placement.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod clouds {
    pub mod contract;
    pub mod failures;
    pub mod guests;
    pub mod refusals;
}

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use broker::{
    cloud::{
        Cloud, Order, Owner, Vm, VmState,
        openstack::{Config, Credential, NameOrId, OpenStackCloud},
    },
    pilot::Pilot,
    simulation::{CloudConfig, SimulatedCloud, SimulatedFlavor},
};
use testbeds::openstack::{OpenStack, PASSWORD, PROJECT, TINY, USER};

/// A driver's configuration for a project, entered with the password.
fn password(it: &OpenStack, project: &str) -> Config {
    Config {
        auth_url: it.auth_url(),
        region: "RegionOne".to_owned(),
        interface: "public".to_owned(),
        credential: Credential::Password {
            username: USER.to_owned(),
            user_domain: "Default".to_owned(),
            password: PASSWORD.into(),
            project: project.to_owned(),
            project_domain: "Default".to_owned(),
        },
        ca_pem: None,
        networks: vec![NameOrId::Name("private".to_owned())],
        security_groups: vec!["default".to_owned()],
        zones: vec!["nova".to_owned()],
        images: BTreeMap::from([("default".to_owned(), NameOrId::Name("EL9-pilot".to_owned()))]),
    }
}

fn order(cluster: &str, uid: &str, flavor: &str, image_id: &str, user_data: &str) -> Order {
    Order {
        owner: Owner { cluster: cluster.to_owned(), uid: uid.to_owned() },
        name: format!("dirac-{uid}"),
        flavor: flavor.to_owned(),
        image_id: image_id.to_owned(),
        zone: None,
        user_data: user_data.into(),
        pilot: Pilot { reference: format!("cloud://{uid}"), cores: 1, ..Pilot::default() },
        metadata: BTreeMap::from([("dirac_pool".to_owned(), "test".to_owned())]),
    }
}

/// Waits until the list has the VM in a state that the test wants.
async fn listed(cloud: &dyn Cloud, cluster: &str, uid: &str, wanted: impl Fn(&VmState) -> bool) -> Vm {
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
async fn nothing_left(cloud: &dyn Cloud, cluster: &str) {
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

#[tokio::test(flavor = "multi_thread")]
async fn the_openstack_driver_keeps_the_contract_and_survives_openstack() {
    let state = tempfile::tempdir().unwrap();
    let mut it = OpenStack::start(state.path()).await.unwrap();
    let driver: Arc<dyn Cloud> = Arc::new(OpenStackCloud::new(password(&it, PROJECT)).unwrap());
    let image = driver.catalogue().await.unwrap().images["default"].clone();

    clouds::contract::holds(driver.as_ref(), "m1.tiny", &image).await;
    clouds::contract::strangers_are_left_alone(&it, driver.as_ref(), &image).await;
    let tiny: Arc<dyn Cloud> = Arc::new(OpenStackCloud::new(password(&it, TINY)).unwrap());
    clouds::contract::quota_is_a_refusal(tiny.as_ref(), "m1.tiny", &image, 2).await;

    clouds::refusals::the_catalogue_tells_what_there_is(&it, driver.as_ref()).await;
    clouds::refusals::credentials_and_addresses_that_are_wrong_are_told_apart(&it).await;
    clouds::refusals::orders_that_cannot_work_are_invalid(&it, driver.as_ref(), &image).await;

    clouds::guests::a_guest_does_its_user_data_and_halts(&it, driver.as_ref(), &image).await;

    clouds::failures::no_valid_host_is_no_capacity(driver.as_ref(), &image).await;
    clouds::failures::a_token_is_renewed_once_however_many_calls_find_it_expired(&it).await;
    clouds::failures::a_keystone_that_hangs_is_said_once_to_all(&mut it).await;
    clouds::failures::an_expired_application_credential_is_said(&it).await;
    clouds::failures::a_lost_reply_makes_no_second_server(&it, &image).await;
    clouds::failures::of_twins_one_is_kept(&it, driver.as_ref(), &image).await;
    clouds::failures::a_paused_hypervisor_loses_nothing(&mut it, driver.as_ref(), &image).await;
    assert_eq!(ours(&it).await, 0, "nothing of ours is left in Nova");
}

/// Servers in the project that carry our tag.
async fn ours(it: &OpenStack) -> usize {
    it.servers(PROJECT).await.unwrap().iter().filter(|s| s.tags.iter().any(|t| t == "dirac-operator")).count()
}

#[tokio::test]
async fn the_simulated_driver_keeps_the_same_contract() {
    let flavor = SimulatedFlavor {
        name: "c1".to_owned(),
        cores: 1,
        ram_mib: 2_048,
        gpus: 0,
        gpu_model: None,
        price_micros: None,
    };
    let config = CloudConfig { flavors: vec![flavor], boot_seconds: 1, ..CloudConfig::default() };
    let cloud = SimulatedCloud::new(config.clone(), None, Arc::new(jiff::Timestamp::now));
    clouds::contract::holds(&cloud, "c1", "any").await;
    let quota = broker::plan::Limits { vms: Some(2), ..broker::plan::Limits::default() };
    let small = SimulatedCloud::new(CloudConfig { quota, ..config }, None, Arc::new(jiff::Timestamp::now));
    clouds::contract::quota_is_a_refusal(&small, "c1", "any", 2).await;
}
