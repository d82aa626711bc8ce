//! Results are the same to the bit for any number of threads.
#![cfg(feature = "rayon")]
#![allow(clippy::unwrap_used)] // A failing unwrap fails the test.

use grad_core::extend::{Binary, Kernel, KernelStep as Step, Source, Window};
use grad_core::{TensorLike, Var, transform};
use grad_ndarray::{Element, NdError, NdTensor};

/// Whole numbers spread over ±0.5 by the golden ratio, so that sums round.
fn numbers<A: Element>(shape: &[usize]) -> NdTensor<A> {
    let n: usize = shape.iter().product();
    let data: Vec<f64> = (0..n).map(|i| (i as f64 * 0.618_033_988_749_895).fract() - 0.5).collect();
    NdTensor::from(A::from_f64(0.0)).from_host(shape, &data).unwrap()
}

/// Calls `f` on 1, 2, 3 and 8 threads, and compares.
fn check(name: &str, f: impl Fn() -> Result<Vec<f64>, NdError> + Sync) {
    let on = |n| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        pool.install(&f).unwrap().into_iter().map(f64::to_bits).collect::<Vec<_>>()
    };
    let alone = on(1);
    for n in [2, 3, 8] {
        assert!(on(n) == alone, "{name} on {n} threads");
    }
}

fn check_kernels<A: Element>() {
    // Sizes that divide into no number of threads, and large enough for several.
    let (x, row) = (numbers::<A>(&[1021, 613]), numbers::<A>(&[613]));
    let column = numbers::<A>(&[1021, 1]);
    check("exp", || x.exp()?.to_host());
    check("sin", || x.sin()?.to_host());
    check("add a row", || x.add(&row)?.to_host());
    check("subtract a column", || x.sub(&column)?.to_host());
    check("of permuted", || x.permute(&[1, 0])?.mul(&row.reshape(&[613, 1])?)?.to_host());
    check("select", || x.lt(&row)?.select(&column, &x)?.to_host());
    // c (1 − y y), the second time with a row for c.
    let steps = vec![
        Step::Binary(Binary::Mul, 1, 1),
        Step::Constant(1.0),
        Step::Binary(Binary::Sub, 3, 2),
        Step::Binary(Binary::Mul, 0, 4),
    ];
    let kernel = Kernel::new(&[Source::Derivative, Source::Output], steps).unwrap();
    check("evaluate", || NdTensor::evaluate(&kernel, &[&x, &x])?.to_host());
    check("evaluate with a row", || NdTensor::evaluate(&kernel, &[&row, &x])?.to_host());
    check("accumulate", || x.exp()?.accumulate(&x)?.to_host());
    check("copy", || x.permute(&[1, 0])?.reshape(&[1021, 613])?.to_host());
    for axes in [&[0][..], &[1], &[0, 1]] {
        check("sum", || x.sum(axes)?.to_host());
        check("max", || x.max(axes)?.to_host());
    }
    check("softmax", || x.softmax(1)?.to_host());
    check("log_softmax", || x.log_softmax(0)?.to_host());
    let window = Window { size: 3, step: 2, dilation: 1 };
    check("unfold and fold", || x.unfold(1, window)?.fold(1, window, 613)?.to_host());
}

#[test]
fn kernels_do_not_depend_on_the_number_of_threads() {
    check_kernels::<f32>();
    check_kernels::<f64>();
}

fn check_products<A: Element>() {
    // Tall, wide, small, thin, deep, and stacks of matrices.
    let sizes = [[509, 307, 211], [61, 300, 1009], [5, 3000, 7], [3000, 40, 1], [70, 5000, 70]];
    for [m, k, n] in sizes {
        let (x, y) = (numbers::<A>(&[m, k]), numbers::<A>(&[k, n]));
        check("x y", || x.matmul(&y)?.to_host());
        let (x, y) = (numbers::<A>(&[k, m]), numbers::<A>(&[n, k]));
        check("xᵀ yᵀ", || x.permute(&[1, 0])?.matmul(&y.permute(&[1, 0])?)?.to_host());
    }
    let (x, y) = (numbers::<A>(&[23, 65, 70]), numbers::<A>(&[23, 70, 33]));
    check("stack", || x.matmul(&y)?.to_host());
    check("tall", || x.matmul(&numbers::<A>(&[70, 90]))?.to_host());
}

#[test]
fn products_do_not_depend_on_the_number_of_threads() {
    check_products::<f32>();
    check_products::<f64>();
}

#[test]
fn derivatives_do_not_depend_on_the_number_of_threads() {
    check("gradient", || {
        let (x, w) = (numbers::<f32>(&[256, 300]), numbers::<f32>(&[300, 200]));
        let (value, [x_bar, w_bar]) = transform::value_and_grad(
            |[x, w]: [Var<'_, NdTensor<f32>>; 2]| {
                x.matmul(w).tanh().logsumexp_axes(-1).square().mean()
            },
            [x, w],
        )
        .unwrap();
        Ok([value.to_host()?, x_bar.to_host()?, w_bar.to_host()?].concat())
    });
}
