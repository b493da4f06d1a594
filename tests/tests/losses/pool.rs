//! Pools that a scenario makes for itself: each for jobs with a tag that no other pool offers, on the smallest flavor.

use std::time::Duration;

use serde_json::{Value, json};
use testbeds::{host::until::until, real::NAMESPACE};

use super::scene::Scene;

/// A pool whose pilots take only jobs of its tag.
pub struct Pool {
    pub name: &'static str,
    pub tag: &'static str,
    /// The longest CPU time of a job.
    pub longest: &'static str,
    pub scaling: Value,
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

/// VMs that only sleep, each for a job that no pilot ever takes.
pub struct Sleepers {
    pub name: &'static str,
    /// What its jobs ask for and no other pool has.
    pub tag: &'static str,
    /// Fewer than eight: no more are made of a pool for a VO until one of them has had such a job.
    pub vms: usize,
    /// Number of the first of their jobs, which JobDB does not know.
    pub first_job: u64,
}

impl Sleepers {
    /// Has the jobs wait.
    pub fn wait(&self, scene: &Scene) {
        let job = json!({"Owner": "opuser", "OwnerGroup": "biomed_user", "CPUTime": 3_600, "Tags": [self.tag]});
        let jobs: Vec<_> = (0..self.vms).map(|n| (self.first_job + n as u64, job.clone())).collect();
        assert_eq!(scene.real.dirac.fill_task_queues(&jobs).unwrap(), []);
    }

    /// The pool, of at most this many VMs.
    pub fn pool(&self, max: usize) -> String {
        let scaling = json!({"max": max, "bootDeadline": "10m", "idleTimeout": "10m"});
        Pool { name: self.name, tag: self.tag, longest: "24h", scaling }.manifest("sleep 3600")
    }

    /// Their pilots have a job each, as the Matcher writes it.
    pub fn ask(&self, scene: &Scene) {
        let asks = "update PilotAgentsDB.PilotAgents set Status = 'Running', CurrentJobID = 1 where Status = 'Waiting'";
        scene.real.dirac.sql(asks).unwrap();
    }

    /// Waits until all of them are there; their ids.
    pub async fn are_there(&self, scene: &Scene) -> Vec<String> {
        until(&format!("{} VMs of {} are there", self.vms, self.name), Duration::from_secs(240), async || {
            self.ask(scene);
            match scene.alive_of(self.name).len() {
                n if n == self.vms => Ok(()),
                n => Err(format!("{n} VMs")),
            }
        })
        .await
        .unwrap();
        scene.alive_of(self.name)
    }
}
