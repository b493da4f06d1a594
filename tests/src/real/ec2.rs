//! An EC2 beside the OpenStack: the Cloud `paris` of the same site. The same pools buy from both, Spot first.

use std::{collections::BTreeSet, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{Life, NAMESPACE, Real};
use crate::systems::{
    dirac::Dirac,
    ec2::{Ec2, Lived, REGION},
    kubectl,
    openstack::OpenStack,
};

/// The name of its Cloud.
pub const PARIS: &str = "paris";
/// Instance types that have the cores of m1.medium, m1.large and g1.vgpu.
pub const TYPES: [&str; 3] = ["m5.xlarge", "m5.2xlarge", "g4dn.2xlarge"];
/// Quotas of the account for Spot: code, and vCPUs. Of the standard types five of four cores, and two with a GPU.
pub const SPOT_QUOTAS: [(&str, u32); 2] = [("L-34B43A08", 20), ("L-3819A6DF", 16)];
/// A GPU is dearer here than at the OpenStack, in dollars an hour, so that VMs with one are bought when that has none left.
const GPU_AS_SPOT: f64 = 1.50;
/// Virtual GPUs that the OpenStack has left for us.
const GPUS_LEFT: u32 = 1;
/// What is to be said of the pools and the installation, with what was said before.
const CHANGES: [(&str, &str); 6] = [
    ("clouds: [{name: lyon}]", "clouds: [{name: lyon}, {name: paris}]"),
    ("flavors: [m1.medium]", "flavors: [m1.medium, m5.xlarge]\n    purchase: [Spot, OnDemand]"),
    ("flavors: [m1.large]", "flavors: [m1.large, m5.2xlarge]\n    purchase: [Spot, OnDemand]"),
    (
        "requirements: {gpus: {min: 1, allowShares: true}}",
        "flavors: [g1.vgpu, g4dn.2xlarge]\n    purchase: [Spot, OnDemand]",
    ),
    (
        "tags: [GPU], requiredTags: [GPU]}\n  scaling: {max: 2,",
        "tags: [GPU], requiredTags: [GPU]}\n  scaling: {max: 3,",
    ),
    ("    credentials:\n", "    jobManager: @JOBMANAGER@\n    lostJobs: Reschedule\n    credentials:\n"),
];
/// MariaDB's `to_seconds` of 1970: the calendar of every [`Life`].
const EPOCH: u64 = 62_167_219_200;

/// Starts the account, with DIRAC's image for its guests.
pub(super) async fn start(state: &Path, dirac: &Dirac, openstack: &OpenStack) -> Result<Ec2> {
    let ec2 = Ec2::start(state).await?;
    dirac.image()?.into_iter().try_for_each(|(folder, inside)| ec2.in_the_image(&folder, inside))?;
    for (code, vcpus) in SPOT_QUOTAS {
        ec2.vcpus(code, Some(vcpus)).await?;
    }
    ec2.spot_price(TYPES[2], "*", Some(GPU_AS_SPOT)).await?;
    openstack.leave_gpus(GPUS_LEFT).await?;
    Ok(ec2)
}

impl Real {
    /// The account; an error where none was started.
    pub fn ec2(&self) -> Result<&Ec2> {
        self.ec2.as_ref().context("no EC2 was started beside the OpenStack")
    }

    /// Manifests that make the same pools buy at the account too, with its Cloud and Secret.
    pub(super) fn also_at(&self, ec2: &Ec2, manifests: &str) -> Result<String> {
        let mut all = manifests.to_owned();
        for (from, to) in CHANGES {
            ensure!(all.contains(from), "the manifests have no {from:?} any more");
            all = all.replace(from, to);
        }
        all = all.replace("@JOBMANAGER@", &self.dirac.url("JOBMANAGER")?);
        let (id, secret) = ec2.keys();
        let keys = json!({"access_key_id": id, "secret_access_key": secret});
        let secret = kubectl::secret(NAMESPACE, "ec2-paris", "stringData", &keys);
        let subnets: Vec<String> = ec2.subnets().into_iter().map(|(subnet, _)| subnet).collect();
        let on_demand = |kind: &str, price: &str| json!({"flavor": kind, "perHour": price});
        let cloud = json!({
            "apiVersion": "diracgrid.org/v1alpha1", "kind": "Cloud", "metadata": {"name": PARIS, "namespace": NAMESPACE},
            "spec": {
                "siteRef": {"name": "lyon"},
                "ec2": {
                    "region": REGION, "endpoint": ec2.endpoint(), "auth": {"secretRef": {"name": "ec2-paris"}},
                    "subnets": subnets, "securityGroups": [ec2.security_group()], "interruptionQueue": ec2.queue_url(),
                },
                "images": {"default": {"name": "dirac-pilot-*"}},
                "prices": [on_demand(TYPES[0], "0.30"), on_demand(TYPES[1], "0.60"), on_demand(TYPES[2], "3.00")],
            }
        });
        Ok(format!("{all}---\n{cloud}\n---\n{secret}\n"))
    }

    /// Every server and instance that any pool ever had, in the order in which they were asked for.
    pub async fn lives(&self) -> Result<Vec<Life>> {
        let mut all = self.history()?;
        if let Some(ec2) = &self.ec2 {
            all.extend(ec2.lives().await?.into_iter().filter_map(life));
        }
        all.sort_by_key(|life| life.began);
        Ok(all)
    }

    /// How many of these are Spot VMs that live, and the pilots on those that run jobs now.
    pub fn spot_at_work(&self, lives: &[Life]) -> Result<(usize, Vec<String>)> {
        let at_work: BTreeSet<String> = self.at_work()?.into_values().collect();
        let alive: Vec<&Life> = lives.iter().filter(|life| life.spot && life.ended.is_none()).collect();
        let pilots = alive.iter().map(|life| life.reference()).collect::<Result<Vec<_>>>()?;
        let busy = pilots.into_iter().filter(|pilot| at_work.contains(*pilot)).map(str::to_owned).collect();
        Ok((alive.len(), busy))
    }

    /// EC2 takes back a third of its Spot instances, those of these pilots first; the lives of them.
    pub async fn storm(&self, at_work: &[String], notice: Duration) -> Result<Vec<Life>> {
        let ec2 = self.ec2()?;
        let mut spot: Vec<Life> = ec2.lives().await?.into_iter().filter_map(life).collect();
        spot.retain(|life| life.spot && life.ended.is_none());
        let part = spot.len().div_ceil(3);
        spot.sort_by_key(|life| !life.reference().is_ok_and(|pilot| at_work.iter().any(|one| one == pilot)));
        spot.truncate(part);
        for life in &spot {
            ec2.reclaim(&life.id, notice).await?;
        }
        Ok(spot)
    }
}

/// An instance of a pool; nothing for what is of none.
fn life(one: Lived) -> Option<Life> {
    // Seconds are cut off, as the database does.
    let second = |at: f64| EPOCH + at as u64;
    Some(Life {
        pool: one.tags.get("dirac_pool")?.clone(),
        id: one.id,
        cloud: PARIS,
        flavor: one.kind,
        cores: one.cores,
        spot: one.spot,
        began: second(one.began),
        ended: one.ended.map(second),
        user_data: one.user_data,
    })
}
