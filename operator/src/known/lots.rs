//! What is bought alike, in the words of objects: the lot of a PilotVM, and what boots in one.

use std::sync::Arc;

use broker::{
    cloud::{Offers, Purchase},
    experience::Lot,
    pilot::user_data::fingerprint,
};
use crds::{PilotPool, PilotVM};

use crate::life::place;

/// How it is bought, in the words of the broker.
pub fn purchase(said: crds::pool::Purchase) -> Purchase {
    match said {
        crds::pool::Purchase::OnDemand => Purchase::OnDemand,
        crds::pool::Purchase::Spot => Purchase::Spot,
    }
}

/// How it is bought, in the words of objects.
pub fn bought(said: Purchase) -> crds::pool::Purchase {
    match said {
        Purchase::OnDemand => crds::pool::Purchase::OnDemand,
        Purchase::Spot => crds::pool::Purchase::Spot,
    }
}

/// What decides whether a pilot comes up: the image, as the cloud has it now, and the user-data where the pool has its own. Where one of
/// them is changed, nothing that was learnt of the others counts.
pub fn boots(image: &str, pool: Option<&PilotPool>, offers: Option<&Offers>) -> Arc<str> {
    let id = offers.and_then(|offers| offers.images.get(image)).map(|image| image.id.as_str());
    let template = pool.and_then(|pool| pool.spec.machine.user_data.as_deref());
    words(image, id, &fingerprint(template), pool.and_then(|pool| pool.metadata.name.as_deref()))
}

/// The same of a VM: what is written down of it, also where its pool or its cloud has something else now; of the rest, what they have now.
pub fn booted(vm: &PilotVM, pool: Option<&PilotPool>, offers: Option<&Offers>) -> Arc<str> {
    let (image, attempt) = (&vm.spec.image, vm.status.as_ref().and_then(|status| status.attempt.as_ref()));
    let now = || offers.and_then(|offers| Some(offers.images.get(image)?.id.as_str()));
    let id = attempt.and_then(|attempt| attempt.image_id.as_deref()).or_else(now);
    let hash = attempt.and_then(|attempt| attempt.user_data_hash.clone());
    let hash = hash.unwrap_or_else(|| fingerprint(pool.and_then(|pool| pool.spec.machine.user_data.as_deref())));
    words(image, id, &hash, pool.and_then(|pool| pool.metadata.name.as_deref()))
}

fn words(image: &str, id: Option<&str>, user_data: &str, pool: Option<&str>) -> Arc<str> {
    let id = id.map(|id| format!(" ({id})")).unwrap_or_default();
    let own = pool.filter(|_| user_data != fingerprint(None));
    let short = user_data.get(..8).unwrap_or(user_data);
    let own = own.map(|pool| format!(" and the user-data {short} of pool {pool}")).unwrap_or_default();
    format!("{image}{id}{own}").into()
}

/// The lot of a VM, as it was bought, or until then as it was wished; `image`: see [`booted`].
pub fn lot(vm: &PilotVM, image: Arc<str>) -> Lot {
    lot_in(vm, place(vm).0, image)
}

/// The same in this zone.
pub fn lot_in(vm: &PilotVM, zone: Option<&str>, image: Arc<str>) -> Lot {
    let offering = &vm.spec.offering;
    Lot {
        cloud: vm.spec.cloud_ref.name.as_str().into(),
        zone: zone.map(Arc::from),
        flavor: offering.flavor.as_str().into(),
        purchase: purchase(offering.purchase),
        image,
    }
}

/// The class of quota of a lot.
pub fn class(lot: &Lot, offers: Option<&Offers>) -> Option<Arc<str>> {
    let is_its = |o: &&broker::cloud::Offer| {
        *o.flavor == *lot.flavor && o.zone.as_deref() == lot.zone.as_deref() && o.purchase == lot.purchase
    };
    offers?.offers.iter().find(is_its).map(|offer| offer.quota_class.as_str().into())
}

#[cfg(test)]
mod tests {
    use broker::cloud::Image;

    use super::*;

    #[test]
    fn another_image_of_the_same_name_or_other_user_data_is_another_lot() {
        let spec = serde_json::json!({"siteRef": {"name": "s"}, "vos": ["v"], "clouds": [{"name": "c"}],
            "machine": {"image": "el9"}, "matching": {"maxCpuTime": "24h"}, "scaling": {"max": 3}});
        let mut pool = PilotPool::new("p", serde_json::from_value(spec).unwrap());
        let offers = |id: &str| {
            let image = Image { id: id.into(), ..Image::default() };
            Offers { images: [("el9".to_owned(), image)].into(), ..Offers::default() }
        };
        assert_eq!(&*boots("el9", Some(&pool), None), "el9");
        assert_eq!(&*boots("el9", Some(&pool), Some(&offers("7"))), "el9 (7)");
        pool.spec.machine.user_data = Some("one".into());
        let one = boots("el9", Some(&pool), Some(&offers("7")));
        assert!(one.starts_with("el9 (7) and the user-data ") && one.ends_with(" of pool p"), "{one}");
        pool.spec.machine.user_data = Some("another".into());
        assert_ne!(one, boots("el9", Some(&pool), Some(&offers("7"))));
    }

    #[test]
    fn a_vm_stays_of_the_lot_from_which_it_was_made() {
        let spec = serde_json::json!({"siteRef": {"name": "s"}, "vos": ["v"], "clouds": [{"name": "c"}],
            "machine": {"image": "el9", "userData": "new"}, "matching": {"maxCpuTime": "24h"}, "scaling": {"max": 3}});
        let pool = PilotPool::new("p", serde_json::from_value(spec).unwrap());
        let image = Image { id: "8".into(), ..Image::default() };
        let offers = Offers { images: [("el9".to_owned(), image)].into(), ..Offers::default() };
        let mut vm = PilotVM::new("p-1", crds::vm::PilotVMSpec { image: "el9".into(), ..Default::default() });
        let now = boots("el9", Some(&pool), Some(&offers));
        assert_eq!(booted(&vm, Some(&pool), Some(&offers)), now, "nobody wrote it down: it is taken for what there is");
        let mut made = |image_id: Option<&str>, template: Option<&str>| {
            let attempt = crds::vm::Attempt {
                number: 1,
                since: k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(jiff::Timestamp::UNIX_EPOCH),
                image_id: image_id.map(str::to_owned),
                user_data_hash: Some(fingerprint(template)),
                other_zones: Vec::new(),
            };
            vm.status = Some(crds::vm::PilotVMStatus { attempt: Some(attempt), ..Default::default() });
            booted(&vm, Some(&pool), Some(&offers))
        };
        assert_eq!(made(Some("8"), Some("new")), now);
        assert_eq!(&*made(Some("7"), None), "el9 (7)");
        assert_ne!(made(Some("8"), Some("old")), now);
    }
}
