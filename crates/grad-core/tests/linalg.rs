//! Linear algebra and `einsum`: closed forms, corners and errors.

#![allow(clippy::unwrap_used)]

use grad_conformance::{Random, Reference};
use grad_core::{Error, ErrorKind, Tape, Var, transform};

type Tested = Result<(), Error>;
type Handle<'t> = Var<'t, Reference>;

const SINGULAR: [f64; 4] = [1.0, 2.0, 2.0, 4.0];

fn tensor(shape: &[usize], data: &[f64]) -> Reference {
    Reference::new(shape, data.to_vec()).unwrap()
}

fn eye(n: usize) -> Reference {
    let data: Vec<f64> =
        (0..n * n).map(|place| f64::from(u8::from(place / n == place % n))).collect();
    tensor(&[n, n], &data)
}

fn random(shape: &[usize], seed: u64) -> Reference {
    tensor(shape, &Random::new(seed).signed_units(shape.iter().product()))
}

#[track_caller]
fn assert_close(got: &[f64], want: &[f64]) {
    let close = |(got, want): (&f64, &f64)| (got - want).abs() <= 1e-12 * (1.0 + want.abs());
    let equal = got.len() == want.len() && got.iter().zip(want).all(close);
    assert!(equal, "got {got:?}, want {want:?}");
}

/// The derivative of order 1, 2, 3, … in direction `u` of `f` at `x`, each by the last one's
/// gradient.
fn along(
    f: impl for<'t> Fn(Handle<'t>) -> Handle<'t>,
    x: &Reference,
    u: &Reference,
    orders: usize,
) -> Result<Vec<f64>, Error> {
    let tape = Tape::new();
    let (x, u) = (tape.var(x.clone()), tape.constant(u.clone()));
    let mut y = f(x);
    let mut found = Vec::new();
    for _ in 0..orders {
        y = (tape.grad(y, x) * u).sum();
        found.push(y.item()?);
    }
    Ok(found)
}

/// The derivatives of `p(t) = det (X + t U)` at 0: p is a polynomial of degree n, and known from its
/// values, which elimination gives, at n + 1 places.
fn polynomial_derivatives(x: &Reference, u: &Reference, orders: usize) -> Result<Vec<f64>, Error> {
    // Newton's divided differences at t = 0, 1, −1, 2, −2, …, then Horner in t.
    let n = f64::from(x.data().len() as u32).sqrt() as usize;
    let nodes: Vec<f64> = (0..=n)
        .map(|k| if k % 2 == 0 { -(k as f64) / 2.0 } else { (k as f64 + 1.0) / 2.0 })
        .collect();
    let mut table = Vec::new();
    for t in &nodes {
        let tape = Tape::<Reference>::new();
        let y = (tape.constant(x.clone()) + tape.constant(u.clone()) * *t).slogdet();
        table.push(if y.0.item()? == 0.0 { 0.0 } else { y.0.item()? * y.1.item()?.exp() });
    }
    for order in 1..=n {
        for k in (order..=n).rev() {
            table[k] = (table[k] - table[k - 1]) / (nodes[k] - nodes[k - order]);
        }
    }
    let mut coefficients = vec![0.0; n + 1];
    for k in (0..=n).rev() {
        for power in (0..=n).rev() {
            let below = if power > 0 { coefficients[power - 1] } else { 0.0 };
            coefficients[power] = below - nodes[k] * coefficients[power];
        }
        coefficients[0] += table[k];
    }
    let factorials = [1.0, 2.0, 6.0, 24.0];
    Ok((0..orders)
        .map(|k| coefficients.get(k + 1).copied().unwrap_or(0.0) * factorials[k])
        .collect())
}

// ------------------------------------------------------------------------------- linear systems

#[test]
fn solve_of_a_diagonal_matrix_divides() -> Tested {
    let tape = Tape::<Reference>::new();
    let a = tape.var(tensor(&[2, 2], &[2.0, 0.0, 0.0, 4.0]));
    let b = tape.var(tensor(&[2], &[6.0, 8.0]));
    let x = a.solve(b);
    assert_eq!(x.to_host()?, [3.0, 2.0]);
    let [da, db] = tape.grad(x.sum(), [a, b]);
    assert_eq!(db.to_host()?, [0.5, 0.25]); // A⁻ᵀ 1
    assert_eq!(da.to_host()?, [-1.5, -1.0, -0.75, -0.5]); // −b̄ xᵀ
    Ok(())
}

#[test]
fn solve_takes_vectors_as_pytorch_does() -> Tested {
    let tape = Tape::<Reference>::new();
    let a = tape.var(random(&[2, 3, 3], 1));
    for (b, x) in [
        (&[3][..], &[2, 3][..]),        // one vector for both
        (&[2, 3], &[2, 3]),             // a vector each
        (&[3, 5], &[2, 3, 5]),          // one matrix for both
        (&[4, 1, 3, 1], &[4, 2, 3, 1]), // leading axes broadcast
    ] {
        let b = tape.var(random(b, 2));
        assert_eq!(&a.solve(b).shape()?[..], x);
    }
    assert_eq!(
        &tape.var(random(&[1, 1, 1], 3)).solve(tape.var(random(&[1, 1], 4))).shape()?[..],
        [1, 1]
    );
    Ok(())
}

