//! Loops over slices, compiled for several instruction sets and chosen when they run.
//!
//! The loops are plain ones. Inside [`Arch::dispatch`] the compiler may use AVX-512 or AVX2 with
//! FMA, and everything inlined into it becomes vector instructions; the choice costs a few
//! nanoseconds. What a loop calls must therefore be `#[inline(always)]`, or small.

use pulp::{Arch, Simd, WithSimd};

use crate::element::Element;
use crate::threads;
use crate::walk::Walk;

/// A function of one element, for any instruction set.
pub(crate) trait Map<A: Copy>: Copy + Sync {
    /// The value at x, by the instructions of `S`.
    fn at<S: Simd>(self, x: A) -> A;

    /// The values at all of `x`, into `out`, by the instructions of `S`.
    #[inline(always)]
    fn each<S: Simd>(self, x: &[A], out: &mut [A]) {
        out.iter_mut().zip(x).for_each(|(y, &x)| *y = self.at::<S>(x));
    }

    /// The same number that loops over slices compute.
    fn once(self, x: A) -> A {
        Arch::new().dispatch(Once { f: self, x })
    }
}

/// Arithmetic that is the same for all instruction sets.
impl<A: Copy, F: Fn(A) -> A + Copy + Sync> Map<A> for F {
    #[inline(always)]
    fn at<S: Simd>(self, x: A) -> A {
        self(x)
    }

    #[inline(always)]
    fn once(self, x: A) -> A {
        self(x)
    }
}

/// Arithmetic on two elements.
pub(crate) trait Zip<A>: Fn(A, A) -> A + Copy + Sync {}

impl<A, F: Fn(A, A) -> A + Copy + Sync> Zip<A> for F {}

struct Once<A, F> {
    f: F,
    x: A,
}

impl<A: Copy, F: Map<A>> WithSimd for Once<A, F> {
    type Output = A;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> A {
        self.f.at::<S>(self.x)
    }
}

/// Runs a loop, which is an `#[inline(always)]` closure, with the best instructions there are.
#[inline]
pub(crate) fn dispatch(f: impl FnMut()) {
    struct Run<F>(F);

    impl<F: FnMut()> WithSimd for Run<F> {
        type Output = ();

        // By `FnMut`: through `FnOnce` the compiler goes by way of a function that is not inlined,
        // and compiled for the least of processors.
        #[inline(always)]
        fn with_simd<S: Simd>(mut self, _: S) {
            (self.0)();
        }
    }

    Arch::new().dispatch(Run(f));
}

/// `f` of each element of `x`, into `out`.
pub(crate) fn map<A: Element>(f: impl Map<A>, x: &[A], out: &mut [A]) {
    struct Loop<'a, A, F>(F, &'a [A], &'a mut [A]);

    impl<A: Element, F: Map<A>> WithSimd for Loop<'_, A, F> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) {
            let Loop(f, x, out) = self;
            f.each::<S>(x, out);
        }
    }

    Arch::new().dispatch(Loop(f, x, out));
}

/// `f` of each two elements along a walk, into the part of a row-major array that begins at `from`.
///
/// Along a row of more than one element, an operand stays or goes on by 1.
pub(crate) fn zip<A: Element>(
    f: impl Zip<A>,
    walk: &Walk<2>,
    [x, y]: [&[A]; 2],
    from: usize,
    out: &mut [A],
) {
    dispatch(
        #[inline(always)]
        || match walk.steps {
            [1, 1] => walk.rows_into(from, out, |[i, j], out| {
                let (x, y) = (&x[i..i + out.len()], &y[j..j + out.len()]);
                out.iter_mut().zip(x).zip(y).for_each(|((z, &x), &y)| *z = f(x, y));
            }),
            [1, _] => walk.rows_into(from, out, |[i, j], out| {
                let (x, y) = (&x[i..i + out.len()], y[j]);
                out.iter_mut().zip(x).for_each(|(z, &x)| *z = f(x, y));
            }),
            [_, 1] => walk.rows_into(from, out, |[i, j], out| {
                let (x, y) = (x[i], &y[j..j + out.len()]);
                out.iter_mut().zip(y).for_each(|(z, &y)| *z = f(x, y));
            }),
            _ => walk.rows_into(from, out, |[i, j], out| out.fill(f(x[i], y[j]))),
        },
    );
}

