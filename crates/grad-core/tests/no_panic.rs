//! Whatever a program asks for, there is a value or an error, and never a panic.

use grad_conformance::fuzz::never_panics;
use grad_conformance::{Minimal, Reference, Verdict};

// The seed that a failure names repeats the program.
#[test]
fn random_programs_on_the_reference_do_not_panic() -> Verdict {
    never_panics(&Reference::from(0.0), 0..4000)
}

#[test]
fn random_programs_on_scalars_do_not_panic() -> Verdict {
    never_panics(&0.0, 0..4000)
}

#[test]
fn random_programs_on_a_backend_of_required_methods_do_not_panic() -> Verdict {
    never_panics(&Minimal(Reference::from(0.0)), 4000..5000)
}
