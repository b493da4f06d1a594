//! What a run comes to: figures, as text, JSON, a page and a picture.

mod figures;
mod page;
mod picture;
mod pools;
mod replaced;
mod spans;
mod summary;
mod text;

pub use figures::{Class, Figures, Sample, figures};
pub use page::page;
pub use picture::picture;
pub use pools::OfPool;
pub use replaced::Replaced;
pub use spans::Spans;
pub use summary::summary;
pub use text::text;
