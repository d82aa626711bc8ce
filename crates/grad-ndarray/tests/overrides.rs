//! Methods that the backend overrides, against the definitions in grad-core.
#![allow(clippy::unwrap_used)] // A failing unwrap fails the test.

mod common;

use common::*;
use grad_core::{DType, TensorLike};
use grad_ndarray::NdError;
use proptest::prelude::*;

/// The same tensor with the required methods alone, so that the definitions apply.
#[derive(Clone, Debug)]
struct Defined(T);

type Result<T> = std::result::Result<T, NdError>;

#[rustfmt::skip] // One method a line.
impl TensorLike for Defined {
    type Error = NdError;

    fn shape(&self) -> &[usize] { self.0.shape() }
    fn dtype(&self) -> DType { self.0.dtype() }
    fn full(&self, shape: &[usize], value: f64) -> Result<Self> { self.0.full(shape, value).map(Defined) }
    fn from_host(&self, shape: &[usize], data: &[f64]) -> Result<Self> { self.0.from_host(shape, data).map(Defined) }
    fn to_host(&self) -> Result<Vec<f64>> { self.0.to_host() }
    fn add(&self, rhs: &Self) -> Result<Self> { self.0.add(&rhs.0).map(Defined) }
    fn sub(&self, rhs: &Self) -> Result<Self> { self.0.sub(&rhs.0).map(Defined) }
    fn mul(&self, rhs: &Self) -> Result<Self> { self.0.mul(&rhs.0).map(Defined) }
    fn div(&self, rhs: &Self) -> Result<Self> { self.0.div(&rhs.0).map(Defined) }
    fn pow(&self, rhs: &Self) -> Result<Self> { self.0.pow(&rhs.0).map(Defined) }
    fn lt(&self, rhs: &Self) -> Result<Self> { self.0.lt(&rhs.0).map(Defined) }
    fn eq(&self, rhs: &Self) -> Result<Self> { self.0.eq(&rhs.0).map(Defined) }
    fn select(&self, a: &Self, b: &Self) -> Result<Self> { self.0.select(&a.0, &b.0).map(Defined) }
    fn exp(&self) -> Result<Self> { self.0.exp().map(Defined) }
    fn ln(&self) -> Result<Self> { self.0.ln().map(Defined) }
    fn sin(&self) -> Result<Self> { self.0.sin().map(Defined) }
    fn cos(&self) -> Result<Self> { self.0.cos().map(Defined) }
    fn tanh(&self) -> Result<Self> { self.0.tanh().map(Defined) }
    fn sqrt(&self) -> Result<Self> { self.0.sqrt().map(Defined) }
    fn sum(&self, axes: &[usize]) -> Result<Self> { self.0.sum(axes).map(Defined) }
    fn max(&self, axes: &[usize]) -> Result<Self> { self.0.max(axes).map(Defined) }
    fn reshape(&self, shape: &[usize]) -> Result<Self> { self.0.reshape(shape).map(Defined) }
    fn permute(&self, axes: &[usize]) -> Result<Self> { self.0.permute(axes).map(Defined) }
    fn expand(&self, shape: &[usize]) -> Result<Self> { self.0.expand(shape).map(Defined) }
    fn matmul(&self, rhs: &Self) -> Result<Self> { self.0.matmul(&rhs.0).map(Defined) }
}

/// Both fail, or both give the same bits; zeros of one sign, NaN of any.
fn agree(x: &Result<T>, y: &Result<Defined>) -> bool {
    match (x, y) {
        (Ok(x), Ok(Defined(y))) => {
            let bits = |x: &f64| if x.is_nan() { f64::NAN.to_bits() } else { x.to_bits() };
            x.shape() == y.shape() && host(x).iter().map(bits).eq(host(y).iter().map(bits))
        }
        (x, y) => x.is_err() && y.is_err(),
    }
}

/// `agree($x.$method(..), definition of the same)`.
macro_rules! check {
    ($method:ident($x:expr $(, & $y:expr)* $(; $($parameter:expr),*)?)) => {{
        let result = $x.$method($(&$y,)* $($($parameter),*)?);
        let defined = Defined($x.clone()).$method($(&Defined($y.clone()),)* $($($parameter),*)?);
        prop_assert!(
            agree(&result, &defined),
            "{}: {:?}: {result:?} and by definition {defined:?}", stringify!($method), $x
        );
    }};
}

