//! Residuals, corners and errors of the factorizations.

use grad_linalg::{LinalgError, Matrices, cholesky, eigh, inv, slogdet, solve, triangular_solve};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

type Tested = Result<(), LinalgError>;

const SINGULAR: [f64; 4] = [1.0, 2.0, 2.0, 4.0];

/// `X Y`, for an X with `m` rows.
fn times(m: usize, x: &[f64], y: &[f64]) -> Vec<f64> {
    let k = x.len() / m;
    let n = y.len() / k;
    let element = |i, j| (0..k).map(|p| x[i * k + p] * y[p * n + j]).sum();
    (0..m * n).map(|place| element(place / n, place % n)).collect()
}

fn transposed(x: &[f64], n: usize) -> Vec<f64> {
    (0..n * n).map(|place| x[place % n * n + place / n]).collect()
}

fn identity(n: usize) -> Vec<f64> {
    (0..n * n).map(|place| f64::from(u8::from(place / n == place % n))).collect()
}

fn largest(x: &[f64]) -> f64 {
    x.iter().fold(0.0, |max, x| max.max(x.abs()))
}

#[track_caller]
fn assert_close(left: &[f64], right: &[f64], tolerance: f64) {
    assert_eq!(left.len(), right.len());
    let difference: Vec<f64> = left.iter().zip(right).map(|(x, y)| x - y).collect();
    assert!(largest(&difference) <= tolerance, "{left:?} and {right:?}");
}

/// A random matrix of order 1 to 40: above 32, faer works in blocks.
fn matrix() -> impl Strategy<Value = (usize, Vec<f64>)> {
    prop_oneof![1..6usize, 30..40usize]
        .prop_flat_map(|n| (Just(n), proptest::collection::vec(-1.0..1.0, n * n)))
}

/// The same with `n` added on the diagonal, so that the condition is moderate.
fn regular() -> impl Strategy<Value = (usize, Vec<f64>)> {
    matrix().prop_map(|(n, mut a)| {
        (0..n).for_each(|i| a[i * n + i] += n as f64);
        (n, a)
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(0),
        ..ProptestConfig::with_cases(64)
    })]

    #[test]
    fn a_times_its_solution_is_the_right_side((n, a) in regular(), k in 1..4usize) {
        let b: Vec<f64> = (0..n * k).map(|i| (i as f64).sin()).collect();
        let x = solve(Matrices::new(&[n, n], &a)?, Matrices::new(&[n, k], &b)?)?;
        assert_close(&times(n, &a, &x), &b, 1e-13 * n as f64);
    }

    #[test]
    fn a_times_its_inverse_is_one((n, a) in regular()) {
        let y = inv(Matrices::new(&[n, n], &a)?)?;
        assert_close(&times(n, &a, &y), &identity(n), 1e-13 * n as f64);
        assert_close(&times(n, &y, &a), &identity(n), 1e-13 * n as f64);
    }

    #[test]
    fn a_triangle_times_its_solution_is_the_right_side((n, a) in regular(), upper: bool) {
        let b: Vec<f64> = (0..n).map(|i| (i as f64).cos()).collect();
        let x = triangular_solve(Matrices::new(&[n, n], &a)?, Matrices::new(&[n, 1], &b)?, upper)?;
        let is_inside = |i: usize, j: usize| if upper { i <= j } else { j <= i };
        let triangle: Vec<f64> = (0..n * n)
            .map(|place| if is_inside(place / n, place % n) { a[place] } else { 0.0 })
            .collect();
        assert_close(&times(n, &triangle, &x), &b, 1e-13 * n as f64);
    }

    #[test]
    fn the_determinant_of_a_product_is_that_of_the_factors((n, a) in regular(), shift in 1..5usize) {
        let mut b = a.clone();
        b.rotate_left(shift % n * n); // A permutation of the rows.
        let product = times(n, &a, &b);
        let of = |x: &[f64]| slogdet(Matrices::new(&[n, n], x)?);
        let (a, b, product) = (of(&a)?, of(&b)?, of(&product)?);
        assert_eq!(a[0] * b[0], product[0]);
        assert_close(&[a[1] + b[1]], &product[1..], 1e-12 * n as f64);
    }

    #[test]
    fn the_cholesky_factor_gives_the_matrix_back((n, x) in matrix()) {
        let mut a = times(n, &x, &transposed(&x, n));
        (0..n).for_each(|i| a[i * n + i] += 1.0);
        let l = cholesky(Matrices::new(&[n, n], &a)?)?;
        assert_close(&times(n, &l, &transposed(&l, n)), &a, 1e-13 * n as f64);
        assert!((0..n * n).all(|place| place % n <= place / n || l[place] == 0.0));
    }

    #[test]
    fn eigenvectors_are_orthonormal_and_stretched((n, x) in matrix()) {
        let a: Vec<f64> = x.iter().zip(transposed(&x, n)).map(|(x, y)| x + y).collect();
        let packed = eigh(Matrices::new(&[n, n], &a)?)?;
        let (w, v) = packed.split_at(n);
        assert_close(&times(n, &transposed(v, n), v), &identity(n), 1e-13 * n as f64);
        let stretched: Vec<f64> = v.iter().enumerate().map(|(place, v)| v * w[place % n]).collect();
        assert_close(&times(n, &a, v), &stretched, 1e-13 * (n * n) as f64);
        assert!(w.is_sorted());
    }

    #[test]
    fn nothing_panics_or_hangs(
        n in 0..5usize,
        data in proptest::collection::vec(prop_oneof![
            any::<f64>(), Just(0.0), Just(1.0), Just(f64::NAN), Just(1e300), Just(1e-320),
        ], 16),
    ) {
        let a = Matrices::new(&[n, n], &data[..n * n])?;
        let b = Matrices::new(&[n, 2], &data[..2 * n])?;
        for result in [
            solve(a, b), triangular_solve(a, b, true), triangular_solve(a, b, false),
            inv(a), slogdet(a), cholesky(a), eigh(a),
        ] {
            if let Ok(result) = result && data[..n * n].iter().any(|x| !x.is_finite()) {
                assert!(result.iter().all(|x| x.is_nan()) || n == 0 || result.len() == 2 * n);
            }
        }
    }
}

