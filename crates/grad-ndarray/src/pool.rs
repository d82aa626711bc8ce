//! Large buffers, kept for the next tensor of their size.
//!
//! A program that trains allocates the same tensors in every step. The operating system gives
//! memory out page by page, as it is first touched, and for large tensors that takes several times
//! as long as arithmetic does. So a buffer that was made here, and that no tensor uses any more, is
//! kept, and handed to the next tensor that it fits. Buffers that a user made are never kept: only
//! the user makes more of them, and does not ask here.
//!
//! What is kept is bounded in three ways. Tensors in use and kept buffers take no more than twice
//! what tensors alone took lately. All threads together keep no more than [`LIMIT`]. A buffer that
//! lies unused for one to two [`PERIOD`]s is freed; no thread watches over that, so it happens when
//! some thread next makes tensors.
//!
//! A thread has a shelf of its own, so threads do not wait for each other and find their buffers in
//! their own caches; a buffer goes to the thread that drops its last tensor.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::element::Element;

/// Smaller buffers are left to the allocator, which recycles them well.
const SMALLEST: usize = 16 << 10;

/// All threads together keep no more bytes than this.
const LIMIT: usize = 1 << 30;

/// A buffer that lies unused for one to two periods is freed. To touch [`LIMIT`] bytes for the
/// first time takes about a fifth of a second, so a program that needs them again a moment later
/// loses a few percent at most.
const PERIOD: Duration = Duration::from_secs(5);

/// More threads than that share shelves.
const N_SHELVES: usize = 16;

/// A thread looks at the clock once for so many buffers that it takes, of any size.
const TAKES_PER_LOOK: u32 = 64;

/// The bytes on all shelves.
static KEPT: AtomicUsize = AtomicUsize::new(0);

/// The number of the current period.
static NOW: AtomicU64 = AtomicU64::new(0);

/// A shelf for each thread.
#[doc(hidden)]
#[derive(Debug)]
pub struct Pool<A>([Mutex<Shelf<A>>; N_SHELVES]);

/// The types that have a pool.
#[doc(hidden)]
pub trait Pooled: Sized + 'static {
    /// The pool of all threads.
    fn pool() -> &'static Pool<Self>;
}

macro_rules! pooled {
    ($($float:ty)*) => {$(
        impl Pooled for $float {
            fn pool() -> &'static Pool<Self> {
                static POOL: Pool<$float> =
                    Pool([const { Mutex::new(Shelf::new(&KEPT)) }; N_SHELVES]);
                &POOL
            }
        }
    )*};
}

pooled!(f32 f64);

/// Frees the buffers that are kept for further tensors, those of all threads.
///
/// The memory of large tensors that operations made is kept for new ones when they are dropped, up
/// to 1 GiB in the whole program, and freed when it has not been used for five to ten seconds. That
/// happens when further tensors are made: a program never needs to call this, but may where it goes
/// on to do something else.
///
/// ```
/// use grad_ndarray::{NdTensor, trim_pool};
/// use grad_core::extend::TensorLike;
///
/// drop(NdTensor::from(vec![0.0; 1 << 20]).exp());
/// trim_pool();
/// ```
pub fn trim_pool() {
    f32::pool().shelves().for_each(|mut shelf| shelf.clear());
    f64::pool().shelves().for_each(|mut shelf| shelf.clear());
}

/// Keeps a buffer that [`take`] made for later, if it is worth it.
pub(crate) fn give<A: Element>(buffer: Vec<A>) {
    if n_bytes(&buffer) >= SMALLEST
        && let Some(mut shelf) = A::pool().shelf()
    {
        shelf.give(buffer, NOW.load(Ordering::Relaxed));
    }
}

/// A buffer of `n` numbers of any value; `None` if there is no memory for it.
pub(crate) fn take<A: Element>(n: usize) -> Option<Vec<A>> {
    look_at_clock();
    let pooled = match keeps::<A>(n) {
        true => A::pool().shelf().and_then(|mut shelf| shelf.take(n)),
        false => None,
    };
    let mut buffer = pooled.unwrap_or_default();
    buffer.truncate(n);
    buffer.try_reserve_exact(n - buffer.len()).ok()?;
    buffer.resize(n, A::ZERO);
    Some(buffer)
}

