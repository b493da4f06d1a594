//! How much may still be bought: vCPUs of each class, where Service Quotas answers.
//!
//! Where it does not, or the credential may not ask it, no bound is known: refusals tell (`VcpuLimitExceeded`), and reach the class.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{client::Client, fault::is_no_service, pages::Pages, quota::class, tags::is};
use crate::{
    clock::moment,
    cloud::{Allowance, CloudError, Headroom, Offers, Purchase, QuotaClass, pace::Action},
};

/// Quotas change when somebody asked for more and was answered: they are read again after this time.
const KEPT: Duration = Duration::from_secs(900);
/// Instances on a page, and pages that are read.
const PAGE: i32 = 1_000;
const MOST_PAGES: usize = 50;

/// The quotas, as last read, and the classes that the offers name.
#[derive(Default)]
pub struct Quotas {
    /// The classes of what is offered, and how many vCPUs each type has.
    offered: Mutex<(BTreeSet<String>, BTreeMap<String, u64>)>,
    read: Mutex<Option<Read>>,
}

/// The limits of classes, and when they were read; `None`: nobody says.
#[derive(Clone)]
struct Read {
    at: Instant,
    limits: BTreeMap<String, Option<u64>>,
}

impl Quotas {
    /// Takes note of what is offered.
    pub fn offered(&self, offers: &Offers) {
        let classes = offers.offers.iter().map(|offer| offer.quota_class.clone()).collect();
        let cores = offers.flavors.iter().map(|f| (f.name.clone(), u64::from(f.cores))).collect();
        *self.offered.lock().unwrap_or_else(PoisonError::into_inner) = (classes, cores);
    }

    /// What may still be bought.
    pub async fn headroom(&self, client: &Client) -> Result<Headroom, CloudError> {
        let (classes, cores) = self.offered.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let limits = self.limits(client, &classes).await?;
        // Nobody need count against bounds that nobody knows.
        let used = if limits.values().any(Option::is_some) { used(client, &cores).await? } else { BTreeMap::new() };
        let class = |name: String| {
            let cores = Allowance {
                limit: limits.get(&name).copied().flatten(),
                used: used.get(name.as_str()).copied().unwrap_or(0),
            };
            QuotaClass { name, cores, ..QuotaClass::default() }
        };
        Ok(Headroom { classes: classes.into_iter().map(class).collect() })
    }

    async fn limits(
        &self,
        client: &Client,
        classes: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, Option<u64>>, CloudError> {
        let known = self.read.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(Read { at, limits }) = known
            && moment().duration_since(at) < KEPT
            && classes.iter().all(|class| limits.contains_key(class))
        {
            return Ok(limits);
        }
        let mut limits = BTreeMap::new();
        for class in classes {
            let call = client.apis().await?.quotas.get_service_quota().service_code("ec2").quota_code(class).send();
            let limit = match client.call_of("Service Quotas", "read a quota", Action::Catalogue, call).await {
                Ok(answer) => answer
                    .quota()
                    .and_then(|q| q.value())
                    .filter(|value| value.is_finite() && *value >= 0.0)
                    .map(|v| v as u64),
                Err(fault) if is_no_service(&fault) => {
                    tracing::debug!(class, error = %fault.error, "the quota is not known");
                    None
                }
                Err(fault) => return Err(fault.into()),
            };
            limits.insert(class.clone(), limit);
        }
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = Some(Read { at: moment(), limits: limits.clone() });
        Ok(limits)
    }
}

/// vCPUs of everybody's instances in the account, by class. Of a type that is not offered the instance itself says how many it has.
async fn used(client: &Client, cores: &BTreeMap<String, u64>) -> Result<BTreeMap<&'static str, u64>, CloudError> {
    let (mut used, mut pages) = (BTreeMap::new(), Pages::at_most(MOST_PAGES));
    while let Some(at) = pages.next() {
        let ask = client.apis().await?.ec2.describe_instances();
        let ask = ask.filters(is("instance-state-name", ["pending", "running"])).max_results(PAGE);
        let answer = client.call("count instances", Action::Catalogue, ask.set_next_token(at).send()).await?;
        for instance in answer.reservations().iter().flat_map(|r| r.instances()) {
            let Some(flavor) = instance.instance_type().map(|t| t.as_str()) else { continue };
            let spot = instance.instance_lifecycle().is_some_and(|l| l.as_str() == "spot");
            let own =
                instance.cpu_options().and_then(|c| c.core_count()?.checked_mul(c.threads_per_core().unwrap_or(1)));
            let n = own.and_then(|n| u64::try_from(n).ok()).or_else(|| cores.get(flavor).copied()).unwrap_or(1);
            *used.entry(class(flavor, if spot { Purchase::Spot } else { Purchase::OnDemand })).or_insert(0) += n;
        }
        pages.read(answer.next_token());
    }
    pages.whole("count instances")?;
    Ok(used)
}
