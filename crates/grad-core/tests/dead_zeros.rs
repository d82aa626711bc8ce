//! Next to infinite slopes every derivative is the true value or NaN, in every mode.

mod support;

use grad_conformance::{Minimal, Reference};
use support::{Fault, Faulty};

grad_conformance::dead_zeros!(reference: Reference, Reference::from(0.0));
grad_conformance::dead_zeros!(scalars: f64, 0.0);
grad_conformance::dead_zeros!(minimal: Minimal<Reference>, Minimal(Reference::from(0.0)));
grad_conformance::dead_zeros!(single: Faulty, Faulty::new(Fault::Single));