#[test]
fn solve_rejects_what_is_no_system() {
    let tape = Tape::<Reference>::new();
    let of = |a: &[usize], b: &[usize]| tape.var(random(a, 1)).solve(tape.var(random(b, 2)));
    assert!(
        of(&[2, 3], &[2, 1])
            .value()
            .unwrap_err()
            .to_string()
            .starts_with("solve: needs square matrices, got shape [2, 3]")
    );
    for (a, b) in [(&[2, 2][..], &[3, 1][..]), (&[2, 2], &[3]), (&[2, 2, 2], &[3, 2, 1])] {
        let error = of(a, b).value().unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::ShapeMismatch { .. }), "{error}");
    }
    for (a, b) in [(&[][..], &[2][..]), (&[2], &[2]), (&[2, 2], &[])] {
        assert!(of(a, b).is_void(), "{a:?} {b:?}");
    }
}

#[test]
fn triangular_solve_does_not_read_the_other_triangle() -> Tested {
    let tape = Tape::<Reference>::new();
    let a = tape.var(tensor(&[2, 2], &[2.0, f64::NAN, 1.0, 4.0]));
    let b = tape.var(tensor(&[2], &[2.0, 9.0]));
    let x = a.triangular_solve(b, false);
    assert_eq!(x.to_host()?, [1.0, 2.0]);
    let [da, db] = tape.grad(x.sum(), [a, b]);
    // A⁻ᵀ 1 = (3/8, 1/4), and its product with x but for the upper triangle
    assert_eq!(db.to_host()?, [0.375, 0.25]);
    assert_eq!(da.to_host()?, [-0.375, 0.0, -0.25, -0.5]);
    Ok(())
}

#[test]
fn triangular_solve_of_the_transpose_exchanges_the_triangles() -> Tested {
    let tape = Tape::<Reference>::new();
    let a = tape.var(tensor(&[2, 2], &[2.0, 1.0, 7.0, 4.0]));
    let b = tape.var(tensor(&[2], &[2.0, 9.0]));
    let transposed = a.transpose(-2, -1);
    assert_eq!(transposed.triangular_solve(b, false).to_host()?, [1.0, 2.0]); // upper Aᵀ
    assert_close(&transposed.triangular_solve(b, true).to_host()?, &[-6.875, 2.25]); // lower Aᵀ
    Ok(())
}

#[test]
fn inv_singular() {
    let tape = Tape::<Reference>::new();
    let a = tape.var(tensor(&[2, 2], &SINGULAR));
    let b = tape.var(tensor(&[2], &[1.0, 1.0]));
    for (y, op) in [(a.inv(), "inv"), (a.solve(b), "solve")] {
        let error = y.value().unwrap_err().to_string();
        let expected = format!("{op}: the backend failed: matrix is singular, at ");
        assert!(error.starts_with(&expected), "{error}");
    }
    let zero = tape.var(tensor(&[2, 2], &[1.0, 0.0, 0.0, 0.0])).triangular_solve(b, true);
    assert!(zero.value().unwrap_err().to_string().contains("matrix is singular"));
}

#[test]
fn inv_of_a_number_is_its_reciprocal_to_third_order() -> Tested {
    let (x, u) = (tensor(&[1, 1], &[2.0]), tensor(&[1, 1], &[1.0]));
    // −1/x², 2/x³, −6/x⁴
    assert_close(&along(|x| x.inv().sum(), &x, &u, 3)?, &[-0.25, 0.25, -0.375]);
    Ok(())
}

#[test]
fn matrices_that_are_not_finite_give_nan_and_no_error() -> Tested {
    let tape = Tape::<Reference>::new();
    let a = tape.var(tensor(&[2, 2], &[1.0, f64::NAN, 0.0, f64::INFINITY]));
    for y in [a.inv(), a.det(), a.logabsdet(), a.cholesky(), a.eigvalsh(), a.solve(a)] {
        assert!(y.to_host()?.iter().all(|x| x.is_nan()));
    }
    let large = tape.var(Reference::new([5, 5], vec![f64::NAN; 25]).unwrap());
    assert!(large.det().item()?.is_nan());
    Ok(())
}

