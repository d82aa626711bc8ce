//! A kernel in one pass over memory gives the bits that it gives step by step.
#![allow(clippy::unwrap_used)] // A failing unwrap fails the test.

use grad_core::extend::{Binary, Kernel, KernelStep as Step, Place, Source, Unary};
use grad_core::{Slice, TensorLike};
use grad_ndarray::ndarray::{ArrayD, Axis, IxDyn};
use grad_ndarray::{Element, NdTensor};

/// Numbers that look random and are always the same.
struct Random(u64);

impl Random {
    /// By the generator SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// Mostly of moderate size, and sometimes special.
    fn number(&mut self) -> f64 {
        const SPECIAL: [f64; 8] =
            [0.0, -0.0, 1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 2e6, 1e-310];
        match self.below(12) {
            0 => self.pick(&SPECIAL),
            _ => (self.next() >> 11) as f64 / (1_u64 << 50) as f64 - 4.0,
        }
    }

    fn unary(&mut self) -> Unary {
        let (number, exponent) = (self.number(), self.below(7) as i32 - 2);
        let all = unaries(number, exponent);
        self.pick(&all)
    }

    /// A line of steps that ends in one which depends on all arguments, or nearly always.
    fn kernel(&mut self, n_arguments: usize, n_steps: usize) -> Kernel {
        let mut steps = Vec::new();
        for at in n_arguments..n_arguments + n_steps {
            let mut place = || self.below(at) as Place;
            let (x, y, z) = (place(), place(), place());
            steps.push(match self.below(9) {
                0 => Step::Constant(self.number()),
                1..4 => Step::Unary(self.unary(), x),
                4..8 => Step::Binary(self.pick(&BINARIES), x, y),
                _ => Step::Select(x, y, z),
            });
        }
        for argument in 0..self.below(n_arguments + 4).min(n_arguments) {
            let last = (n_arguments + steps.len() - 1) as Place;
            steps.push(Step::Binary(self.pick(&BINARIES), last, argument as Place));
        }
        let sources: Vec<Source> = (0..n_arguments).map(Source::Argument).collect();
        Kernel::new(&sources, steps).unwrap()
    }

    /// A tensor that broadcasts to `shape`, of any layout.
    fn argument<A: Element>(&mut self, shape: &[usize]) -> NdTensor<A> {
        let stretched = |size: usize, ones: bool| if ones { 1 } else { size };
        match self.below(10) {
            0 => NdTensor::from(A::from_f64(self.number())),
            1 => NdTensor::from(A::from_f64(self.number())).expand(shape).unwrap(),
            2 => {
                let ones: Vec<usize> =
                    shape.iter().map(|&n| stretched(n, self.below(2) == 0)).collect();
                self.tensor(&ones).expand(shape).unwrap()
            }
            3 if !shape.is_empty() => {
                let from = self.below(shape.len());
                let ones: Vec<usize> =
                    shape[from..].iter().map(|&n| stretched(n, self.below(3) == 0)).collect();
                self.tensor(&ones)
            }
            _ => self.tensor(shape),
        }
    }

    fn tensor<A: Element>(&mut self, shape: &[usize]) -> NdTensor<A> {
        let reversed: Vec<usize> = shape.iter().rev().copied().collect();
        let order: Vec<usize> = (0..shape.len()).rev().collect();
        match self.below(7) {
            0 => self.array(&reversed, |_| {}).permute(&order).unwrap(),
            1 => {
                let doubled: Vec<usize> = shape.iter().map(|&n| 2 * n).collect();
                let slice = |&n: &usize| Slice { start: 0, stop: 2 * n, step: 2 };
                let slices: Vec<Slice> = shape.iter().map(slice).collect();
                self.array(&doubled, |_| {}).slice(&slices).unwrap()
            }
            2 if !shape.is_empty() => self.array(shape, |array| array.invert_axis(Axis(0))),
            _ => self.array(shape, |_| {}),
        }
    }

    fn array<A: Element>(
        &mut self,
        shape: &[usize],
        change: impl Fn(&mut ArrayD<A>),
    ) -> NdTensor<A> {
        let mut array = ArrayD::from_shape_fn(IxDyn(shape), |_| A::from_f64(self.number()));
        change(&mut array);
        NdTensor::from(array)
    }
}

const BINARIES: [Binary; 13] = [
    Binary::Add,
    Binary::Sub,
    Binary::Mul,
    Binary::Div,
    Binary::Pow,
    Binary::Atan2,
    Binary::MulOrZero,
    Binary::Maximum,
    Binary::Minimum,
    Binary::Lt,
    Binary::Le,
    Binary::Eq,
    Binary::Ne,
];

#[rustfmt::skip] // A table.
fn unaries(number: f64, exponent: i32) -> [Unary; 42] {
    use Unary::*;
    [
        Neg, Scale(number), Shift(number), Recip, Square, Sqrt, Rsqrt, Powf(number),
        Powf(f64::from(exponent)), Powi(exponent), Exp, Exp2, Expm1, Ln, Log2, Log10, Log1p, Sin, Cos,
        Tan, Asin, Acos, Atan, Sinh, Cosh, Tanh, Asinh, Acosh, Atanh, Erf, NormalCdf,
        NormalCdfTanh, Sigmoid, LogisticDensity, Softplus, Relu, Abs, Sign, Floor, Ceil, Round, Trunc,
    ]
}

