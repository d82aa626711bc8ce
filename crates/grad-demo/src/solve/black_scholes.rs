//! The Greeks of options, to third order, from the formula of the price alone.
//!
//! A European call is the right to buy a share, worth S today, for K in T years; a put, to sell it.
//! The share fluctuates with volatility σ and pays dividends at the rate q, money earns interest at
//! the rate r. F. Black, M. Scholes and R. Merton (1973) showed that the option is worth
//!
//! ```math
//! V = φ (S e^(−qT) N(φ d₁) − K e^(−rT) N(φ d₂)),   d₁ = (ln(S/K) + (r − q + σ²/2) T) / (σ√T),
//! d₂ = d₁ − σ√T,   N(x) = (1 + erf(x/√2)) / 2,   φ = 1 for a call and −1 for a put
//! ```
//!
//! Who trades options watches how V changes with S, σ, T and r, how these changes change, and so
//! on: the Greeks, of which people have derived dozens by hand. Here each is a derivative of one
//! that is there already. The options are the elements of one tensor; no option depends on the
//! numbers of another, so the gradient of the sum of all prices holds the derivatives of each.
//!
//! The formulas to compare with are from E. G. Haug, "The Complete Guide to Option Pricing
//! Formulas" (2nd edition, 2007), chapter 2.

use std::f64::consts::{PI, SQRT_2};

use grad_core::{DType, Tape, TensorLike, Var};

use super::problem::Problem;
use super::progress::Progress;
use super::report::{Report, largest};

/// Calls and puts on a share.
pub(crate) struct BlackScholes;

/// An option, or with tensors as numbers many: element i of each belongs to option i.
#[derive(Clone, Copy)]
struct Contract<X> {
    /// 1 for a call, −1 for a put.
    phi: X,
    /// The price of the share today, S.
    spot: X,
    /// The price agreed upon, K.
    strike: X,
    /// σ, the standard deviation of ln S after a year.
    volatility: X,
    /// The years until the option can be used, T.
    time: X,
    /// r, of money without risk.
    rate: X,
    /// q, of the share.
    dividend: X,
}

/// V and its derivatives. Those of time are by the date, so minus those by the time that is left.
const GREEKS: [&str; 14] = [
    "price   V",
    "delta   ∂V/∂S",
    "vega    ∂V/∂σ",
    "theta  −∂V/∂T",
    "rho     ∂V/∂r",
    "gamma   ∂²V/∂S²",
    "vanna   ∂²V/∂S∂σ",
    "charm  −∂²V/∂S∂T",
    "vomma   ∂²V/∂σ²",
    "veta   −∂²V/∂σ∂T",
    "speed   ∂³V/∂S³",
    "zomma   ∂³V/∂S²∂σ",
    "color  −∂³V/∂S²∂T",
    "ultima  ∂³V/∂σ³",
];

/// The option on page 3 of the book, a call that is worth 2.1334.
const EXAMPLE: Contract<f64> = Contract {
    phi: 1.0,
    spot: 60.0,
    strike: 65.0,
    volatility: 0.3,
    time: 0.25,
    rate: 0.08,
    dividend: 0.0,
};

impl Problem for BlackScholes {
    const NAME: &'static str = "black-scholes";
    const SUMMARY: &'static str = "the Greeks of options to third order, from the price alone";

    fn solve<T: TensorLike>(model: &T, _: &Progress) -> anyhow::Result<Report> {
        let tape = Tape::<T>::new();
        let mut report = Report::new("The Greeks of a call that is worth 2.1334, by the book");
        let example = greeks(on_tape(&tape, model, &[EXAMPLE])?);
        for (name, value) in GREEKS.iter().zip(example) {
            report = report.row(*name, value.item()?, "");
        }

        let options = grid();
        let market = on_tape(&tape, model, &options)?;
        let found = greeks(market);
        let expected: Vec<[f64; 14]> = options.iter().map(closed_forms).collect();
        let mut errors = Vec::new();
        for (at, found) in found.iter().enumerate() {
            for (found, expected) in found.to_host()?.iter().zip(&expected) {
                errors.push((found / expected[at] - 1.0).abs());
            }
        }

        // What the formula was derived from: an option and the shares that balance it earn the
        // interest, no more and no less.
        let Contract { spot, volatility, rate, dividend, .. } = market;
        let [price, delta, _, theta, _, gamma, ..] = found;
        let diffusion = (volatility * spot).square() * gamma / 2.0;
        let earned = theta + diffusion + (rate - dividend) * spot * delta;
        let residual = (earned / (rate * price) - 1.0).abs().max().item()?;

        // In f32 a few digits remain where the terms of a formula cancel.
        let limit = if model.dtype() == DType::F64 { 1e-10 } else { 2e-3 };
        let label = format!("largest relative error, {} options", options.len());
        Ok(report.check(label, largest(errors), limit).check(
            "residual of the Black–Scholes equation",
            residual,
            limit,
        ))
    }
}

/// The distribution function of the standard normal distribution.
fn normal_cdf<'t, T: TensorLike>(x: Var<'t, T>) -> Var<'t, T> {
    ((x / SQRT_2).erf() + 1.0) / 2.0
}

/// The formula above: all that is to be known of finance.
fn price<'t, T: TensorLike>(option: Contract<Var<'t, T>>) -> Var<'t, T> {
    let Contract { phi, spot, strike, volatility, time, rate, dividend } = option;
    let drift = rate - dividend + volatility.square() / 2.0;
    let deviation = volatility * time.sqrt();
    let d1 = ((spot / strike).ln() + drift * time) / deviation;
    let d2 = d1 - deviation;
    let share = spot * (-dividend * time).exp() * normal_cdf(phi * d1);
    let money = strike * (-rate * time).exp() * normal_cdf(phi * d2);
    phi * (share - money)
}

