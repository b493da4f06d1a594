//! `ec2` of a Cloud: one account in one region, how it is entered, and where its VMs are.

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use crate::{
    SecretRef,
    reference::{NamedOrId, refuse_inline},
    rule::{no_secret_in, no_text_twice, rules, web_address},
};

/// One EC2 account in one region.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    (&no_secret_in(&["endpoint", "interruptionQueue"]).0, &no_secret_in(&["endpoint", "interruptionQueue"]).1),
    ("self.region == oldSelf.region", "region cannot change, its VMs would be forgotten: make another Cloud"),
])))]
pub struct Ec2 {
    /// AWS region, for example `eu-west-3`. Cannot change.
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub region: String,
    /// Address of another service with the API of EC2, for example `https://ec2.example.org`. It is asked for everything: EC2, and where
    /// they are needed STS, SQS, SSM and Service Quotas. Where it knows no fleets, VMs are made one by one. Absent: AWS, in the region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512), extend("x-kubernetes-validations" = web_address()))]
    pub endpoint: Option<String>,
    /// How the account is entered. Absent: as the role of the operator's own pod, where the chart was installed with `podRole`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Ec2Auth>,
    /// Ids of subnets in which VMs may be made, in order of preference, for example `[subnet-0aa]`. All are of one VPC, and each lies in one
    /// availability zone; one without a free address is left out. VMs need a way out, to DIRAC. Absent: the account's default subnets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 32),
        inner(length(max = 64), regex(pattern = "^subnet-[0-9a-z]+$")),
        extend("x-kubernetes-validations" = no_text_twice())
    )]
    pub subnets: Vec<String>,
    /// Ids of the VMs' security groups, of the subnets' VPC, for example `[sg-0cc]`. Pilots need no way in, only out. Absent: the VPC's default
    /// group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        inner(length(max = 64), regex(pattern = "^sg-[0-9a-z]+$")),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub security_groups: Vec<String>,
    /// Size in GiB of the volume from which each VM boots: encrypted, and deleted with it. Absent: as large as the image says. Holds for new
    /// VMs.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "rootVolumeGiB")]
    #[schemars(range(min = 1, max = 65_536))]
    pub root_volume_gib: Option<i64>,
    /// A launch template of the account for what the fields here do not say, for example a key pair, an instance profile or a placement
    /// group. Image, type, subnet, user-data, tags, metadata service and root volume are set by the operator whatever the template says. Its
    /// default version counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launch_template: Option<NamedOrId>,
    /// Address of an SQS queue into which an EventBridge rule puts what EC2 announces (Spot interruptions, rebalance recommendations, planned
    /// work on hosts), for example `https://sqs.eu-west-3.amazonaws.com/123456789012/dirac-pilots`. The operator takes every message out of it:
    /// each Cloud has a queue of its own. A VM whose end is announced gets no more jobs, and is replaced. Absent: an end is seen when it has come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512), extend("x-kubernetes-validations" = web_address()))]
    pub interruption_queue: Option<String>,
}

/// How an EC2 account is entered: with keys, by a web identity, or as the pod's own role; and as which role then.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = no_inline_key, extend("x-kubernetes-validations" = rules(&[
    ("has(self.secretRef) || has(self.webIdentity) || has(self.roleArn)",
     "say how the account is entered: give secretRef, webIdentity or roleArn, or leave auth out to use the pod's own role"),
    ("!has(self.webIdentity) || (!has(self.secretRef) && !has(self.roleArn))",
     "a web identity enters its role directly: remove secretRef and roleArn, or remove webIdentity"),
    ("!has(self.externalId) || has(self.roleArn)", "an external id is told when a role is entered: add roleArn or remove externalId"),
])))]
pub struct Ec2Auth {
    /// Secret with `access_key_id`, `secret_access_key` and, for keys that end, `session_token` and `expiration` (RFC 3339, as STS says it).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
    /// A role that is entered with the token of the operator's service account, so that no long-lived key is needed. Only where the
    /// chart was installed with `podRole`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_identity: Option<WebIdentity>,
    /// A role that is entered with the keys of `secretRef` or, without them, as the pod's own role, for example
    /// `arn:aws:iam::123456789012:role/pilots`: so each Cloud has rights of its own. The session's name is
    /// `dirac-operator-NAMESPACE-CLOUD`, to which the role's trust policy may bind it (`sts:RoleSessionName`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512), regex(pattern = ROLE))]
    pub role_arn: Option<String>,
    /// What the role's trust policy asks for as `sts:ExternalId`. It is no secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 1_224), regex(pattern = r"^[A-Za-z0-9_+=,.@:/-]+$"))]
    pub external_id: Option<String>,
}

/// ARN of a role.
const ROLE: &str = "^arn:[a-z-]+:iam::[0-9]{12}:role/.+$";

fn no_inline_key(schema: &mut Schema) {
    refuse_inline(schema, &["accessKeyId", "secretAccessKey", "sessionToken"], None);
}

/// A role entered with a web identity token.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebIdentity {
    /// ARN of the role, for example `arn:aws:iam::123456789012:role/pilots`.
    #[schemars(length(max = 512), regex(pattern = ROLE))]
    pub role_arn: String,
}
