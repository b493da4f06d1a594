//! Reads the rows of all pilots of one installation, in one request: shortly while something boots, seldom otherwise.

use std::sync::Arc;

use broker::pilot::stamp;
use crds::PilotVM;
use jiff::Timestamp;
use kube::ResourceExt;

use super::{Handle, Rows};
use crate::{
    cloud::Trouble,
    context::Context,
    names::Key,
    vm::{Ending, launched, ran},
};

/// Asked for while no pilot lives: an installation whose pilots cannot be registered is known before the first VM is planned.
const NOBODY: &str = "none";

/// Reads until dropped.
pub async fn run(ctx: Arc<Context>, key: Key) {
    let handle = ctx.installations.get(&key);
    loop {
        let live =
            ctx.vms_where(|vm| of_installation(vm, &key) && launched(vm).is_some() && Ending::recorded(vm).is_none());
        read(&ctx, &handle, &live).await;
        let boots = live.iter().any(|vm| !ran(vm));
        let shortest = ctx.args.busy_interval.min(ctx.args.rows_interval);
        tokio::time::sleep(shortest).await;
        if !boots {
            tokio::select! {
                () = handle.reread.notified() => {}
                () = tokio::time::sleep(ctx.args.rows_interval.saturating_sub(shortest)) => {}
            }
        }
    }
}

/// Whether the PilotVM runs jobs of this installation.
pub fn of_installation(vm: &PilotVM, key: &Key) -> bool {
    vm.spec.installation_ref.name == key.name && vm.namespace().as_deref() == Some(key.namespace.as_str())
}

async fn read(ctx: &Context, handle: &Handle, live: &[Arc<PilotVM>]) {
    let facts = handle.facts();
    let Some(source) = facts.rows else { return };
    let references: Vec<String> = live.iter().map(|vm| stamp::reference(&vm.uid().unwrap_or_default())).collect();
    let started = Timestamp::now();
    let nobody = [stamp::reference(NOBODY)];
    let asked = if references.is_empty() { &nobody[..] } else { &references };
    let rows = match source.rows(asked).await {
        Ok(rows) => rows,
        Err(error) => {
            tracing::warn!(reason = error.reason, %error, "the pilots' rows could not be read");
            let trouble = Trouble { reason: error.reason.to_owned(), message: error.message };
            let news = facts.rows_unknown.is_none_or(|t| t.reason != trouble.reason);
            handle.update(|f| f.rows_unknown = Some(trouble));
            if news {
                ctx.dirty.notify_one();
            }
            return;
        }
    };
    let by_reference = rows.into_iter().map(|row| (row.reference.clone(), row)).collect();
    let rows = Arc::new(Rows { started, by_reference });
    handle.update(|f| {
        f.read = Some(rows.clone());
        f.rows_unknown = None;
    });
    if facts.rows_unknown.is_some() || facts.read.is_none() {
        ctx.dirty.notify_one();
        handle.replan.notify_one();
    }
    let before = facts.read.unwrap_or_default();
    for (vm, reference) in live.iter().zip(&references) {
        let news = |r: &Rows| r.by_reference.get(reference).map(|row| (row.status, row.current_job > 0));
        // A pilot that has not asked for work may be late: its PilotVM looks at every reading.
        if !ran(vm) || news(&rows) != news(&before) {
            ctx.wake(vm);
        }
    }
}
