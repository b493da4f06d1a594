//! The objects of a scenario, with their references resolved to indices.

use crds::{
    disruption::Disruption,
    pool::{Purchase, Requirements},
};

use super::{CloudWords, Size};
use crate::time::{Ms, ms};

/// Everything that is said, once and for all.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// The VOs; elsewhere one is named by its index here.
    pub vos: Vec<Vo>,
    /// The pools in the order of their names; elsewhere by index.
    pub pools: Vec<Pool>,
    /// The clouds; elsewhere by index.
    pub clouds: Vec<Cloud>,
    /// Projects at providers, each with the quota that its clouds share.
    pub projects: Vec<Project>,
    /// Times when a cloud is closed.
    pub closed: Vec<Closed>,
    /// What all VMs may be together.
    pub limits: Limits,
}

impl Model {
    /// Index of the VO to which a DIRAC group belongs.
    pub fn vo_of(&self, group: &str) -> Option<usize> {
        self.vos.iter().position(|vo| vo.groups.iter().any(|g| g == group))
    }
}

/// Upper bounds: VMs, cores, memory in MiB, GPUs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits(pub [Option<u64>; 4]);

impl Limits {
    /// What of `used` is above its bound: the index among VMs, cores, memory and GPUs.
    pub fn passed(&self, used: Size) -> Option<usize> {
        (0..4).find(|i| self.0[*i].is_some_and(|limit| used.parts()[*i] > limit))
    }

    /// Whether this fits beside what is used. What is already above a bound keeps only what wants more of it away.
    pub fn has_room(&self, used: Size, want: Size) -> bool {
        (0..4).all(|i| want.parts()[i] == 0 || self.0[i].is_none_or(|limit| used.parts()[i] + want.parts()[i] <= limit))
    }
}

/// A VirtualOrganization object.
#[derive(Clone, Debug, Default)]
pub struct Vo {
    /// Name (metadata.name) of the object.
    pub name: String,
    /// Names of its DIRAC groups.
    pub groups: Vec<String>,
    /// Weight when capacity is short.
    pub share: u64,
    /// What it may hold at once; a bound that is absent does not exist.
    pub limits: Limits,
    /// What it may spend; `None`: any sum.
    pub budget: Option<Budget>,
}

/// What a VO may spend.
#[derive(Clone, Debug)]
pub struct Budget {
    /// Currency of the sum; `None`: it counts core-hours.
    pub currency: Option<String>,
    /// The sum, in millionths of the currency or of a core-hour.
    pub micros: u64,
    /// Whether what has no price may be bought, as if it cost nothing.
    pub unpriced_is_free: bool,
    /// In any time of this length.
    pub period: Ms,
}

/// A PilotPool object.
#[derive(Clone, Debug, Default)]
pub struct Pool {
    /// Name (metadata.name) of the object.
    pub name: String,
    /// DIRAC name of the site.
    pub site: String,
    /// What the VMs of all pools of the site may be together.
    pub site_limits: Limits,
    /// DIRAC name of the CE.
    pub ce: String,
    /// Indices of the VOs whose jobs it takes.
    pub vos: Vec<usize>,
    /// The clouds, by index, in order of preference.
    pub clouds: Vec<usize>,
    /// Flavors by name, in order of preference.
    pub flavors: Vec<String>,
    /// Bounds on flavors, instead of names.
    pub requirements: Option<Requirements>,
    /// Ways of buying, in order of preference; never empty.
    pub purchase: Vec<Purchase>,
    /// Name of the image in the clouds' `images`.
    pub image: String,
    /// How fast its VMs are replaced that have drifted; never with a schedule.
    pub disruption: Option<Disruption>,
    /// `matching.maxCpuTime`, in normalised seconds.
    pub cpu_time: u64,
    /// Tags that its pilots offer.
    pub tags: Vec<String>,
    /// Tags that jobs must have.
    pub required_tags: Vec<String>,
    /// DIRAC platform that its pilots offer; `None`: they name none.
    pub platform: Option<String>,
    /// Whether VMs that are made for multi-core jobs ask for such jobs alone.
    pub pin: bool,
    /// Whether the manifest's order decides what is bought, and not the cost.
    pub in_order: bool,
    /// The most VMs.
    pub max: u64,
    /// Whether it may have more than `max` where others leave room.
    pub borrows: bool,
    /// VMs that it keeps whatever waits.
    pub min: u64,
    /// VMs without a job that it keeps beyond those that jobs need.
    pub spare: u64,
    /// `scaling.maxWait`.
    pub max_wait: Option<Ms>,
    /// `scaling.bootDeadline`.
    pub boot_deadline: Ms,
    /// `scaling.idleTimeout`.
    pub idle_timeout: Ms,
    /// `scaling.maxLifetime`.
    pub max_lifetime: Ms,
}

/// A Cloud object, and how it behaves.
#[derive(Clone, Debug, Default)]
pub struct Cloud {
    /// Name (metadata.name) of the object.
    pub name: String,
    /// The flavors that it sells.
    pub flavors: Vec<Flavor>,
    /// Zones; never empty.
    pub zones: Vec<Option<String>>,
    /// Index of the project whose quota it uses.
    pub project: usize,
    /// The administrator's ceiling.
    pub ceiling: Limits,
    /// Currency of its prices; `None`: nobody says.
    pub currency: Option<String>,
    /// Requests that the provider gets in a second at most.
    pub per_second: u64,
    /// What goes wrong here, and how slowly it answers.
    pub behaviour: CloudWords,
}

impl Cloud {
    /// How often the name of an image had come to mean a new one at this moment.
    pub fn images_before(&self, image: &str, at: Ms) -> usize {
        self.behaviour.new_images.iter().filter(|new| new.image == image && ms(new.at) <= at).count()
    }
}

/// A flavor of one cloud.
#[derive(Clone, Debug, Default)]
pub struct Flavor {
    /// Name of the flavor at the provider.
    pub name: String,
    /// What a VM of it takes: one VM, its cores, memory and GPUs.
    pub size: Size,
    /// Model of its GPUs; `None`: it has none, or the model is unknown.
    pub gpu_model: Option<String>,
    /// Memory in MiB of one GPU, or of the part that a VM has; `None`: unknown.
    pub gpu_memory_mib: Option<u64>,
    /// Whether a VM has a part of a GPU, and not whole ones.
    pub gpu_share: bool,
    /// Price of an hour in millionths; `None`: unknown.
    pub price: Option<u64>,
    /// Price of an hour as Spot; `None`: not sold so.
    pub spot_price: Option<u64>,
    /// How many fit at once.
    pub capacity: Option<u64>,
    /// Index of the class of quota in the project.
    pub class: usize,
}

/// A project at a provider: clouds that name the same one share its quota.
#[derive(Clone, Debug, Default)]
pub struct Project {
    /// The name that the scenario gives it, or that of its only cloud.
    pub name: String,
    /// Quota by class; the first is that of all flavors without a class of their own.
    pub quotas: Vec<Limits>,
    /// Names of the classes beyond the first.
    pub classes: Vec<String>,
}

/// A time when a cloud is closed by a Downtime, but for what may stay.
#[derive(Clone, Debug)]
pub struct Closed {
    /// Name of the Downtime.
    pub name: String,
    /// When VMs beyond what may stay begin to drain.
    pub drains: Ms,
    /// Index of the cloud that is closed.
    pub cloud: usize,
    /// When the Downtime begins.
    pub from: Ms,
    /// When the Downtime ends.
    pub until: Ms,
    /// What may stay, over all clouds that the Downtime closes.
    pub keep: Limits,
}
