//! The truth, in 512 bits: a value with its first and second derivatives near a point.
//!
//! At the point itself a formula may say 0 · ∞. So a program is evaluated beside the point, where
//! its formulas are plain calculus, at two small distances in some directions. Where the derivatives
//! have a limit, the limit is the derivative at the point, by the mean value theorem.

use std::cell::RefCell;

use astro_float_num::{BigFloat, Consts, RoundingMode, Sign};

const BITS: usize = 512;
/// Rounding to nearest would double the time, and saves one bit of 512.
const ROUNDING: RoundingMode = RoundingMode::None;

thread_local! {
    /// Digits of π and of logarithms, computed once.
    static CONSTANTS: RefCell<Option<Consts>> = const { RefCell::new(None) };
}

/// A number of 512 bits, infinite or NaN.
#[derive(Clone, Debug)]
pub(crate) struct Real(BigFloat);

impl Real {
    pub(crate) fn of(x: f64) -> Real {
        Real(BigFloat::from_f64(x, BITS))
    }

    /// The nearest `f64`, up to a unit in the last place.
    pub(crate) fn to_f64(&self) -> f64 {
        if self.0.is_nan() {
            return f64::NAN;
        }
        let sign = if self.0.sign() == Some(Sign::Neg) { -1.0 } else { 1.0 };
        match self.0.as_raw_parts() {
            None => sign * f64::INFINITY,
            Some((words, ..)) if self.0.is_zero() || words.is_empty() => 0.0,
            // The number is 0.m · 2ᵉ, and the last word is the first of m.
            Some((words, _, _, exponent, _)) => {
                let mantissa = words[words.len() - 1] as f64 / 18_446_744_073_709_551_616.0;
                let half = exponent.clamp(-2200, 2200) / 2;
                let rest = exponent.clamp(-2200, 2200) - half;
                sign * mantissa * 2_f64.powi(half) * 2_f64.powi(rest)
            }
        }
    }

    pub(crate) fn is_positive(&self) -> bool {
        !self.0.is_nan() && !self.0.is_zero() && self.0.is_positive()
    }

    pub(crate) fn add(&self, y: &Real) -> Real {
        Real(self.0.add(&y.0, BITS, ROUNDING))
    }

    pub(crate) fn mul(&self, y: &Real) -> Real {
        Real(self.0.mul(&y.0, BITS, ROUNDING))
    }

    pub(crate) fn div(&self, y: &Real) -> Real {
        Real(self.0.div(&y.0, BITS, ROUNDING))
    }

    pub(crate) fn neg(&self) -> Real {
        Real(self.0.neg())
    }

    fn by(&self, f: impl FnOnce(&BigFloat, &mut Consts) -> BigFloat) -> Real {
        CONSTANTS.with_borrow_mut(|constants| {
            let constants =
                constants.get_or_insert_with(|| Consts::new().expect("memory for constants"));
            Real(f(&self.0, constants))
        })
    }

    pub(crate) fn sqrt(&self) -> Real {
        Real(self.0.sqrt(BITS, ROUNDING))
    }

    pub(crate) fn exp(&self) -> Real {
        self.by(|x, constants| x.exp(BITS, ROUNDING, constants))
    }

    pub(crate) fn ln(&self) -> Real {
        self.by(|x, constants| x.ln(BITS, ROUNDING, constants))
    }

    pub(crate) fn sin(&self) -> Real {
        self.by(|x, constants| x.sin(BITS, ROUNDING, constants))
    }

    pub(crate) fn cos(&self) -> Real {
        self.by(|x, constants| x.cos(BITS, ROUNDING, constants))
    }

    pub(crate) fn asin(&self) -> Real {
        self.by(|x, constants| x.asin(BITS, ROUNDING, constants))
    }

    pub(crate) fn acos(&self) -> Real {
        self.by(|x, constants| x.acos(BITS, ROUNDING, constants))
    }

    pub(crate) fn atan(&self) -> Real {
        self.by(|x, constants| x.atan(BITS, ROUNDING, constants))
    }

    pub(crate) fn acosh(&self) -> Real {
        self.by(|x, constants| x.acosh(BITS, ROUNDING, constants))
    }

    pub(crate) fn atanh(&self) -> Real {
        self.by(|x, constants| x.atanh(BITS, ROUNDING, constants))
    }

