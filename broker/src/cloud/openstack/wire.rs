//! The answers of Nova, Glance and Neutron, as far as they are used.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    bounded::{few, page, texts},
    gpu, tags,
};

/// Compute microversion of every call. One for all, so that a server looks the same wherever it is read:
/// 2.52 takes tags at creation (without it a crash after the POST would leave a server that nobody can attribute),
/// 2.47 puts the flavor's name in the server, 2.61 the extra specs (GPUs) in the list of flavors. Nova has it since Rocky (2018).
pub const MICROVERSION: &str = "2.61";

/// Characters of a text in Nova's database.
const LONGEST_TEXT: usize = 255;
/// Tags of ours that a server is remembered with; it has three.
const MOST_TAGS: usize = 8;
/// What a server or flavor has in memory beside its texts, in bytes.
const FRAME: usize = 512;

/// Cuts a text to what Nova's database has room for.
fn cut(text: &mut String) {
    if let Some((end, _)) = text.char_indices().nth(LONGEST_TEXT) {
        text.truncate(end);
        text.shrink_to_fit();
    }
}

#[derive(Debug, Deserialize)]
pub struct Servers {
    #[serde(deserialize_with = "page")]
    pub servers: Vec<Server>,
    /// Where the next page is, where there is one.
    #[serde(default, deserialize_with = "few")]
    pub servers_links: Vec<Link>,
}

#[derive(Debug, Deserialize)]
pub struct Link {
    /// What it leads to: `next` is the next page.
    pub rel: String,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Server {
    pub id: String,
    #[serde(default)]
    pub name: String,
    /// BUILD, ACTIVE, SHUTOFF, ERROR, DELETED...
    pub status: String,
    /// What is being done with it, as in `deleting`.
    #[serde(rename = "OS-EXT-STS:task_state", default)]
    pub task_state: Option<String>,
    /// When it was made, RFC 3339.
    #[serde(default)]
    pub created: Option<jiff::Timestamp>,
    /// Its tags. A deleted server has lost them.
    #[serde(default, deserialize_with = "few")]
    pub tags: Vec<String>,
    #[serde(default)]
    pub flavor: Option<ServerFlavor>,
    /// The availability zone of its host.
    #[serde(rename = "OS-EXT-AZ:availability_zone", default)]
    pub zone: Option<String>,
    /// Why it is in ERROR; may come later than the ERROR.
    #[serde(default)]
    pub fault: Option<Fault>,
}

impl Server {
    /// Cuts every text to what Nova's database has room for, and tags to those that mean something here: whoever answers may have sent
    /// more, and lists are kept.
    pub fn cut(&mut self) {
        let texts = [Some(&mut self.name), Some(&mut self.status), self.task_state.as_mut(), self.zone.as_mut()];
        let flavor = self.flavor.as_mut().and_then(|f| f.original_name.as_mut());
        let fault = self.fault.as_mut().map(|f| &mut f.message);
        texts.into_iter().flatten().chain(flavor).chain(fault).for_each(cut);
        self.tags.retain(|tag| tag.starts_with(tags::COMMON) && tag.len() <= tags::LONGEST);
        self.tags.truncate(MOST_TAGS);
        self.tags.shrink_to_fit();
    }

    /// Bytes that it has in memory, or a few more.
    pub fn weight(&self) -> usize {
        let texts = [Some(&self.name), Some(&self.status), self.task_state.as_ref(), self.zone.as_ref()];
        let flavor = self.flavor.as_ref().and_then(|f| f.original_name.as_ref());
        let fault = self.fault.as_ref().map(|f| &f.message);
        FRAME + texts.into_iter().flatten().chain(flavor).chain(fault).chain(&self.tags).map(String::len).sum::<usize>()
    }

    /// Whether it is there no more.
    pub fn is_gone(&self) -> bool {
        matches!(self.status.as_str(), "DELETED" | "SOFT_DELETED")
    }

    /// Whether something is done with it, of which a list of changes may not tell.
    pub fn is_moving(&self) -> bool {
        self.task_state.is_some() || matches!(self.status.as_str(), "BUILD" | "REBUILD" | "UNKNOWN")
    }

