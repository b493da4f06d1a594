//! What is bought alike, in the words of objects: the lot of a PilotVM, and what boots in one.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use broker::{
    cloud::{Offers, Purchase},
    experience::Lot,
};
use crds::{PilotPool, PilotVM};
use kube::ResourceExt;

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
    let id = offers.and_then(|offers| offers.images.get(image)).map(|image| format!(" ({})", image.id));
    let template = pool.and_then(|pool| {
        let mut hasher = DefaultHasher::new();
        pool.spec.machine.user_data.as_ref()?.hash(&mut hasher);
        Some(format!(" and the user-data {:08x} of pool {}", hasher.finish() >> 32, pool.name_any()))
    });
    format!("{image}{}{}", id.unwrap_or_default(), template.unwrap_or_default()).into()
}

/// The lot of a VM, as it was wished; `image`: see [`boots`].
pub fn lot(vm: &PilotVM, image: Arc<str>) -> Lot {
    let offering = &vm.spec.offering;
    Lot {
        cloud: vm.spec.cloud_ref.name.as_str().into(),
        zone: offering.zone.as_deref().map(Arc::from),
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
}
