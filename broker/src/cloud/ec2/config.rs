//! What an EC2 driver is told: which account and region, how it is entered, where its VMs are.

use std::{collections::BTreeMap, path::PathBuf};

use jiff::Timestamp;
use secrecy::SecretString;

use crate::{address::Policy, cloud::Gpu};

/// One account in one region.
#[derive(Clone, Debug)]
pub struct Config {
    /// The region, for example `eu-west-3`.
    pub region: String,
    /// Address of another provider's services; `None`: AWS.
    pub endpoint: Option<String>,
    /// Whose rights are used.
    pub credential: Credential,
    /// The role that is entered with them.
    pub role: Option<Role>,
    /// Name of the sessions of roles, which the provider's logs show and its policies may ask for.
    pub session: String,
    /// Which addresses may be asked.
    pub addresses: Policy,
    /// Subnets of VMs, the preferred one first; none: the account's default ones.
    pub subnets: Vec<String>,
    /// Security groups of VMs; none: the default one of the subnets' VPC.
    pub security_groups: Vec<String>,
    /// Images by the name that pools use.
    pub images: BTreeMap<String, ImageRef>,
    /// A launch template for what is not said here.
    pub launch_template: Option<Template>,
    /// Size in GiB of the volume from which VMs boot; `None`: the image's.
    pub root_volume_gib: Option<u64>,
    /// Address of the queue into which the provider's announcements come.
    pub queue: Option<String>,
    /// What holds of a type's GPUs in place of what the provider says; `None` in it: it has none. By the type's name.
    pub gpus: BTreeMap<String, Option<Gpu>>,
}

/// Whose rights are used.
#[derive(Clone, Debug)]
pub enum Credential {
    /// Keys of a user, or of a session of a role.
    Keys {
        /// The access key's id. It is no secret.
        id: String,
        /// The secret access key.
        secret: SecretString,
        /// The token of a session, which ends.
        session_token: Option<SecretString>,
        /// When the session ends, where that is known.
        expires: Option<Timestamp>,
    },
    /// A role that is entered with a token in a file, which somebody else renews (AssumeRoleWithWebIdentity).
    WebIdentity {
        /// ARN of the role.
        role: String,
        /// The file with the token.
        token_file: PathBuf,
    },
    /// Whatever the operator's own pod has: AWS's default chain.
    Pod,
}

/// A role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// ARN of the role.
    pub arn: String,
    /// What its trust policy asks for as `sts:ExternalId`.
    pub external_id: Option<String>,
}

/// Which image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageRef {
    /// By its id.
    Id(String),
    /// The newest one of a name, in which `*` stands for any text.
    Newest {
        /// The name.
        name: String,
        /// Whose image: an account's number, or a word such as `self` and `amazon`.
        owner: String,
    },
    /// By a parameter of SSM that has its id.
    Parameter(String),
}

/// Which launch template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Template {
    /// By its id.
    Id(String),
    /// By its name.
    Name(String),
}
