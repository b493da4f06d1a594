//! etcd set back to a moment before VMs were made: they are at the provider, and no object knows of them.

use std::time::Duration;

use testbeds::{host::until::until, real::NAMESPACE};

use super::{pool::Sleepers, scene::Scene};

/// Ten VMs in all.
pub const FORGOTTEN: [Sleepers; 2] = [
    Sleepers { name: "sleepers", tag: "Sleepers", vms: 5, first_job: 1_000_000 },
    Sleepers { name: "dreamers", tag: "Dreamers", vms: 5, first_job: 1_100_000 },
];
/// How long they must live although nobody acknowledged: many times what an orphan of this operator lives.
const LIVES: Duration = Duration::from_secs(60);

pub async fn vms_that_a_restored_etcd_forgot_live_until_a_person_says_so(scene: &mut Scene) {
    for pool in &FORGOTTEN {
        pool.wait(scene);
        scene.kubectl.apply(&pool.pool(0)).unwrap();
    }
    scene.real.plane.snapshot("before").unwrap();
    for pool in &FORGOTTEN {
        scene.kubectl.apply(&pool.pool(pool.vms)).unwrap();
    }
    for pool in &FORGOTTEN {
        pool.are_there(scene).await;
    }
    let ids = alive(scene);
    assert_eq!(ids.len(), 10, "{ids:?}");
    scene.kill();
    scene.real.plane.restore("before").unwrap();
    scene.revive().await;
    let begun = std::time::Instant::now();
    until(&format!("they live on for {} s", LIVES.as_secs()), LIVES * 2, async || {
        assert_eq!(alive(scene), ids, "a VM that etcd forgot was deleted or replaced");
        if begun.elapsed() >= LIVES { Ok(()) } else { Err(format!("{} s", begun.elapsed().as_secs())) }
    })
    .await
    .unwrap();
    it_is_said(scene).await;
    let words = ["annotate", "cloud", "lyon", "--namespace", NAMESPACE];
    scene.kubectl.run(&[&words[..], &["diracgrid.org/acknowledge-orphans=3"]].concat()).unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(alive(scene), ids, "three are not all");
    let all = format!("diracgrid.org/acknowledge-orphans={}", ids.len());
    scene.kubectl.run(&[&words[..], &["--overwrite", &all]].concat()).unwrap();
    until("they are deleted", Duration::from_secs(120), async || match alive(scene).len() {
        0 => Ok(()),
        n => Err(format!("{n} live")),
    })
    .await
    .unwrap();
    until("the cloud is not frozen", Duration::from_secs(60), async || match scene.condition("cloud/lyon", "Frozen") {
        Some(c) if c.status == "True" => Err(c.message),
        _ => Ok(()),
    })
    .await
    .unwrap();
    scene.rows_are_left();
}

/// Those of the ten that live.
fn alive(scene: &Scene) -> Vec<String> {
    FORGOTTEN.iter().flat_map(|pool| scene.alive_of(pool.name)).collect()
}

/// By a condition that names the number, by an event and by a metric.
async fn it_is_said(scene: &Scene) {
    let frozen = scene.condition("cloud/lyon", "Frozen").expect("the condition Frozen");
    assert_eq!((frozen.status.as_str(), frozen.reason.as_str()), ("True", "OrphansNotAcknowledged"), "{frozen:?}");
    assert!(frozen.message.contains("10 VMs"), "{frozen:?}");
    let told = scene.told("Cloud", "lyon");
    assert!(told.iter().any(|(reason, _)| reason == "OrphansNotAcknowledged"), "{told:?}");
    let metrics = scene.operator.as_ref().unwrap().metrics().await.unwrap();
    let frozen: Vec<_> = metrics.iter().filter(|(name, _)| name.contains("frozen")).collect();
    assert!(frozen.iter().any(|(name, value)| name.contains("lyon") && *value >= 1.0), "{frozen:?}");
}
