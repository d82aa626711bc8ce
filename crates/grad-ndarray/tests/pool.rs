//! How much memory is kept for further tensors, measured: every byte that is allocated.
//!
//! One test in a process of its own, since an allocator counts for all threads.
#![allow(clippy::unwrap_used)] // A failing unwrap fails the test.

use std::sync::Barrier;
use std::thread;

use grad_core::Tape;
use grad_core::extend::TensorLike;
use grad_ndarray::ndarray::Array2;
use grad_ndarray::{NdTensor, trim_pool};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// The rows and the columns of a batch, and its bytes.
const N: usize = 1000;
const BATCH: usize = 8 * N * N;

/// Less than any tensor of a step.
const SMALL: usize = 1 << 20;

/// The gradient of a loss, of a batch that the program makes for it.
fn step(w: &NdTensor<f64>, number: usize) -> NdTensor<f64> {
    let tape = Tape::new();
    let batch = Array2::from_elem((N, N), 1.0 / (number + 1) as f64);
    let (x, w) = (tape.constant(batch), tape.var(w.clone()));
    tape.backward((x * w).tanh().square().mean(), w).unwrap()
}

/// The bytes in use, beyond `before`.
fn held(before: usize) -> usize {
    MEMORY.current_usage().saturating_sub(before)
}

/// The most bytes that were allocated while `f` ran, beyond those before.
fn peak(f: impl FnOnce()) -> usize {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    f();
    MEMORY.peak_usage() - before
}

#[test]
fn what_is_kept_is_what_a_step_needs_again() {
    let w = NdTensor::from(vec![0.5; N]);
    let before = MEMORY.current_usage();

    // Buffers that the program made are gone with their last tensor, whatever became of them.
    let x = NdTensor::from(vec![0.0; N * N]);
    let parts = [x.reshape(&[N, N]).unwrap(), x.clone()];
    drop((x.reshape(&[N, N]).unwrap().permute(&[1, 0]).unwrap(), parts, x));
    assert!(held(before) < SMALL, "{}", held(before));

    // A step makes its tensors of those of the step before: the batch alone is new.
    let first = peak(|| drop(step(&w, 0)));
    let kept = held(before);
    assert!(first > BATCH && (BATCH..=first).contains(&kept), "{first}, {kept}");
    for number in 1..150 {
        let most = peak(|| drop(step(&w, number)));
        assert!((BATCH..BATCH + SMALL).contains(&most), "{most}");
        assert!(held(before) <= kept + SMALL, "{} after {number} steps", held(before));
    }
    assert!(first < 8 * BATCH, "{first}");

    // What leaves as an array is freed by whoever drops it.
    let y = NdTensor::from(vec![0.0; N * N]).exp().unwrap();
    let array = y.into_inner();
    let with_array = held(before);
    drop(array);
    assert!(held(before) + BATCH < with_array + SMALL);

    trim_pool();
    assert!(held(before) < SMALL, "{}", held(before));

    // A thread keeps what it needs again, and leaves nothing. What others keep can be freed, too.
    let barrier = Barrier::new(5);
    thread::scope(|scope| {
        let threads = [(); 4].map(|()| {
            scope.spawn(|| {
                drop(step(&w, 0));
                barrier.wait();
                barrier.wait();
                drop(step(&w, 0));
            })
        });
        barrier.wait();
        assert!(held(before) <= 4 * (kept + SMALL), "{}", held(before));
        trim_pool();
        assert!(held(before) < SMALL, "{}", held(before));
        barrier.wait();
        // The end of the scope alone does not wait for what a thread frees as it ends.
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
    assert!(held(before) < SMALL, "{}", held(before));

    // Batches of ever other sizes leave no more than twice what a step of them needs: three tensors.
    // A new thread remembers no larger ones.
    let n_bytes = |rows: usize| 8 * N * rows;
    let batches = thread::spawn(move || {
        for rows in (200..1000).step_by(8) {
            let x = NdTensor::from(vec![0.5; N * rows]);
            drop(x.exp().unwrap().tanh().unwrap());
            assert!(held(before) <= 6 * n_bytes(rows) + SMALL, "{} of {rows}", held(before));
        }
    });
    batches.join().unwrap();
}