#[test]
fn matrices_without_elements_are_legal() -> Tested {
    let tape = Tape::<Reference>::new();
    let none = tape.var(tensor(&[2, 0, 0], &[]));
    assert_eq!(none.inv().shape()?, [2, 0, 0].into());
    assert_eq!(none.cholesky().shape()?, [2, 0, 0].into());
    assert_eq!(none.eigvalsh().shape()?, [2, 0].into());
    assert_eq!(none.det().to_host()?, [1.0, 1.0]);
    assert_eq!(none.logabsdet().to_host()?, [0.0, 0.0]);
    assert_eq!(none.solve(tape.var(tensor(&[2, 0, 3], &[]))).shape()?, [2, 0, 3].into());
    for y in [none.inv(), none.cholesky(), none.eigvalsh(), none.det(), none.logabsdet()] {
        let dx = tape.grad(y.sum(), none);
        assert_eq!(dx.shape()?, [2, 0, 0].into());
    }
    let no_matrices = tape.var(tensor(&[0, 5, 5], &[]));
    assert_eq!(no_matrices.det().shape()?, [0].into());
    assert_eq!(tape.grad(no_matrices.det().sum(), no_matrices).shape()?, [0, 5, 5].into());
    Ok(())
}

// ---------------------------------------------------------------------------------- determinants

#[test]
fn det_of_small_matrices_is_exact() -> Tested {
    let tape = Tape::<Reference>::new();
    let of = |n: usize, data: &[f64]| tape.var(tensor(&[n, n], data)).det().item();
    assert_eq!(of(1, &[-3.0])?, -3.0);
    assert_eq!(of(2, &[1.0, 2.0, 3.0, 4.0])?, -2.0);
    assert_eq!(of(3, &[2.0, 0.0, 1.0, 1.0, 3.0, 2.0, 1.0, 1.0, 1.0])?, 0.0);
    assert_eq!(of(3, &[2.0, -1.0, 0.0, -1.0, 2.0, -1.0, 0.0, -1.0, 2.0])?, 4.0);
    Ok(())
}

#[test]
fn det_of_a_permutation_is_its_sign() -> Tested {
    let tape = Tape::<Reference>::new();
    for (order, sign) in [([1, 0, 2, 3, 4], -1.0), ([1, 2, 0, 4, 3], -1.0), ([4, 0, 1, 2, 3], 1.0)]
    {
        let rows = tape.var(eye(5)).index_select(0, &order);
        assert_close(&[rows.det().item()?], &[sign]);
    }
    Ok(())
}

#[test]
fn the_gradient_of_det_is_the_cofactor_matrix_at_a_singular_matrix() -> Tested {
    let tape = Tape::<Reference>::new();
    let a = tape.var(tensor(&[2, 2], &SINGULAR));
    let det = a.det();
    assert_eq!(det.item()?, 0.0);
    let gradient = tape.grad(det, a);
    assert_eq!(gradient.to_host()?, [4.0, -2.0, -2.0, 1.0]);
    // det' in direction (a b; c d) is 4a − 2b − 2c + d, and det'' of two directions bilinear.
    let second = tape.grad(gradient.narrow(0, 0, 1).sum(), a);
    assert_eq!(second.to_host()?, [0.0, 0.0, -1.0, 1.0]);
    Ok(())
}

#[test]
fn the_derivatives_of_det_are_right_at_every_rank() -> Tested {
    for n in 1..=6 {
        for rank in 0..=n {
            let (left, right) = (random(&[n, rank], 7 + n as u64), random(&[rank, n], 5));
            let tape = Tape::new();
            let x = tape.constant(left).matmul(tape.constant(right)).value()?;
            let u = random(&[n, n], 3 + rank as u64);
            let got = along(|x| x.det(), &x, &u, 3)?;
            let want = polynomial_derivatives(&x, &u, 3)?;
            for (got, want) in got.iter().zip(&want) {
                assert!((got - want).abs() < 1e-9, "n {n}, rank {rank}: {got:?}, {want:?}");
            }
        }
    }
    Ok(())
}

#[test]
fn det_of_low_rank_is_found_in_a_batch() -> Tested {
    let tape = Tape::<Reference>::new();
    // Rank 5, rank 1, rank 0.
    let data = [random(&[5, 5], 1).data().to_vec(), vec![1.0; 25], vec![0.0; 25]].concat();
    let a = tape.var(tensor(&[3, 5, 5], &data));
    let det = a.det();
    let alone = tape.var(random(&[5, 5], 1));
    assert_close(&det.to_host()?, &[alone.det().item()?, 0.0, 0.0]);
    let gradient = tape.grad(det.sum(), a).to_host()?;
    assert_close(&gradient[..25], &tape.grad(alone.det(), alone).to_host()?);
    assert_eq!(gradient[25..], [0.0; 50]);
    Ok(())
}

#[test]
fn det_of_rank_three_less_than_the_order_has_a_third_derivative_only() -> Tested {
    // det (J + t I) for a matrix of ones J of order 4: t³ (t + 4).
    let ones = tensor(&[4, 4], &[1.0; 16]);
    assert_close(&along(|x| x.det(), &ones, &eye(4), 4)?, &[0.0, 0.0, 24.0, 24.0]);
    Ok(())
}

#[test]
fn det_does_not_overflow_on_the_way() -> Tested {
    let tape = Tape::<Reference>::new();
    let data = [1e200, 1e200, 1e-100, 1e-100, 1e-100];
    let det = tape.var(tensor(&[5], &data)).diag().det();
    let relative = det.item()? / 1e100;
    assert!((relative - 1.0).abs() < 1e-12, "{relative}");
    Ok(())
}

