//! Task queues as the Matcher writes them, and such as cannot be read.

use serde_json::json;

use super::matcher::demand;
use crate::demand::Demand;

#[test]
fn task_queues_are_read_as_dirac_writes_them() {
    let value = json!({
        "3": {"Priority": 333.3, "Jobs": 2, "Owner": "opuser", "OwnerGroup": "biomed_user", "CPUTime": 86400, "JobTypes": ["User"],
              "Tags": ["8Processors", "MultiProcessor"], "MinRAM": 16384, "MaxRAM": 0, "Later": "unknown fields are no harm"},
        "2": {"Priority": 1, "Jobs": 5, "Owner": "opuser", "OwnerGroup": "biomed_user", "CPUTime": 3600}
    });
    let queues = demand(&value).unwrap().queues;
    assert_eq!(queues.iter().map(|q| (q.id, q.jobs, q.min_ram_mb)).collect::<Vec<_>>(), [(2, 5, 0), (3, 2, 16_384)]);
    assert_eq!(queues[1].tags, ["8Processors", "MultiProcessor"]);
    for (field, bad) in [
        ("Jobs", json!("many")),
        ("Jobs", json!(-1)),
        ("Jobs", json!(u64::MAX)),
        ("Tags", json!("GPU")),
        ("Tags", json!([1])),
        ("OwnerGroup", json!(null)),
    ] {
        let mut broken = value.clone();
        broken["3"][field] = bad;
        let rest = demand(&broken).unwrap();
        let ids: Vec<_> = rest.queues.iter().map(|q| q.id).collect();
        assert_eq!(ids, [2], "{field}: a queue that cannot be read takes no other with it");
        let left_out = rest.unreadable.unwrap();
        assert!(left_out.queues == 1 && left_out.example.contains(field), "{left_out:?}");
        broken.as_object_mut().unwrap().remove("2");
        let said = demand(&broken).unwrap_err();
        assert!(said.contains("\"3\"") && said.contains(field), "{said}");
    }
    assert!(demand(&json!([])).is_err());
    assert_eq!(demand(&json!({})).unwrap(), Demand::default(), "nothing waits");
}
