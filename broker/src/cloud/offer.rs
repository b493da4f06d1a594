//! What a cloud offers, and how much of it may still be bought.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Gpu, Purchase};

/// What the pools of a cloud ask for. It only spares planner and status the hundreds of flavors that no pool will ever buy; the plan
/// has the finer rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Wanted {
    /// A flavor is offered when it suits one of these; empty: every flavor is.
    pub shapes: Vec<Shape>,
}

/// What one pool asks for. Both ends of a range are inclusive.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Shape {
    /// Flavors by name; empty: any.
    pub flavors: Vec<String>,
    /// The fewest and the most cores of a VM; `None`: no bound at this end.
    pub cores: (Option<u64>, Option<u64>),
    /// The fewest and the most GPUs; a part of one counts as one.
    pub gpus: (Option<u64>, Option<u64>),
    /// How it may be paid; empty: on demand.
    pub purchase: Vec<Purchase>,
}

impl Wanted {
    /// Whether a pool may buy this flavor in this way.
    pub fn suits(&self, flavor: &Flavor, purchase: Purchase) -> bool {
        self.shapes.is_empty() || self.shapes.iter().any(|shape| shape.suits(flavor, purchase))
    }
}

impl Shape {
    fn suits(&self, flavor: &Flavor, purchase: Purchase) -> bool {
        let within = |(min, max): (Option<u64>, Option<u64>), n: u64| {
            min.is_none_or(|min| n >= min) && max.is_none_or(|max| n <= max)
        };
        let paid =
            if self.purchase.is_empty() { purchase == Purchase::OnDemand } else { self.purchase.contains(&purchase) };
        let named = self.flavors.is_empty() || self.flavors.contains(&flavor.name);
        paid && named && within(self.cores, u64::from(flavor.cores)) && within(self.gpus, u64::from(flavor.gpus()))
    }
}

/// What a cloud offers. It changes rarely.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Offers {
    /// The flavors that the offers name, each once.
    pub flavors: Vec<Flavor>,
    /// Each flavor in each zone and way of paying in which it can be bought.
    pub offers: Vec<Offer>,
    /// Currency of the offers' prices, three letters of ISO 4217; `None`: the provider says no prices. EC2: USD.
    #[serde(default)]
    pub currency: Option<String>,
    /// Images found, by the pools' name for them.
    pub images: BTreeMap<String, Image>,
    /// What was asked for and not found, or is ambiguous (images, networks, security groups, zones, flavors): a sentence each.
    pub missing: Vec<String>,
    /// Flavors of the provider that are not offered, and why: a sentence for each reason. It is no fault as long as nobody wants them.
    #[serde(default)]
    pub left_out: Vec<String>,
    /// When the credential ends, where the provider says so.
    pub credential_expires: Option<Timestamp>,
    /// Id of the project or account that the credential opens.
    pub project: Option<String>,
}

/// One thing that can be bought.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Name of the flavor at the provider. EC2: the instance type.
    pub flavor: String,
    /// Availability zone; `None`: the provider chooses. Zones come from the driver, which knows what it was told and what there is.
    pub zone: Option<String>,
    /// On demand or as a spot VM.
    pub purchase: Purchase,
    /// Price of an hour in millionths, where the provider says so.
    pub price_micros: Option<u64>,
    /// The class of [`Headroom`] that it counts against.
    pub quota_class: String,
}

/// The shape of a VM.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flavor {
    /// The provider's name of it. EC2: the instance type.
    pub name: String,
    /// Virtual cores of a VM.
    pub cores: u32,
    /// Memory of a VM in MiB.
    pub ram_mib: u64,
    /// Its own disk in GiB; `None`: the image's or a volume's.
    pub disk_gib: Option<u64>,
    /// Processor architecture as the Linux kernel calls it (`x86_64`, `aarch64`), where the provider says so.
    pub arch: Option<String>,
    /// GPUs of a VM; `None`: it has none.
    pub gpu: Option<Gpu>,
}

impl Flavor {
    /// How many GPUs a VM has; a part of one counts as one.
    pub fn gpus(&self) -> u32 {
        self.gpu.as_ref().map_or(0, Gpu::count)
    }

    /// Model of the GPUs; `None`: unknown, or there are none.
    pub fn gpu_model(&self) -> Option<&str> {
        self.gpu.as_ref()?.model.as_deref()
    }
}

/// An image from which VMs boot, as it was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// The provider's id.
    pub id: String,
    /// Processor architecture, where the provider says so.
    pub arch: Option<String>,
    /// The smallest disk in GiB on which it fits; 0: any.
    pub min_disk_gib: u64,
}

/// A bound and its use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowance {
    /// The bound; `None` is unlimited or unknown.
    pub limit: Option<u64>,
    /// Used by everybody in the project.
    pub used: u64,
}

impl Allowance {
    /// What is left; `None` is unlimited or unknown.
    pub fn left(self) -> Option<u64> {
        self.limit.map(|limit| limit.saturating_sub(self.used))
    }
}