/// Says that a buffer of `n` numbers that [`take`] made will not come back.
pub(crate) fn forget<A: Element>(n: usize) {
    if keeps::<A>(n)
        && let Some(mut shelf) = A::pool().shelf()
    {
        shelf.forget(n.saturating_mul(size_of::<A>()));
    }
}

/// True if a buffer of `n` numbers would be kept.
pub(crate) fn keeps<A>(n: usize) -> bool {
    n >= SMALLEST / size_of::<A>()
}

fn n_bytes<A>(buffer: &Vec<A>) -> usize {
    buffer.capacity() * size_of::<A>()
}

/// Frees what has lain unused on any shelf, once in a period.
fn look_at_clock() {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let is_time = HOME.try_with(|home| {
        home.n_takes.set(home.n_takes.get().wrapping_add(1));
        home.n_takes.get().is_multiple_of(TAKES_PER_LOOK)
    });
    if is_time == Ok(true) {
        begin(START.elapsed().as_secs() / PERIOD.as_secs());
    }
}

/// Begins a period on all shelves, unless another thread did.
fn begin(now: u64) {
    if NOW.fetch_max(now, Ordering::Relaxed) < now {
        f32::pool().shelves().for_each(|mut shelf| shelf.begin(now));
        f64::pool().shelves().for_each(|mut shelf| shelf.begin(now));
    }
}

thread_local! {
    static HOME: Home = Home::new();
}

/// What a thread has of its own.
struct Home {
    /// The place of its shelves.
    place: usize,
    /// How many buffers it has taken.
    n_takes: Cell<u32>,
}

impl Home {
    fn new() -> Self {
        static N_THREADS: AtomicUsize = AtomicUsize::new(0);
        let place = N_THREADS.fetch_add(1, Ordering::Relaxed) % N_SHELVES;
        Home { place, n_takes: Cell::new(0) }
    }
}

impl Drop for Home {
    /// A thread that ends leaves nothing.
    fn drop(&mut self) {
        f32::pool().at(self.place).clear();
        f64::pool().at(self.place).clear();
    }
}

impl<A> Pool<A> {
    /// The shelf of this thread, unless the thread is ending.
    fn shelf(&self) -> Option<MutexGuard<'_, Shelf<A>>> {
        HOME.try_with(|home| self.at(home.place)).ok()
    }

    fn at(&self, place: usize) -> MutexGuard<'_, Shelf<A>> {
        self.0[place].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shelves(&self) -> impl Iterator<Item = MutexGuard<'_, Shelf<A>>> {
        (0..N_SHELVES).map(|place| self.at(place))
    }
}

/// Buffers of numbers of any value, and how much memory their like takes.
///
/// Aligned so that two shelves share no line of the cache.
#[derive(Debug)]
#[repr(align(128))]
struct Shelf<A> {
    /// The longest unused first, each with the period in which it was given.
    buffers: VecDeque<(u64, Vec<A>)>,
    /// How many bytes they have.
    n_bytes: usize,
    /// The bytes that were taken and not given back, beyond the least of an earlier period. Some
    /// never come back, or come back to another thread, so only the ups and downs are of use.
    in_use: usize,
    /// The least in use in this period.
    least: usize,
    /// The most in use in the last period and in this one.
    most: [usize; 2],
    /// The bytes that all shelves keep.
    kept: &'static AtomicUsize,
}

impl<A> Shelf<A> {
    const fn new(kept: &'static AtomicUsize) -> Self {
        Shelf { buffers: VecDeque::new(), n_bytes: 0, in_use: 0, least: 0, most: [0; 2], kept }
    }

    fn give(&mut self, buffer: Vec<A>, now: u64) {
        self.forget(n_bytes(&buffer));
        self.count(&buffer);
        self.buffers.push_back((now, buffer));
        self.shrink();
    }

