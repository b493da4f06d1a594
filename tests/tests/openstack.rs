//! Clouds: one contract for both drivers, and OpenStack's own failures against a real Keystone, Nova, Glance, Neutron and Placement.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod clouds {
    pub mod bed;
    pub mod clauses;
    pub mod contract;
    pub mod failures;
    pub mod federated;
    pub mod guests;
    pub mod hands;
    pub mod real;
    pub mod refusals;
    pub mod simulated;
    pub mod sites;
    pub mod strangers;
}

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use broker::{
    cloud::{
        Cloud, Wanted,
        openstack::{Config, Credential, NameOrId, Project},
    },
    simulation::CloudConfig,
};
use testbeds::systems::openstack::{OpenStack, PASSWORD, PROJECT, TINY, USER};

use clouds::{clauses, hands::*, real, simulated};

/// A driver's configuration for a project, entered with the password.
fn password(it: &OpenStack, project: &str) -> Config {
    Config {
        auth_url: it.auth_url(),
        region: "RegionOne".to_owned(),
        interface: "public".to_owned(),
        credential: Credential::Password {
            username: USER.to_owned(),
            user_domain: NameOrId::Id("default".to_owned()),
            password: PASSWORD.into(),
            project: Project::Named { name: project.to_owned(), domain: NameOrId::Name("Default".to_owned()) },
        },
        ca_pem: None,
        addresses: broker::address::Policy::OPEN,
        networks: vec![NameOrId::Name("private".to_owned())],
        security_groups: vec!["default".to_owned()],
        zones: vec!["nova".to_owned()],
        images: BTreeMap::from([("default".to_owned(), NameOrId::Name("EL9-pilot".to_owned()))]),
        config_drive: true,
        root_volume_gib: None,
        gpus: BTreeMap::new(),
        spot: BTreeSet::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_openstack_driver_keeps_the_contract_and_survives_openstack() {
    let state = tempfile::tempdir().unwrap();
    let mut it = OpenStack::start(state.path()).await.unwrap();
    let driver: Arc<dyn Cloud> = Arc::new(real::driver(password(&it, PROJECT)));
    let image = driver.offers(&Wanted::default()).await.unwrap().images["default"].id.clone();

    clouds::contract::holds(driver.as_ref(), "m1.tiny", &image).await;
    clouds::strangers::strangers_are_left_alone(&it, driver.as_ref(), &image).await;
    let bed = real::Real::new(&it, &image).await;
    let cannot = clauses::hold(&bed).await;
    let expected = [
        "OpenStack cannot take a VM back: Nova sells no spot VMs",
        "OpenStack cannot refuse a zone: Nova's refusals name none",
        "OpenStack cannot refuse a class: a project has one",
    ];
    assert_eq!(cannot, expected);
    drop(bed);
    let tiny: Arc<dyn Cloud> = Arc::new(real::driver(password(&it, TINY)));
    clouds::strangers::quota_is_a_refusal(tiny.as_ref(), "m1.tiny", &image, 2).await;

    clouds::refusals::the_catalogue_tells_what_there_is(&it, driver.as_ref()).await;
    clouds::refusals::credentials_and_addresses_that_are_wrong_are_told_apart(&it).await;
    clouds::refusals::orders_that_cannot_work_are_invalid(&it, driver.as_ref(), &image).await;

    clouds::sites::a_project_is_entered_by_its_id(&it).await;
    clouds::sites::flavors_of_sites_are_read_and_those_without_a_disk_are_refused(&it, driver.as_ref(), &image).await;
    clouds::sites::security_groups_that_are_called_alike_are_told_apart(&it, &image).await;
    clouds::sites::ports_that_nova_leaves_behind_are_taken_away(&it, driver.as_ref(), &image).await;

    clouds::federated::a_site_is_entered_with_access_tokens(&it, &image).await;

    // From here on only config drives have user-data.
    it.without_metadata().unwrap();
    clouds::sites::without_a_metadata_service_only_a_config_drive_brings_user_data(&it, &image).await;
    clouds::guests::a_guest_does_its_user_data_and_halts(&it, driver.as_ref(), &image).await;

    clouds::failures::no_valid_host_is_no_capacity(driver.as_ref(), &image).await;
    clouds::failures::a_token_is_renewed_once_however_many_calls_find_it_expired(&it).await;
    clouds::failures::a_keystone_that_hangs_is_said_once_to_all(&mut it).await;
    clouds::failures::an_expired_application_credential_is_said(&it).await;
    clouds::failures::a_lost_reply_makes_no_second_server(&it, &image).await;
    clouds::failures::a_paused_hypervisor_loses_nothing(&mut it, driver.as_ref(), &image).await;
    // What is being deleted goes in a moment.
    for _ in 0..120 {
        if ours(&it).await.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(ours(&it).await, Vec::<String>::new(), "nothing of ours is left in Nova");
}

/// Servers in the project that carry our tag: status and tags of each.
async fn ours(it: &OpenStack) -> Vec<String> {
    let all = it.servers(PROJECT).await.unwrap();
    let ours = all.iter().filter(|s| s.tags.iter().any(|t| t == "dirac-operator"));
    ours.map(|s| format!("{} {} {:?}", s.id, s.status, s.tags)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_simulated_driver_keeps_the_same_contract() {
    let cloud = simulated::cloud(simulated::config());
    clouds::contract::holds(&cloud, "c1", "any").await;
    let quota = broker::plan::Limits { vms: Some(2), ..broker::plan::Limits::default() };
    let small = simulated::cloud(CloudConfig { quota, ..simulated::config() });
    clouds::strangers::quota_is_a_refusal(&small, "c1", "any", 2).await;
    let cannot = clauses::hold(&simulated::Simulated::new()).await;
    assert_eq!(cannot, ["the simulation cannot be asked by another driver: it is its own driver"]);
}