/// Evaluated at once, `kernel` gives what it gives step by step: the same shape and the same bits,
/// or an error.
fn check<A: Element>(kernel: &Kernel, x: &[NdTensor<A>]) {
    let x: Vec<&NdTensor<A>> = x.iter().collect();
    let shapes: Vec<&[usize]> = x.iter().map(|x| x.shape()).collect();
    let at_once = TensorLike::evaluate(kernel, &x);
    let step_by_step = kernel.step_by_step(&x);
    let (Ok(at_once), Ok(expected)) = (&at_once, &step_by_step) else {
        assert_eq!(at_once.is_ok(), step_by_step.is_ok(), "{kernel}\n{shapes:?}");
        return;
    };
    assert_eq!(at_once.shape(), expected.shape(), "{kernel}\n{shapes:?}");
    let (at_once, expected) = (at_once.to_host().unwrap(), expected.to_host().unwrap());
    for (i, (x, y)) in at_once.iter().zip(&expected).enumerate() {
        let same = x.to_bits() == y.to_bits() || (x.is_nan() && y.is_nan());
        assert!(same, "{x} and {y} at {i} of {shapes:?}\n{kernel}");
    }
}

fn check_random<A: Element>(seed: u64, n: usize, shapes: &[&[usize]]) {
    let mut random = Random(seed);
    for _ in 0..n {
        let shape = random.pick(shapes);
        let n_arguments = 1 + random.below(4);
        let n_steps = 2 + random.below(12);
        let kernel = random.kernel(n_arguments, n_steps);
        let x: Vec<NdTensor<A>> = (0..n_arguments).map(|_| random.argument(shape)).collect();
        check(&kernel, &x);
    }
}

#[test]
fn small_kernels_of_all_shapes_and_layouts() {
    let shapes: [&[usize]; 9] =
        [&[], &[1], &[0], &[7], &[3, 70], &[70, 3], &[2, 0, 3], &[2, 1, 65], &[3, 2, 2, 2]];
    check_random::<f32>(1, 1500, &shapes);
    check_random::<f64>(2, 1500, &shapes);
}

#[test]
fn sizes_around_those_of_blocks() {
    let shapes: [&[usize]; 9] = [
        &[1023],
        &[1024],
        &[1025],
        &[2049],
        &[5000],
        &[3, 1024],
        &[40, 100],
        &[2, 2048],
        &[70, 65],
    ];
    check_random::<f32>(3, 60, &shapes);
    check_random::<f64>(4, 60, &shapes);
}

#[test]
fn sizes_that_are_divided_among_threads() {
    check_random::<f32>(5, 4, &[&[100_003], &[300, 301]]);
    check_random::<f64>(6, 4, &[&[100_003], &[300, 301]]);
}

fn check_functions<A: Element>() {
    let mut random = Random(7);
    let x: [NdTensor<A>; 3] = std::array::from_fn(|_| random.array(&[3000], |_| {}));
    // Between two others, so that neither operand is an argument.
    let within = |step: Step, last: Place| {
        let steps = vec![
            Step::Unary(Unary::Neg, 0),
            Step::Unary(Unary::Neg, 1),
            Step::Unary(Unary::Neg, 2),
            Step::Constant(0.75),
            step,
            Step::Binary(Binary::Add, 7, last),
            Step::Binary(Binary::Maximum, 8, 1),
            Step::Binary(Binary::Maximum, 9, 2),
            Step::Binary(Binary::Maximum, 10, 0),
        ];
        check(&Kernel::new(&[0, 1, 2].map(Source::Argument), steps).unwrap(), &x);
    };
    for exponent in -3..6 {
        for function in unaries(f64::from(exponent) + 0.25, exponent) {
            within(Step::Unary(function, 3), 0);
        }
    }
    for function in BINARIES {
        within(Step::Binary(function, 3, 4), 0);
        within(Step::Binary(function, 3, 6), 0);
        within(Step::Binary(function, 6, 4), 0);
    }
    for operands in [[3, 4, 5], [3, 6, 5], [3, 4, 6], [3, 6, 6], [6, 4, 5]] {
        let [mask, x, y] = operands;
        within(Step::Select(mask, x, y), 0);
    }
}

#[test]
fn every_function() {
    check_functions::<f32>();
    check_functions::<f64>();
}

#[test]
fn arguments_that_do_not_broadcast_are_an_error() {
    let steps = (0..6).map(|at| Step::Binary(Binary::Add, at, at + 1)).collect();
    let kernel = Kernel::new(&[0, 1].map(Source::Argument), steps).unwrap();
    check::<f64>(&kernel, &[NdTensor::from([1.0, 2.0]), NdTensor::from([1.0, 2.0, 3.0])]);
}
