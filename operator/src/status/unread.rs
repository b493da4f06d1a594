//! What is said of objects that this version cannot read: their own events, and sentences for those to whom they belong.

use std::sync::Arc;

use crds::{PilotVM, Reason};

use crate::{
    api::{
        Stores,
        unread::Unread,
        watch::{Kind, Objects},
    },
    context::Context,
};

/// The most that are told of in one turn: the others have theirs when these were told.
const AT_ONCE: usize = 3;

/// A sentence for each of these PilotVMs, in the order of their names.
pub fn sentences(vms: &[Arc<Unread<PilotVM>>]) -> Vec<String> {
    let mut all: Vec<String> = vms.iter().map(|vm| format!("{}: {}", vm.key.name, vm.error)).collect();
    all.sort();
    all
}

/// Tells an event of each object that cannot be read, whatever its kind.
pub async fn tell(ctx: &Context) {
    let Stores { installations, vos, sites, clouds, pools, vms, downtimes } = &ctx.state.stores;
    tell_of(ctx, installations).await;
    tell_of(ctx, vos).await;
    tell_of(ctx, sites).await;
    tell_of(ctx, clouds).await;
    tell_of(ctx, pools).await;
    tell_of(ctx, vms).await;
    tell_of(ctx, downtimes).await;
}

async fn tell_of<K: Kind>(ctx: &Context, objects: &Objects<K>) {
    let mut told = 0;
    for unread in objects.unread() {
        if told == AT_ONCE {
            break;
        }
        let text =
            format!("this version cannot read the object, and leaves what belongs to it alone: {}", unread.error);
        told += usize::from(ctx.events.warn(&unread.object, Reason::Malformed, text).await);
    }
}
