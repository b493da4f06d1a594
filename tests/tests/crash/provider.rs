//! The cloud of a track: what its manifest says, which machines of the track it has by its own records, and what a person does there.

use serde_json::{Value, json};
use testbeds::{
    real::Real,
    systems::{ec2::REGION, openstack::PROJECT},
};

/// The Secret of a track's Cloud.
pub const SECRET: &str = "cloud";

/// Where the VMs of a track are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// The OpenStack, in this region.
    Nova(&'static str),
    /// The EC2 of tests.
    Ec2,
}

/// A machine with the tags of a PilotVM of the track, which has not ended.
#[derive(Debug)]
pub struct Machine {
    /// The provider's id.
    pub id: String,
    /// The UID of its PilotVM, as its tags say.
    pub uid: String,
    /// Whether it runs.
    pub runs: bool,
}

/// What the manifest of a Cloud says of its provider.
pub struct Words {
    /// The field of its driver, and what is in it.
    pub driver: &'static str,
    pub spec: Value,
    pub secret: Value,
    pub image: &'static str,
    pub flavor: &'static str,
}

impl Provider {
    pub async fn words(self, real: &Real) -> Words {
        match self {
            Self::Nova(region) => {
                let (id, secret) = real.openstack.application_credential(PROJECT, None).await.unwrap();
                let spec = json!({
                    "authUrl": real.openstack.auth_url(), "region": region, "networks": [{"name": "private"}],
                    "auth": {"applicationCredential": {"secretRef": {"name": SECRET}}},
                });
                let secret = json!({"id": id, "secret": secret});
                Words { driver: "openstack", spec, secret, image: "EL9-pilot", flavor: "m1.tiny" }
            }
            Self::Ec2 => {
                let ec2 = real.ec2().unwrap();
                let subnets: Vec<String> = ec2.subnets().into_iter().map(|(subnet, _)| subnet).collect();
                let spec = json!({
                    "region": REGION, "endpoint": ec2.endpoint(), "auth": {"secretRef": {"name": SECRET}},
                    "subnets": subnets, "securityGroups": [ec2.security_group()],
                });
                let (id, secret) = ec2.keys();
                let secret = json!({"access_key_id": id, "secret_access_key": secret});
                Words { driver: "ec2", spec, secret, image: "dirac-pilot-*", flavor: "t2.micro" }
            }
        }
    }

    /// The machines of PilotVMs of this cluster.
    pub async fn machines(self, real: &Real, cluster: &str) -> Vec<Machine> {
        match self {
            Self::Nova(_) => {
                let cluster = format!("dirac-cluster-{cluster}");
                let ours = real.openstack.servers(PROJECT).await.unwrap().into_iter();
                ours.filter(|server| server.tags.contains(&cluster))
                    .filter_map(|server| {
                        let uid = server.tags.iter().find_map(|tag| tag.strip_prefix("dirac-pvm-"))?.to_owned();
                        Some(Machine { id: server.id, uid, runs: server.status == "ACTIVE" })
                    })
                    .collect()
            }
            Self::Ec2 => {
                let all = real.ec2().unwrap().instances().await.unwrap().into_iter();
                all.filter(|one| one.tags.get("dirac-operator:cluster").is_some_and(|of| of == cluster))
                    .filter(|one| one.state != "terminated")
                    .filter_map(|one| {
                        let uid = one.tags.get("dirac-operator:pilotvm")?.clone();
                        Some(Machine { id: one.id, uid, runs: one.state == "running" })
                    })
                    .collect()
            }
        }
    }

    /// A person deletes a machine.
    pub async fn delete(self, real: &Real, id: &str) {
        match self {
            Self::Nova(_) => real.openstack.delete_server(PROJECT, id).await.unwrap(),
            Self::Ec2 => real.ec2().unwrap().terminate(id).await.unwrap(),
        }
    }
}