#[test]
fn results_do_not_depend_on_the_batch() -> Tested {
    let data: Vec<f64> = (0..3 * 16).map(|i| (i as f64 * 0.7).sin()).collect();
    let all = Matrices::new(&[3, 1, 4, 4], &data)?;
    let each = |f: fn(Matrices<'_>) -> Result<Vec<f64>, LinalgError>| -> Tested {
        let mut singly = Vec::new();
        for matrix in data.chunks(16) {
            singly.extend(f(Matrices::new(&[4, 4], matrix)?)?);
        }
        assert_eq!(f(all)?, singly);
        Ok(())
    };
    each(inv)?;
    each(slogdet)?;
    each(eigh)
}

#[test]
fn a_singular_matrix_is_an_error_that_says_so() -> Tested {
    let (a, b) = (Matrices::new(&[2, 2], &SINGULAR)?, Matrices::new(&[2, 1], &[1.0, 1.0])?);
    let no_columns = Matrices::new(&[2, 0], &[])?;
    for result in [inv(a), solve(a, b), solve(a, no_columns)] {
        assert_eq!(result, Err(LinalgError::Singular { index: 0, count: 1 }));
    }
    let zero_on_the_diagonal = Matrices::new(&[2, 2], &[1.0, 2.0, 3.0, 0.0])?;
    let result = triangular_solve(zero_on_the_diagonal, b, true);
    assert_eq!(result.map_err(|e| e.to_string()), Err("matrix is singular".to_string()));
    Ok(())
}

#[test]
fn an_error_names_the_matrix_of_the_batch() -> Tested {
    let data = [identity(2), SINGULAR.to_vec()].concat();
    let error = inv(Matrices::new(&[2, 2, 2], &data)?).map_err(|e| e.to_string());
    assert_eq!(error, Err("matrix is singular (at 1 in a batch of 2)".to_string()));
    Ok(())
}

#[test]
fn the_determinant_of_a_singular_matrix_has_the_logarithm_minus_infinity() -> Tested {
    for (n, a) in [(2, &SINGULAR[..]), (3, &[1.0; 9]), (5, &[0.0; 25]), (40, &[1.0; 1600])] {
        assert_eq!(slogdet(Matrices::new(&[n, n], a)?)?, [0.0, f64::NEG_INFINITY]);
    }
    Ok(())
}

#[test]
fn the_sign_follows_exchanged_rows() -> Tested {
    // A cycle of three rows is even, an exchange of two odd.
    let cycle = [0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0];
    let exchange = [0.0, 2.0, 2.0, 0.0];
    assert_eq!(slogdet(Matrices::new(&[3, 3], &cycle)?)?, [1.0, 0.0]);
    assert_eq!(slogdet(Matrices::new(&[2, 2], &exchange)?)?[0], -1.0);
    Ok(())
}

