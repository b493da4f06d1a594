//! What is remembered of own writes when versions of objects have gone back, as after etcd was restored.

use super::*;
use crate::{api::fake::Fake, context::State};

/// What is remembered of an own write, version 10, after a look at a store that shows version 7 while the API server has `there`.
async fn remembered(there: Option<&str>) -> Option<String> {
    let at = |version: &str| {
        let mut vm = PilotVM::new("cpu-1", crds::vm::PilotVMSpec::default());
        (vm.metadata.namespace, vm.metadata.uid) = (Some("demo".into()), Some("u".into()));
        vm.metadata.resource_version = Some(version.into());
        vm
    };
    let fake = Fake::default();
    if let Some(version) = there {
        fake.put("pilotvms", &at(version));
    }
    let ctx = Arc::new(Context::of(fake.client(), State::default()));
    ctx.state.memory.note("u", |m| m.written = Some(("10".into(), Instant::now())));
    let look = async || reconcile(Arc::new(at("7")), ctx.clone()).await;
    assert_eq!(look().await, Some(WATCH_IS_LATE), "the watch has its time");
    assert_eq!(fake.asked("GET"), Vec::<String>::new(), "nobody is asked meanwhile");
    tokio::time::advance(WATCH_IS_LATE).await;
    look().await;
    ctx.state.memory.of("u").written.map(|(version, _)| version)
}

#[tokio::test(start_paused = true)]
async fn versions_that_went_back_are_believed_where_the_api_server_says_so_too() {
    assert_eq!(remembered(Some("7")).await, None);
    assert_eq!(remembered(None).await, None, "the object is gone");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_merely_late_makes_nothing_forgotten() {
    assert_eq!(remembered(Some("10")).await.as_deref(), Some("10"));
}
