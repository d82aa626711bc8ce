//! What the tests of backends compare with.

pub mod reference;

pub use reference::Reference;