/// `agree` but for rounding.
macro_rules! check_close {
    ($($method:ident($x:expr $(, & $y:expr)* $(; $parameter:expr)?);)*) => {$({
        let result = $x.$method($(&$y,)* $($parameter)?).unwrap();
        let defined = Defined($x.clone()).$method($(&Defined($y.clone()),)* $($parameter)?).unwrap();
        prop_assert_eq!(result.shape(), defined.shape());
        prop_assert!(
            close(&host(&result), &host(&defined.0)),
            "{}: {:?}: {result:?} and by definition {defined:?}", stringify!($method), $x
        );
    })*};
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn unary_overrides_are_their_definitions(x in any_tensor(), by in number()) {
        check!(neg(x));
        check!(scale(x; by));
        check!(shift(x; by));
        check!(recip(x));
        check!(abs(x));
        check!(sign(x));
        check!(relu(x));
        check!(scalar(x; by));
    }

    #[test]
    fn binary_overrides_are_their_definitions((_, x) in operands()) {
        check!(maximum(x[0], &x[1]));
        check!(minimum(x[0], &x[1]));
        check!(le(x[0], &x[1]));
        check!(ne(x[0], &x[1]));
        check!(mul_or_zero(x[0], &x[1]));
        let (y, z) = (x[1].expand(x[2].shape()), x[2].clone());
        if let Ok(y) = y {
            prop_assert!(agree(
                &y.clone().accumulate(&z),
                &Defined(y).accumulate(&Defined(z)),
            ));
        }
    }

    #[test]
    fn further_functions_are_their_definitions_to_rounding(x in any_tensor()) {
        check_close! {
            expm1(x); exp2(x); log2(x); log10(x); log1p(x);
            tan(x); asin(x); acos(x); atan(x);
            sinh(x); cosh(x); asinh(x); acosh(x); atanh(x); erf(x);
            floor(x); ceil(x); round(x); trunc(x);
            square(x); rsqrt(x); sigmoid(x); softplus(x);
        }
        for axis in 0..x.shape().len() {
            check_close! { cumsum(x; axis); }
        }
    }

    #[test]
    fn the_angle_of_two_coordinates_is_its_definition((_, x) in operands()) {
        check_close! { atan2(x[0], &x[0]); }
        check!(atan2(x[0], &x[1]));
    }

    #[test]
    fn reducing_overrides_are_their_definitions(
        x in any_tensor(),
        reduced in prop::collection::vec(any::<bool>(), 5),
    ) {
        let axes: Vec<usize> = (0..x.shape().len()).filter(|&axis| reduced[axis]).collect();
        check!(mean(x; &axes));
        let zeros_alike = x.add(&x.full(&[], 0.0).unwrap()).unwrap();
        let (min, defined) = (zeros_alike.min(&axes), Defined(zeros_alike).min(&axes));
        match (min, defined) {
            // 0 and −0 are equally small.
            (Ok(min), Ok(defined)) => prop_assert!(same(&host(&min), &host(&defined.0))),
            (min, defined) => prop_assert!(min.is_err() && defined.is_err()),
        }
        let kept: Vec<usize> = (0..x.shape().len())
            .map(|axis| if axes.contains(&axis) { 1 } else { x.shape()[axis] })
            .collect();
        check!(sum_to(x; &kept));
    }

    #[test]
    fn powi_and_powf_agree_with_pow_to_rounding(x in any_tensor(), n in -6i32..7, e in number()) {
        let relative = |x: f64, y: f64| {
            x.to_bits() == y.to_bits() || (x.is_nan() && y.is_nan())
                || (x - y).abs() <= 4.0 * f64::EPSILON * y.abs()
        };
        let powers = [
            (x.powi(n), Defined(x.clone()).powi(n)),
            (x.powf(f64::from(n)), Defined(x.clone()).powf(f64::from(n))),
            (x.powf(e), Defined(x.clone()).powf(e)),
        ];
        for (power, defined) in powers {
            let (power, defined) = (host(&power.unwrap()), host(&defined.unwrap().0));
            prop_assert!(
                power.iter().zip(&defined).all(|(&x, &y)| relative(x, y)),
                "{x:?} to the {n} or {e}: {power:?} and by definition {defined:?}"
            );
        }
    }
}