#[test]
fn only_positive_definite_matrices_have_a_cholesky_factor() -> Tested {
    for a in [[1.0, 2.0, 2.0, 1.0], [1.0, 1.0, 1.0, 1.0], [0.0; 4], [-1.0, 0.0, 0.0, 1.0]] {
        let error = cholesky(Matrices::new(&[2, 2], &a)?).map_err(|e| e.to_string());
        assert_eq!(error, Err("matrix is not positive definite".to_string()), "{a:?}");
    }
    Ok(())
}

#[test]
fn symmetric_factors_read_the_lower_triangle() -> Tested {
    let a = Matrices::new(&[2, 2], &[4.0, 9.0, 2.0, 5.0])?; // as [4 2; 2 5]
    assert_eq!(cholesky(a)?, [2.0, 0.0, 1.0, 2.0]);
    let eigenvalues = &eigh(Matrices::new(&[2, 2], &[3.0, 7.0, 0.0, 2.0])?)?[..2];
    assert_eq!(eigenvalues, [2.0, 3.0]);
    Ok(())
}

#[test]
fn triangles_do_not_read_the_other_triangle() -> Tested {
    let b = Matrices::new(&[2, 1], &[4.0, 4.0])?;
    let lower = Matrices::new(&[2, 2], &[2.0, f64::NAN, 1.0, 2.0])?;
    assert_eq!(triangular_solve(lower, b, false)?, [2.0, 1.0]);
    let upper = Matrices::new(&[2, 2], &[2.0, 1.0, f64::INFINITY, 2.0])?;
    assert_eq!(triangular_solve(upper, b, true)?, [1.0, 2.0]);
    Ok(())
}

#[test]
fn eigenvectors_have_a_sign_of_their_own() -> Tested {
    // (1, −1) / √2 for the eigenvalue 1, and (1, 1) / √2 for 3.
    let packed = eigh(Matrices::new(&[2, 2], &[2.0, 1.0, 1.0, 2.0])?)?;
    let h = 0.5f64.sqrt();
    assert_close(&packed, &[1.0, 3.0, h, h, -h, h], 1e-15);
    Ok(())
}

#[test]
fn eigenvalues_of_extreme_matrices_neither_overflow_nor_vanish() -> Tested {
    for scale in [f64::MAX, 1e300, 1e-300, 5e-324] {
        let a = [0.0, scale, scale, 0.0];
        let packed = eigh(Matrices::new(&[2, 2], &a)?)?;
        assert_close(&[packed[0] / scale, packed[1] / scale], &[-1.0, 1.0], 1e-15);
    }
    Ok(())
}

#[test]
fn a_nan_stays_in_its_matrix() -> Tested {
    let data = [&identity(2)[..], &[1.0, f64::NAN, 0.0, 1.0]].concat();
    let y = inv(Matrices::new(&[2, 2, 2], &data)?)?;
    assert_eq!(y[..4], identity(2));
    assert!(y[4..].iter().all(|x| x.is_nan()));
    Ok(())
}

#[test]
fn matrices_without_elements_are_legal() -> Tested {
    let none = Matrices::new(&[3, 0, 0], &[])?;
    assert_eq!(inv(none)?, []);
    assert_eq!(cholesky(none)?, []);
    assert_eq!(eigh(none)?, []);
    // The empty product is 1.
    assert_eq!(slogdet(none)?, [1.0, 0.0, 1.0, 0.0, 1.0, 0.0]);
    assert_eq!(solve(none, Matrices::new(&[3, 0, 2], &[])?)?, []);
    let no_matrices = Matrices::new(&[0, 2, 2], &[])?;
    assert_eq!(slogdet(no_matrices)?, []);
    assert_eq!(triangular_solve(no_matrices, no_matrices, true)?, []);
    let no_columns = Matrices::new(&[2, 0], &[])?;
    assert_eq!(solve(Matrices::new(&[2, 2], &identity(2))?, no_columns)?, []);
    Ok(())
}

#[test]
fn shapes_that_do_not_fit_are_errors() -> Tested {
    for shape in [&[][..], &[4], &[2, 3], &[usize::MAX, 2, 2]] {
        assert!(Matrices::new(shape, &[0.0; 4]).is_err(), "{shape:?}");
    }
    let wide = Matrices::new(&[1, 2], &[1.0, 2.0])?;
    assert_eq!(inv(wide), Err(LinalgError::NotSquare { size: [1, 2] }));
    let a = identity(2);
    let a = Matrices::new(&[2, 2], &a)?;
    assert!(matches!(solve(a, wide), Err(LinalgError::Mismatch { .. })));
    let two = Matrices::new(&[2, 2, 1], &[1.0; 4])?;
    assert!(matches!(triangular_solve(a, two, true), Err(LinalgError::Mismatch { .. })));
    Ok(())
}
