//! What DIRAC must know, as the manifests say it.

/// What DIRAC must know for the VMs of one installation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// As whom the operator acts.
    pub operator: Operator,
    /// The VOs whose jobs it serves.
    pub vos: Vec<Vo>,
    /// The sites of its VMs.
    pub sites: Vec<Site>,
    /// Of which queues the pilots say they are.
    pub queues: Vec<Queue>,
    /// What cannot be said yet: the path in DIRAC's configuration, and why.
    pub unknown: Vec<(String, String)>,
}

/// As whom the operator acts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Operator {
    /// Its DIRAC group, or `hosts` where it shows a host certificate.
    pub group: String,
    /// Whether it gives jobs of lost VMs back to the queue.
    pub gives_back: bool,
}

/// A VO.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vo {
    /// Its name in DIRAC.
    pub name: String,
    /// Its groups, that of the pilots among them.
    pub groups: Vec<Group>,
    /// The group as which its pilots act.
    pub pilot_group: String,
}

/// A DIRAC group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Properties that it must have.
    pub properties: Vec<String>,
}

/// A site, by its name in DIRAC, for example `CLOUD.Lyon.fr`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Site {
    /// Its name.
    pub name: String,
}

impl Site {
    /// Where DIRAC's configuration has the site: its kind of grid is the first part of its name.
    pub fn path(name: &str) -> String {
        format!("/Resources/Sites/{}/{name}", name.split('.').next().unwrap_or_default())
    }
}

/// A queue of a computing element, of which pilots say they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// DIRAC's name of the site.
    pub site: String,
    /// DIRAC's name of the computing element.
    pub ce: String,
    /// Its name.
    pub name: String,
    /// The sizes of VMs that are bought for it, each once.
    pub sizes: Vec<Size>,
    /// CPU time in seconds that a pilot must have left when it first asks for jobs.
    pub cpu_seconds: u64,
    /// Seconds after which a VM is ended, whatever runs there. A longer CPU time would bring jobs that do not end in time.
    pub end_seconds: u64,
    /// Tags that the pilots offer.
    pub tags: Vec<String>,
    /// Tags that a job must have.
    pub required_tags: Vec<String>,
}

impl Queue {
    /// Where DIRAC's configuration has the queue.
    pub fn path(&self) -> String {
        format!("{}/CEs/{}/Queues/{}", Site::path(&self.site), self.ce, self.name)
    }

    /// Where DIRAC's configuration has the computing element.
    pub fn ce_path(&self) -> String {
        format!("{}/CEs/{}", Site::path(&self.site), self.ce)
    }
}

/// The size of a VM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size {
    /// Cores.
    pub cores: u64,
    /// Memory in MiB.
    pub ram_mib: u64,
}
