//! What sites have and the testbed has not unless a test asks for it.

use std::fs;

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};

use super::{OpenStack, TINY};

/// Nodes with virtual GPUs, and how many each has (`NODES` in `start.rs`).
const GPU_NODES: u32 = 2;
const GPUS_OF_NODE: u32 = 8;

impl OpenStack {
    /// From now on there is no metadata service: a guest without a config drive gets no user-data. It stays so.
    pub fn without_metadata(&self) -> Result<()> {
        fs::write(self.state.join("no-metadata"), "").context("cannot take away the metadata service")
    }

    /// Adds a flavor that every project may use, with the id `id-of-NAME`. With a `disk_gib` of 0 Nova refuses it to all but
    /// administrators, unless the server boots from a volume.
    pub async fn add_flavor(
        &self,
        name: &str,
        cores: u32,
        ram_mib: u32,
        disk_gib: u32,
        properties: Value,
    ) -> Result<()> {
        let token = self.token("admin", "admin").await?;
        let id = format!("id-of-{name}");
        let flavor = json!({"name": name, "id": id, "vcpus": cores, "ram": ram_mib, "disk": disk_gib});
        self.call(&token, Method::POST, self.nova("flavors"), Some(json!({ "flavor": flavor }))).await?;
        let url = self.nova(&format!("flavors/{id}/os-extra_specs"));
        self.call(&token, Method::POST, url, Some(json!({"extra_specs": properties}))).await.map(|_| ())
    }

    /// Flavors with EGI's properties (<https://docs.egi.eu>, the cloud information provider's `Accelerator:*`), all of them made
    /// on nodes with GPUs: `egi.gpu` with one, `egi.gpu-two` with two, `egi.gpu-part` with a third of one, and `egi.fpga` with none.
    pub async fn add_egi_flavors(&self) -> Result<()> {
        for (name, kind, number, model, gpus) in [
            ("egi.gpu", "GPU", "1.0", "NVIDIA A100", 1),
            ("egi.gpu-two", "GPU", "2.0", "NVIDIA A100", 2),
            ("egi.gpu-part", "GPU", "0.33", "NVIDIA A100 MIG", 1),
            ("egi.fpga", "FPGA", "1.0", "Xilinx Alveo U250", 0),
        ] {
            let mut properties = json!({
                "Accelerator:Type": kind, "Accelerator:Number": number, "Accelerator:Model": model,
                "Accelerator:Vendor": model.split(' ').next(),
            });
            if gpus > 0 {
                properties["resources:VGPU"] = json!(gpus.to_string());
            }
            self.add_flavor(name, 4, 16_384, 10, properties).await?;
        }
        Ok(())
    }

    /// Has servers of another project take all virtual GPUs but so many, as at a site that others use too. Nova then finds no host for more.
    pub async fn leave_gpus(&self, left: u32) -> Result<()> {
        let mut taken = (GPU_NODES * GPUS_OF_NODE).saturating_sub(left);
        for number in 1..=GPU_NODES {
            let gpus = taken.min(GPUS_OF_NODE);
            taken -= gpus;
            if gpus == 0 {
                break;
            }
            let flavor = format!("g{gpus}.others-{number}");
            self.add_flavor(&flavor, 1, 512, 1, json!({"resources:VGPU": gpus.to_string()})).await?;
            self.make_server_of(&flavor, TINY, &flavor, &[], &json!({})).await?;
        }
        Ok(())
    }

    /// Makes a security group of this name in a project, also where there is one already; its id.
    pub async fn add_security_group(&self, project: &str, name: &str) -> Result<String> {
        let token = self.token("admin", project).await?;
        let body = json!({"security_group": {"name": name}});
        let made = self.call(&token, Method::POST, self.neutron("security-groups"), Some(body)).await?;
        Ok(made["security_group"]["id"].as_str().context("a security group has no id")?.to_owned())
    }

    /// Lets every project see and use a security group of another: a list then has it beside the project's own.
    pub async fn share_security_group(&self, id: &str) -> Result<()> {
        let token = self.token("admin", "admin").await?;
        let policy = json!({"object_type": "security_group", "object_id": id, "action": "access_as_shared", "target_tenant": "*"});
        self.call(&token, Method::POST, self.neutron("rbac-policies"), Some(json!({ "rbac_policy": policy })))
            .await
            .map(|_| ())
    }

    /// Ids of the security groups of this name that the test user sees in a project.
    pub async fn security_groups(&self, project: &str, name: &str) -> Result<Vec<String>> {
        let token = self.token(super::USER, project).await?;
        let all = self.call(&token, Method::GET, self.neutron(&format!("security-groups?name={name}")), None).await?;
        let groups = all["security_groups"].as_array().context("Neutron lists no security groups")?;
        Ok(groups.iter().filter_map(|g| g["id"].as_str()).map(str::to_owned).collect())
    }

    /// Makes a port as Nova leaves one behind whose deletion of a server broke off: of this server, on this network; its id.
    pub async fn leave_port(&self, project: &str, server: &str, name: &str) -> Result<String> {
        let token = self.token("admin", project).await?;
        let network = self.network_id("private").await?;
        let port = json!({"network_id": network, "device_id": server, "device_owner": "compute:nova", "name": name});
        let made = self.call(&token, Method::POST, self.neutron("ports"), Some(json!({ "port": port }))).await?;
        Ok(made["port"]["id"].as_str().context("a port has no id")?.to_owned())
    }

    /// Ids of the ports of a server, whether there is one or not.
    pub async fn ports_of(&self, project: &str, server: &str) -> Result<Vec<String>> {
        let token = self.token("admin", project).await?;
        let all = self.call(&token, Method::GET, self.neutron(&format!("ports?device_id={server}")), None).await?;
        let ports = all["ports"].as_array().context("Neutron lists no ports")?;
        Ok(ports.iter().filter_map(|p| p["id"].as_str()).map(str::to_owned).collect())
    }

    fn neutron(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/v2.0/{path}", self.ports.neutron)
    }
}
