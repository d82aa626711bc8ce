//! A result depends on the elements, not on how they lie in memory.

use grad_candle::{CandleError, CandleTensor};
use grad_core::{Index, Slice, TensorLike, Window};
use proptest::prelude::*;

type Result<T = ()> = std::result::Result<T, CandleError>;

type Function<'a> = dyn Fn(&CandleTensor) -> Result<CandleTensor> + 'a;

/// A way to look at a tensor.
#[derive(Clone, Debug)]
enum View {
    Rotate(usize),
    Repeat,
    Halve(usize),
    Skip(usize),
}

impl View {
    fn of(&self, x: &CandleTensor) -> Result<CandleTensor> {
        let shape = x.shape().to_vec();
        let slice = |axis: usize, stop, step| {
            let mut slices: Vec<Slice> = shape.iter().map(|&n| Slice::all(n)).collect();
            slices[axis] = Slice { start: shape[axis] / 3, stop, step };
            x.slice(&slices)
        };
        match *self {
            View::Rotate(by) => {
                let n = shape.len().max(1);
                x.permute(&(0..shape.len()).map(|axis| (axis + by) % n).collect::<Vec<_>>())
            }
            View::Repeat if shape.len() < 7 => x.expand(&[&[2], &shape[..]].concat()),
            View::Halve(axis) if axis < shape.len() => slice(axis, shape[axis].div_ceil(2), 1),
            View::Skip(axis) if axis < shape.len() => slice(axis, shape[axis], 2),
            _ => Ok(x.clone()),
        }
    }
}

/// Tensors of rank 0 to 6, some without elements, seen through some views.
fn tensors() -> impl Strategy<Value = CandleTensor> {
    let view = prop_oneof![
        (1..6usize).prop_map(View::Rotate),
        Just(View::Repeat),
        (0..6usize).prop_map(View::Halve),
        (0..6usize).prop_map(View::Skip),
    ];
    let shape = prop::collection::vec(prop_oneof![9 => 1..4usize, 1 => Just(0usize)], 0..=6);
    (shape, prop::collection::vec(view, 0..4)).prop_map(|(shape, views)| {
        let n: usize = shape.iter().product();
        let data: Vec<f64> = (0..n).map(|i| ((i * 7) % 11) as f64 - 4.0).collect();
        let mut x = CandleTensor::from(0f64).from_host(&shape, &data).expect("data fit the shape");
        for view in views {
            x = view.of(&x).expect("views fit the shape");
        }
        x
    })
}

/// An index of the shape of `x` that is 0 throughout.
fn first_of_each(x: &CandleTensor) -> Index {
    let n = x.shape().iter().product();
    Index::new(x.shape(), vec![0; n]).expect("as many as there are elements")
}

fn packed(x: &CandleTensor) -> Result<CandleTensor> {
    x.from_host(x.shape(), &x.to_host()?)
}

