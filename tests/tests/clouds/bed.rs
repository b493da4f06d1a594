//! What the suite may do to a cloud behind its driver's back: one trait, and a bed for each driver. A bed that cannot do something
//! says so by name, and the suite's test lists what it expects to hear.

use std::{fmt, sync::Arc, time::Duration};

use broker::cloud::{Choice, Cloud, Order, Scope};

/// What becomes of the next order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// It is carried out, and the reply is lost.
    Reply,
    /// The reply is lost, and it is carried out this much later.
    Late(Duration),
}

/// Something that a bed cannot do: the bed, the thing and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cannot(pub &'static str, pub &'static str);

impl fmt::Display for Cannot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot {}", self.0, self.1)
    }
}

/// Whether a bed did something.
pub type Done<T = ()> = Result<T, Cannot>;

/// A cloud with hands behind it.
#[allow(async_fn_in_trait)]
pub trait Bed {
    /// Its driver. It is the same one at every call.
    fn driver(&self) -> Arc<dyn Cloud>;
    /// Another driver of the same cloud, which knows nothing yet: an operator that was started again.
    fn restarted(&self) -> Done<Arc<dyn Cloud>>;
    /// A driver of another cloud.
    fn another(&self) -> Arc<dyn Cloud>;
    /// An order for a VM with one core.
    fn order(&self, cluster: &str, uid: &str) -> Order;
    /// The same as a spot VM, where the provider sells them.
    fn order_on_spot(&self, cluster: &str, uid: &str) -> Order {
        self.order(cluster, uid)
    }
    /// Another flavor than that of [`Bed::order`], in the same zone and of the same class.
    fn other_flavor(&self) -> Choice;
    /// The flavor of [`Bed::order`] in another zone.
    fn other_zone(&self) -> Done<Choice>;
    /// A flavor of another class than that of [`Bed::order`], in the same zone.
    fn other_class(&self) -> Done<Choice>;
    /// The next order suffers this.
    async fn lose(&self, loss: Loss) -> Done;
    /// Lists lack this VM for a while; it exists.
    async fn hide(&self, id: &str, pause: Duration) -> Done;
    /// From now on lists lack VMs that exist, until the answer is `false`.
    async fn partial_list(&self, partial: bool) -> Done;
    /// Another VM of the order's owner.
    async fn twin(&self, order: &Order) -> Done<String>;
    /// A VM in the project that is not ours.
    async fn stranger(&self, name: &str) -> Done<String>;
    /// Whether a VM exists, whosever it is.
    async fn exists(&self, id: &str) -> bool;
    /// The provider takes a VM back.
    async fn reclaim(&self, id: &str) -> Done;
    /// A VM stops by itself.
    async fn power_off(&self, id: &str) -> Done;
    /// Refuses what has the same offer, zone, class or cloud as `like`, until [`Bed::relent`].
    async fn refuse(&self, scope: Scope, like: &Choice) -> Done;
    /// Refuses nothing any more.
    async fn relent(&self);
    /// Answers nothing from now on, until the answer is `false`.
    async fn silence(&self, silent: bool) -> Done;
}
