//! OpenStack as sites have it: projects known by id, flavors with EGI's properties or without a disk, security groups of one name,
//! ports that stay, networks without a metadata service.

use std::time::Duration;

use broker::cloud::{
    Cloud, CloudError, VmState, Wanted,
    openstack::{Config, Credential, NameOrId, Project},
};
use testbeds::systems::openstack::{OpenStack, PROJECT, TINY};

use super::real::driver;
use crate::{buy, listed, nothing_left, order, password};

fn entering(it: &OpenStack, wanted: Project) -> Config {
    let mut config = password(it, PROJECT);
    if let Credential::Password { project, user_domain, .. } = &mut config.credential {
        *project = wanted;
        *user_domain = NameOrId::Name("Default".to_owned());
    }
    config
}

pub async fn a_project_is_entered_by_its_id(it: &OpenStack) {
    let offers = driver(password(it, PROJECT)).offers(&Wanted::default()).await.unwrap();
    let id = offers.project.unwrap();
    let by_id = driver(entering(it, Project::Id(id.clone()))).offers(&Wanted::default()).await.unwrap();
    assert_eq!(by_id.project, Some(id));
    let domain = NameOrId::Id("default".to_owned());
    let in_domain = entering(it, Project::Named { name: PROJECT.to_owned(), domain });
    driver(in_domain).list("c").await.unwrap();
    let nobodys = driver(entering(it, Project::Id("nobodys".to_owned()))).list("c").await;
    assert!(matches!(nobodys, Err(CloudError::Unauthorized(_))), "{nobodys:?}");
}

pub async fn flavors_of_sites_are_read_and_those_without_a_disk_are_refused(
    it: &OpenStack,
    cloud: &dyn Cloud,
    image: &str,
) {
    it.add_egi_flavors().await.unwrap();
    it.add_flavor("m1.diskless", 2, 2048, 0, serde_json::json!({})).await.unwrap();
    let offers = cloud.offers(&Wanted::default()).await.unwrap();
    let gpu = |name: &str| {
        let flavor = offers.flavors.iter().find(|f| f.name == name).unwrap();
        flavor.gpu.as_ref().map(|gpu| (gpu.thousandths, gpu.model.clone().unwrap_or_default()))
    };
    assert_eq!(gpu("egi.gpu"), Some((1_000, "NVIDIA A100".to_owned())));
    assert_eq!(gpu("egi.gpu-two"), Some((2_000, "NVIDIA A100".to_owned())));
    assert_eq!(gpu("egi.gpu-part"), Some((330, "NVIDIA A100 MIG".to_owned())));
    assert_eq!(gpu("egi.fpga"), None);
    buy(cloud, &order("sites", "part", "egi.gpu-part", image, "")).await.unwrap();
    let part = listed(cloud, "sites", "part", |s| *s == VmState::Active).await;
    cloud.delete(&part.id).await.unwrap();

    assert!(offers.flavors.iter().all(|f| f.name != "m1.diskless"), "{:?}", offers.flavors);
    assert_eq!(offers.missing, Vec::<String>::new());
    assert!(offers.left_out.iter().any(|said| said.contains("m1.diskless: no disk")), "{:?}", offers.left_out);
    let refused = cloud.create(&order("sites", "diskless", "m1.diskless", image, "")).await;
    assert!(matches!(&refused, Err(CloudError::Invalid(said)) if said.contains("rootVolumeGiB")), "{refused:?}");

    // This site has no Cinder.
    let mut volumes = password(it, PROJECT);
    volumes.root_volume_gib = Some(2);
    let volumes = driver(volumes);
    let offers = volumes.offers(&Wanted::default()).await.unwrap();
    assert!(offers.missing.iter().any(|said| said.contains("Cinder")), "{:?}", offers.missing);
    let refused = volumes.create(&order("sites", "volume", "m1.diskless", image, "")).await;
    assert!(matches!(&refused, Err(CloudError::Invalid(said)) if said.contains("Cinder")), "{refused:?}");
    nothing_left(cloud, "sites").await;
}