/// What `f` makes of `x`: shape and elements; all NaN are equal, and so are 0 and −0, between
/// which candle's matrix products choose by layout.
fn seen(f: impl Fn(&CandleTensor) -> Result<CandleTensor>, x: &CandleTensor) -> String {
    match f(x).and_then(|y| Ok((y.shape().to_vec(), y.to_host()?))) {
        Ok((shape, data)) => {
            format!("{shape:?} {:?}", data.iter().map(|x| x + 0.0).collect::<Vec<_>>())
        }
        Err(error) => error.to_string(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn results_do_not_depend_on_the_layout(x in tensors(), axes in 0..64usize) {
        let rank = x.shape().len();
        let axes: Vec<usize> = (0..rank).filter(|axis| axes >> axis & 1 == 1).collect();
        let reversed: Vec<usize> = (0..rank).rev().collect();
        let last_two: Vec<usize> = match rank {
            0 | 1 => vec![],
            _ => (0..rank - 2).chain([rank - 1, rank - 2]).collect(),
        };
        let last = x.shape().last().copied().unwrap_or(0);
        let window = Window { size: 2, step: 1, dilation: 1 };
        let fs: Vec<Box<Function<'_>>> = vec![
            Box::new(|x| x.add(x)),
            Box::new(|x| x.sub(&x.scalar(2.0)?)),
            Box::new(|x| x.scalar(2.0)?.div(x)),
            Box::new(|x| x.pow(&x.scalar(2.0)?)),
            Box::new(|x| x.lt(&x.scalar(0.0)?)),
            Box::new(|x| x.select(x, &x.neg()?)),
            Box::new(|x| x.lt(&x.scalar(0.0)?)?.select(&x.scalar(7.0)?, x)),
            Box::new(|x| x.mul_or_zero(&x.recip()?)),
            Box::new(|x| x.relu()),
            Box::new(|x| x.exp()),
            Box::new(|x| x.scale(3.0)),
            Box::new(|x| x.sum(&axes)),
            Box::new(|x| x.mean(&axes)),
            Box::new(|x| x.max(&axes)),
            Box::new(|x| x.min(&axes)),
            Box::new(|x| x.permute(&reversed)?.sum(&axes)),
            Box::new(|x| x.reshape(&[x.shape().iter().product()])),
            Box::new(|x| x.matmul(&x.permute(&last_two)?)),
            Box::new(|x| x.matmul(&x.full(&[last, 2], 1.0)?)),
            Box::new(|x| x.full(&[2, 2], 1.0)?.matmul(&x.matmul(&x.full(&[last, 2], 1.0)?)?)),
            Box::new(|x| x.index_select(0, &[0, 0])),
            Box::new(|x| x.index_add(0, &vec![1; x.shape().first().copied().unwrap_or(0)], 2)),
            Box::new(|x| x.sigmoid()),
            Box::new(|x| x.floor()),
            Box::new(|x| x.softmax(0)),
            Box::new(|x| x.cumsum(rank.saturating_sub(1))),
            Box::new(|x| x.reverse_cumsum(0)),
            Box::new(|x| x.concat(&[x, &x.neg()?], rank.saturating_sub(1))),
            Box::new(|x| x.concat(&[&packed(x)?, x], 0)),
            Box::new(|x| x.gather(0, &first_of_each(x))),
            Box::new(|x| x.scatter_add(0, &first_of_each(x), x.shape())),
            Box::new(|x| x.unfold(rank / 2, window)),
            Box::new(|x| x.unfold(rank / 2, window)?.fold(rank / 2, window, x.shape()[rank / 2])),
        ];
        let same = packed(&x)?;
        for (i, f) in fs.iter().enumerate() {
            prop_assert_eq!(seen(f, &x), seen(f, &same), "function {}, shape {:?}", i, x.shape());
        }
    }

    #[test]
    fn matrix_products_are_sums_of_products(x in tensors(), y in tensors()) {
        let (Ok(product), Ok(expected)) = (x.matmul(&y), by_sums(&x, &y)) else {
            prop_assert!(x.matmul(&y).is_err() && by_sums(&x, &y).is_err());
            return Ok(());
        };
        prop_assert_eq!(product.shape(), expected.shape());
        prop_assert_eq!(product.to_host()?, expected.to_host()?); // small integers: exact
    }
}

/// `[.., m, k, 1] · [.., 1, k, n]`, summed over k.
fn by_sums(x: &CandleTensor, y: &CandleTensor) -> Result<CandleTensor> {
    let (x_rank, y_rank) = (x.shape().len(), y.shape().len());
    if x_rank < 2 || y_rank < 2 || x.shape()[x_rank - 1] != y.shape()[y_rank - 2] {
        return Err(grad_core::Unsupported { op: "matmul", backend: "this" }.into());
    }
    let x = x.reshape(&[x.shape(), &[1]].concat())?;
    let (batch, matrix) = y.shape().split_at(y_rank - 2);
    let y = y.reshape(&[batch, &[1], matrix].concat())?;
    let products = packed(&x)?.mul(&packed(&y)?)?;
    let k = products.shape().len() - 2;
    products.sum(&[k])
}
