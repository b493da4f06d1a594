//! That a VM really does what its user-data says, and is seen to end.

use broker::cloud::{Cloud, End, VmState};
use testbeds::systems::openstack::{OpenStack, PROJECT};

use crate::{listed, nothing_left, order};

pub async fn a_guest_does_its_user_data_and_halts(it: &OpenStack, cloud: &dyn Cloud, image: &str) {
    let lent = tempfile::tempdir().unwrap();
    std::fs::write(lent.path().join("in-the-image"), "lent").unwrap();
    it.in_the_image(lent.path(), "/opt/lent").unwrap();
    let user_data = r#"#cloud-config
write_files:
- {path: /etc/dirac-operator-test, content: "a secret of nobody\n", permissions: "0600"}
runcmd:
- [sh, -c, "echo it says $(cat /etc/dirac-operator-test) and $(cat /opt/lent/in-the-image)"]
- "touch /opt/lent/no || echo the image is read-only"
- "sleep 3"
power_state: {mode: poweroff}
"#;
    cloud.create(&order("guests", "uid-1", "m1.tiny", image, user_data)).await.unwrap();
    let active = listed(cloud, "guests", "uid-1", |s| *s == VmState::Active).await;
    let halted = listed(cloud, "guests", "uid-1", |s| *s == VmState::Ended(End::PoweredOff)).await;
    assert_eq!(active.id, halted.id);
    let console = cloud.console(&halted.id, 4_000).await.unwrap();
    for words in ["it says a secret of nobody and lent", "the image is read-only", "powers off"] {
        assert!(console.contains(words), "{words}: {console}");
    }
    assert_eq!(cloud.console(&halted.id, 5).await.unwrap().len(), 5, "the last bytes, and no more");
    assert!(!std::path::Path::new("/etc/dirac-operator-test").exists(), "a guest writes nothing on the host");

    let server = it.servers(PROJECT).await.unwrap().into_iter().find(|s| s.id == halted.id).unwrap();
    assert_eq!(server.flavor.original_name, "m1.tiny");
    assert_eq!(server.metadata["dirac_pool"], "test");
    assert_eq!(server.addresses.keys().collect::<Vec<_>>(), ["private"]);
    cloud.delete(&halted.id).await.unwrap();
    nothing_left(cloud, "guests").await;
}
