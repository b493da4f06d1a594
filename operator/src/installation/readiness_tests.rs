use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use broker::{
    demand::Fault,
    readiness::{Answer, Inspect, Said, State, Unread},
};
use crds::{DiracInstallation, VirtualOrganization};
use serde_json::json;

use super::*;
use crate::{
    api::{Stores, fake::Fake, watch::Objects as Watched},
    context::State as Known,
};

/// A DIRAC whose configuration cannot be read; it counts how often it was looked at.
#[derive(Default)]
struct Silent(AtomicUsize);

#[async_trait]
impl Inspect for Silent {
    async fn inspect(&self) -> Said {
        self.0.fetch_add(1, Ordering::Relaxed);
        let unread = Unread { fault: Fault::Unreachable, message: "no answer".into() };
        Said {
            dn: None,
            configuration: Err(unread.clone()),
            site_status: Err(unread),
            services: BTreeMap::from([("Matcher", Answer::Yes)]),
        }
    }
}

fn context(vos: Vec<VirtualOrganization>) -> Context {
    let installation = json!({"metadata": {"name": "egi", "namespace": "dirac"}, "spec": {}});
    let installation: DiracInstallation = serde_json::from_value(installation).unwrap();
    let stores = Stores { installations: Watched::of([installation]), vos: Watched::of(vos), ..Stores::default() };
    Context::of(Fake::default().client(), Known { stores, ..Known::default() })
}

fn key() -> Key {
    Key { namespace: "dirac".into(), name: "egi".into() }
}

#[tokio::test(start_paused = true)]
async fn it_is_looked_at_when_it_is_due_or_the_manifests_need_something_else() {
    let (mut ctx, dirac) = (context(vec![]), Arc::new(Silent::default()));
    let looked = || dirac.0.load(Ordering::Relaxed);
    assert!(look(&ctx, &key(), None).await.is_none(), "there is no way to it yet");
    let handle = ctx.state.installations.get(&key());
    handle.update(|f| f.inspect = Some(dirac.clone()));
    let mut last = look(&ctx, &key(), None).await;
    let findings = handle.facts().readiness.unwrap();
    assert_eq!(findings.iter().map(|f| f.state).collect::<Vec<_>>(), [State::Met, State::Unknown]);
    last = look(&ctx, &key(), last).await;
    assert_eq!(looked(), 1, "it is not due");
    let vo = json!({
        "metadata": {"name": "biomed", "namespace": "dirac"},
        "spec": {"installationRef": {"name": "egi"}, "diracName": "biomed", "pilot": {"group": "biomed_pilot"}},
    });
    ctx.state.stores.vos = Watched::of([serde_json::from_value(vo).unwrap()]);
    last = look(&ctx, &key(), last).await;
    assert_eq!(looked(), 2, "the manifests need something else");
    tokio::time::advance(AGAIN + Duration::from_secs(1)).await;
    last = look(&ctx, &key(), last).await;
    assert_eq!(looked(), 3, "somebody may have mended it");
    let renewed = Arc::new(Silent::default());
    handle.update(|f| f.inspect = Some(renewed.clone()));
    look(&ctx, &key(), last).await;
    assert_eq!((looked(), renewed.0.load(Ordering::Relaxed)), (3, 1), "the certificate is another");
}
