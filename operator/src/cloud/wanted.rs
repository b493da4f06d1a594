//! What the pools of a cloud ask for, and whether what was asked for covers it. Pure.

use std::sync::Arc;

use broker::cloud::{Shape, Wanted};
use crds::PilotPool;
use kube::ResourceExt;

use crate::{known::lots::purchase, names::deleting, resolve::requirements};

/// What these pools may buy from this cloud; everything where none of them names it, so that a person sees what there is.
pub fn wanted(cloud: &str, pools: &[Arc<PilotPool>]) -> Wanted {
    let names_it = |pool: &&Arc<PilotPool>| pool.spec.clouds.iter().any(|c| c.name == cloud);
    let mut ours: Vec<&Arc<PilotPool>> =
        pools.iter().filter(names_it).filter(|pool| !deleting(pool.as_ref())).collect();
    ours.sort_by_key(|pool| pool.name_any());
    let mut shapes: Vec<Shape> = Vec::new();
    for shape in ours.into_iter().map(|pool| shape(pool)) {
        if !shapes.contains(&shape) {
            shapes.push(shape);
        }
    }
    Wanted { shapes }
}

/// Whether offers that were read for `before` have all that is wanted now.
pub fn covers(before: &Wanted, now: &Wanted) -> bool {
    before.shapes.is_empty() || now.shapes.iter().all(|shape| before.shapes.contains(shape))
}

fn shape(pool: &PilotPool) -> Shape {
    let machine = &pool.spec.machine;
    let bounds = requirements(machine.requirements.as_ref());
    let purchase = machine.purchase.iter().copied().map(purchase);
    Shape { flavors: machine.flavors.clone(), cores: bounds.cores, gpus: bounds.gpus, purchase: purchase.collect() }
}

#[cfg(test)]
mod tests {
    use broker::cloud::Purchase;
    use serde_json::{Value, json};

    use super::*;

    fn pool(name: &str, clouds: &[&str], machine: Value) -> Arc<PilotPool> {
        let clouds: Vec<_> = clouds.iter().map(|name| json!({"name": name})).collect();
        let spec = json!({"siteRef": {"name": "s"}, "vos": ["v"], "clouds": clouds, "machine": machine,
            "matching": {"maxCpuTime": "24h"}, "scaling": {"max": 3}});
        Arc::new(PilotPool::new(name, serde_json::from_value(spec).unwrap()))
    }

    #[test]
    fn a_driver_is_asked_for_what_the_pools_of_its_cloud_may_buy() {
        let named = json!({"flavors": ["m1.large"]});
        let pools = [
            pool(
                "gpu",
                &["c"],
                json!({"requirements": {"gpus": {"min": 1}, "cores": {"max": 16}}, "purchase": ["Spot", "OnDemand"]}),
            ),
            pool("cpu", &["c", "d"], named.clone()),
            pool("same", &["c"], named.clone()),
            pool("elsewhere", &["d"], json!({"requirements": {"cores": {"min": 4}}})),
        ];
        let large = Shape { flavors: vec!["m1.large".into()], ..Shape::default() };
        let gpu = Shape {
            cores: (None, Some(16)),
            gpus: (Some(1), None),
            purchase: vec![Purchase::Spot, Purchase::OnDemand],
            ..Shape::default()
        };
        assert_eq!(wanted("c", &pools).shapes, [large.clone(), gpu]);
        let no_gpus = Shape { cores: (Some(4), None), gpus: (None, Some(0)), ..Shape::default() };
        assert_eq!(wanted("d", &pools).shapes, [large, no_gpus], "who says nothing of GPUs wants none");
        assert_eq!(wanted("nobody's", &pools), Wanted::default());
    }

    #[test]
    fn a_pool_that_wants_something_else_has_the_offers_read_again_and_one_that_went_does_not() {
        let of = |flavors: &[&str]| {
            let pools: Vec<_> = flavors.iter().map(|f| pool(f, &["c"], json!({"flavors": [f]}))).collect();
            wanted("c", &pools)
        };
        assert!(
            covers(&of(&["a", "b"]), &of(&["b"])) && covers(&of(&["a"]), &of(&[])) && covers(&of(&[]), &of(&["a"]))
        );
        assert!(!covers(&of(&["a"]), &of(&["a", "b"])));
    }
}
