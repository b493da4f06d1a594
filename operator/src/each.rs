//! Keeps the tasks of each cloud and each installation running: those of one whose object is gone too, while PilotVMs need it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::task::{AbortHandle, JoinSet};

use crate::{api::Stores, cloud, context::Context, installation, names::Key, round, services};

/// Clouds and installations are looked through at least this often.
const AT_LEAST: Duration = Duration::from_secs(30);

/// They are looked through within this time.
const TURN: Duration = Duration::from_secs(120);

/// For each cloud: its poller. Until dropped.
pub async fn cloud(ctx: Arc<Context>) {
    let pulse = ctx.progress.begins("clouds", TURN);
    let (mut crew, mut news) = (Crew::default(), cloud::News::default());
    loop {
        let wanted = clouds(&ctx.state.stores);
        let old = crew.settle(&wanted, |key, tasks| vec![tasks.spawn(cloud::poll(ctx.clone(), key.clone()))]);
        // Our own write of a cloud's status is no news for its poller.
        for key in old.into_iter().filter(|key| news.of(key, ctx.state.stores.clouds.get(key).as_deref())) {
            ctx.bells.poll(key);
        }
        let keep = |key: &Key| wanted.binary_search(key).is_ok();
        news.retain(keep);
        ctx.state.clouds.retain(keep);
        ctx.state.paces.retain(keep);
        ctx.state.identities.retain(|secret| names(&ctx.state.stores, secret));
        ctx.bells.retain_clouds(keep);
        let rest = tokio::time::timeout(AT_LEAST, ctx.bells.to_look_at_clouds());
        let _ = pulse.rests(rest).await;
    }
}

/// For each installation: its source, its reader of rows, who looks at its DIRAC, its round, who keeps its services. Until dropped.
pub async fn installation(ctx: Arc<Context>) {
    let pulse = ctx.progress.begins("installations", TURN);
    let mut crew = Crew::default();
    loop {
        let wanted = installations(&ctx.state.stores);
        let old = crew.settle(&wanted, |key, tasks| {
            vec![
                tasks.spawn(installation::keep_the_way(ctx.clone(), key.clone())),
                tasks.spawn(installation::read_rows(ctx.clone(), key.clone())),
                tasks.spawn(installation::watch_readiness(ctx.clone(), key.clone())),
                tasks.spawn(round::run(ctx.clone(), key.clone())),
                tasks.spawn(services::keep(ctx.clone(), key.clone())),
            ]
        });
        for key in old {
            ctx.bells.remake(key);
        }
        let keep = |key: &Key| wanted.binary_search(key).is_ok();
        ctx.state.installations.retain(keep);
        ctx.state.lessons.with(|all| all.retain(|key, _| keep(key)));
        ctx.state.measures.with(|all| all.retain(|key, _| keep(key)));
        ctx.state.brakes.with(|all| all.retain(|key, _| keep(key)));
        ctx.state.ended.with(|all| all.retain(|key, _| keep(key)));
        ctx.state.intents.forget(|of| !keep(of));
        ctx.bells.retain_installations(keep);
        let rest = tokio::time::timeout(AT_LEAST, ctx.bells.to_look_at_installations());
        let _ = pulse.rests(rest).await;
    }
}

/// Whether a Cloud names this Secret.
fn names(stores: &Stores, secret: &Key) -> bool {
    stores.clouds.within(&secret.namespace).iter().any(|cloud| cloud.spec.secrets().contains(&secret.name))
}

fn clouds(stores: &Stores) -> Vec<Key> {
    let objects = stores.clouds.all();
    let vms = stores.vms.all();
    let named = vms.iter().map(|vm| Key::of(vm.as_ref()).beside(&vm.spec.cloud_ref.name));
    sorted(objects.iter().map(|c| Key::of(c.as_ref())).chain(named))
}

fn installations(stores: &Stores) -> Vec<Key> {
    let objects = stores.installations.all();
    let vms = stores.vms.all();
    let named = vms.iter().map(|vm| Key::of(vm.as_ref()).beside(&vm.spec.installation_ref.name));
    sorted(objects.iter().map(|i| Key::of(i.as_ref())).chain(named))
}

fn sorted(keys: impl Iterator<Item = Key>) -> Vec<Key> {
    let mut keys: Vec<Key> = keys.collect();
    keys.sort();
    keys.dedup();
    keys
}

/// Tasks by the object that they work for.
#[derive(Default)]
struct Crew {
    tasks: JoinSet<()>,
    running: HashMap<Key, Vec<AbortHandle>>,
}

impl Crew {
    /// Starts the tasks of what is `wanted` and has none, ends the others, and gives those that went on. Where one task of an object has
    /// ended, all of them are started again.
    fn settle<'a>(
        &mut self,
        wanted: &'a [Key],
        start: impl Fn(&Key, &mut JoinSet<()>) -> Vec<AbortHandle>,
    ) -> Vec<&'a Key> {
        self.running.retain(|key, tasks| {
            let keep = wanted.binary_search(key).is_ok() && !tasks.iter().any(AbortHandle::is_finished);
            if !keep {
                tasks.iter().for_each(AbortHandle::abort);
            }
            keep
        });
        let mut old = Vec::new();
        for key in wanted {
            if self.running.contains_key(key) {
                old.push(key);
            } else {
                self.running.insert(key.clone(), start(key, &mut self.tasks));
            }
        }
        while self.tasks.try_join_next().is_some() {}
        old
    }
}

#[cfg(test)]
mod tests {
    use crds::{PilotVM, vm::PilotVMSpec};

    use super::*;
    use crate::api::watch::Objects;

    fn key(name: &str) -> Key {
        Key { namespace: "demo".into(), name: name.into() }
    }

    #[test]
    fn a_cloud_and_an_installation_whose_object_is_gone_are_wanted_while_a_pilotvm_names_them() {
        let mut vm = PilotVM::new("cpu-1", PilotVMSpec::default());
        vm.metadata.namespace = Some("demo".into());
        vm.spec.cloud_ref.name = "gone".into();
        vm.spec.installation_ref.name = "gone too".into();
        let stores = Stores { vms: Objects::of([vm.clone(), vm]), ..Stores::default() };
        assert_eq!(clouds(&stores), [key("gone")]);
        assert_eq!(installations(&stores), [key("gone too")]);
        assert!(clouds(&Stores::default()).is_empty());
    }

    #[tokio::test]
    async fn tasks_of_what_is_wanted_run_and_others_end() {
        let mut crew = Crew::default();
        let start = |_: &Key, tasks: &mut JoinSet<()>| vec![tasks.spawn(std::future::pending())];
        assert!(crew.settle(&[key("a"), key("b")], start).is_empty());
        let wanted = [key("b"), key("c")];
        assert_eq!(crew.settle(&wanted, start), [&key("b")]);
        tokio::task::yield_now().await;
        crew.settle(&wanted, start);
        assert_eq!(crew.tasks.len(), 2);
    }

    #[tokio::test]
    async fn a_task_that_ended_is_started_again() {
        let mut crew = Crew::default();
        let wanted = [key("a")];
        crew.settle(&wanted, |_, tasks| vec![tasks.spawn(async {})]);
        tokio::task::yield_now().await;
        assert!(crew.settle(&wanted, |_, tasks| vec![tasks.spawn(std::future::pending())]).is_empty());
        assert_eq!(crew.settle(&wanted, |_, _| vec![]), [&key("a")]);
    }
}
