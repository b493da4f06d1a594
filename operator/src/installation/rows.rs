//! Reads the rows of all pilots of one installation, in one request: shortly while something boots, seldom otherwise.

use std::{sync::Arc, time::Duration};

use broker::pilot::stamp;
use crds::PilotVM;
use kube::ResourceExt;

use crate::{
    context::Context,
    known::installation::{Handle, Rows},
    life::{is_ended, launched, ran},
    names::Key,
    trouble::Trouble,
};

/// Asked for while no pilot lives: an installation whose pilots cannot be registered is known before the first VM is planned.
const NOBODY: &str = "none";

/// They are read within this time: twenty requests for 20,000 pilots, of 30 s each.
const TURN: Duration = Duration::from_secs(900);

/// Reads until dropped.
pub async fn read_rows(ctx: Arc<Context>, key: Key) {
    let pulse = ctx.progress.begins(format!("rows of {key}"), TURN);
    let handle = ctx.state.installations.get(&key);
    loop {
        let mut live = ctx.state.stores.vms_of_installation(&key);
        live.retain(|vm| launched(vm).is_some() && !is_ended(vm));
        read(&ctx, &key, &handle, &live).await;
        let boots = live.iter().any(|vm| !ran(vm));
        let shortest = ctx.args.busy_interval.min(ctx.args.rows_interval);
        pulse.rests(tokio::time::sleep(shortest)).await;
        if !boots {
            let left = ctx.args.rows_interval.saturating_sub(shortest);
            let _ = pulse.rests(tokio::time::timeout(left, ctx.bells.to_read_rows(&key))).await;
        }
    }
}

async fn read(ctx: &Context, key: &Key, handle: &Handle, live: &[Arc<PilotVM>]) {
    let facts = handle.facts();
    let Some(source) = facts.rows else { return };
    let references: Vec<String> = live.iter().map(|vm| stamp::reference(&vm.uid().unwrap_or_default())).collect();
    let started = ctx.clock.now();
    let nobody = [stamp::reference(NOBODY)];
    let asked = if references.is_empty() { &nobody[..] } else { &references };
    let rows = match source.rows(asked).await {
        Ok(rows) => rows,
        Err(error) => {
            tracing::warn!(installation = %key, reason = error.reason, %error, "the pilots' rows could not be read");
            let trouble = Trouble::from(error);
            let news = facts.rows_unknown.is_none_or(|t| t.reason != trouble.reason);
            handle.update(|f| f.rows_unknown = Some(trouble));
            if news {
                ctx.bells.tell_statuses();
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
        ctx.bells.tell_statuses();
        ctx.bells.plan(key);
    }
    let before = facts.read.unwrap_or_default();
    for (vm, reference) in live.iter().zip(&references) {
        let news = |r: &Rows| r.by_reference.get(reference).map(|row| (row.status, row.current_job > 0));
        // A pilot that has not asked for work may be late: its PilotVM looks at every reading.
        if !ran(vm) || news(&rows) != news(&before) {
            ctx.bells.look_at(Key::of(vm.as_ref()));
        }
    }
}