/// The elements of `x` where those of `mask` are not 0, elsewhere those of `y`, along a walk; into
/// the part of a row-major array that begins at `from`.
pub(crate) fn select<A: Element>(
    walk: &Walk<3>,
    [mask, x, y]: [&[A]; 3],
    from: usize,
    out: &mut [A],
) {
    let choose = |m: A, x: A, y: A| if m != A::ZERO { x } else { y };
    dispatch(
        #[inline(always)]
        || match walk.steps {
            [1, 1, 1] => walk.rows_into(from, out, |[i, j, k], out| {
                let n = out.len();
                let all = mask[i..i + n].iter().zip(&x[j..j + n]).zip(&y[k..k + n]);
                out.iter_mut().zip(all).for_each(|(z, ((&m, &x), &y))| *z = choose(m, x, y));
            }),
            [p, q, r] => walk.rows_into(from, out, |[i, j, k], out| {
                for (a, z) in out.iter_mut().enumerate() {
                    *z = choose(mask[i + a * p], x[j + a * q], y[k + a * r]);
                }
            }),
        },
    );
}

/// Adds a number to each element of `x`.
pub(crate) fn add_number<A: Element>(x: &mut [A], number: A) {
    threads::parts(x, 1, 1, |_, x| {
        dispatch(
            #[inline(always)]
            || x.iter_mut().for_each(|x| *x += number),
        );
    });
}

/// Adds the elements of `y` to those of `x`.
pub(crate) fn add<A: Element>(x: &mut [A], y: &[A]) {
    threads::parts(x, 1, 1, |from, x| {
        let y = &y[from..from + x.len()];
        dispatch(
            #[inline(always)]
            || x.iter_mut().zip(y).for_each(|(x, &y)| *x += y),
        );
    });
}

/// Adds the elements of `x` to those of `sums`, which comes first in the walk.
pub(crate) fn add_along<A: Element>(walk: &Walk<2>, sums: &mut [A], x: &[A]) {
    let n = walk.row;
    dispatch(
        #[inline(always)]
        || match walk.steps {
            [1, 1] => walk.rows(|[i, j]| {
                sums[i..i + n].iter_mut().zip(&x[j..j + n]).for_each(|(sum, &x)| *sum += x);
            }),
            [p, q] => walk.rows(|[i, j]| {
                for at in 0..n {
                    sums[i + at * p] += x[j + at * q];
                }
            }),
        },
    );
}

/// The elements along a walk into `out`, which is row-major.
pub(crate) fn copy<A: Element>(walk: &Walk<1>, x: &[A], out: &mut [A]) {
    let [step] = walk.steps;
    if step > 1
        && let Some(axis) = walk.outer.iter().position(|&(_, [outer])| outer == 1)
    {
        return transpose(walk, axis, x, out);
    }
    threads::parts(out, walk.unit(), 1, |from, out| {
        walk.rows_into(from, out, |[i], out| copy_row(&x[i..], step, out));
    });
}

/// [`copy`] into any part of the row-major array, which begins at `from`.
pub(crate) fn copy_from<A: Element>(walk: &Walk<1>, x: &[A], from: usize, out: &mut [A]) {
    let [step] = walk.steps;
    walk.pieces_into(from, out, |[i], out| copy_row(&x[i..], step, out));
}

#[inline(always)]
fn copy_row<A: Element>(x: &[A], step: usize, out: &mut [A]) {
    match step {
        1 => out.copy_from_slice(&x[..out.len()]),
        0 => out.fill(x[0]),
        _ => out.iter_mut().enumerate().for_each(|(j, y)| *y = x[j * step]),
    }
}

/// [`copy`] where neighbors are along an outer axis, by squares that stay in the cache.
fn transpose<A: Copy>(walk: &Walk<1>, axis: usize, x: &[A], out: &mut [A]) {
    const SIDE: usize = 16;
    let (n_columns, [step]) = (walk.row, walk.steps);
    let (n_rows, _) = walk.outer[axis];
    let mut span = n_columns;
    let mut others = Vec::with_capacity(walk.outer.len());
    let mut width = span;
    for (place, &(size, [from])) in walk.outer.iter().enumerate() {
        match place == axis {
            true => width = span,
            false => others.push((size, [from, span])),
        }
        span *= size;
    }
    let matrices = Walk { row: 1, steps: [0; 2], outer: others };
    matrices.rows(|[from, to]| {
        for row in (0..n_rows).step_by(SIDE) {
            for column in (0..n_columns).step_by(SIDE) {
                for i in row..n_rows.min(row + SIDE) {
                    let to = to + i * width;
                    let square = &mut out[to + column..to + n_columns.min(column + SIDE)];
                    for (j, y) in (column..).zip(square) {
                        *y = x[from + i + j * step];
                    }
                }
            }
        }
    });
}