/// How much may still be bought, by class.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Headroom {
    /// The classes. Nova: one, the project's. EC2: one for each family of instance types and way of paying.
    pub classes: Vec<QuotaClass>,
}

impl Headroom {
    /// The class with this name; `None`: the provider told of none.
    pub fn class(&self, name: &str) -> Option<&QuotaClass> {
        self.classes.iter().find(|class| class.name == name)
    }

    /// Whether a class has more left of something than it had before.
    pub fn has_more_than(&self, before: &Self) -> bool {
        let left = |class: &QuotaClass| [class.vms_left(), class.cores.left(), class.ram_mib.left(), class.gpus.left()];
        let has_more = |class: &QuotaClass| {
            let before = before.class(&class.name).map(left).unwrap_or_default();
            left(class).iter().zip(before).any(|(now, before)| before.is_some_and(|b| now.is_none_or(|now| now > b)))
        };
        self.classes.iter().any(has_more)
    }
}

/// A bound that several offers share.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaClass {
    /// The name that [`Offer::quota_class`] repeats. It is unique within the cloud.
    pub name: String,
    /// How many VMs the class allows, and how many exist.
    pub vms: Allowance,
    /// The same for cores.
    pub cores: Allowance,
    /// The same for memory, in MiB.
    pub ram_mib: Allowance,
    /// The same for GPUs.
    pub gpus: Allowance,
    /// Ports on networks, or addresses.
    pub ports: Allowance,
    /// How many ports a new VM takes; 0: ports do not bound VMs.
    pub ports_per_vm: u64,
}

impl QuotaClass {
    /// VMs that can still be made, for all that counts VMs: the quota of VMs itself, and that of ports.
    pub fn vms_left(&self) -> Option<u64> {
        let ports = self.ports.left().and_then(|left| left.checked_div(self.ports_per_vm));
        [self.vms.left(), ports].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_bound_vms_as_their_own_quota_does() {
        let allowance = |limit, used| Allowance { limit: Some(limit), used };
        let class =
            QuotaClass { vms: allowance(10, 2), ports: allowance(50, 45), ports_per_vm: 2, ..QuotaClass::default() };
        assert_eq!(class.vms_left(), Some(2));
        assert_eq!(QuotaClass { ports_per_vm: 0, ..class.clone() }.vms_left(), Some(8), "no port, no bound");
        assert_eq!(QuotaClass { ports: Allowance::default(), ..class }.vms_left(), Some(8));
    }

    #[test]
    fn more_is_left_of_a_class_when_somebody_gave_something_back_or_its_limit_rose() {
        let with = |limit, used| {
            let class = QuotaClass { cores: Allowance { limit, used }, ..QuotaClass::default() };
            Headroom { classes: vec![class] }
        };
        let before = with(Some(80), 80);
        assert!(with(Some(80), 72).has_more_than(&before) && with(Some(96), 80).has_more_than(&before));
        assert!(with(None, 80).has_more_than(&before));
        assert!(!with(Some(80), 80).has_more_than(&before) && !with(Some(72), 80).has_more_than(&before));
        assert!(!before.has_more_than(&with(None, 80)) && !before.has_more_than(&Headroom::default()));
    }

    #[test]
    fn only_what_a_pool_may_buy_is_offered() {
        let flavor = |name: &str, cores, gpus| Flavor {
            name: name.to_owned(),
            cores,
            gpu: Gpu::whole(gpus, None),
            ..Flavor::default()
        };
        let all = Wanted::default();
        assert!(all.suits(&flavor("a", 1, 0), Purchase::Spot));
        let named = Shape { flavors: vec!["a".to_owned()], ..Shape::default() };
        let large =
            Shape { cores: (Some(8), None), gpus: (None, Some(0)), purchase: vec![Purchase::Spot], ..Shape::default() };
        let wanted = Wanted { shapes: vec![named, large] };
        assert!(
            wanted.suits(&flavor("a", 1, 0), Purchase::OnDemand) && !wanted.suits(&flavor("a", 1, 0), Purchase::Spot)
        );
        assert!(wanted.suits(&flavor("b", 8, 0), Purchase::Spot) && !wanted.suits(&flavor("b", 8, 1), Purchase::Spot));
        assert!(!wanted.suits(&flavor("b", 4, 0), Purchase::Spot));
    }

    #[test]
    fn what_a_plan_is_made_from_can_be_written_and_read_again() {
        let offers = Offers {
            flavors: vec![Flavor {
                name: "f".to_owned(),
                gpu: Gpu::whole(2, Some("A100".to_owned())),
                ..Flavor::default()
            }],
            offers: vec![Offer { purchase: Purchase::Spot, ..Offer::default() }],
            credential_expires: Some(Timestamp::UNIX_EPOCH),
            ..Offers::default()
        };
        let text = serde_json::to_string(&offers).unwrap();
        assert_eq!(serde_json::from_str::<Offers>(&text).unwrap(), offers);
        let headroom = Headroom { classes: vec![QuotaClass::default()] };
        let text = serde_json::to_string(&headroom).unwrap();
        assert_eq!(serde_json::from_str::<Headroom>(&text).unwrap(), headroom);
    }
}