#[test]
fn logabsdet_has_the_transposed_inverse_as_gradient() -> Tested {
    let tape = Tape::<Reference>::new();
    let a = tape.var(tensor(&[2, 2], &[0.0, 2.0, 4.0, 1.0]));
    let (sign, ln) = a.slogdet();
    assert_eq!(sign.item()?, -1.0);
    assert!(!sign.is_tracked());
    assert_close(&[ln.item()?], &[8f64.ln()]);
    assert_close(&tape.grad(ln, a).to_host()?, &[-0.125, 0.5, 0.25, 0.0]);
    Ok(())
}

#[test]
fn logabsdet_of_a_singular_matrix_is_minus_infinity_without_a_derivative() -> Tested {
    let tape = Tape::<Reference>::new();
    let a = tape.var(tensor(&[2, 2], &SINGULAR));
    let (sign, ln) = a.slogdet();
    assert_eq!((sign.item()?, ln.item()?), (0.0, f64::NEG_INFINITY));
    let error = tape.grad(ln, a).value().unwrap_err().to_string();
    assert!(
        error.contains("matrix is singular") && error.ends_with("pulling back slogdet"),
        "{error}"
    );
    Ok(())
}

// --------------------------------------------------------------------------------------- factors

#[test]
fn cholesky_npd() {
    let tape = Tape::<Reference>::new();
    for data in [[1.0, 2.0, 2.0, 1.0], [0.0; 4], [1.0, 1.0, 1.0, 1.0], [-1.0, 0.0, 0.0, 1.0]] {
        let error = tape.var(tensor(&[2, 2], &data)).cholesky().value().unwrap_err().to_string();
        let expected = "cholesky: the backend failed: matrix is not positive definite, at ";
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn cholesky_acts_on_the_symmetric_part() -> Tested {
    let tape = Tape::<Reference>::new();
    let a = tape.var(tensor(&[2, 2], &[4.0, 3.0, 1.0, 5.0])); // symmetric part [4 2; 2 5]
    let l = a.cholesky();
    assert_eq!(l.to_host()?, [2.0, 0.0, 1.0, 2.0]);
    // l₂₁ = (a₁₂ + a₂₁) / (2 √a₁₁)
    let da = tape.grad(l.narrow(0, 1, 1).narrow(1, 0, 1).sum(), a);
    assert_close(&da.to_host()?, &[-0.125, 0.25, 0.25, 0.0]);
    Ok(())
}

#[test]
fn cholesky_of_a_number_is_its_root_to_third_order() -> Tested {
    let (x, u) = (tensor(&[1, 1], &[4.0]), tensor(&[1, 1], &[1.0]));
    // 1/(2√x), −1/(4 x√x), 3/(8 x²√x)
    assert_close(&along(|x| x.cholesky().sum(), &x, &u, 3)?, &[0.25, -1.0 / 32.0, 3.0 / 256.0]);
    Ok(())
}

#[test]
fn eigenvalues_of_a_symmetric_two_by_two_follow_the_quadratic_formula() -> Tested {
    let tape = Tape::<Reference>::new();
    let a = tape.var(tensor(&[2, 2], &[2.0, 1.0, 1.0, 2.0]));
    let (w, v) = a.eigh();
    assert_close(&w.to_host()?, &[1.0, 3.0]);
    let h = 0.5f64.sqrt();
    assert_close(&v.to_host()?, &[h, h, -h, h]);
    // dw = vᵀ dA v
    let dw = tape.grad(w.narrow(0, 0, 1).sum(), a);
    assert_close(&dw.to_host()?, &[0.5, -0.5, -0.5, 0.5]);
    // w₁ of [2 + t, 1; 1, 2] is (4 + t − √(t² + 4)) / 2, with second derivative −1/4.
    let second = tape.grad(dw.narrow(0, 0, 1).narrow(1, 0, 1).sum(), a);
    assert_close(&second.to_host()?[..1], &[-0.25]);
    Ok(())
}

#[test]
fn repeated_eigenvalues_have_derivatives_that_do_not_use_the_eigenvectors() -> Tested {
    let tape = Tape::<Reference>::new();
    let a = tape.var(eye(3));
    let w = a.eigvalsh();
    // Σ w is the trace, and Σ ln w the logarithm of the determinant.
    for y in [w.sum(), w.ln().sum()] {
        assert_close(&tape.grad(y, a).to_host()?, eye(3).data());
        assert_close(tape.backward(y, a)?.data(), eye(3).data());
    }
    let t = tape.constant(random(&[3, 3], 4));
    let trace = t.trace().item()?;
    assert_close(&[tape.jvp(w.sum(), [(a, t)]).item()?], &[trace]);
    Ok(())
}

#[test]
fn derivatives_that_do_not_exist_at_repeated_eigenvalues_are_not_finite() -> Tested {
    let tape = Tape::<Reference>::new();
    let a = tape.var(eye(2));
    let (w, v) = a.eigh();
    let ct = tape.constant(tensor(&[2, 2], &[1.0, 2.0, 3.0, 4.0]));
    let da = tape.vjp(v, ct, a).to_host()?;
    assert!(da.iter().all(|x| !x.is_finite()), "{da:?}");
    // Those of w₁² + w₂² = Σ aᵢⱼ² do exist.
    let da = tape.grad((w * w).sum(), a);
    let u = tape.constant(tensor(&[2, 2], &[0.0, 1.0, 1.0, 0.0]));
    assert_close(&tape.grad((da * u).sum(), a).to_host()?, &[0.0, 2.0, 2.0, 0.0]);
    // Over a tangent they cannot be told from others: no silent zero.
    let second = tape.grad(tape.jvp((w * w).sum(), [(a, u)]), a).to_host()?;
    assert!(second.iter().any(|x| !x.is_finite()), "{second:?}");
    Ok(())
}

/// `Q diag(d) Qᵀ` and Q, an orthogonal matrix.
fn with_eigenvalues(d: &[f64], seed: u64) -> (Reference, Vec<f64>) {
    let n = d.len();
    let u = random(&[n], seed);
    let length: f64 = u.data().iter().map(|x| x * x).sum();
    let q: Vec<f64> = (0..n * n)
        .map(|at| {
            let (i, j) = (at / n, at % n);
            f64::from(u8::from(i == j)) - 2.0 * u.data()[i] * u.data()[j] / length
        })
        .collect();
    let a = product(&product(&q, &diagonal(d), n), &transposed(&q, n), n);
    (tensor(&[n, n], &a), q)
}

fn diagonal(d: &[f64]) -> Vec<f64> {
    let n = d.len();
    (0..n * n).map(|at| if at / n == at % n { d[at / n] } else { 0.0 }).collect()
}

fn transposed(a: &[f64], n: usize) -> Vec<f64> {
    (0..n * n).map(|at| a[at % n * n + at / n]).collect()
}

fn product(a: &[f64], b: &[f64], n: usize) -> Vec<f64> {
    let element = |i: usize, j: usize| (0..n).map(|k| a[i * n + k] * b[k * n + j]).sum();
    (0..n * n).map(|at| element(at / n, at % n)).collect()
}

/// `Σ φ(w)`, with φ' and φ''.
struct Sum {
    name: &'static str,
    of: for<'t> fn(Var<'t, Reference>) -> Var<'t, Reference>,
    first: fn(f64) -> f64,
    second: fn(f64) -> f64,
}

const SUMS: [Sum; 3] = [
    Sum { name: "cubes", of: |w| w.powi(3).sum(), first: |w| 3.0 * w * w, second: |w| 6.0 * w },
    Sum { name: "exp", of: |w| w.exp().sum(), first: f64::exp, second: f64::exp },
    Sum { name: "ln", of: |w| w.ln().sum(), first: f64::recip, second: |w| -1.0 / (w * w) },
];

impl Sum {
    /// H T by the formula: in the basis Q it is `Γ ∘ T`, with the divided differences of φ'.
    fn expected(&self, d: &[f64], q: &[f64], t: &[f64]) -> Vec<f64> {
        let n = d.len();
        let symmetric: Vec<f64> =
            t.iter().zip(transposed(t, n)).map(|(x, y)| (x + y) / 2.0).collect();
        let mut m = product(&product(&transposed(q, n), &symmetric, n), q, n);
        for (at, m) in m.iter_mut().enumerate() {
            let (x, y) = (d[at / n], d[at % n]);
            *m *= match x == y {
                true => (self.second)(x),
                false => ((self.first)(x) - (self.first)(y)) / (x - y),
            };
        }
        product(&product(q, &m, n), &transposed(q, n), n)
    }
}

/// H T by reverse over reverse, forward over reverse and a column at a time, and then by reverse over
/// forward and forward over forward, element by element.
fn hessian_times(
    of: impl for<'t> Fn(Var<'t, Reference>) -> Var<'t, Reference>,
    a: &Reference,
    t: &Reference,
) -> Result<[Vec<f64>; 5], Error> {
    let reverse = transform::vhp(|a| of(Var::eigvalsh(a)), a.clone(), t.clone())?;
    let tape = Tape::new();
    let (a_var, t_var) = (tape.var(a.clone()), tape.constant(t.clone()));
    let n = a_var.shape()?[0];
    let gradient = tape.grad(of(a_var.eigvalsh()), a_var);
    let forward = tape.jvp(gradient, [(a_var, t_var)]);
    let hessian = transform::hessian(|a| of(Var::eigvalsh(a)), a.clone())?;
    let columns = product_with(hessian.data(), t.data());
    let reverse_over_forward =
        tape.backward(tape.jvp(of(a_var.eigvalsh()), [(a_var, t_var)]), a_var)?;
    let slope = tape.jvp(of(a_var.eigvalsh()), [(a_var, t_var)]);
    let mut twice_forward = Vec::new();
    for at in 0..n * n {
        let unit: Vec<f64> = (0..n * n).map(|other| f64::from(u8::from(at == other))).collect();
        let pushed = tape.plain().jvp(slope, [(a_var, tensor(&[n, n], &unit))])?;
        twice_forward.extend(pushed.data());
    }
    Ok([
        reverse.data().to_vec(),
        forward.to_host()?,
        columns,
        reverse_over_forward.data().to_vec(),
        twice_forward,
    ])
}