    pub(crate) fn tanh(&self) -> Real {
        self.by(|x, constants| x.tanh(BITS, ROUNDING, constants))
    }
}

/// A derivative, and the sum of the magnitudes of its terms: what rounding is relative to.
#[derive(Clone, Debug)]
pub(crate) struct Slope {
    pub(crate) value: Real,
    pub(crate) size: f64,
}

impl Slope {
    fn zero() -> Slope {
        Slope { value: Real::of(0.0), size: 0.0 }
    }

    fn plus(&self, other: &Slope) -> Slope {
        Slope { value: self.value.add(&other.value), size: self.size + other.size }
    }

    fn times(&self, factor: &Real) -> Slope {
        Slope { value: self.value.mul(factor), size: self.size * factor.to_f64().abs() }
    }

    fn product(&self, other: &Slope) -> Slope {
        Slope { value: self.value.mul(&other.value), size: self.size * other.size }
    }
}

/// A number with its derivatives by n variables; those of a constant are empty.
#[derive(Clone, Debug)]
pub(crate) struct Jet {
    pub(crate) value: Real,
    gradient: Vec<Slope>,
    /// The lower triangle, row by row.
    hessian: Vec<Slope>,
}

impl Jet {
    pub(crate) fn constant(value: f64) -> Jet {
        Jet::exactly(Real::of(value))
    }

    pub(crate) fn exactly(value: Real) -> Jet {
        Jet { value, gradient: Vec::new(), hessian: Vec::new() }
    }

    /// Variable `i` of `n`.
    pub(crate) fn variable(value: Real, i: usize, n: usize) -> Jet {
        let mut gradient = vec![Slope::zero(); n];
        gradient[i] = Slope { value: Real::of(1.0), size: 1.0 };
        Jet { value, gradient, hessian: vec![Slope::zero(); n * (n + 1) / 2] }
    }

    /// The gradient and then the Hessian, for n variables.
    pub(crate) fn derivatives(&self, n: usize) -> Vec<Slope> {
        let zero = Slope::zero();
        let first = (0..n).map(|i| self.gradient.get(i).unwrap_or(&zero));
        let second = (0..n * n).map(|place| {
            let (i, j) = (place / n, place % n);
            let (i, j) = (i.max(j), i.min(j));
            self.hessian.get(i * (i + 1) / 2 + j).unwrap_or(&zero)
        });
        first.chain(second).cloned().collect()
    }

    /// A function of this with a value, a slope and a curvature.
    fn through(&self, value: Real, slope: &Real, curvature: &Real) -> Jet {
        let gradient = self.gradient.iter().map(|x| x.times(slope)).collect();
        let mut hessian = Vec::with_capacity(self.hessian.len());
        for i in 0..self.gradient.len() {
            for j in 0..=i {
                let bent = self.gradient[i].product(&self.gradient[j]).times(curvature);
                hessian.push(self.hessian[hessian.len()].times(slope).plus(&bent));
            }
        }
        Jet { value, gradient, hessian }
    }

    pub(crate) fn add(&self, y: &Jet) -> Jet {
        let sum = |x: &[Slope], y: &[Slope]| match (x, y) {
            ([], rest) | (rest, []) => rest.to_vec(),
            _ => x.iter().zip(y).map(|(x, y)| x.plus(y)).collect(),
        };
        Jet {
            value: self.value.add(&y.value),
            gradient: sum(&self.gradient, &y.gradient),
            hessian: sum(&self.hessian, &y.hessian),
        }
    }

    pub(crate) fn mul(&self, y: &Jet) -> Jet {
        let value = self.value.mul(&y.value);
        let zero = Real::of(0.0);
        let mut product = self.through(value, &y.value, &zero);
        let other = y.through(product.value.clone(), &self.value, &zero);
        product = Jet { value: Real::of(0.0), ..product }.add(&other);
        if !self.gradient.is_empty() && !y.gradient.is_empty() {
            let mut place = 0;
            for i in 0..self.gradient.len() {
                for j in 0..=i {
                    let mixed = self.gradient[i]
                        .product(&y.gradient[j])
                        .plus(&self.gradient[j].product(&y.gradient[i]));
                    product.hessian[place] = product.hessian[place].plus(&mixed);
                    place += 1;
                }
            }
        }
        product
    }

    pub(crate) fn scale(&self, by: f64) -> Jet {
        self.through(self.value.mul(&Real::of(by)), &Real::of(by), &Real::of(0.0))
    }

