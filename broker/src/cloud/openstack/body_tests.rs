//! Of what an order asks Nova for.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::super::{
    fake::{Said, Site, order},
    *,
};
use crate::cloud::{Cloud, CloudError, Offers, Wanted};

const POST: &str = "POST /compute/v2.1/servers";
const FLAVORS: &str = "GET /compute/v2.1/flavors/detail";

/// What Nova is asked for by a driver with this configuration.
async fn asked(change: impl FnOnce(&mut Config)) -> Value {
    let kept = Arc::new(Mutex::new(Value::Null));
    let body = kept.clone();
    let site = Site::open(move |asked| {
        if asked.is(POST) {
            *body.lock().unwrap() = serde_json::from_str(&asked.body).unwrap();
        }
        None
    })
    .await;
    let mut config = site.config();
    change(&mut config);
    site.cloud_of(config).create(&order("a")).await.unwrap();
    kept.lock().unwrap()["server"].take()
}

#[tokio::test]
async fn user_data_comes_on_a_config_drive_unless_the_site_refuses_one() {
    assert_eq!(asked(|_| {}).await["config_drive"], json!(true));
    assert_eq!(asked(|config| config.config_drive = false).await["config_drive"], Value::Null);
}

#[tokio::test]
async fn a_root_volume_is_made_from_the_image_and_goes_with_its_server() {
    let disk = asked(|_| {}).await;
    assert_eq!((&disk["imageRef"], &disk["block_device_mapping_v2"]), (&json!("image"), &Value::Null));
    let volume = asked(|config| config.root_volume_gib = Some(20)).await;
    assert_eq!(volume["imageRef"], Value::Null, "the image is the volume's");
    let expected = json!([{"boot_index": "0", "source_type": "image", "uuid": "image", "destination_type": "volume",
                           "volume_size": 20, "delete_on_termination": true}]);
    assert_eq!(volume["block_device_mapping_v2"], expected);
}

#[tokio::test]
async fn security_groups_are_given_to_nova_as_they_are_named() {
    let groups = asked(|config| config.security_groups = vec!["pilots".to_owned(), "g-2".to_owned()]).await;
    assert_eq!(groups["security_groups"], json!([{"name": "pilots"}, {"name": "g-2"}]));
}

/// A site with a flavor that has a disk, one that has none and one that is disabled.
async fn with_flavors() -> Site {
    Site::open(|asked| {
        let flavor = |name: &str, disk: u64, disabled: bool| {
            json!({"id": format!("id-of-{name}"), "name": name, "vcpus": 1, "ram": 512, "disk": disk,
                   "OS-FLV-DISABLED:disabled": disabled})
        };
        let all = [flavor("m1", 10, false), flavor("diskless", 0, false), flavor("old", 10, true)];
        let all = if asked.line.contains("marker=") { &all[..0] } else { &all[..] };
        asked.is(FLAVORS).then(|| Said::json(200, &json!({"flavors": all})))
    })
    .await
}

fn names(offers: &Offers) -> Vec<&str> {
    offers.flavors.iter().map(|f| f.name.as_str()).collect()
}

#[tokio::test]
async fn a_flavor_without_a_disk_is_sold_only_with_a_root_volume_and_why_is_said() {
    let site = with_flavors().await;
    let cloud = site.cloud();
    let offers = cloud.offers(&Wanted::default()).await.unwrap();
    assert_eq!(names(&offers), ["m1"]);
    assert_eq!(offers.missing, Vec::<String>::new(), "nobody asked for them");
    assert!(
        matches!(offers.left_out.as_slice(), [disk, disabled] if disk.contains("diskless") && disk.contains("rootVolumeGiB")
            && disabled.contains("old: disabled")),
        "{:?}",
        offers.left_out
    );
    let mut diskless = order("a");
    diskless.choices[0].flavor = "diskless".to_owned();
    let refused = cloud.create(&diskless).await;
    assert!(
        matches!(&refused, Err(CloudError::Invalid(said)) if said.contains("rootVolumeGiB") && said.contains("Cinder")),
        "{refused:?}"
    );
    assert_eq!(site.asked(POST), 0);

    let mut config = site.config();
    config.root_volume_gib = Some(20);
    let cloud = site.cloud_of(config);
    let offers = cloud.offers(&Wanted::default()).await.unwrap();
    assert_eq!(names(&offers), ["m1", "diskless"]);
    assert!(offers.flavors.iter().all(|f| f.disk_gib == Some(20)), "{:?}", offers.flavors);
    cloud.create(&diskless).await.unwrap();
}

#[tokio::test]
async fn root_volumes_where_the_site_has_no_cinder_are_refused_before_anything_is_ordered() {
    let site = with_flavors().await;
    let behind = site.address.clone();
    let front = Site::open(move |asked| {
        let catalog: Vec<Value> = ["compute", "image", "network"]
            .map(|kind| {
                json!({"type": kind, "endpoints": [
                    {"region_id": "here", "interface": "public", "url": format!("{behind}/{kind}")}]})
            })
            .to_vec();
        let token = json!({"token": {"project": {"id": "p-1"}, "user": {"id": "u-1"}, "catalog": catalog}});
        asked.is("POST /v3").then(|| Said::json(201, &token).with("X-Subject-Token", "t"))
    })
    .await;
    let mut config = front.config();
    config.root_volume_gib = Some(20);
    let cloud = front.cloud_of(config);
    let missing = cloud.offers(&Wanted::default()).await.unwrap().missing;
    assert!(missing.iter().any(|said| said.contains("Cinder") && said.contains("rootVolumeGiB")), "{missing:?}");
    let refused = cloud.create(&order("a")).await;
    assert!(matches!(&refused, Err(CloudError::Invalid(said)) if said.contains("Cinder")), "{refused:?}");
    assert_eq!(site.asked(POST), 0);
}