    /// The buffer last used that has room for `n` numbers and not much more; if there is none, room
    /// is made for a new one.
    fn take(&mut self, n: usize) -> Option<Vec<A>> {
        let fits = |(_, buffer): &(u64, Vec<A>)| {
            (n..=n.saturating_add(n / 4)).contains(&buffer.capacity())
        };
        let place = self.buffers.iter().rposition(fits);
        let found = place.and_then(|place| self.buffers.remove(place)).map(|(_, buffer)| buffer);
        if let Some(buffer) = &found {
            self.discount(buffer);
        }
        let n_bytes = found.as_ref().map_or(n.saturating_mul(size_of::<A>()), n_bytes);
        self.in_use = self.in_use.saturating_add(n_bytes);
        self.most[1] = self.most[1].max(self.in_use);
        if found.is_none() {
            self.shrink();
        }
        found
    }

    fn forget(&mut self, n_bytes: usize) {
        self.in_use = self.in_use.saturating_sub(n_bytes);
        self.least = self.least.min(self.in_use);
    }

    /// Begins a period: what was not used in the last one is freed.
    fn begin(&mut self, now: u64) {
        while let Some((given, _)) = self.buffers.front()
            && given + 1 < now
        {
            self.free_oldest();
        }
        self.in_use -= self.least;
        self.most = [self.most[1] - self.least, self.in_use];
        self.least = self.in_use;
        self.shrink();
    }

    /// Frees the longest unused while there is too much.
    fn shrink(&mut self) {
        let bound = self.most[0].max(self.most[1]).saturating_mul(2);
        while self.in_use.saturating_add(self.n_bytes) > bound
            || self.kept.load(Ordering::Relaxed) > LIMIT
        {
            if !self.free_oldest() {
                break;
            }
        }
    }

    /// False if there is none.
    fn free_oldest(&mut self) -> bool {
        let oldest = self.buffers.pop_front();
        if let Some((_, buffer)) = &oldest {
            self.discount(buffer);
        }
        oldest.is_some()
    }

    fn clear(&mut self) {
        while self.free_oldest() {}
    }

    fn count(&mut self, buffer: &Vec<A>) {
        self.n_bytes += n_bytes(buffer);
        self.kept.fetch_add(n_bytes(buffer), Ordering::Relaxed);
    }

