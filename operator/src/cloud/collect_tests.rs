use std::sync::Mutex;

use async_trait::async_trait;
use broker::{
    clock::Clock,
    cloud::{CloudError, Headroom, Limits, Offers, Order, Owner, VmState, Wanted},
};
use jiff::SignedDuration;
use serde_json::json;

use super::*;
use crate::{
    api::{Stores, fake::Fake, watch::Objects},
    context::State,
};

/// A cloud that remembers what it was told to delete.
#[derive(Default)]
struct Sky(Mutex<Vec<String>>);

#[async_trait]
impl Cloud for Sky {
    async fn offers(&self, _: &Wanted) -> Result<Offers, CloudError> {
        Ok(Offers::default())
    }
    async fn headroom(&self) -> Result<Headroom, CloudError> {
        Ok(Headroom::default())
    }
    async fn create(&self, _: &Order) -> Result<Vm, CloudError> {
        Err(CloudError::Transient("nothing is made here".into()))
    }
    async fn list(&self, _: &str) -> Result<Vec<Vm>, CloudError> {
        Ok(Vec::new())
    }
    async fn get(&self, _: &str) -> Result<Option<Vm>, CloudError> {
        Ok(None)
    }
    async fn find(&self, _: &Owner) -> Result<Vec<Vm>, CloudError> {
        Ok(Vec::new())
    }
    fn settle(&self) -> Duration {
        Duration::ZERO
    }
    async fn delete(&self, id: &str) -> Result<(), CloudError> {
        self.0.lock().unwrap().push(id.to_owned());
        Ok(())
    }
    async fn console(&self, _: &str, _: usize) -> Result<String, CloudError> {
        Ok(String::new())
    }
    fn limits(&self) -> Limits {
        Limits::NOVA
    }
}

fn key() -> Key {
    Key { namespace: "demo".into(), name: "sky".into() }
}

fn pilot_vm(id: &str) -> PilotVM {
    let mut vm = PilotVM::new("cpu-1", crds::vm::PilotVMSpec::default());
    (vm.metadata.namespace, vm.metadata.uid) = (Some("demo".into()), Some("u".into()));
    vm.spec.cloud_ref.name = "sky".into();
    vm.status = serde_json::from_value(json!({ "providerId": id })).unwrap();
    vm
}

/// Servers of that PilotVM, of this age in seconds.
fn listing(ids: &[&str], age: i64) -> Listing {
    let server = |id: &&str| Vm {
        id: (*id).to_owned(),
        owner: Owner { cluster: String::new(), uid: "u".into() },
        name: "dirac-cpu-1".into(),
        state: VmState::Active,
        provider_status: "ACTIVE".into(),
        created: Clock::default().now() - SignedDuration::from_secs(age),
        bought: None,
        released: false,
    };
    let mut listing = Listing::default();
    listing.vms.insert("u".to_owned(), ids.iter().map(server).collect());
    listing
}

/// What is deleted of these servers, by the first list and by one that comes after `orphan_age`. The store shows a PilotVM whose VM is
/// `stored`, and the API server `there`.
async fn deleted(stored: &str, there: Option<&str>, ids: &[&str], age: i64) -> [Vec<String>; 2] {
    let fake = Fake::default();
    if let Some(id) = there {
        fake.put("pilotvms", &pilot_vm(id));
    }
    let stores = Stores { vms: Objects::of([pilot_vm(stored)]), ..Stores::default() };
    let ctx = Context::of(fake.client(), State { stores, ..State::default() });
    let (sky, mut collector) = (Sky::default(), Collector::default());
    let listing = listing(ids, age);
    collector.take_twins(&ctx, &key(), &sky, &listing).await;
    let at_once = sky.0.lock().unwrap().clone();
    tokio::time::advance(ctx.args.orphan_age).await;
    collector.take_twins(&ctx, &key(), &sky, &listing).await;
    let later = sky.0.lock().unwrap().split_off(at_once.len());
    [at_once, later]
}

#[tokio::test(start_paused = true)]
async fn a_young_twin_goes_at_once_and_an_old_one_after_a_while() {
    let young = deleted("1", Some("1"), &["1", "2"], 30).await;
    assert_eq!(young[0], ["2"]);
    let old = deleted("1", Some("1"), &["1", "2"], 3_600).await;
    assert_eq!((old[0].len(), &old[1][..]), (0, &["2".to_owned()][..]));
}

#[tokio::test(start_paused = true)]
async fn which_of_two_is_kept_is_what_the_api_server_says_and_not_a_late_store() {
    let nothing: [Vec<String>; 2] = Default::default();
    assert_eq!(deleted("1", Some("2"), &["1", "2"], 30).await, nothing, "the store is late");
    assert_eq!(deleted("1", None, &["1", "2"], 30).await, nothing, "the PilotVM is gone");
    assert_eq!(deleted("1", Some("1"), &["1"], 30).await, nothing, "there is one server");
}
