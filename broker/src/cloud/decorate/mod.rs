//! Decorators of clouds: what every driver gets without knowing of it. Metrics, spans, and a bound on the rate of calls where the
//! driver does not bound its requests itself.

mod metered;
mod pace;
mod paced;

use std::sync::Arc;

pub use metered::{CallLabels, CloudMetrics};
pub use pace::{Pace, Rate};

use super::Cloud;

/// `cloud` paced, and its calls counted and traced under `name`.
pub fn wrap(cloud: Arc<dyn Cloud>, name: &str, rate: Rate, metrics: &CloudMetrics) -> Arc<dyn Cloud> {
    let pace = Arc::new(Pace::new(rate));
    let cloud = if cloud.paces_requests(&pace) { cloud } else { Arc::new(paced::Paced::new(cloud, pace)) };
    Arc::new(metered::Metered::new(cloud, name, metrics.clone()))
}