    pub(crate) fn sub(&self, y: &Jet) -> Jet {
        self.add(&y.scale(-1.0))
    }

    pub(crate) fn recip(&self) -> Jet {
        // y' = −y², y'' = 2y³.
        let y = Real::of(1.0).div(&self.value);
        let square = y.mul(&y);
        self.through(y.clone(), &square.neg(), &square.mul(&y).mul(&Real::of(2.0)))
    }

    pub(crate) fn div(&self, y: &Jet) -> Jet {
        self.mul(&y.recip())
    }

    pub(crate) fn sqrt(&self) -> Jet {
        // y' = 1/(2y), y'' = −1/(4y³).
        let y = self.value.sqrt();
        let slope = Real::of(0.5).div(&y);
        let curvature = slope.mul(&slope).div(&y).neg();
        self.through(y, &slope, &curvature)
    }

    pub(crate) fn exp(&self) -> Jet {
        let y = self.value.exp();
        self.through(y.clone(), &y, &y)
    }

    pub(crate) fn ln(&self) -> Jet {
        let slope = Real::of(1.0).div(&self.value);
        self.through(self.value.ln(), &slope, &slope.mul(&slope).neg())
    }

    pub(crate) fn sin(&self) -> Jet {
        let y = self.value.sin();
        self.through(y.clone(), &self.value.cos(), &y.neg())
    }

    pub(crate) fn cos(&self) -> Jet {
        let y = self.value.cos();
        self.through(y.clone(), &self.value.sin().neg(), &y.neg())
    }

    pub(crate) fn tanh(&self) -> Jet {
        // y' = 1 − y², y'' = −2 y y'.
        let y = self.value.tanh();
        let slope = Real::of(1.0).add(&y.mul(&y).neg());
        let curvature = slope.mul(&y).mul(&Real::of(-2.0));
        self.through(y, &slope, &curvature)
    }

    pub(crate) fn atan(&self) -> Jet {
        // y' = 1/(1 + x²), y'' = −2x y'².
        let x = &self.value;
        let slope = Real::of(1.0).div(&Real::of(1.0).add(&x.mul(x)));
        let curvature = slope.mul(&slope).mul(x).mul(&Real::of(-2.0));
        self.through(x.atan(), &slope, &curvature)
    }

    pub(crate) fn asin(&self) -> Jet {
        // y' = 1/√(1 − x²), y'' = x y'³.
        let x = &self.value;
        let slope = Real::of(1.0).div(&Real::of(1.0).add(&x.mul(x).neg()).sqrt());
        let curvature = slope.mul(&slope).mul(&slope).mul(x);
        self.through(x.asin(), &slope, &curvature)
    }

    pub(crate) fn acos(&self) -> Jet {
        let value = self.value.acos();
        Jet { value, ..self.asin().scale(-1.0) }
    }

    pub(crate) fn acosh(&self) -> Jet {
        // y' = 1/√(x² − 1), y'' = −x y'³.
        let x = &self.value;
        let slope = Real::of(1.0).div(&x.mul(x).add(&Real::of(-1.0)).sqrt());
        let curvature = slope.mul(&slope).mul(&slope).mul(x).neg();
        self.through(x.acosh(), &slope, &curvature)
    }

    pub(crate) fn atanh(&self) -> Jet {
        // y' = 1/(1 − x²), y'' = 2x y'².
        let x = &self.value;
        let slope = Real::of(1.0).div(&Real::of(1.0).add(&x.mul(x).neg()));
        let curvature = slope.mul(&slope).mul(x).mul(&Real::of(2.0));
        self.through(x.atanh(), &slope, &curvature)
    }

    /// xᶜ, for a whole c or a positive x.
    pub(crate) fn powf(&self, c: f64) -> Jet {
        let whole = c.fract() == 0.0 && c.abs() < 10.0;
        match c {
            0.0 => Jet::constant(1.0),
            _ if whole && c > 0.0 => (1..c as usize).fold(self.clone(), |y, _| y.mul(self)),
            _ if whole => self.powf(-c).recip(),
            // √ and its relatives are much faster than a logarithm.
            _ if (2.0 * c).fract() == 0.0 => self.sqrt().powf(2.0 * c),
            _ => self.ln().scale(c).exp(),
        }
    }
}