    fn discount(&mut self, buffer: &Vec<A>) {
        self.n_bytes -= n_bytes(buffer);
        self.kept.fetch_sub(n_bytes(buffer), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::{LIMIT, NOW, Pooled, SMALLEST, Shelf, begin, give};

    const N: usize = 4096;
    const BYTES: usize = 8 * N;

    /// A shelf of a program of its own.
    macro_rules! shelf {
        () => {{
            static KEPT: AtomicUsize = AtomicUsize::new(0);
            Shelf::<f64>::new(&KEPT)
        }};
    }

    /// Room for `n` numbers, from the shelf or new. Capacity alone counts, and is not touched.
    fn take(shelf: &mut Shelf<f64>, n: usize) -> Vec<f64> {
        shelf.take(n).unwrap_or_else(|| Vec::with_capacity(n))
    }

    fn kept(shelf: &Shelf<f64>) -> Vec<usize> {
        let kept: Vec<usize> = shelf.buffers.iter().map(|(_, buffer)| buffer.capacity()).collect();
        assert_eq!(shelf.n_bytes, 8 * kept.iter().sum::<usize>());
        kept
    }

    #[test]
    fn a_buffer_is_used_again_by_what_it_fits() {
        let mut shelf = shelf!();
        let buffer = take(&mut shelf, N);
        let start = buffer.as_ptr();
        shelf.give(buffer, 0);
        assert_eq!(kept(&shelf), [N]);
        assert!(shelf.take(N / 2).is_none());
        assert!(shelf.take(N + 1).is_none());
        for n in [N - 10, N] {
            let buffer = shelf.take(n).unwrap_or_default();
            assert_eq!(buffer.as_ptr(), start);
            assert!(kept(&shelf).is_empty());
            shelf.give(buffer, 0);
        }
    }

    #[test]
    fn steps_of_the_same_shapes_allocate_once() {
        let mut shelf = shelf!();
        let mut n_new = 0;
        for _ in 0..10 {
            // Forward, three tensors; backward, two of another size while these go.
            let mut get = |n| {
                let found = shelf.take(n);
                n_new += usize::from(found.is_none());
                found.unwrap_or_else(|| Vec::with_capacity(n))
            };
            let forward = [N, N, N].map(&mut get);
            let backward = [2 * N, 2 * N].map(&mut get);
            forward.into_iter().chain(backward).for_each(|buffer| shelf.give(buffer, 0));
        }
        assert_eq!(n_new, 5);
    }

    #[test]
    fn shapes_that_never_return_take_twice_the_memory_at_most() {
        let mut shelf = shelf!();
        let mut most = 0;
        for step in 0..100 {
            // No buffer of one step fits another one.
            let n = if step % 2 == 0 { N + 40 * step } else { 2 * N + 80 * step };
            let tensors = [take(&mut shelf, n), take(&mut shelf, n)];
            most = most.max(16 * n);
            assert!(shelf.in_use + shelf.n_bytes <= 2 * most);
            tensors.into_iter().for_each(|buffer| shelf.give(buffer, 0));
            assert!(shelf.n_bytes <= 2 * most);
        }
    }

    #[test]
    fn what_was_never_taken_is_not_kept() {
        let mut shelf = shelf!();
        // A thread that drops what others made.
        for _ in 0..3 {
            shelf.give(Vec::with_capacity(N), 0);
        }
        assert!(kept(&shelf).is_empty());
    }

    #[test]
    fn the_idle_are_freed_and_the_busy_are_not() {
        let mut shelf = shelf!();
        let buffers = [N, 2 * N].map(|n| take(&mut shelf, n));
        buffers.into_iter().for_each(|buffer| shelf.give(buffer, 0));
        for now in 1..4 {
            shelf.begin(now);
            let buffer = take(&mut shelf, N);
            shelf.give(buffer, now);
            let expected: &[usize] = if now == 1 { &[2 * N, N] } else { &[N] };
            assert_eq!(kept(&shelf), expected);
        }
        // After a pause, nothing was used of late.
        shelf.begin(100);
        assert!(kept(&shelf).is_empty());
        assert_eq!(shelf.kept.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn buffers_that_leave_do_not_widen_the_bound_for_long() {
        let mut shelf = shelf!();
        for now in 1..4 {
            for _ in 0..100 {
                // One is given back, the other leaves unseen.
                let buffers = [take(&mut shelf, N), take(&mut shelf, N)];
                let [first, _] = buffers;
                shelf.give(first, now);
            }
            assert!(shelf.most[1] <= 202 * BYTES);
            shelf.begin(now + 1);
        }
        shelf.begin(5);
        shelf.begin(6);
        assert_eq!((shelf.in_use, shelf.most), (0, [0; 2]));
    }

    #[test]
    fn sixteen_threads_keep_the_limit_together() {
        static KEPT: AtomicUsize = AtomicUsize::new(0);
        let n = LIMIT / 8 / 8;
        let mut shelves: [Shelf<f64>; 16] = std::array::from_fn(|_| Shelf::new(&KEPT));
        thread::scope(|scope| {
            for shelf in &mut shelves {
                scope.spawn(move || {
                    let buffers = [n - 1, n, n - 2].map(|n| take(shelf, n));
                    buffers.into_iter().for_each(|buffer| shelf.give(buffer, 0));
                });
            }
        });
        let n_bytes: usize = shelves.iter().map(|shelf| shelf.n_bytes).sum();
        assert_eq!(KEPT.load(Ordering::Relaxed), n_bytes);
        assert!((LIMIT / 2..=LIMIT).contains(&n_bytes), "{n_bytes}");
        // The longest unused went first.
        for shelf in &shelves {
            assert!([n - 1, n, n - 2].ends_with(&kept(shelf)), "{:?}", kept(shelf));
        }
    }

    #[test]
    fn other_threads_free_what_a_thread_no_longer_uses() {
        let n = SMALLEST;
        let (is_kept, is_looked_at) = (Barrier::new(2), Barrier::new(2));
        thread::scope(|scope| {
            scope.spawn(|| {
                give(super::take::<f32>(n).unwrap_or_default());
                is_kept.wait();
                is_looked_at.wait();
                let shelf = f32::pool().shelf();
                assert!(shelf.is_some_and(|shelf| shelf.buffers.is_empty()));
            });
            is_kept.wait();
            let now = NOW.load(Ordering::Relaxed);
            (now + 1..now + 3).for_each(begin);
            is_looked_at.wait();
        });
    }
}
