//! Large buffers, kept for the next tensor of their size.
//!
//! A program that trains allocates the same tensors in every step. The operating system gives
//! memory out page by page, as it is first touched, and for large tensors that takes several times
//! as long as arithmetic does. So a buffer that no tensor uses any more is kept, and handed to the
//! next tensor that it fits.
//!
//! Each thread keeps its own buffers, so nobody waits for another; a buffer goes to the thread that
//! drops its last tensor.

use std::cell::RefCell;
use std::collections::VecDeque;

use crate::element::Element;

/// Smaller buffers are left to the allocator, which recycles them well.
const SMALLEST: usize = 16 << 10;

/// A thread keeps no more bytes than this of either type; the longest unused go first.
const LIMIT: usize = 1 << 30;

/// Buffers of numbers of any value, the longest unused first.
#[doc(hidden)]
#[derive(Debug)]
pub struct Pool<A> {
    buffers: VecDeque<Vec<A>>,
    /// How much memory they occupy.
    n_bytes: usize,
}

/// The types that have a pool in every thread.
#[doc(hidden)]
pub trait Pooled: Sized + 'static {
    /// Calls `f` with the pool of this thread, unless the thread is ending.
    fn with_pool<R>(f: impl FnOnce(&mut Pool<Self>) -> R) -> Option<R>;
}

macro_rules! pooled {
    ($($float:ty)*) => {$(
        impl Pooled for $float {
            fn with_pool<R>(f: impl FnOnce(&mut Pool<Self>) -> R) -> Option<R> {
                thread_local! {
                    static POOL: RefCell<Pool<$float>> =
                        const { RefCell::new(Pool { buffers: VecDeque::new(), n_bytes: 0 }) };
                }
                POOL.try_with(|pool| pool.try_borrow_mut().ok().map(|mut pool| f(&mut pool))).ok()?
            }
        }
    )*};
}

pooled!(f32 f64);

/// Frees the buffers that the calling thread keeps for further tensors.
///
/// The memory of large tensors that are dropped is kept for new ones, up to 1 GiB a thread for
/// each type of elements. A program never needs to call this, but may where it goes on to do
/// something else.
///
/// ```
/// use grad_ndarray::{NdTensor, trim_pool};
///
/// drop(NdTensor::from(vec![0.0; 1 << 20]));
/// trim_pool();
/// ```
pub fn trim_pool() {
    f32::with_pool(Pool::clear);
    f64::with_pool(Pool::clear);
}

/// Keeps a buffer for later, if it is worth it.
pub(crate) fn give<A: Element>(buffer: Vec<A>) {
    if n_bytes(&buffer) >= SMALLEST {
        A::with_pool(|pool| pool.give(buffer));
    }
}

/// A buffer of `n` numbers of any value; `None` if there is no memory for it.
pub(crate) fn take<A: Element>(n: usize) -> Option<Vec<A>> {
    let is_small = n.saturating_mul(size_of::<A>()) < SMALLEST;
    let pooled = if is_small { None } else { A::with_pool(|pool| pool.take(n)).flatten() };
    let mut buffer = pooled.unwrap_or_default();
    buffer.truncate(n);
    buffer.try_reserve_exact(n - buffer.len()).ok()?;
    buffer.resize(n, A::ZERO);
    Some(buffer)
}

/// True if a buffer of `n` numbers would be kept.
pub(crate) fn keeps<A>(n: usize) -> bool {
    n >= SMALLEST / size_of::<A>()
}

fn n_bytes<A>(buffer: &Vec<A>) -> usize {
    buffer.capacity() * size_of::<A>()
}

impl<A> Pool<A> {
    fn give(&mut self, buffer: Vec<A>) {
        self.n_bytes += n_bytes(&buffer);
        self.buffers.push_back(buffer);
        while self.n_bytes > LIMIT
            && let Some(oldest) = self.buffers.pop_front()
        {
            self.n_bytes -= n_bytes(&oldest);
        }
    }

    /// The buffer last used that has room for `n` numbers and not much more.
    fn take(&mut self, n: usize) -> Option<Vec<A>> {
        let fits = |buffer: &Vec<A>| (n..=n + n / 4).contains(&buffer.capacity());
        let place = self.buffers.iter().rposition(fits)?;
        let buffer = self.buffers.remove(place)?;
        self.n_bytes -= n_bytes(&buffer);
        Some(buffer)
    }

    fn clear(&mut self) {
        self.buffers = VecDeque::new();
        self.n_bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::{LIMIT, Pool, Pooled, SMALLEST, give, take, trim_pool};

    fn kept() -> Vec<usize> {
        f32::with_pool(|pool| pool.buffers.iter().map(Vec::capacity).collect()).unwrap_or_default()
    }

    #[test]
    fn a_buffer_is_used_again_by_what_it_fits() {
        trim_pool();
        let n = SMALLEST; // Four times as many bytes.
        let buffer = vec![1.0_f32; n];
        let start = buffer.as_ptr();
        give(buffer);
        assert_eq!(kept(), [n]);
        assert_ne!(take::<f32>(n / 2).map(|buffer| buffer.as_ptr()), Some(start));
        assert_ne!(take::<f32>(n + 1).map(|buffer| buffer.as_ptr()), Some(start));
        let buffer = take::<f32>(n - 10).unwrap_or_default();
        assert_eq!((buffer.as_ptr(), buffer.len()), (start, n - 10));
        give(buffer);
        assert_eq!(take::<f32>(n).map(|buffer| (buffer.as_ptr(), buffer.len())), Some((start, n)));
        assert!(kept().is_empty());
    }

    #[test]
    fn small_buffers_are_not_kept_and_trimming_frees_all() {
        trim_pool();
        give(vec![1.0_f32; SMALLEST / 8]);
        assert!(kept().is_empty());
        give(vec![1.0_f32; SMALLEST]);
        trim_pool();
        assert!(kept().is_empty());
    }

    #[test]
    fn the_longest_unused_go_first() {
        // Capacity alone counts, and is not touched.
        let mut pool = Pool { buffers: std::collections::VecDeque::new(), n_bytes: 0 };
        let half = LIMIT / 2 / size_of::<f64>();
        for n in [half - 1, half, half - 2] {
            pool.give(Vec::<f64>::with_capacity(n));
        }
        let kept: Vec<usize> = pool.buffers.iter().map(Vec::capacity).collect();
        assert_eq!(kept, [half, half - 2]);
        assert_eq!(pool.n_bytes, (half + half - 2) * size_of::<f64>());
    }
}
