//! The program of the original: a gradient, and a gradient through that gradient.

use grad_core::{Tape, TensorLike, Var};

/// Records the program and gives the derivatives of `L1` with respect to `a` and `b`.
///
/// The tensors have the dtype and lie on the device of `model`.
pub(crate) fn record<'t, T: TensorLike>(
    tape: &'t Tape<T>,
    model: &T,
) -> anyhow::Result<[Var<'t, T>; 2]> {
    let a = tape.named_var(model.from_host(&[4], &[0.4605, 0.4061, 0.9422, 0.3946])?, "a");
    let b = tape.named_var(model.from_host(&[4], &[0.0850, 0.3296, 0.9888, 0.6494])?, "b");

    let l0 = ((a + b) * b).sum().named("L0");
    let [da, db] = tape.gradients(l0).of([a, b]);

    let l1 = (da * da + db * db).sum().named("L1");
    let derivatives = tape.gradients(l1).of([a, b]);
    for derivative in derivatives {
        derivative.value()?; // An error, if there is one, comes out here.
    }
    Ok(derivatives)
}
