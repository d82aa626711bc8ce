//! Derivatives keep their digits in the tails of functions, on scalars.
//!
//! On other backends this is part of their conformance tests.

#[test]
fn tails_keep_their_digits_on_scalars() -> grad_conformance::Verdict {
    grad_conformance::tails(&0.0)
}