/// The Greeks in the order of [`GREEKS`], by differentiating again and again.
fn greeks<'t, T: TensorLike>(option: Contract<Var<'t, T>>) -> [Var<'t, T>; 14] {
    let Contract { spot: s, volatility: sigma, time: t, rate: r, .. } = option;
    let tape = s.tape();
    let price = price(option);
    let [delta, vega, price_t, rho] = tape.grad(price.sum(), [s, sigma, t, r]);
    let [gamma, vanna, delta_t] = tape.grad(delta.sum(), [s, sigma, t]);
    let [vomma, vega_t] = tape.grad(vega.sum(), [sigma, t]);
    let [speed, zomma, gamma_t] = tape.grad(gamma.sum(), [s, sigma, t]);
    let ultima = tape.grad(vomma.sum(), sigma);
    let [theta, charm, veta, color] = [price_t, delta_t, vega_t, gamma_t].map(|y| -y);
    [price, delta, vega, theta, rho, gamma, vanna, charm, vomma, veta, speed, zomma, color, ultima]
}

/// The Greeks in the order of [`GREEKS`], from the book.
fn closed_forms(option: &Contract<f64>) -> [f64; 14] {
    let &Contract { phi, spot: s, strike: k, volatility: sigma, time: t, rate: r, dividend: q } =
        option;
    let cdf = |x: f64| libm::erfc(-x / SQRT_2) / 2.0;
    let carry = r - q; // The book's b.
    let d1 = ((s / k).ln() + (carry + sigma * sigma / 2.0) * t) / (sigma * t.sqrt());
    let d2 = d1 - sigma * t.sqrt();
    let density = (-d1 * d1 / 2.0).exp() / (2.0 * PI).sqrt();
    let (share, money) = ((-q * t).exp(), k * (-r * t).exp());

    let delta = phi * share * cdf(phi * d1);
    let gamma = share * density / (s * sigma * t.sqrt());
    let vega = s * share * density * t.sqrt();
    let vomma = vega * d1 * d2 / sigma;
    let spread = carry * d1 / (sigma * t.sqrt());
    [
        s * delta - phi * money * cdf(phi * d2),
        delta,
        vega,
        -vega * sigma / (2.0 * t) + q * s * delta - phi * r * money * cdf(phi * d2),
        phi * t * money * cdf(phi * d2),
        gamma,
        -share * d2 / sigma * density,
        -share * density * (carry / (sigma * t.sqrt()) - d2 / (2.0 * t)) + q * delta,
        vomma,
        vega * (q + spread - (1.0 + d1 * d2) / (2.0 * t)),
        -gamma / s * (1.0 + d1 / (sigma * t.sqrt())),
        gamma * (d1 * d2 - 1.0) / sigma,
        gamma * (q + spread + (1.0 - d1 * d2) / (2.0 * t)),
        -vega / (sigma * sigma) * (d1 * d2 * (1.0 - d1 * d2) + d1 * d1 + d2 * d2),
    ]
}

/// Calls and puts, in and out of the money, of calm and of wild shares, due soon and late.
fn grid() -> Vec<Contract<f64>> {
    let (rate, dividend) = (0.08, 0.03);
    let mut options = Vec::new();
    for (phi, spot) in [(1.0, 80.0), (1.0, 95.0), (1.0, 120.0), (-1.0, 80.0), (-1.0, 120.0)] {
        for strike in [90.0, 95.0, 100.0, 110.0] {
            for volatility in [0.2, 0.35, 0.6] {
                for time in [0.25, 0.75, 2.0] {
                    options.push(Contract { phi, spot, strike, volatility, time, rate, dividend });
                }
            }
        }
    }
    options
}

/// The options as variables of a tape.
fn on_tape<'t, T: TensorLike>(
    tape: &'t Tape<T>,
    model: &T,
    options: &[Contract<f64>],
) -> Result<Contract<Var<'t, T>>, T::Error> {
    let var = |number: fn(&Contract<f64>) -> f64| {
        let numbers: Vec<f64> = options.iter().map(number).collect();
        model.from_host(&[numbers.len()], &numbers).map(|numbers| tape.var(numbers))
    };
    Ok(Contract {
        phi: var(|option| option.phi)?,
        spot: var(|option| option.spot)?,
        strike: var(|option| option.strike)?,
        volatility: var(|option| option.volatility)?,
        time: var(|option| option.time)?,
        rate: var(|option| option.rate)?,
        dividend: var(|option| option.dividend)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::{Backend, DType};
    use crate::solve::problem::testing::assert_solved;

    #[test]
    fn derivatives_of_the_price_are_the_closed_forms_on_ndarray() {
        assert_solved::<BlackScholes>(Backend::Ndarray, DType::F64);
        assert_solved::<BlackScholes>(Backend::Ndarray, DType::F32);
    }

    #[test]
    fn derivatives_of_the_price_are_the_closed_forms_on_candle() {
        assert_solved::<BlackScholes>(Backend::Candle, DType::F64);
        assert_solved::<BlackScholes>(Backend::Candle, DType::F32);
    }

    #[test]
    fn the_price_is_the_one_in_the_book() {
        // Haug (2007), page 3: c = 2.1334.
        assert!((closed_forms(&EXAMPLE)[0] - 2.1334).abs() < 5e-5);
    }
}
