//! Decorators of clouds: what every driver gets without knowing of it. Metrics, a bound on the rate of calls, and spans.

mod metered;
mod paced;

use std::sync::Arc;

pub use metered::{CallLabels, CloudMetrics};
pub use paced::Rate;

use super::Cloud;

/// `cloud` with its calls paced, counted and traced under `name`.
pub fn wrap(cloud: Arc<dyn Cloud>, name: &str, rate: Rate, metrics: &CloudMetrics) -> Arc<dyn Cloud> {
    let paced = paced::Paced::new(cloud, rate);
    Arc::new(metered::Metered::new(paced, name, metrics.clone()))
}