fn product_with(hessian: &[f64], t: &[f64]) -> Vec<f64> {
    hessian.chunks(t.len()).map(|row| row.iter().zip(t).map(|(h, t)| h * t).sum()).collect()
}

#[test]
fn hessians_of_functions_that_treat_equal_eigenvalues_alike_are_right() -> Tested {
    let cases: [&[f64]; 6] = [
        &[2.0, 2.0],
        &[2.0, 2.0, 2.0],
        &[1.0, 2.0, 3.0],
        &[2.0, 2.0, 3.0, 5.0],
        &[1.0, 2.0, 2.0, 2.0],
        &[1.0, 1.0, 2.0, 2.0, 3.0],
    ];
    for (seed, d) in cases.into_iter().enumerate() {
        let n = d.len();
        let (a, q) = with_eigenvalues(d, seed as u64 + 3);
        let t = random(&[n, n], seed as u64 + 20);
        for sum in SUMS {
            let expected = sum.expected(d, &q, t.data());
            let scale = expected.iter().fold(1.0f64, |max, x| max.max(x.abs()));
            let close = |found: &f64, expected: &f64| (found - expected).abs() < 1e-10 * scale;
            for (way, found) in hessian_times(sum.of, &a, &t)?.into_iter().enumerate() {
                let is_right = found.iter().zip(&expected).all(|(x, y)| close(x, y));
                // Over a tangent it is right or not there.
                let is_lost = way >= 3 && found.iter().any(|x| !x.is_finite());
                assert!(
                    is_right || is_lost,
                    "{} of {d:?}, way {way}: {found:?}, not {expected:?}",
                    sum.name
                );
            }
        }
    }
    Ok(())
}