    /// Whether it failed and does not say why.
    pub fn is_mute(&self) -> bool {
        self.status == "ERROR" && self.fault.is_none()
    }
}

#[derive(Clone, Debug, Deserialize)]
pub struct ServerFlavor {
    /// The name that the flavor had when the server was made.
    pub original_name: Option<String>,
}

/// Why a server failed.
#[derive(Clone, Debug, Deserialize)]
pub struct Fault {
    #[serde(default)]
    pub message: String,
}

/// A server that was just asked for.
#[derive(Debug, Deserialize)]
pub struct Made {
    pub id: String,
}

#[derive(Debug, Deserialize)]
pub struct Flavor {
    pub id: String,
    pub name: String,
    pub vcpus: u32,
    /// Memory in MiB.
    pub ram: u64,
    /// Disk in GB. 0: the server's disk must be a volume.
    #[serde(default)]
    pub disk: Option<u64>,
    /// Whether it can be bought no more.
    #[serde(rename = "OS-FLV-DISABLED:disabled", default)]
    pub disabled: bool,
    /// Extra specs, which say whether it has GPUs.
    #[serde(default, deserialize_with = "texts")]
    pub extra_specs: BTreeMap<String, String>,
}

impl Flavor {
    /// Cuts its texts as those of a server, and forgets the extra specs that say nothing of GPUs.
    pub fn cut(&mut self) {
        cut(&mut self.name);
        self.extra_specs.retain(|key, _| key.len() <= LONGEST_TEXT && gpu::reads(key));
        self.extra_specs.values_mut().for_each(cut);
    }

    /// Bytes that it has in memory, as an offer and by its name, or a few more.
    pub fn weight(&self) -> usize {
        let specs: usize = self.extra_specs.iter().map(|(key, value)| key.len() + value.len()).sum();
        2 * FRAME + self.id.len() + 3 * self.name.len() + specs
    }
}

/// An application credential, as far as it is used.
#[derive(Debug, Deserialize)]
pub struct Expiry {
    /// When it ends: a time of Keystone's.
    #[serde(default)]
    pub expires_at: Option<String>,
}

/// The project's limits. -1 is unlimited.
#[derive(Debug, Deserialize)]
pub struct Limits {
    /// Numbers that do not depend on time.
    pub absolute: AbsoluteLimits,
}

/// The numbers. Nova counts the use of the whole project.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AbsoluteLimits {
    /// Servers allowed.
    pub max_total_instances: i64,
    /// Servers there.
    pub total_instances_used: i64,
    /// Cores allowed.
    pub max_total_cores: i64,
    /// Cores in use.
    pub total_cores_used: i64,
    /// Memory allowed, in MiB.
    #[serde(rename = "maxTotalRAMSize")]
    pub max_total_ram_size: i64,
    /// Memory in use, in MiB.
    #[serde(rename = "totalRAMUsed")]
    pub total_ram_used: i64,
}

#[derive(Debug, Deserialize)]
pub struct Image {
    /// Its id and status.
    #[serde(flatten)]
    pub named: Named,
    /// The disk that it needs, in GB.
    #[serde(default)]
    pub min_disk: u64,
    /// Processor architecture (Glance's common image properties).
    #[serde(default)]
    pub architecture: Option<String>,
}

/// A project's quota of the network.
#[derive(Debug, Deserialize)]
pub struct NetworkQuota {
    #[serde(default)]
    pub port: Option<NetworkUse>,
}

/// A bound of the network, and its use.
#[derive(Debug, Deserialize)]
pub struct NetworkUse {
    /// The bound; -1 is unlimited.
    pub limit: i64,
    pub used: i64,
    /// Set aside for requests that are under way.
    #[serde(default)]
    pub reserved: i64,
}

/// An image, a network or a security group.
#[derive(Clone, Debug, Deserialize)]
pub struct Named {
    pub id: String,
    /// As `active` or `ACTIVE`.
    #[serde(default)]
    pub status: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct Port {
    pub id: String,
    /// Its name; Nova gives none.
    #[serde(default)]
    pub name: String,
    /// Id of the server that has the port; empty: none has it.
    #[serde(default)]
    pub device_id: String,
    /// What made it: `compute:ZONE` is Nova.
    #[serde(default)]
    pub device_owner: String,
    /// Its project, by the older name: newer answers have both.
    #[serde(default)]
    pub tenant_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Zone {
    pub zone_name: String,
}

#[derive(Debug, Deserialize)]
pub struct Console {
    pub output: String,
}
