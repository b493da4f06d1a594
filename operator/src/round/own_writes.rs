//! A round plans only once it sees what the rounds before it wrote.

use std::time::Duration;

use crds::PilotVM;
use kube::ResourceExt;

use crate::{context::Context, names::Key};

/// After this time a write that did not come back is looked for in the API server.
const WATCH_IS_LATE: Duration = Duration::from_secs(10);

/// Whether all own writes have been seen, and no name is in doubt; what is late or in doubt is looked for in the API server.
pub async fn own_writes_are_back(ctx: &Context, key: &Key) -> bool {
    let expectations = &ctx.state.expectations;
    for vm in expectations.in_doubt(key) {
        match ctx.api.metadata::<PilotVM>(&vm).await {
            Ok(Some(found)) => {
                let (uid, version) = (found.uid().unwrap_or_default(), found.resource_version().unwrap_or_default());
                expectations.expect(key, vm.clone(), &uid, &version);
            }
            Ok(None) => {
                let pool = vm.name.rsplit_once('-').map_or("", |(pool, _)| pool);
                ctx.state.numbers.free(&vm.beside(pool), &vm.name);
            }
            Err(error) => {
                tracing::warn!(%vm, %error, "it is not clear yet whether a PilotVM was made: this round does not plan");
                return false;
            }
        }
        expectations.is_clear(&vm);
    }
    for late in expectations.settle(key, WATCH_IS_LATE, |vm| ctx.state.stores.vms.get(vm)).await {
        // One that this version cannot read will never be seen: it counts as it is.
        if ctx.state.stores.vms.unread().iter().any(|unread| unread.key == late.vm) {
            expectations.drop(&late.uid);
            continue;
        }
        match ctx.api.read::<PilotVM>(&late.vm).await {
            Ok(Some(vm)) if vm.metadata.uid.as_deref() == Some(late.uid.as_str()) && !late.never_comes(&vm) => {
                tracing::warn!(vm = %late.vm, "an own write has not come back through the watch: this round does not plan");
                return false;
            }
            Ok(_) => expectations.drop(&late.uid),
            Err(error) => {
                tracing::warn!(vm = %late.vm, %error, "an own write could not be verified: this round does not plan");
                return false;
            }
        }
    }
    true
}