#[test]
fn the_hessian_of_the_trace_of_the_cube_is_exact_at_a_multiple_of_the_identity() -> Tested {
    let a = tensor(&[3, 3], &diagonal(&[2.0; 3]));
    let t = random(&[3, 3], 4);
    let [reverse, forward, ..] = hessian_times(|w| w.powi(3).sum(), &a, &t)?;
    // 3 (A T + T A) of the symmetric part of T
    let expected: Vec<f64> =
        t.data().iter().zip(transposed(t.data(), 3)).map(|(x, y)| 6.0 * (x + y)).collect();
    assert_close(&reverse, &expected);
    assert_close(&forward, &expected);
    Ok(())
}

#[test]
fn a_batch_may_have_equal_eigenvalues_in_some_matrices() -> Tested {
    let (d, e) = ([2.0, 2.0, 3.0], [1.0, 2.0, 4.0]);
    let ((a, q), (b, r)) = (with_eigenvalues(&d, 1), with_eigenvalues(&e, 2));
    let both = tensor(&[2, 3, 3], &[a.data(), b.data()].concat());
    let t = random(&[2, 3, 3], 5);
    for sum in SUMS {
        let found = transform::vhp(|a| (sum.of)(Var::eigvalsh(a)), both.clone(), t.clone())?;
        let expected =
            [sum.expected(&d, &q, &t.data()[..9]), sum.expected(&e, &r, &t.data()[9..])].concat();
        let error = found.data().iter().zip(&expected).map(|(x, y)| (x - y).abs());
        assert!(error.fold(0.0, f64::max) < 1e-9, "{}: {found:?}, not {expected:?}", sum.name);
    }
    Ok(())
}

#[test]
fn second_derivatives_of_what_sees_the_difference_of_equal_eigenvalues_are_not_finite() -> Tested {
    let losses: [for<'t> fn(Var<'t, Reference>) -> Var<'t, Reference>; 5] = [
        |w| w.narrow(-1, 0, 1).sum(),
        |w| (w.narrow(-1, 1, 1) - w.narrow(-1, 0, 1)).sum(),
        |w| w.narrow(-1, 1, 1).square().sum(),
        |w| (w * w.new_constant([3], &[1.0, 2.0, 3.0])).square().sum(),
        // The first derivatives are equal, the second ones are not.
        |w| ((w - 2.0).square() * w.new_constant([3], &[1.0, 2.0, 3.0])).sum(),
    ];
    for d in [[2.0, 2.0, 3.0], [2.0, 2.0, 2.0]] {
        let (a, _) = with_eigenvalues(&d, 7);
        for (place, loss) in losses.into_iter().enumerate() {
            for (way, found) in hessian_times(loss, &a, &random(&[3, 3], 8))?.iter().enumerate() {
                assert!(found.iter().any(|x| !x.is_finite()), "loss {place}, way {way}: {found:?}");
            }
        }
    }
    Ok(())
}

