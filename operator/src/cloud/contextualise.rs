//! The user-data of one PilotVM: the pilot's description and its pool's template.

use broker::pilot::{Pilot, user_data};
use crds::PilotVM;
use secrecy::SecretString;

use super::Trouble;
use crate::{context::Context, names::Key};

/// Renders it; a pool that is gone has no template any more.
pub fn contextualise(ctx: &Context, vm: &PilotVM, pilot: &Pilot) -> Result<SecretString, Trouble> {
    let pool = ctx.stores.pools.get(&Key::of(vm).beside(&vm.spec.pool_ref.name));
    let template = pool.as_ref().and_then(|p| p.spec.machine.user_data.as_deref());
    user_data::render(pilot, template)
        .map_err(|e| Trouble { reason: "UserDataInvalid".to_owned(), message: e.to_string() })
}
