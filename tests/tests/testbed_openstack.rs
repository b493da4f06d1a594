//! The OpenStack testbed does what the other layers count on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;
use testbeds::systems::openstack::{OpenStack, PROJECT, Service, TINY};

const PATIENCE: Duration = Duration::from_secs(60);
/// For what takes a second on a machine that has nothing else to do.
const HALF: Duration = Duration::from_secs(30);

async fn status(cloud: &OpenStack, id: &str) -> String {
    cloud.servers(PROJECT).await.unwrap().into_iter().find(|s| s.id == id).unwrap().status
}

async fn await_console(cloud: &OpenStack, id: &str, wanted: &str) {
    for _ in 0..150 {
        // A server that is not placed yet has none: 409.
        let console = cloud.console(id).await.unwrap_or_default();
        if console.contains(wanted) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("no {wanted:?} in the console of {id}: {}", cloud.console(id).await.unwrap());
}

/// Waits until no process of this machine has `word` in its command line: what is killed may take a moment to go.
async fn await_no_process(word: &str, what: &str) {
    let begun = Instant::now();
    while processes(word) > 0 {
        assert!(begun.elapsed() < HALF, "{} processes with {word}: {what}", processes(word));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Processes of this machine whose command line has `word`.
fn processes(word: &str) -> usize {
    let has = |pid: &Path| {
        fs::read(pid.join("cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).replace('\0', " ").contains(word))
    };
    fs::read_dir("/proc").unwrap().filter_map(Result::ok).filter(|entry| has(&entry.path())).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clouds_stand_apart_and_their_guests_apart_from_this_machine() {
    let folder = tempfile::tempdir().unwrap();
    let image = tempfile::tempdir().unwrap();
    fs::write(image.path().join("pilot"), "in the image").unwrap();
    let (a, b) = (folder.path().join("a"), folder.path().join("b"));
    let (cloud, other) = tokio::join!(OpenStack::start(&a), OpenStack::start(&b));
    let (cloud, mut other) = (cloud.unwrap(), other.unwrap());
    cloud.in_the_image(image.path(), "/opt/image").unwrap();

    // What a pilot's VM does: files, commands that see them, the end by itself.
    let mark = format!("testbed-{:08x}", rand::random::<u32>());
    let user_data = format!(
        "#cloud-config\n\
         hostname: inside\n\
         colour: red\n\
         write_files:\n\
         - {{path: /etc/{mark}, content: 'it is {mark}', permissions: '0600'}}\n\
         - {{path: /usr/local/{mark}, encoding: b64, content: '{}'}}\n\
         bootcmd: ['echo early']\n\
         runcmd:\n\
         - NAME=$(hostname)\n\
         - [cat, /etc/{mark}, /usr/local/{mark}, /opt/image/pilot]\n\
         - echo \"$NAME pid $$\"\n\
         - test -e {}/pilot || echo /tmp is its own\n\
         - touch /opt/image/mine || echo the image is read-only\n\
         - test -e {}/etc || echo the testbed is hidden\n\
         - 'false'\n\
         - echo the end\n\
         power_state: {{mode: poweroff, message: bye}}\n",
        STANDARD.encode("decoded"),
        image.path().display(),
        a.display(),
    );
    let network = cloud.network_id("private").await.unwrap();
    let more = json!({
        "networks": [{"uuid": network}], "tags": ["ours"], "metadata": {"pool": "p"},
        "availability_zone": "nova", "security_groups": [{"name": "default"}],
    });
    let id = cloud.boot(PROJECT, "one", &user_data, more).await.unwrap();
    let server = cloud.await_status(PROJECT, &id, "SHUTOFF", PATIENCE).await.unwrap();
    assert_eq!((server.tags.as_slice(), server.metadata["pool"].as_str()), (&["ours".to_owned()][..], "p"));
    assert_eq!((server.flavor.original_name.as_str(), server.zone.as_deref()), ("m1.tiny", Some("nova")));
    assert!(server.addresses["private"][0]["addr"].as_str().unwrap().starts_with("10.64."));
    let console = cloud.console(&id).await.unwrap();
    for wanted in [
        "early",
        "colour is not acted on",
        &format!("it is {mark}"),
        "decoded",
        "in the image",
        "inside pid ",
        "/tmp is its own",
        "the image is read-only",
        "the testbed is hidden",
        "the end",
        "bye",
        "the guest powers off",
    ] {
        assert!(console.contains(wanted), "no {wanted:?} in {console}");
    }
    assert!(!Path::new(&format!("/etc/{mark}")).exists() && !Path::new(&format!("/usr/local/{mark}")).exists());
    assert_eq!(cloud.servers(PROJECT).await.unwrap().len(), 1);
    assert!(other.servers(PROJECT).await.unwrap().is_empty());
    cloud.delete_and_wait(PROJECT, &id, PATIENCE).await.unwrap();

    // A guest that powers off by a command, one that stays, and what they started goes with them.
    let stays = format!("#!/bin/sh\nsetsid sh -c 'while :; do sleep 1; done # {mark}' &\necho staying\n");
    let ends = format!("#cloud-config\nruncmd: ['{{ sh -c \"sleep 600; : {mark}\" & }}; echo going', poweroff]\n");
    let stays = cloud.boot(PROJECT, "stays", &stays, json!({})).await.unwrap();
    let ends = cloud.boot(PROJECT, "ends", &ends, json!({})).await.unwrap();
    await_console(&cloud, &ends, "the guest powers off").await;
    // By the event, and not by Nova's look at all power states once in ten minutes.
    cloud.await_status(PROJECT, &ends, "SHUTOFF", HALF).await.unwrap();
    await_console(&cloud, &stays, "staying").await;
    assert_eq!(status(&cloud, &stays).await, "ACTIVE");
    let begun = Instant::now();
    while processes(&mark) != 1 {
        let there = processes(&mark);
        assert!(begun.elapsed() < HALF, "{there} processes: the guest that stays has one, the one that ended none");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    cloud.delete_and_wait(PROJECT, &stays, PATIENCE).await.unwrap();
    cloud.delete_and_wait(PROJECT, &ends, PATIENCE).await.unwrap();
    await_no_process(&mark, "guests that were deleted").await;

    // The end of the testbed is the end of its guests.
    let last = cloud.boot(PROJECT, "last", &format!("#!/bin/sh\nsleep 600 # {mark}\nexit\n"), json!({})).await.unwrap();
    await_console(&cloud, &last, "is up").await;
    let here = a.display().to_string();
    drop(cloud);
    await_no_process(&here, "something of the testbed is left").await;
    assert!(other.servers(PROJECT).await.unwrap().is_empty(), "the other one goes on");
    servers_fail_and_wait_as_a_test_asks(&mut other).await;
    a_cell_that_is_cut_is_left_out_of_lists_with_200_and_comes_back(&other).await;
    it_is_as_sites_are(&other).await;
}

/// User-data by config drive or not at all, flavors as sites have them, security groups that are called alike.
async fn it_is_as_sites_are(cloud: &OpenStack) {
    let script = "#!/bin/sh\necho it ran\n";
    let network = cloud.network_id("private").await.unwrap();
    let drive = json!({"config_drive": true, "networks": [{"uuid": network}]});
    let served = cloud.boot(PROJECT, "served", script, json!({})).await.unwrap();
    let driven = cloud.boot(PROJECT, "driven", script, drive.clone()).await.unwrap();
    await_console(cloud, &served, "user-data from the metadata service").await;
    await_console(cloud, &driven, "user-data from its config drive").await;
    cloud.without_metadata().unwrap();
    let empty = cloud.boot(PROJECT, "empty", script, json!({})).await.unwrap();
    let again = cloud.boot(PROJECT, "again", script, drive).await.unwrap();
    await_console(cloud, &empty, "no user-data").await;
    for id in [&served, &driven, &again] {
        await_console(cloud, id, "it ran").await;
    }
    assert_eq!(status(cloud, &empty).await, "ACTIVE");
    assert!(!cloud.console(&empty).await.unwrap().contains("it ran"));

    cloud.add_egi_flavors().await.unwrap();
    cloud.add_flavor("m1.diskless", 2, 2048, 0, json!({})).await.unwrap();
    let part = cloud.boot(PROJECT, "part", "", json!({"flavorRef": "id-of-egi.gpu-part"})).await.unwrap();
    let server = cloud.await_status(PROJECT, &part, "ACTIVE", PATIENCE).await.unwrap();
    assert!(server.node.unwrap().starts_with("gpu-"));
    let refused = cloud.boot(PROJECT, "diskless", "", json!({"flavorRef": "id-of-m1.diskless"})).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("403") && refused.contains("zero disk"), "{refused}");

    let one = cloud.add_security_group(PROJECT, "pilots").await.unwrap();
    let other = cloud.add_security_group(TINY, "pilots").await.unwrap();
    assert_eq!(cloud.security_groups(PROJECT, "pilots").await.unwrap(), [one.as_str()]);
    cloud.share_security_group(&other).await.unwrap();
    let seen = cloud.security_groups(PROJECT, "pilots").await.unwrap();
    assert!(seen.len() == 2 && seen.contains(&one) && seen.contains(&other), "{seen:?}");
    let by_name = json!({"networks": [{"uuid": network}], "security_groups": [{"name": "pilots"}]});
    let mut made = vec![served, driven, empty, again, part];
    made.push(cloud.boot(PROJECT, "of-two", "", by_name.clone()).await.unwrap());
    cloud.add_security_group(PROJECT, "pilots").await.unwrap();
    let refused = cloud.boot(PROJECT, "of-three", "", by_name).await.unwrap_err().to_string();
    assert!(refused.contains("409") && refused.contains("pilots"), "two of the project itself: {refused}");
    for id in made {
        cloud.delete_and_wait(PROJECT, &id, PATIENCE).await.unwrap();
    }
}

/// What a site's Nova does while the database of a cell is out of reach.
async fn a_cell_that_is_cut_is_left_out_of_lists_with_200_and_comes_back(cloud: &OpenStack) {
    let ticking = "#!/bin/sh\nwhile :; do date +tick-%s; sleep 0.5; done\n";
    let id = cloud.boot(PROJECT, "in-the-cell", ticking, json!({"tags": ["kept"]})).await.unwrap();
    await_console(cloud, &id, "tick-").await;
    let listed = async |path: &str| {
        let (status, body) = cloud.ask_nova(PROJECT, path, "2.61").await.unwrap();
        let ids = |v: &serde_json::Value| v["servers"].as_array().unwrap().iter().any(|s| s["id"] == id.as_str());
        (status, status == 200 && ids(&body))
    };
    let lists = ["servers/detail", "servers", "servers/detail?limit=5", "servers/detail?tags=kept"];
    for round in 0..2 {
        for path in lists {
            assert_eq!(listed(path).await, (200, true), "{path}, round {round}");
        }
        let cut = now();
        cloud.cut_cell().unwrap();
        let begun = Instant::now();
        for path in lists {
            assert_eq!(listed(path).await, (200, false), "{path}: the list says nothing of the cell, with 200");
        }
        let (old, body) = cloud.ask_nova(PROJECT, &format!("servers/{id}"), "2.61").await.unwrap();
        assert_eq!(old, 500, "{body}");
        let (new, body) = cloud.ask_nova(PROJECT, &format!("servers/{id}"), "2.69").await.unwrap();
        assert_eq!((new, body["server"]["status"].as_str()), (200, Some("UNKNOWN")), "{body}");
        assert!(begun.elapsed() < HALF, "Nova answers quickly");
        tokio::time::sleep(Duration::from_secs(2)).await;
        let mended = now();
        cloud.mend_cell().unwrap();
        for path in lists {
            assert_eq!(listed(path).await, (200, true), "{path}: it is back");
        }
        assert_eq!(status(cloud, &id).await, "ACTIVE");
        let console = cloud.console(&id).await.unwrap();
        let ticks = console.lines().filter_map(|l| l.split_once("tick-")?.1.trim().parse::<u64>().ok());
        assert!(ticks.clone().any(|t| t > cut && t < mended), "no tick between {cut} and {mended}: {console}");
    }
    cloud.delete_and_wait(PROJECT, &id, PATIENCE).await.unwrap();
}

async fn servers_fail_and_wait_as_a_test_asks(cloud: &mut OpenStack) {
    for (name, more) in [
        ("impossible", json!({"flavorRef": "id-of-m1.impossible"})),
        ("failing", json!({"metadata": {"sim_fail": "disk on fire"}})),
    ] {
        let id = cloud.boot(PROJECT, name, "", more).await.unwrap();
        let error = cloud.await_status(PROJECT, &id, "ACTIVE", PATIENCE).await.unwrap_err().to_string();
        assert!(error.contains("is ERROR"), "{error}");
        cloud.delete_and_wait(PROJECT, &id, PATIENCE).await.unwrap();
    }
    let gpu = cloud.boot(PROJECT, "gpu", "", json!({"flavorRef": "id-of-g1.vgpu"})).await.unwrap();
    let server = cloud.await_status(PROJECT, &gpu, "ACTIVE", PATIENCE).await.unwrap();
    assert!(server.node.unwrap().starts_with("gpu-"), "a virtual GPU is a node's that has one");
    cloud.delete_and_wait(PROJECT, &gpu, PATIENCE).await.unwrap();
    // A hypervisor that hangs does not make new servers, and its guests go on.
    let ticking = "#!/bin/sh\nwhile :; do date +tick-%s; sleep 0.5; done\n";
    let ticking = cloud.boot(PROJECT, "ticking", ticking, json!({})).await.unwrap();
    await_console(cloud, &ticking, "tick-").await;
    cloud.pause(Service::NovaCompute).unwrap();
    let held = now();
    let slow = cloud.boot(PROJECT, "slow", "", json!({})).await.unwrap();
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(status(cloud, &slow).await, "BUILD");
    let resumed = now();
    cloud.resume(Service::NovaCompute).unwrap();
    cloud.await_status(PROJECT, &slow, "ACTIVE", PATIENCE).await.unwrap();
    // A busy machine skips a second now and then: any tick between says that the guest went on.
    let console = cloud.console(&ticking).await.unwrap();
    let ticks = console.lines().filter_map(|l| l.split_once("tick-")?.1.trim().parse::<u64>().ok());
    assert!(ticks.clone().any(|t| t > held && t < resumed), "no tick between {held} and {resumed}: {console}");
}

fn now() -> u64 {
    std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()
}
