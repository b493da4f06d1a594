//! Gives PilotVMs back of which it is believed that they have no job. What is believed may be a minute old, and a pilot takes a job in a
//! moment: so their rows are read once more right before, and no object is deleted that somebody wrote since it was read.

use std::sync::Arc;

use broker::pilot::{
    rows::{PilotRow, PilotRows, PilotStatus},
    stamp,
};
use crds::PilotVM;
use futures::{StreamExt, stream};
use kube::ResourceExt;

use crate::{api, context::Context, life::launched, names::Key};

/// The most objects that are deleted at one time.
const CONCURRENCY: usize = 16;

/// Which pilots may be given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those that have not asked for work.
    Unasked,
    /// Those that never had a job.
    Jobless,
    /// Those that have none now: they never had one, or DIRAC says that all that they had have ended.
    Idle,
}

/// What came of giving PilotVMs back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// PilotVMs that were deleted.
    pub gone: usize,
    /// PilotVMs that stay: they have, or may have, a job.
    pub kept: usize,
    /// What went wrong: the pool, and a sentence.
    pub failed: Vec<(String, String)>,
}

/// Gives these PilotVMs back, each with its reason, as far as they are free.
pub async fn give_back(
    ctx: &Context,
    rows: Option<&dyn PilotRows>,
    vms: Vec<(Arc<PilotVM>, String)>,
    which: Which,
) -> Given {
    let mut given = Given::default();
    if vms.is_empty() {
        return given;
    }
    let references: Vec<String> = vms.iter().map(|(vm, _)| reference(vm)).collect();
    let read = match rows {
        Some(rows) => rows.rows(&references).await.map_err(|error| error.message),
        None => Err("the installation is not reached".to_owned()),
    };
    let read = match read {
        Ok(read) => read,
        Err(why) => {
            let sentence =
                |pool: String| (pool, format!("no VM is given back while the pilots' rows are unknown: {why}"));
            given.failed.extend(vms.first().map(|(vm, _)| sentence(vm.spec.pool_ref.name.clone())));
            given.kept = vms.len();
            return given;
        }
    };
    let (free, busy): (Vec<_>, Vec<_>) =
        vms.into_iter().partition(|(vm, _)| is_free(vm, read.iter().find(|row| row.reference == reference(vm)), which));
    given.kept = busy.len();
    let outcomes: Vec<_> =
        stream::iter(free).map(|(vm, why)| delete(ctx, vm, why)).buffer_unordered(CONCURRENCY).collect().await;
    for outcome in outcomes {
        match outcome {
            Ok(true) => given.gone += 1,
            Ok(false) => given.kept += 1,
            Err(failed) => given.failed.push(failed),
        }
    }
    given
}

/// Whether it was deleted; not when somebody wrote it meanwhile.
async fn delete(ctx: &Context, vm: Arc<PilotVM>, why: String) -> Result<bool, (String, String)> {
    let uid = vm.uid().unwrap_or_default();
    ctx.state.memory.note(&uid, |m| m.surplus = Some(why));
    match ctx.api.delete_unchanged(vm.as_ref()).await {
        Ok(()) => Ok(true),
        Err(error) if api::is_gone(&error) => Ok(true),
        Err(error) => {
            ctx.state.memory.note(&uid, |m| m.surplus = None);
            if api::is_conflict(&error) {
                return Ok(false);
            }
            let text = format!("PilotVM {} could not be given back: {error}", Key::of(vm.as_ref()));
            Err((vm.spec.pool_ref.name.clone(), text))
        }
    }
}

fn reference(vm: &PilotVM) -> String {
    stamp::reference(&vm.uid().unwrap_or_default())
}

/// Whether a row that was read just now shows that the VM can go without a job being lost. Where nobody says which of a pilot's jobs run, a
/// pilot that ever had one may have one. An absent row proves nothing of a VM that was made.
fn is_free(vm: &PilotVM, row: Option<&PilotRow>, which: Which) -> bool {
    let Some(row) = row else { return launched(vm).is_none() };
    let had_job = row.current_job > 0 || row.jobs.as_ref().is_some_and(|jobs| !jobs.is_empty());
    match which {
        Which::Unasked => !had_job && row.status != PilotStatus::Running,
        Which::Jobless => !had_job,
        Which::Idle => !had_job || row.running == Some(0),
    }
}

#[cfg(test)]
#[path = "giveback_tests.rs"]
mod tests;
