//! The VMs that pools keep whatever waits: `scaling.min` and `scaling.spare`.

use super::{
    fill::{Fill, Why},
    life::{Free, Life},
    ours::Ours,
    share::Turns,
    snapshot::Snapshot,
};

/// VMs that a pool has, and those of them that are spare.
#[derive(Clone, Copy, Default)]
struct Has {
    /// VMs that run or boot, or will be made.
    lives: u64,
    /// VMs that nobody uses.
    idle: u64,
}

/// Whether any pool keeps VMs.
pub fn keeps(snapshot: &Snapshot) -> bool {
    snapshot.pools.iter().any(|pool| pool.min > 0 || pool.spare > 0)
}

/// Makes the VMs that pools lack; `unused`: by index of the pool as many that boot are needed by nobody.
pub fn keep(snapshot: &Snapshot, ours: &[Ours<'_>], unused: &[u64], fill: &mut Fill<'_, '_>, turns: &mut Turns) {
    if !keeps(snapshot) {
        return;
    }
    let mut all = vec![Has::default(); snapshot.pools.len()];
    for Ours { vm, pool, .. } in ours {
        let Some(has) = pool.and_then(|pool| all.get_mut(pool)) else { continue };
        has.lives += u64::from(matches!(vm.life, Life::Booting { .. } | Life::Running { .. }));
        let idle = matches!(&vm.life, Life::Running { free, .. } if *free == Free::all(&vm.offering));
        has.idle += u64::from(idle);
    }
    fill.drafts.iter().for_each(|draft| all[draft.pool].lives += 1);
    for (p, pool) in snapshot.pools.iter().enumerate() {
        let for_min = pool.min.min(pool.max).saturating_sub(all[p].lives);
        let for_spare = pool.spare.saturating_sub(all[p].idle.saturating_add(unused[p])).saturating_sub(for_min);
        let serves = |vo: &usize| pool.vos.contains(&snapshot.vos[*vo].name);
        let vos: Vec<usize> = (0..snapshot.vos.len()).filter(serves).collect();
        let mut made = 0;
        while made < for_min.saturating_add(for_spare) {
            let why = if made < for_min { Why::Min } else { Why::Spare };
            let Some(&vo) = vos.iter().min_by_key(|vo| (turns.score(**vo), **vo)) else { break };
            if !fill.keep(p, vo, why, turns) {
                break;
            }
            made += 1;
        }
    }
}