pub async fn security_groups_that_are_called_alike_are_told_apart(it: &OpenStack, image: &str) {
    let ours = it.add_security_group(PROJECT, "pilots").await.unwrap();
    let theirs = it.add_security_group(TINY, "pilots").await.unwrap();
    it.share_security_group(&theirs).await.unwrap();
    assert_eq!(it.security_groups(PROJECT, "pilots").await.unwrap().len(), 2, "Neutron lists both");
    let with = |group: &str| {
        let mut config = password(it, PROJECT);
        config.security_groups = vec![group.to_owned()];
        driver(config)
    };
    let made = async |uid: &str, group: &str| {
        let cloud = with(group);
        let missing = cloud.offers(&Wanted::default()).await.unwrap().missing;
        assert_eq!(missing, Vec::<String>::new(), "{group}");
        buy(&cloud, &order("groups", uid, "m1.tiny", image, "")).await.unwrap();
        let vm = listed(&cloud, "groups", uid, |s| *s == VmState::Active).await;
        cloud.delete(&vm.id).await.unwrap();
    };
    made("by-name", "pilots").await;
    made("by-id", &ours).await;

    it.add_security_group(PROJECT, "pilots").await.unwrap();
    let two = with("pilots");
    let missing = two.offers(&Wanted::default()).await.unwrap().missing;
    assert!(missing.len() == 1 && missing[0].contains(&ours) && !missing[0].contains(&theirs), "{missing:?}");
    let refused = two.create(&order("groups", "of-two", "m1.tiny", image, "")).await;
    assert!(matches!(&refused, Err(CloudError::Invalid(said)) if said.contains("securityGroups")), "{refused:?}");
    made("by-id-of-two", &ours).await;
    nothing_left(&two, "groups").await;
}

pub async fn ports_that_nova_leaves_behind_are_taken_away(it: &OpenStack, cloud: &dyn Cloud, image: &str) {
    buy(cloud, &order("ports", "uid-1", "m1.tiny", image, "")).await.unwrap();
    buy(cloud, &order("ports", "uid-2", "m1.tiny", image, "")).await.unwrap();
    let gone = listed(cloud, "ports", "uid-1", |s| *s == VmState::Active).await;
    let stays = listed(cloud, "ports", "uid-2", |s| *s == VmState::Active).await;
    cloud.delete(&gone.id).await.unwrap();
    while cloud.get(&gone.id).await.unwrap().is_some() {
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let left = it.leave_port(PROJECT, &gone.id, "").await.unwrap();
    let a_persons = it.leave_port(PROJECT, &gone.id, "of a person").await.unwrap();
    assert_eq!(it.ports_of(PROJECT, &stays.id).await.unwrap().len(), 1);
    tokio::time::sleep(Duration::from_secs(31)).await;
    cloud.headroom().await.unwrap();
    let after = it.ports_of(PROJECT, &gone.id).await.unwrap();
    assert!(!after.contains(&left), "{left} is still there");
    assert_eq!(after, [a_persons]);
    assert_eq!(it.ports_of(PROJECT, &stays.id).await.unwrap().len(), 1, "a living server keeps its port");
    cloud.delete(&stays.id).await.unwrap();
    nothing_left(cloud, "ports").await;
}

pub async fn without_a_metadata_service_only_a_config_drive_brings_user_data(it: &OpenStack, image: &str) {
    for (config_drive, uid, words, runs) in
        [(true, "driven", "user-data from its config drive", true), (false, "served", "no user-data", false)]
    {
        let mut config = password(it, PROJECT);
        config.config_drive = config_drive;
        let cloud = driver(config);
        buy(&cloud, &order("drives", uid, "m1.tiny", image, "#!/bin/sh\necho it ran\n")).await.unwrap();
        let vm = listed(&cloud, "drives", uid, |s| *s == VmState::Active).await;
        let mut console = String::new();
        for _ in 0..240 {
            console = cloud.console(&vm.id, 4_000).await.unwrap();
            if console.contains(words) && (console.contains("it ran") || !runs) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        assert!(console.contains(words) && console.contains("it ran") == runs, "{uid}: {console}");
        cloud.delete(&vm.id).await.unwrap();
        nothing_left(&cloud, "drives").await;
    }
}
