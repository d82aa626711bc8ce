//! How much memory a gradient takes, measured: every byte that is allocated.
//!
//! One test in a process of its own, since an allocator counts for all threads.
#![allow(clippy::unwrap_used)] // A failing unwrap fails the test.
#![allow(clippy::print_stdout)] // `--nocapture` shows what was measured.

use grad_core::{Tape, Var, transform};
use grad_ndarray::NdTensor;
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// The elements of a tensor, and its bytes.
const N: usize = 1024;
const TENSOR: usize = 8 * N;

type Handle<'t> = Var<'t, NdTensor<f64>>;

fn layers<'t>(x: Handle<'t>, w: Handle<'t>, n: usize) -> Handle<'t> {
    (0..n).fold(x, |x, _| (w * x).tanh())
}

/// The gradient of a chain of `n` layers in segments, each a checkpoint, or without; and the bytes
/// that were allocated at the same time.
fn gradient(n: usize, segment: Option<usize>) -> (NdTensor<f64>, usize) {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let tape = Tape::new();
    let (start, w) = (tape.var(vec![0.5; N]), tape.var(vec![1.25; N]));
    let y = match segment {
        None => layers(start, w, n),
        Some(segment) => {
            let (mut x, mut left) = (start, n);
            while left > 0 {
                let n = left.min(segment);
                x = transform::checkpoint(move |[x, w]| layers(x, w, n), [x, w]);
                left -= n;
            }
            x
        }
    };
    let dx = tape.backward(y.sum(), start).unwrap();
    (dx, MEMORY.peak_usage() - before)
}

#[test]
fn segments_of_a_chain_take_the_square_root_of_the_memory() {
    println!("layers  without  with segments of √n, in tensors of {TENSOR} bytes");
    let mut peaks = Vec::new();
    for n in [250, 1000, 4000_usize] {
        let (dx, without) = gradient(n, None);
        let (dx_in_segments, with) = gradient(n, Some((n as f64).sqrt().round() as usize));
        assert_eq!(dx.view(), dx_in_segments.view());
        let tensors = |bytes: usize| bytes as f64 / TENSOR as f64;
        println!("{n:>6}  {:>7.0}  {:>7.0}", tensors(without), tensors(with));
        peaks.push((without as f64, with as f64));
    }
    for pair in peaks.windows(2) {
        let (without, with) = (pair[1].0 / pair[0].0, pair[1].1 / pair[0].1);
        // Four times the layers: four times the memory, and twice.
        assert!((3.8..4.2).contains(&without), "{without}");
        assert!((1.7..2.2).contains(&with), "{with}");
    }
    // Of each layer two values are kept, of each segment one, and of one segment at a time both:
    // 2000, and 32 + 2 · 32, with some room for what a sweep has in hand.
    let (without, with) = peaks[1];
    assert!(without > 2000.0 * TENSOR as f64, "{without}");
    assert!(with < 120.0 * TENSOR as f64, "{with}");
}
