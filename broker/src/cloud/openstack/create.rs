//! Making one server, at most one for an attempt: Nova has no idempotency token, so whatever is unclear is looked up by our tags.

use jiff::Timestamp;
use openstack_sdk_compute::v2::server::create_257 as create;
use openstack_sdk_core::api::{QueryAsync, raw};

use super::{OpenStackCloud, ask::of_body, body, fault, session::CARRIED_OUT_WITHIN, wire::Made};
use crate::cloud::{
    CloudError, Order, Vm, VmState,
    attempt::{self, cannot_look, look, nothing_yet, unclear},
};

/// Makes the order's server, or adopts the one that an attempt already made.
pub async fn create(cloud: &OpenStackCloud, order: &Order) -> Result<Vm, CloudError> {
    let until = order.attempt.since + CARRIED_OUT_WITHIN;
    // An earlier call may have been cut off, by a crash of ours or a time-out: its server counts. Whoever cannot look does not
    // know that there is none, whatever keeps it from looking.
    match adopt(cloud, order).await {
        Ok(Some(vm)) => return Ok(vm),
        Ok(None) if order.attempt.repeated => return Err(nothing_yet(order, until, cloud.session.clock.now())),
        Ok(None) => {}
        Err(error) if order.attempt.repeated => return Err(unclear(error, until)),
        Err(error) => return Err(cannot_look(error)),
    }
    let resolved = cloud.resolved().await?;
    match post(cloud, body::of(&cloud.session.config, order, &resolved)?, until).await {
        Ok(made) => {
            let vm = Vm {
                id: made.id,
                owner: order.owner.clone(),
                name: order.name.clone(),
                state: VmState::Building,
                provider_status: "BUILD".to_owned(),
                created: cloud.session.clock.now(),
                bought: order.choices.first().cloned(),
                released: false,
            };
            cloud.known.made(&vm);
            Ok(vm)
        }
        Err(CloudError::Unclear { message, .. }) => look(order, message, until, || adopt(cloud, order)).await,
        // What the order names is missing here: that makes the order invalid, and nothing else.
        Err(CloudError::NotFound(said)) => Err(CloudError::Invalid(said)),
        // Two things of one name, of which Nova will not choose: neither time nor another flavor helps.
        Err(CloudError::Conflict(said)) if said.contains("Multiple possible networks") => {
            Err(CloudError::Invalid(format!("{said}; say which in spec.openstack.networks")))
        }
        Err(CloudError::Conflict(said)) => {
            Err(CloudError::Invalid(format!("{said}; correct spec.openstack (networks, securityGroups)")))
        }
        Err(clear) => Err(clear),
    }
}

/// Sends the order. An acceptance that nobody can read is in doubt, too.
async fn post(cloud: &OpenStackCloud, request: create::Request<'_>, until: Timestamp) -> Result<Made, CloudError> {
    let what = "make a server";
    let answer = raw(request).query_async(&cloud.session).await.map_err(|e| fault::of_sdk(what, e))?;
    of_body(what, Some("server"), answer.body()).map_err(|error| unclear(error, until))
}

/// The server of this owner that is there already.
async fn adopt(cloud: &OpenStackCloud, order: &Order) -> Result<Option<Vm>, CloudError> {
    let found = attempt::adopt(cloud, order, |vm| vm.state == VmState::Deleting).await?;
    // A list of changes may not tell of it, and whoever misses it buys another.
    found.iter().for_each(|kept| cloud.known.made(kept));
    Ok(found)
}

#[cfg(test)]
#[path = "create_tests.rs"]
mod tests;
