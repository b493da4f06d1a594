//! The launch templates that fleets need: one for an order, taken away when it is answered.

use aws_sdk_ec2::types::{
    LaunchTemplateBlockDeviceMappingRequest, LaunchTemplateEbsBlockDeviceRequest, LaunchTemplateHttpTokensState,
    LaunchTemplateInstanceMetadataEndpointState, LaunchTemplateInstanceMetadataOptionsRequest,
    LaunchTemplateInstanceMetadataTagsState, LaunchTemplateTagSpecificationRequest, RequestLaunchTemplateData,
    ResourceType, ShutdownBehavior, TagSpecification,
};
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret;

use super::{
    client::{Answer, Client},
    config::Template,
    fault::Fault,
    machine::Machine,
    tags,
};
use crate::cloud::{CloudError, pace::Action};

/// An order is answered, or given up, long before its template has this age.
const LEFT_BEHIND: SignedDuration = SignedDuration::from_mins(15);
/// Templates that are looked at in one sweep.
const PAGE: i32 = 200;

/// A template of one order, or a version of the one that the Cloud names.
pub struct Made {
    pub id: String,
    pub version: i64,
    /// Whether the whole template is ours.
    whole: bool,
}

/// Makes the order's template. One of an earlier call of the same attempt is the same one.
pub async fn make(client: &Client, machine: &Machine) -> Answer<Made> {
    let ec2 = &client.apis().await.map_err(Fault::unsent)?.ec2;
    let (token, what) = (format!("{}-t", machine.token), "make a launch template");
    if let Some(named) = &machine.template {
        let version = ec2.create_launch_template_version().client_token(&token).source_version("$Default");
        let version = match named {
            Template::Id(id) => version.launch_template_id(id),
            Template::Name(name) => version.launch_template_name(name),
        };
        let call = version.launch_template_data(data(machine)).send();
        let made = not_in_doubt(client.call(what, Action::Create, call).await)?;
        let made = made.launch_template_version();
        let id = made.and_then(|m| m.launch_template_id()).ok_or_else(|| no_name(what))?.to_owned();
        let version = made.and_then(|m| m.version_number()).ok_or_else(|| no_name(what))?;
        return Ok(Made { id, version, whole: false });
    }
    let name = format!("dirac-operator-{}", machine.token);
    let ours =
        TagSpecification::builder().resource_type(ResourceType::LaunchTemplate).set_tags(Some(machine.tags.clone()));
    let call = ec2
        .create_launch_template()
        .client_token(&token)
        .launch_template_name(&name)
        .tag_specifications(ours.build())
        .launch_template_data(data(machine))
        .send();
    match client.call(what, Action::Create, call).await {
        Ok(made) => {
            let id = made.launch_template().and_then(|t| t.launch_template_id()).ok_or_else(|| no_name(what))?;
            Ok(Made { id: id.to_owned(), version: 1, whole: true })
        }
        // An earlier call of this attempt made it.
        Err(fault)
            if fault.is("InvalidLaunchTemplateName.AlreadyExistsException")
                || fault.is("IdempotentParameterMismatch") =>
        {
            let call = ec2.describe_launch_templates().launch_template_names(&name).send();
            let found = client.call("find a launch template", Action::Look, call).await?;
            let id =
                found.launch_templates().first().and_then(|t| t.launch_template_id()).ok_or_else(|| no_name(what))?;
            Ok(Made { id: id.to_owned(), version: 1, whole: true })
        }
        Err(fault) => not_in_doubt(Err(fault)),
    }
}

/// A template that may have been made is no instance: its failure leaves no doubt about the order.
fn not_in_doubt<T>(answer: Answer<T>) -> Answer<T> {
    answer.map_err(|fault| Fault { in_doubt: false, ..fault })
}

fn no_name(what: &str) -> Fault {
    Fault::unsent(CloudError::Transient(format!("{what}: the answer does not name it")))
}

/// Takes an order's template away. What stays is swept later.
pub async fn remove(client: &Client, made: &Made) {
    let Ok(apis) = client.apis().await else { return };
    let what = "take a launch template away";
    let outcome = if made.whole {
        let call = apis.ec2.delete_launch_template().launch_template_id(&made.id).send();
        client.call(what, Action::Delete, call).await.map(drop)
    } else {
        let call = apis.ec2.delete_launch_template_versions().launch_template_id(&made.id);
        client.call(what, Action::Delete, call.versions(made.version.to_string()).send()).await.map(drop)
    };
    if let Err(fault) = outcome {
        tracing::debug!(template = made.id, error = %fault.error, "a launch template stays for now");
    }
}

/// Takes away templates of this cluster whose orders are long answered: a crash left them behind.
pub async fn sweep(client: &Client, cluster: &str) -> Result<(), CloudError> {
    let apis = client.apis().await?;
    let ours = apis.ec2.describe_launch_templates().filters(tags::with(tags::CLUSTER, cluster));
    let call = ours.filters(tags::is("tag-key", [tags::PILOT_VM])).max_results(PAGE).send();
    let found = client.call("list launch templates", Action::Catalogue, call).await?;
    let old = client.clock.now() - LEFT_BEHIND;
    for template in found.launch_templates() {
        let made = template.create_time().and_then(|at| Timestamp::from_second(at.secs()).ok());
        if let (Some(made), Some(id)) = (made, template.launch_template_id())
            && made < old
        {
            remove(client, &Made { id: id.to_owned(), version: 1, whole: true }).await;
        }
    }
    Ok(())
}

fn data(machine: &Machine) -> RequestLaunchTemplateData {
    let tags = |of: ResourceType| {
        LaunchTemplateTagSpecificationRequest::builder().resource_type(of).set_tags(Some(machine.tags.clone())).build()
    };
    let disk = machine.root.ebs();
    let volume = LaunchTemplateEbsBlockDeviceRequest::builder()
        .encrypted(true)
        .delete_on_termination(true)
        .set_volume_size(disk.and_then(|d| d.volume_size()));
    let root = LaunchTemplateBlockDeviceMappingRequest::builder()
        .set_device_name(machine.root.device_name().map(str::to_owned))
        .ebs(volume.build());
    let metadata = LaunchTemplateInstanceMetadataOptionsRequest::builder()
        .http_tokens(LaunchTemplateHttpTokensState::Required)
        .http_put_response_hop_limit(1)
        .http_endpoint(LaunchTemplateInstanceMetadataEndpointState::Enabled)
        .instance_metadata_tags(LaunchTemplateInstanceMetadataTagsState::Enabled);
    RequestLaunchTemplateData::builder()
        .image_id(&machine.image)
        .user_data(machine.user_data.expose_secret())
        .block_device_mappings(root.build())
        .set_security_group_ids((!machine.groups.is_empty()).then(|| machine.groups.clone()))
        .instance_initiated_shutdown_behavior(ShutdownBehavior::Terminate)
        .metadata_options(metadata.build())
        .tag_specifications(tags(ResourceType::Instance))
        .tag_specifications(tags(ResourceType::Volume))
        .tag_specifications(tags(ResourceType::NetworkInterface))
        .build()
}
