//! The laws hold of scalars, the smallest backend there is.
//!
//! (`tests/conformance.rs` has them for the reference, one test for each operation.)

use grad_conformance::laws::laws;
use grad_conformance::{Failure, Verdict, catalogue};
use grad_core::Tape;

#[test]
fn laws_hold_on_scalars() -> Verdict {
    let mut failures = Vec::new();
    let mut n_cases = 0;
    for case in catalogue::<f64>() {
        let tape = Tape::new();
        if case.inputs.iter().any(|(shape, _)| shape.rank() > 0) {
            continue;
        }
        let x: Vec<_> = case.inputs.iter().map(|(_, data)| tape.var(data[0])).collect();
        if (case.apply)(&x).is_void() {
            continue; // `expand` for instance has no result that is a scalar.
        }
        n_cases += 1;
        for (name, law) in laws() {
            failures.extend(law(&case, &0.0).err().map(|e| e.within(&case).within(name)));
        }
    }
    // Most operations have a case without axes; some cases of them make axes.
    assert!(n_cases > 40, "only {n_cases} cases");
    Failure::all(&failures)
}
