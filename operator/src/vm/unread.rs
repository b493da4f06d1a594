//! PilotVMs that this version cannot read, and of which a person says that they go: nobody else would take our finalizer off.
//!
//! Such a PilotVM may have a VM with jobs, so it stays as it is until the annotation `diracgrid.org/let-go` is on it. The VM is then an
//! orphan, which the Cloud's poller deletes, where the Cloud can still be asked.

use std::{sync::Arc, time::Duration};

use crds::Reason;

use crate::{
    api,
    context::Context,
    names::{VM_FINALIZER, deleting, holds, let_go},
};

/// They are looked through this often.
const EVERY: Duration = Duration::from_secs(10);
/// They are looked through within this time.
const TURN: Duration = Duration::from_secs(600);

/// Looks after them until dropped.
pub async fn run(ctx: Arc<Context>) {
    let pulse = ctx.progress.begins("PilotVMs that cannot be read", TURN);
    loop {
        look(&ctx).await;
        pulse.rests(tokio::time::sleep(EVERY)).await;
    }
}

/// Lets those go that were deleted and that a person lets go.
async fn look(ctx: &Context) {
    for unread in ctx.state.stores.vms.unread() {
        let (vm, object) = (&unread.key, &unread.object);
        if !deleting(object) || !let_go(object) || !holds(object, VM_FINALIZER) {
            continue;
        }
        let text = "let go by annotation: this version cannot read the PilotVM, so whether it has a VM or a row is not known, and neither \
                    is taken away with it";
        match ctx.api.hold(object, VM_FINALIZER, false).await {
            Ok(_) => {
                tracing::warn!(%vm, text, "a PilotVM is let go");
                ctx.events.warn(object, Reason::LetGo, text).await;
            }
            // The watch shows what somebody wrote meanwhile.
            Err(error) if api::is_gone(&error) || api::is_conflict(&error) => {}
            Err(error) => tracing::warn!(%vm, %error, "the finalizer of a PilotVM could not be written"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        api::{Stores, fake::Fake, watch::Objects},
        context::State,
    };

    /// What is left of the finalizers of a PilotVM that cannot be read, after two looks.
    async fn left(change: Value) -> Value {
        let mut object = json!({"metadata": {"name": "cpu-1", "namespace": "n", "uid": "u", "resourceVersion": "1",
            "finalizers": [VM_FINALIZER, "of another"], "deletionTimestamp": "2026-01-01T00:00:00Z",
            "annotations": {"diracgrid.org/let-go": "true"}}, "spec": {"from": "the future"}});
        for (field, value) in change.as_object().into_iter().flatten() {
            object["metadata"][field] = value.clone();
        }
        let fake = Fake::default();
        fake.put("pilotvms", &object);
        let stores = Stores { vms: Objects::of([]).and_unread([object]), ..Stores::default() };
        let ctx = Context::of(fake.client(), State { stores, ..State::default() });
        look(&ctx).await;
        look(&ctx).await;
        fake.0.lock().unwrap().objects["pilotvms/cpu-1"]["metadata"]["finalizers"].clone()
    }

    #[tokio::test]
    async fn a_deleted_pilotvm_that_cannot_be_read_goes_when_a_person_lets_it_go_and_not_before() {
        assert_eq!(left(json!({})).await, json!(["of another"]));
        let whole = json!([VM_FINALIZER, "of another"]);
        assert_eq!(left(json!({"annotations": {}})).await, whole);
        assert_eq!(left(json!({"annotations": {"diracgrid.org/let-go": "false"}})).await, whole);
        assert_eq!(left(json!({"deletionTimestamp": null})).await, whole, "it lives");
    }
}
