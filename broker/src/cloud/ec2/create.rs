//! Making one instance, at most one for an attempt: the provider knows each attempt by its token, and an owner's instance by its tags.

use jiff::Timestamp;

use super::{Ec2Cloud, buy::Ordered, client::CARRIED_OUT_WITHIN, fault::Fault, machine::Machine};
use crate::cloud::{
    Cloud, CloudError, Order, Vm, VmState,
    attempt::{self, cannot_look, look, nothing_yet, unclear},
};

/// Makes the order's instance, or adopts the one that an attempt already made.
///
/// A repeated attempt sends the order again, unless it is to be looked for only: its token makes that harmless, also where the first call is
/// carried out late.
pub async fn create(cloud: &Ec2Cloud, order: &Order) -> Result<Vm, CloudError> {
    let until = order.attempt.since + CARRIED_OUT_WITHIN;
    match adopt(cloud, order).await {
        Ok(Some(vm)) => return Ok(vm),
        Ok(None) if order.attempt.look_only => return Err(nothing_yet(order, until, cloud.client.clock.now())),
        Ok(None) => {}
        Err(error) if order.attempt.repeated => return Err(unclear(error, until)),
        Err(error) => return Err(cannot_look(error)),
    }
    let machine = Machine::of(cloud, order).await?;
    match machine.buy(&cloud.client).await {
        Ok(ordered) => taken(cloud, order, ordered).await,
        Err(fault) if fault.is("IdempotentParameterMismatch") => mismatch(cloud, order, fault.error, until).await,
        // What the token made is gone again: whoever wants an instance begins another attempt.
        Err(fault) if fault.is("IdempotentInstanceTerminated") => {
            Err(CloudError::Transient(format!("{}: another attempt can be made", fault.error)))
        }
        Err(fault) if fault.in_doubt => look(order, fault.error.to_string(), until, || adopt(cloud, order)).await,
        // What is wrong with this call says nothing of an earlier one with the same token.
        Err(fault) if order.attempt.repeated && cloud.client.clock.now() < until && !is_refusal(&fault.error) => {
            Err(unclear(fault.error, until))
        }
        Err(Fault { error: CloudError::NotFound(said), .. }) => Err(CloudError::Invalid(said)),
        Err(Fault { error: CloudError::Conflict(said), .. }) => Err(CloudError::Transient(said)),
        Err(fault) => Err(fault.error),
    }
}

/// Whether the provider has looked at the order and made nothing of it.
fn is_refusal(error: &CloudError) -> bool {
    matches!(error, CloudError::NoCapacity { .. } | CloudError::Quota { .. })
}

/// What the provider made of the order. With a token that it knew it may be an instance that has ended since.
async fn taken(cloud: &Ec2Cloud, order: &Order, ordered: Ordered) -> Result<Vm, CloudError> {
    let vm = Vm {
        id: ordered.id,
        owner: order.owner.clone(),
        name: order.name.clone(),
        state: VmState::Building,
        provider_status: "pending".to_owned(),
        created: cloud.client.clock.now(),
        bought: Some(ordered.bought),
        released: false,
    };
    cloud.known.made(&vm);
    if !order.attempt.repeated {
        return Ok(vm);
    }
    match cloud.get(&vm.id).await {
        Ok(Some(seen)) if seen.released || is_going(&seen) => Err(CloudError::Transient(format!(
            "the instance {} of attempt {} has ended: another attempt can be made",
            seen.id, order.attempt.n
        ))),
        Ok(Some(seen)) => Ok(seen),
        // It is young, or cannot be looked at now: it was made.
        Ok(None) | Err(_) => Ok(vm),
    }
}

/// The token is that of another order of this attempt: its instance is there, or appears, or has ended.
async fn mismatch(cloud: &Ec2Cloud, order: &Order, error: CloudError, until: Timestamp) -> Result<Vm, CloudError> {
    if cloud.client.clock.now() < until {
        return look(order, error.to_string(), until, || adopt(cloud, order)).await;
    }
    Err(CloudError::Transient(format!("{error}, and there is no instance of it: another attempt can be made")))
}

/// The instance of this owner that is there already. One that goes may be said to have ended before it is over.
async fn adopt(cloud: &Ec2Cloud, order: &Order) -> Result<Option<Vm>, CloudError> {
    let found = attempt::adopt(cloud, order, is_going).await?;
    found.iter().for_each(|kept| cloud.known.made(kept));
    Ok(found)
}

/// Whether it is being taken away, for whatever reason.
fn is_going(vm: &Vm) -> bool {
    vm.state == VmState::Deleting || vm.provider_status == "shutting-down"
}