#[test]
fn what_sees_the_difference_of_other_eigenvalues_is_right() -> Tested {
    // The third eigenvalue moves by y² / (3 − 2) for an element y beside the 3.
    let a = tensor(&[3, 3], &diagonal(&[2.0, 2.0, 3.0]));
    let t = tensor(&[3, 3], &[0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
    for found in &hessian_times(|w| w.narrow(-1, 2, 1).sum(), &a, &t)?[..3] {
        assert_close(found, t.data());
    }
    Ok(())
}

#[test]
fn third_derivatives_where_eigenvalues_are_equal_are_an_error_and_not_a_number() -> Tested {
    let tape = Tape::<Reference>::new();
    let a = tape.var(eye(2));
    let u = tape.constant(random(&[2, 2], 1));
    let da = tape.grad(a.eigvalsh().powi(4).sum(), a);
    let dda = tape.grad((da * u).sum(), a);
    let error = tape.backward((dda * u).sum(), a).unwrap_err().to_string();
    assert!(error.contains("eigenvalues are equal, where derivatives above the second"), "{error}");
    Ok(())
}

#[test]
fn nearly_equal_eigenvalues_cost_digits_in_proportion_to_their_gap() -> Tested {
    for exponent in [-3, -6, -9, -12] {
        let gap = 10.0f64.powi(exponent);
        let d = [2.0, 2.0 + gap, 3.0];
        let (a, q) = with_eigenvalues(&d, 9);
        let t = random(&[3, 3], 10);
        for sum in SUMS {
            // The divided differences of φ' at the mean, since those of d would cancel as well.
            let mean = [2.0 + gap / 2.0, 2.0 + gap / 2.0, 3.0];
            let expected = sum.expected(&mean, &q, t.data());
            for found in &hessian_times(sum.of, &a, &t)?[..3] {
                let error = found.iter().zip(&expected).map(|(x, y)| (x - y).abs());
                let error = error.fold(0.0, f64::max);
                assert!(
                    error < 100.0 * (f64::EPSILON / gap + gap),
                    "{} 1e{exponent} {error}",
                    sum.name
                );
            }
        }
    }
    Ok(())
}

#[test]
fn factors_reject_rectangles() {
    let tape = Tape::<Reference>::new();
    let a = tape.var(random(&[2, 3], 1));
    for y in [a.inv(), a.det(), a.logabsdet()] {
        let error = y.value().unwrap_err();
        assert!(error.to_string().contains("needs square matrices, got shape [2, 3]"), "{error}");
        assert_eq!(error.location().file(), file!());
    }
    for y in [a.cholesky(), a.eigvalsh(), tape.var(random(&[3], 1)).inv(), tape.var(1.0).det()] {
        assert!(y.is_void());
    }
}

// ---------------------------------------------------------------------------------------- einsum

#[track_caller]
fn einsum(equation: &str, operands: &[(&[usize], &[f64])], shape: &[usize], want: &[f64]) {
    let tape = Tape::<Reference>::new();
    let x: Vec<Handle<'_>> =
        operands.iter().map(|(shape, data)| tape.var(tensor(shape, data))).collect();
    let y = tape.einsum(equation, &x);
    assert_eq!(y.value().unwrap(), tensor(shape, want), "{equation}");
}

const A: (&[usize], &[f64]) = (&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
const B: (&[usize], &[f64]) = (&[2, 2], &[1.0, 2.0, 3.0, 4.0]);
const X: (&[usize], &[f64]) = (&[2], &[1.0, 10.0]);
const Y: (&[usize], &[f64]) = (&[3], &[1.0, 2.0, 3.0]);

#[test]
fn einsum_of_one_operand_moves_sums_and_takes_diagonals() {
    einsum("ij->ji", &[A], &[3, 2], &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    einsum("ij->i", &[A], &[2], &[6.0, 15.0]);
    einsum("ij->", &[A], &[], &[21.0]);
    einsum("ii->i", &[B], &[2], &[1.0, 4.0]);
    einsum("ii", &[B], &[], &[5.0]);
    einsum("ba", &[A], &[3, 2], &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    einsum("->", &[(&[], &[2.0])], &[], &[2.0]);
    einsum("iii->i", &[(&[2, 2, 2], &[1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 8.0])], &[2], &[1.0, 8.0]);
}

#[test]
fn einsum_of_two_operands_multiplies() {
    einsum("ij,jk->ik", &[B, A], &[2, 3], &[9.0, 12.0, 15.0, 19.0, 26.0, 33.0]);
    einsum("ij,jk", &[B, A], &[2, 3], &[9.0, 12.0, 15.0, 19.0, 26.0, 33.0]);
    einsum("ij,ij->i", &[A, A], &[2], &[14.0, 77.0]);
    einsum("i,j->ij", &[X, Y], &[2, 3], &[1.0, 2.0, 3.0, 10.0, 20.0, 30.0]);
    einsum("i,j->ji", &[X, Y], &[3, 2], &[1.0, 10.0, 2.0, 20.0, 3.0, 30.0]);
    einsum("i,i", &[X, X], &[], &[101.0]);
    einsum("i,j->", &[X, Y], &[], &[66.0]);
    einsum("ij,->ji", &[B, (&[], &[2.0])], &[2, 2], &[2.0, 6.0, 4.0, 8.0]);
    einsum("ij,j->ij", &[A, Y], &[2, 3], &[1.0, 4.0, 9.0, 4.0, 10.0, 18.0]);
    einsum("ii,ij->j", &[B, A], &[3], &[17.0, 22.0, 27.0]);
    einsum(" i j , j k -> i k ", &[B, B], &[2, 2], &[7.0, 10.0, 15.0, 22.0]);
}

#[test]
fn einsum_of_three_operands_sums_late_enough() {
    einsum("i,ij,j", &[X, A, Y], &[], &[334.0]); // 14 + 10 · 32
    einsum("i,i,i->i", &[X, X, X], &[2], &[1.0, 1000.0]);
    einsum("ab,bc,ac->", &[B, B, B], &[], &[160.0]); // 7 + 20 + 45 + 88
}

#[test]
fn einsum_broadcasts_ellipses_and_axes_of_size_one() {
    let batch: (&[usize], &[f64]) = (&[2, 1, 2], &[1.0, 2.0, 3.0, 4.0]);
    einsum("...j->...", &[batch], &[2, 1], &[3.0, 7.0]);
    einsum("...j,...j->...", &[batch, B], &[2, 2], &[5.0, 11.0, 11.0, 25.0]);
    einsum("...i,i", &[B, X], &[2], &[21.0, 43.0]);
    einsum("i...->...i", &[A], &[3, 2], &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    einsum("...->", &[A], &[], &[21.0]);
    einsum("ij,ij->j", &[A, (&[1, 3], Y.1)], &[3], &[5.0, 14.0, 27.0]);
}

#[test]
fn einsum_of_nothing_is_zero() {
    einsum("ij,jk->ik", &[(&[2, 0], &[]), (&[0, 1], &[])], &[2, 1], &[0.0, 0.0]);
    einsum("ij,jk->ik", &[(&[0, 2], &[]), (&[2, 1], &[1.0, 1.0])], &[0, 1], &[]);
}

#[test]
fn einsum_is_differentiated_by_exchanging_operands() -> Tested {
    let tape = Tape::<Reference>::new();
    let (q, k) = (tape.var(random(&[1, 2, 3, 4], 1)), tape.var(random(&[1, 2, 5, 4], 2)));
    let y = tape.einsum("bhqd,bhkd->bhqk", &[q, k]);
    let ct = tape.constant(random(&[1, 2, 3, 5], 3));
    let [dq, dk] = tape.vjp(y, ct, [q, k]);
    assert_close(&dq.to_host()?, &tape.einsum("bhqk,bhkd->bhqd", &[ct, k]).to_host()?);
    assert_close(&dk.to_host()?, &tape.einsum("bhqk,bhqd->bhkd", &[ct, q]).to_host()?);
    Ok(())
}

#[test]
fn einsum_errors_name_the_equation() {
    let tape = Tape::<Reference>::new();
    let (a, b) = (tape.var(tensor(A.0, A.1)), tape.var(tensor(B.0, B.1)));
    for (equation, operands, why) in [
        ("ij,jk->ik", &[a][..], "names 2 operands, got 1"),
        ("ij", &[a, a], "names 1 operands, got 2"),
        ("ij,jk->ik", &[a, b], "gives `j` the sizes 3 and 2"),
        ("ijk->i", &[a], "needs a letter for each axis of shape [2, 3], got `ijk`"),
        ("...ijk->i", &[a], "needs a letter for each axis of shape [2, 3], got `...ijk`"),
        ("ij->ik", &[a], "names `k` in the output, but in no operand"),
        ("ij->ii", &[a], "names `i` twice in the output"),
        ("ii->i", &[a], "gives `i` the sizes 2 and 3"),
        ("i1->i", &[a], "has `1` where a letter is expected"),
        ("ij->i->j", &[a], "has `-` where a letter is expected"),
        ("......", &[a], "has two ellipses in `......`"),
        ("", &[], "names 1 operands, got 0"),
    ] {
        let error = tape.einsum(equation, operands).value().unwrap_err();
        let expected = format!("einsum: equation \"{equation}\" {why}, at ");
        assert!(error.to_string().starts_with(&expected), "{error}");
        assert_eq!(error.location().file(), file!());
    }
}

#[test]
fn a_column_is_no_symmetric_matrix() {
    // x + xᵀ broadcasts to a square matrix, and must not.
    let tape = Tape::<Reference>::new();
    let x = tape.var(Reference::new([4, 1], vec![1.0, 2.0, 3.0, 4.0]).expect("four elements"));
    for y in [x.eigh().0, x.eigh().1, x.eigvalsh(), x.cholesky()] {
        let text = y.value().expect_err("four rows and one column").to_string();
        assert!(text.contains("needs square matrices, got shape [4, 1]"), "{text}");
    }
}
