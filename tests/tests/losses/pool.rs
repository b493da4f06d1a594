//! Pools that a scenario makes for itself: each for jobs with a tag that no other pool offers, on the smallest flavor.

use serde_json::{Value, json};
use testbeds::real::{IMAGE, NAMESPACE};

/// A pool whose pilots take only jobs of its tag.
pub struct Pool {
    pub name: &'static str,
    pub tag: &'static str,
    /// The longest CPU time of a job.
    pub longest: &'static str,
    pub scaling: Value,
}

/// What a guest runs so that its pilot works until it finds no more jobs.
pub fn works() -> String {
    format!("set -a; . /etc/dirac-operator/pilot.env; set +a; {IMAGE}/run-pilot /var/lib/dirac-pilot")
}

impl Pool {
    /// Its manifest, with guests that run `command`.
    pub fn manifest(&self, command: &str) -> String {
        let user_data = format!("runcmd:\n- |\n  {}\n", command.replace('\n', "\n  "));
        json!({
            "apiVersion": "diracgrid.org/v1alpha1", "kind": "PilotPool",
            "metadata": {"name": self.name, "namespace": NAMESPACE},
            "spec": {
                "siteRef": {"name": "lyon"}, "vos": ["biomed"], "clouds": [{"name": "lyon"}],
                "machine": {"flavors": ["m1.tiny"], "userData": user_data},
                "matching": {
                    "ce": "openstack.lyon.fr", "queue": self.name, "maxCpuTime": self.longest,
                    "tags": [self.tag], "requiredTags": [self.tag],
                },
                "scaling": self.scaling,
            },
        })
        .to_string()
    }
}
