//! Of what a project offers.

use serde_json::{Value, json};

use super::{
    super::{
        Config, Credential,
        fake::{Said, Site},
    },
    *,
};
use crate::cloud::{Cloud, Gpu};

const FLAVORS: &str = "GET /compute/v2.1/flavors/detail";

fn flavor(name: &str, disk: u64, specs: Value) -> Value {
    json!({"id": format!("id-of-{name}"), "name": name, "vcpus": 1, "ram": 512, "disk": disk, "extra_specs": specs})
}

async fn with(flavors: Vec<Value>) -> Site {
    Site::open(move |asked| {
        let page = if asked.line.contains("marker=") { &flavors[..0] } else { &flavors[..] };
        asked.is(FLAVORS).then(|| Said::json(200, &json!({"flavors": page})))
    })
    .await
}

#[tokio::test]
async fn what_the_cloud_object_says_of_a_flavor_holds_in_place_of_its_extra_specs() {
    let site = with(vec![
        flavor("unknown", 10, json!({"pci_passthrough:alias": "special:1"})),
        flavor("wrong", 10, json!({"pci_passthrough:alias": "gpu-like:1"})),
        flavor(
            "right",
            10,
            json!({"Accelerator:Type": "GPU", "Accelerator:Number": "1.0", "Accelerator:Model": "A100"}),
        ),
    ])
    .await;
    let mut config = site.config();
    config.gpus.insert("unknown".to_owned(), Gpu::whole(2, Some("L40S".to_owned())));
    config.gpus.insert("wrong".to_owned(), None);
    let offers = site.cloud_of(config).offers(&Wanted::default()).await.unwrap();
    let gpus: Vec<_> = offers.flavors.iter().map(|f| (f.name.as_str(), f.gpus(), f.gpu_model())).collect();
    assert_eq!(gpus, [("unknown", 2, Some("L40S")), ("wrong", 0, None), ("right", 1, Some("A100"))]);
}

#[tokio::test]
async fn a_site_whose_flavors_all_need_volumes_is_told_what_to_do() {
    let diskless = (0..12).map(|n| flavor(&format!("ceph-{n:02}"), 0, json!({}))).collect();
    let offers = with(diskless).await.cloud().offers(&Wanted::default()).await.unwrap();
    let [sentence] = offers.missing.as_slice() else { panic!("{:?}", offers.missing) };
    assert!(sentence.contains("no flavor can be bought") && sentence.contains("rootVolumeGiB"), "{sentence}");
    assert!(sentence.contains("ceph-09 and 2 more") && !sentence.contains("ceph-10"), "{sentence}");
}

#[tokio::test]
async fn a_list_of_flavors_that_never_ends_is_given_up() {
    let mut n = 0;
    let site = Site::open(move |asked| {
        n += 1;
        let page = json!({"flavors": [flavor(&format!("f{n}"), 1, json!({}))]});
        asked.is(FLAVORS).then(|| Said::json(200, &page))
    })
    .await;
    let outcome = site.cloud_with(fast(), crate::clock::Clock::system()).offers(&Wanted::default()).await;
    assert!(matches!(&outcome, Err(CloudError::Transient(said)) if said.contains("does not end")), "{outcome:?}");
    assert!(site.asked(FLAVORS) <= MOST_PAGES);
}

fn fast() -> crate::cloud::Rate {
    let many = std::num::NonZeroU32::MIN.saturating_add(999);
    crate::cloud::Rate { per_second: many, burst: many }
}

/// When an application credential ends, where Keystone answers so to the question for it. What is on offer is read in any case.
async fn end(status: u16, answer: Value) -> Option<Timestamp> {
    let site = Site::open(move |asked| {
        let asks = asked.is("GET /v3/users/u-1/application_credentials/a-1");
        asks.then(|| Said::json(status, &answer))
    })
    .await;
    let credential = Credential::Application { id: "a-1".to_owned(), secret: "s".into() };
    let offers = site.cloud_of(Config { credential, ..site.config() }).offers(&Wanted::default()).await.unwrap();
    assert_eq!(offers.offers.len(), 1);
    offers.credential_expires
}

#[tokio::test]
async fn a_credential_that_may_not_look_at_itself_buys_all_the_same_and_its_end_is_not_known() {
    let body = |at: Value| json!({"application_credential": {"id": "a-1", "expires_at": at}});
    let known = end(200, body(json!("2027-01-02T03:04:05.000000"))).await;
    assert_eq!(known, Some("2027-01-02T03:04:05Z".parse().unwrap()));
    assert_eq!(end(200, body(Value::Null)).await, None);
    for (status, answer) in [(403, json!({"error": {"code": 403}})), (500, json!("no")), (200, json!([]))] {
        assert_eq!(end(status, answer).await, None, "{status}");
    }
}
