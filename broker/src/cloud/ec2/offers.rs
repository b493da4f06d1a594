//! What can be bought: instance types in the zones of our subnets, on demand and, at today's price, as Spot.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::{InstanceTypeInfo, LocationType};

use super::{
    client::Client,
    lookup,
    pages::Pages,
    prices, quota,
    resolved::{Resolved, arch},
    tags::{MOST_VALUES, is},
};
use crate::cloud::{
    CloudError, Flavor, Gpu, Offer, Offers, Purchase, Wanted,
    pace::Action,
    quote::{shortened, some},
};

/// Types on a page, the most that EC2 gives, and pages that are read.
const PAGE: i32 = 100;
const MOST_PAGES: usize = 40;
/// Types that are offered at most: a plan and a status are not the place for all of the seven hundred.
const MOST_TYPES: usize = 200;
/// Types that are read: AWS has some 1,100.
const MOST_READ: usize = 4_000;
/// Longest name of a type, in bytes, and architectures of one; a longer one is none.
const LONGEST_NAME: usize = 64;
const MOST_ARCHITECTURES: usize = 4;
/// Currency of AWS's prices.
const CURRENCY: &str = "USD";

/// Reads everything.
pub async fn read(client: &Client, wanted: &Wanted) -> Result<(Offers, Resolved), CloudError> {
    let (images, (subnets, refused), account) =
        tokio::try_join!(lookup::images(client), lookup::network(client), lookup::account(client))?;
    let (images, no_images) = images;
    let mut missing = [no_images, refused.clone()].concat();
    let architectures: BTreeSet<&str> = images.values().map(|image| image.arch.as_str()).collect();
    let mut types = types(client, wanted).await?;
    let of_types = types.iter().map(|t| (t.flavor.name.clone(), t.architectures.clone())).collect();
    // A type for which there is no image can run nothing.
    types.retain(|t| architectures.is_empty() || t.architectures.iter().any(|a| architectures.contains(a.as_str())));
    for t in &mut types {
        if let Some(said) = client.config.gpus.get(&t.flavor.name) {
            t.flavor.gpu = said.clone();
        }
    }
    let is_wanted = |t: &Type| t.purchases.iter().any(|purchase| wanted.suits(&t.flavor, *purchase));
    types.retain(is_wanted);
    let mut left_out = Vec::new();
    let place = |t: &Type| (!t.current, t.flavor.cores, t.flavor.ram_mib, t.flavor.name.clone());
    types.sort_by_cached_key(place);
    if types.len() > MOST_TYPES {
        left_out.push(format!(
            "{} instance types, older or larger ones of {} that suit the pools: ask for fewer in machine.flavors or machine.requirements",
            types.len() - MOST_TYPES,
            types.len()
        ));
        types.truncate(MOST_TYPES);
    }
    let names: Vec<&str> = types.iter().map(|t| t.flavor.name.as_str()).collect();
    let zones: BTreeSet<&str> = subnets.iter().map(|subnet| subnet.zone.as_str()).collect();
    let sold = sold(client, &names, &zones).await?;
    let spot: Vec<&str> = types
        .iter()
        .filter(|t| t.purchases.contains(&Purchase::Spot) && wanted.suits(&t.flavor, Purchase::Spot))
        .map(|t| t.flavor.name.as_str())
        .collect();
    let prices = prices::spot(client, &spot, &zones).await?;
    let mut offers = Vec::new();
    for t in &types {
        for zone in &zones {
            if !sold.contains(&(t.flavor.name.clone(), (*zone).to_owned())) {
                continue;
            }
            for purchase in t.purchases.iter().copied().filter(|purchase| wanted.suits(&t.flavor, *purchase)) {
                let price = prices.get(&(t.flavor.name.clone(), (*zone).to_owned())).copied();
                // What has no price as Spot is not sold so here.
                if purchase == Purchase::Spot && price.is_none() {
                    continue;
                }
                offers.push(Offer {
                    flavor: t.flavor.name.clone(),
                    zone: Some((*zone).to_owned()),
                    purchase,
                    price_micros: price.filter(|_| purchase == Purchase::Spot),
                    quota_class: quota::class(&t.flavor.name, purchase).to_owned(),
                });
            }
        }
    }
    let offered: BTreeSet<&str> = offers.iter().map(|offer| offer.flavor.as_str()).collect();
    let nowhere: Vec<&str> = names.iter().copied().filter(|name| !offered.contains(name)).collect();
    if !nowhere.is_empty() && !zones.is_empty() {
        let zones = zones.iter().copied().collect::<Vec<_>>().join(", ");
        left_out.push(format!("{}: not sold in the zones of the subnets ({zones})", some(&nowhere)));
    }
    types.retain(|t| offered.contains(t.flavor.name.as_str()));
    let resolved = Resolved {
        images: images.values().map(|image| (image.id.clone(), image.clone())).collect(),
        types: of_types,
        subnets,
        refused,
    };
    missing.sort();
    let offers = Offers {
        flavors: types.into_iter().map(|t| t.flavor).collect(),
        currency: Some(CURRENCY.to_owned()),
        images: images.iter().map(|(key, image)| (key.clone(), lookup::as_image(image))).collect(),
        missing,
        left_out,
        credential_expires: lookup::expires(client),
        project: account,
        offers,
    };
    Ok((offers, resolved))
}

