//! What must not compile, and what the compiler says about it.
//!
//! `TRYBUILD=overwrite cargo test --test compile_fail` writes the messages anew, for a new compiler.

use grad_core::{Tape, Var};

#[test]
fn misuse_of_lifetimes_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}

/// Has one implementation for every type, and a second one for those of a kind; so that a call
/// without naming the kind compiles for the others only.
macro_rules! assert_is_not {
    ($bound:ident: $($type:ty),+) => {{
        trait Ambiguous<Kind> {
            fn call() {}
        }
        impl<T: ?Sized> Ambiguous<()> for T {}
        struct Kind;
        impl<T: ?Sized + $bound> Ambiguous<Kind> for T {}
        $(<$type as Ambiguous<_>>::call();)+
    }};
}

// Not among the messages, which list what a tape is made of.
#[test]
fn tapes_and_handles_do_not_cross_threads() {
    assert_is_not!(Send: Tape<f64>, &Tape<f64>, Var<'_, f64>);
    assert_is_not!(Sync: Tape<f64>, Var<'_, f64>);
}
