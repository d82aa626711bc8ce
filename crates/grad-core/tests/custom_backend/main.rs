//! The backend of `docs/custom-backend.md` passes the conformance tests.

#[allow(unreachable_pub)] // In a library it would be reachable.
#[rustfmt::skip] // As it stands in the document.
mod array;

use array::Array;

grad_conformance::conformance!(Array, Array::from(vec![0.0]));

#[test]
fn the_document_shows_this_backend() {
    let document = include_str!("../../../../docs/custom-backend.md");
    let (_purpose, backend) = include_str!("array.rs").split_once("\n\n").expect("a purpose");
    assert!(document.contains(backend), "tests/custom_backend/array.rs is not in the document");
}
