//! What the providers answer.

use super::*;
use crate::scenario::{Cloud, CloudWords, Flavor, FullWindow, Limits, Model, Offer, Project, Size};

fn model(change: impl FnOnce(&mut CloudWords)) -> Model {
    let mut behaviour = CloudWords::default();
    change(&mut behaviour);
    let size = Size { vms: 1, cores: 8, ram_mib: 16_384, gpus: 0 };
    let flavor = |name: &str| Flavor { name: name.to_owned(), size, ..Flavor::default() };
    Model {
        clouds: vec![Cloud {
            name: "c".to_owned(),
            flavors: vec![flavor("a"), flavor("b")],
            zones: vec![Some("x".to_owned()), Some("y".to_owned())],
            behaviour,
            ..Cloud::default()
        }],
        projects: vec![Project { quotas: vec![Limits([None, Some(20), None, None])], ..Project::default() }],
        ..Model::default()
    }
}

fn offer(flavor: usize, zone: usize) -> Offer {
    Offer { cloud: 0, flavor, zone, spot: false }
}

fn answer(model: &Model, now: u64, flavor: usize, zone: usize) -> Answer {
    Provider::new(model, 1).create(now, offer(flavor, zone), "default", None).0
}

#[test]
fn a_quota_is_never_passed_and_what_is_gone_gives_room() {
    let model = model(|_| ());
    let mut provider = Provider::new(&model, 1);
    let create = |provider: &mut Provider<'_>| provider.create(0, offer(0, 0), "default", None).0;
    assert_eq!((create(&mut provider), create(&mut provider)), (Answer::Made, Answer::Made));
    assert_eq!(create(&mut provider), Answer::Refused(Scope::Quota));
    assert_eq!(provider.headroom(0)[0].0[1], Some(4));
    provider.free(offer(0, 0));
    assert_eq!(create(&mut provider), Answer::Made);
}

#[test]
fn a_full_window_reaches_as_far_as_it_says() {
    let full = |flavor: Option<&str>, zone: Option<&str>| {
        model(|b| {
            b.full = vec![FullWindow {
                flavor: flavor.map(str::to_owned),
                zone: zone.map(str::to_owned),
                from: crds::Duration::from_secs(10),
                until: Some(crds::Duration::from_secs(20)),
            }];
        })
    };
    let at = |model: &Model| [answer(model, 15_000, 0, 0), answer(model, 15_000, 0, 1), answer(model, 15_000, 1, 0)];
    let (made, refused) = (Answer::Made, Answer::Refused);
    assert_eq!(at(&full(Some("a"), Some("x"))), [refused(Scope::Offer), made, made]);
    assert_eq!(at(&full(None, Some("x"))), [refused(Scope::Zone), made, refused(Scope::Zone)]);
    assert_eq!(at(&full(None, None)), [refused(Scope::Cloud); 3]);
    assert_eq!(answer(&full(None, None), 20_000, 0, 0), made);
    assert_eq!(answer(&full(None, None), 9_000, 0, 0), made);
}

#[test]
fn a_lost_reply_leaves_a_vm() {
    let model = model(|b| b.lost_reply = 1.0);
    let mut provider = Provider::new(&model, 1);
    assert_eq!(provider.create(0, offer(0, 0), "default", None).0, Answer::Lost);
    assert_eq!(provider.headroom(0)[0].0[1], Some(12));
}

#[test]
fn vms_of_a_bad_image_never_come_up() {
    let model = model(|b| {
        b.bad_images = vec![serde_json::from_value(serde_json::json!({"image": "new", "from": "1h"})).unwrap()];
    });
    let fate = |now, image| Provider::new(&model, 1).create(now, offer(0, 0), image, None).1.unwrap();
    assert_eq!(fate(3_600_000, "new"), Fate::Dead);
    assert!(matches!(fate(3_599_000, "new"), Fate::Boots(60_000, _)));
    assert!(matches!(fate(3_600_000, "old"), Fate::Boots(..)));
}

#[test]
fn a_downtime_leaves_what_may_stay() {
    let model = model(|_| ());
    let mut provider = Provider::new(&model, 1);
    let keep = Limits([None, Some(8), None, None]);
    assert_eq!(provider.create(0, offer(0, 0), "x", Some((keep, Size::default()))).0, Answer::Made);
    let used = Size { vms: 1, cores: 8, ..Size::default() };
    assert_eq!(provider.create(0, offer(0, 0), "x", Some((keep, used))).0, Answer::Refused(Scope::Cloud));
}
