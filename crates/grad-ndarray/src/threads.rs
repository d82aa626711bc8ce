//! Work that is divided among threads.
//!
//! What a part computes depends on the place of the part alone, so that results are the same for
//! any number of threads.

/// What a part must cost to be worth waking another thread for, which takes several microseconds:
/// so many sums of elements, at a tenth of a nanosecond each.
const LEAST: usize = 1 << 18;

/// Calls `work` with parts of `out` and where they begin: with all of it, or on several threads with
/// a number of `unit`s each. An element costs as much as `cost` sums.
pub(crate) fn parts<A: Send>(
    out: &mut [A],
    unit: usize,
    cost: usize,
    work: impl Fn(usize, &mut [A]) + Sync,
) {
    let n_parts = out.len().saturating_mul(cost) / LEAST;
    match n_parts < 2 || n_threads() == 1 {
        true => work(0, out),
        false => {
            // Some more than threads, should one of them be busy with something else.
            let n_parts = n_parts.min(4 * n_threads());
            let size = out.len().div_ceil(n_parts).next_multiple_of(unit.max(1));
            let parts = out.chunks_mut(size).enumerate();
            share(parts.collect(), |(i, part)| work(i * size, part));
        }
    }
}

/// Calls `work` with each item, on several threads if they cost enough together.
pub(crate) fn each<I: Send>(items: Vec<I>, cost: usize, work: impl Fn(I) + Sync) {
    match items.len() < 2 || cost < 2 * LEAST || n_threads() == 1 {
        true => items.into_iter().for_each(work),
        false => share(items, work),
    }
}

#[cfg(feature = "rayon")]
fn n_threads() -> usize {
    rayon::current_num_threads()
}

/// Lets this thread and others take one item after the other.
#[cfg(feature = "rayon")]
fn share<I: Send>(items: Vec<I>, work: impl Fn(I) + Sync) {
    use std::sync::{Mutex, PoisonError};

    let n_others = n_threads().min(items.len()) - 1;
    let items = Mutex::new(items.into_iter());
    let next = || items.lock().unwrap_or_else(PoisonError::into_inner).next();
    let take = || {
        while let Some(item) = next() {
            work(item);
        }
    };
    // This thread works too, and does not wait for others to wake up.
    rayon::in_place_scope(|scope| {
        (0..n_others).for_each(|_| scope.spawn(|_| take()));
        take();
    });
}

#[cfg(not(feature = "rayon"))]
fn n_threads() -> usize {
    1
}

#[cfg(not(feature = "rayon"))]
fn share<I: Send>(items: Vec<I>, work: impl Fn(I) + Sync) {
    items.into_iter().for_each(work);
}
