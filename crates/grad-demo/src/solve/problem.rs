//! What a problem is, and how it is solved in the place asked for.

use std::marker::PhantomData;

use grad_core::TensorLike;

use super::progress::Progress;
use super::report::Report;
use crate::backend::{self, Job};
use crate::place::Place;

/// A problem that needs derivatives of derivatives: one module each, generic over the tensor.
pub(crate) trait Problem {
    /// As on the command line.
    const NAME: &'static str;
    /// What is solved, in one line.
    const SUMMARY: &'static str;

    /// Solves it with tensors of the dtype and on the device of `model`.
    ///
    /// # Errors
    /// If the backend fails. A result that is not good enough is no error: the report says so.
    fn solve<T: TensorLike>(model: &T, progress: &Progress) -> anyhow::Result<Report>;
}

/// Solves a problem.
///
/// # Errors
/// If it cannot be solved there.
pub(crate) fn solve<P: Problem>(place: Place, progress: &Progress) -> anyhow::Result<Report> {
    backend::run(place, Solve { problem: PhantomData::<P>, progress })
}

struct Solve<'a, P> {
    problem: PhantomData<P>,
    progress: &'a Progress,
}

impl<P: Problem> Job for Solve<'_, P> {
    type Output = Report;

    fn run<T: TensorLike>(self, model: T) -> anyhow::Result<Report> {
        P::solve(&model, self.progress)
    }
}

/// What the tests of the problems share.
#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use crate::place::{Backend, DType, Device, Numbers};

    /// Solves a problem on one backend and checks that the result is good enough.
    #[track_caller]
    pub(crate) fn assert_solved<P: Problem>(backend: Backend, dtype: DType) {
        let place = Place { backend, numbers: Numbers { dtype, device: Device::Cpu } };
        let report = solve::<P>(place, &Progress::hidden()).expect("the problem can be solved");
        assert!(report.passed(), "{backend:?} {dtype:?}\n{report}");
    }
}
