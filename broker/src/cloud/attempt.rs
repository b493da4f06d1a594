//! What every driver does about an attempt whose VM may be there already: it looks, keeps one and takes twins away, and knows what an
//! answer that lacks means.

use std::{future::Future, time::Duration};

use jiff::Timestamp;

use super::{Cloud, CloudError, Order, Vm, keep};

/// Pauses between the looks right after an order whose outcome is unclear. Most doubts end here; the others last minutes, and are the
/// caller's to wait for.
const LOOKS: [Duration; 3] = [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(2)];

/// The VM of this owner that is there already; its twins are taken away. `is_going`: whether a VM is being taken away.
pub async fn adopt(cloud: &dyn Cloud, order: &Order, is_going: fn(&Vm) -> bool) -> Result<Option<Vm>, CloudError> {
    // A conflict is said below, and by nobody else.
    let mut found = cloud.find(&order.owner).await.map_err(|error| match error {
        CloudError::Conflict(said) => CloudError::Transient(said),
        other => other,
    })?;
    let going = found.iter().any(is_going);
    found.retain(|vm| !is_going(vm));
    let Some((kept, twins)) = keep(found) else {
        return if going {
            Err(CloudError::Conflict(format!("the VM {} of this PilotVM is still being taken away", order.name)))
        } else {
            Ok(None)
        };
    };
    let twins: Vec<String> = twins.into_iter().map(|vm| vm.id).collect();
    if !twins.is_empty() {
        tracing::warn!(?twins, kept = kept.id, "twins are taken away");
        cloud.delete_many(&twins).await.into_iter().collect::<Result<(), _>>()?;
    }
    Ok(Some(kept))
}

/// Looks for a moment; where no VM appears, the caller repeats the attempt.
pub async fn look<L>(order: &Order, message: String, until: Timestamp, look: impl Fn() -> L) -> Result<Vm, CloudError>
where
    L: Future<Output = Result<Option<Vm>, CloudError>>,
{
    tracing::debug!(vm = order.name, message, "unclear whether the VM was made; looking for it");
    for pause in LOOKS {
        tokio::time::sleep(pause).await;
        match look().await {
            Ok(Some(vm)) => return Ok(vm),
            Ok(None) => {}
            Err(error) => return Err(unclear(error, until)),
        }
    }
    Err(CloudError::Unclear { message, until })
}

/// The outcome of a look that found nothing, for an order that may have been sent and is not sent again.
pub fn nothing_yet(order: &Order, until: Timestamp, now: Timestamp) -> CloudError {
    let n = order.attempt.n;
    if now < until {
        let message = format!("no VM of attempt {n} has appeared yet, and one may until {until}");
        CloudError::Unclear { message, until }
    } else {
        CloudError::Transient(format!(
            "no VM came of attempt {n} until {until}, and none will: another attempt can be made"
        ))
    }
}

/// While an order is in doubt, whatever goes wrong with a look leaves it there.
pub fn unclear(error: CloudError, until: Timestamp) -> CloudError {
    match error {
        error @ (CloudError::Unclear { .. } | CloudError::Conflict(_)) => error,
        other => CloudError::Unclear { message: other.to_string(), until },
    }
}

/// Nothing was ordered. Only "come again" may be said: an earlier attempt's VM may be there.
pub fn cannot_look(error: CloudError) -> CloudError {
    match error {
        error @ (CloudError::Transient(_) | CloudError::Throttled { .. } | CloudError::Conflict(_)) => error,
        other => CloudError::Transient(format!("whether there is a VM already cannot be looked up: {other}")),
    }
}
