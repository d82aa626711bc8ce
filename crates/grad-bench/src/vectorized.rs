//! Loops by hand, compiled for the instruction set of the machine.

use pulp::{Arch, Simd, WithSimd};

/// Runs `f` with the best instructions that the machine has. It and what it calls are
/// `#[inline(always)]`.
#[inline(always)]
pub(crate) fn vectorized<R>(f: impl FnMut() -> R) -> R {
    struct Run<F>(F);

    impl<R, F: FnMut() -> R> WithSimd for Run<F> {
        type Output = R;

        // By `FnMut`: through `FnOnce` the compiler goes by way of a function that is not inlined,
        // and compiled for the least of processors.
        #[inline(always)]
        fn with_simd<S: Simd>(mut self, _: S) -> R {
            (self.0)()
        }
    }

    Arch::new().dispatch(Run(f))
}