/// An instance type, and how it is sold.
struct Type {
    flavor: Flavor,
    architectures: Vec<String>,
    purchases: Vec<Purchase>,
    /// Whether AWS counts it to today's generation.
    current: bool,
}

/// The types that pools name, or all where one asks by bounds.
async fn types(client: &Client, wanted: &Wanted) -> Result<Vec<Type>, CloudError> {
    let by_name = !wanted.shapes.is_empty() && wanted.shapes.iter().all(|shape| !shape.flavors.is_empty());
    let mut found = BTreeMap::new();
    if by_name {
        let names: BTreeSet<&str> = wanted.shapes.iter().flat_map(|s| &s.flavors).map(String::as_str).collect();
        let names: Vec<&str> = names.into_iter().collect();
        for some in names.chunks(MOST_VALUES) {
            read_types(client, vec![is("instance-type", some.iter().copied())], &mut found).await?;
        }
    } else {
        read_types(client, vec![is("bare-metal", ["false"])], &mut found).await?;
    }
    Ok(found.into_values().collect())
}

async fn read_types(
    client: &Client,
    filters: Vec<aws_sdk_ec2::types::Filter>,
    found: &mut BTreeMap<String, Type>,
) -> Result<(), CloudError> {
    let what = "list instance types";
    let mut pages = Pages::at_most(MOST_PAGES);
    while let Some(at) = pages.next() {
        let ask = client.apis().await?.ec2.describe_instance_types().set_filters(Some(filters.clone()));
        let call = ask.max_results(PAGE).set_next_token(at).send();
        let answer = client.call(what, Action::Catalogue, call).await?;
        found.extend(answer.instance_types().iter().filter_map(of_info).map(|t| (t.flavor.name.clone(), t)));
        if found.len() > MOST_READ {
            return Err(CloudError::Transient(format!(
                "{what}: there are more than {MOST_READ}, and no more are read"
            )));
        }
        pages.read(answer.next_token());
    }
    pages.whole(what)
}

fn of_info(info: &InstanceTypeInfo) -> Option<Type> {
    let positive = |n: i32| u32::try_from(n).ok();
    let architectures = info.processor_info()?.supported_architectures().iter().map(|a| a.as_str());
    let architectures: Vec<String> =
        architectures.filter(|a| a.len() <= LONGEST_NAME).take(MOST_ARCHITECTURES).map(arch).collect();
    let name = info.instance_type().map(|t| t.as_str()).filter(|name| name.len() <= LONGEST_NAME)?;
    let purchases = info.supported_usage_classes().iter().filter_map(|class| match class.as_str() {
        "on-demand" => Some(Purchase::OnDemand),
        "spot" => Some(Purchase::Spot),
        _ => None,
    });
    Some(Type {
        flavor: Flavor {
            name: name.to_owned(),
            cores: positive(info.v_cpu_info()?.default_v_cpus()?)?,
            ram_mib: u64::try_from(info.memory_info()?.size_in_mib()?).ok()?,
            disk_gib: None,
            arch: architectures.first().cloned(),
            gpu: gpu(info),
        },
        architectures,
        purchases: purchases.collect(),
        current: info.current_generation().unwrap_or(true),
    })
}

/// The GPUs of a type. Fractions are types of their own (`g6f`): `GpuPartitionSize` is the part of one that each has.
fn gpu(info: &InstanceTypeInfo) -> Option<Gpu> {
    let devices = info.gpu_info()?.gpus();
    let first = devices.first()?;
    let thousandths = devices.iter().map(|device| {
        let part = device.gpu_partition_size().filter(|part| *part > 0.0 && *part < 1.0).unwrap_or(1.0);
        // At most 16 GPUs, so nothing is cut.
        let of_one = (part * 1000.0).round() as u64;
        u64::try_from(device.count().unwrap_or(0)).unwrap_or(0) * of_one
    });
    let thousandths: u64 = thousandths.sum();
    (thousandths > 0).then(|| Gpu {
        thousandths,
        shared: false,
        vendor: first.manufacturer().map(shortened),
        model: first.name().map(shortened),
        memory_mib: first.memory_info().and_then(|m| m.size_in_mib()).and_then(|mib| u64::try_from(mib).ok()),
    })
}

/// Which type is sold in which zone.
async fn sold(
    client: &Client,
    names: &[&str],
    zones: &BTreeSet<&str>,
) -> Result<BTreeSet<(String, String)>, CloudError> {
    let mut all = BTreeSet::new();
    if zones.is_empty() {
        return Ok(all);
    }
    let what = "list what zones sell";
    for some in names.chunks(MOST_VALUES) {
        let mut pages = Pages::at_most(MOST_PAGES);
        while let Some(at) = pages.next() {
            let ask = client.apis().await?.ec2.describe_instance_type_offerings();
            let call = ask
                .location_type(LocationType::AvailabilityZone)
                .filters(is("location", zones.iter().copied()))
                .filters(is("instance-type", some.iter().copied()))
                .set_next_token(at)
                .send();
            let answer = client.call(what, Action::Catalogue, call).await?;
            all.extend(answer.instance_type_offerings().iter().filter_map(|offering| {
                let (name, zone) = (offering.instance_type()?.as_str(), offering.location()?);
                (some.contains(&name) && zones.contains(zone)).then(|| (name.to_owned(), zone.to_owned()))
            }));
            pages.read(answer.next_token());
        }
        pages.whole(what)?;
    }
    Ok(all)
}
