//! Many reads of one value, which sweeps join: they must give what the rules of the reads give.

use grad_core::{Error, Index, Slice, Tape, TensorLike, Var, Window};

use crate::Random;
use crate::compare::{Failure, Verdict, is_unsupported, twin};

/// So many elements or more have the tensors that are read, since sweeps join no reads of small
/// ones.
const LARGE: usize = 260;

/// Random programs that read a large tensor in many ways, many times: the gradient, the gradient of
/// a product with it, and the tangent are those of the rules alone. All numbers are whole and small,
/// so that none is rounded, in whatever order they are added.
///
/// While `detect_nan` is on, sweeps join no reads.
///
/// # Errors
/// Names the seed and what differs.
pub fn many_reads_equal_their_rules<T: TensorLike>(
    model: &T,
    seeds: std::ops::Range<u64>,
) -> Verdict {
    for seed in seeds {
        let of_seed = |failure: Failure| failure.within(format!("seed {seed}"));
        let wanted = match derivatives(model, seed, Tape::detect_nan) {
            // An optional method that the backend leaves out.
            Err(error) if is_unsupported(&error) => continue,
            wanted => wanted.map_err(Failure::from).map_err(of_seed)?,
        };
        let got = derivatives(model, seed, |_| {}).map_err(Failure::from).map_err(of_seed)?;
        for (what, (got, wanted)) in NAMES.iter().zip(got.iter().zip(&wanted)) {
            let (got, wanted) = (twin(got)?, twin(wanted)?);
            if got != wanted {
                let text = format!("{what}: got {got:?}, wanted {wanted:?}");
                return Err(of_seed(Failure::new(text)));
            }
        }
    }
    Ok(())
}

const NAMES: [&str; 5] =
    ["plain gradient", "recorded gradient", "tangent", "second gradient", "third gradient"];

/// The derivatives of a random program.
fn derivatives<T: TensorLike>(
    model: &T,
    seed: u64,
    prepare: impl Fn(&Tape<T>),
) -> Result<[T; NAMES.len()], Error> {
    let mut random = Random::new(seed);
    let shape = random.choose(&[&[LARGE][..], &[40, 7], &[6, 50], &[4, 8, 10], &[2, 2, 5, 13]]);
    let whole = |shape: &[usize], random: &mut Random| {
        let n = shape.iter().product();
        let data: Vec<f64> = (0..n).map(|_| random.below(3) as f64 - 1.0).collect();
        model.from_host(shape, &data).map_err(Error::msg)
    };
    let tape = Tape::new();
    prepare(&tape);
    let x = tape.var(whole(shape, &mut random)?);
    let t = whole(shape, &mut random)?;
    // What is read may have a cotangent of its own, before the reads and between them.
    let (mut loss, twice) = (x.square().sum(), x * 2.0);
    for _ in 0..1 + random.below(20) {
        let from = random.choose(&[x, x, x, twice]);
        let part = read(from, &mut random);
        let weights = tape.constant(whole(&part.shape()?, &mut random)?);
        loss += (part * part * part * weights).sum();
        if random.below(10) == 0 {
            loss += (x * 3.0).sum();
        }
    }
    let plain = tape.backward(loss, x)?;
    let recorded = tape.grad(loss, x);
    let tangent = tape.plain().jvp(recorded, [(x, t.clone())])?;
    let t = tape.constant(t);
    let along = (recorded * t).sum();
    let second = tape.backward(along, x)?;
    let third = tape.backward((tape.grad(along, x) * t).sum(), x)?;
    Ok([plain, recorded.value()?, tangent, second, third])
}

/// A part of a tensor, read in some way.
fn read<'t, T: TensorLike>(x: Var<'t, T>, random: &mut Random) -> Var<'t, T> {
    let Ok(shape) = x.shape() else { return x };
    let axis = random.below(shape.rank());
    let n = shape[axis];
    match random.below(9) {
        0 => x.narrow(axis as isize, random.below(n), 1),
        1 => x.slice(&slices(&shape, 1, random)),
        2 => x.slice(&slices(&shape, 2, random)),
        3 => x.split(axis as isize, &[1, n - 1])[random.below(2)],
        4 => {
            let index: Vec<usize> = (0..1 + random.below(3)).map(|_| random.below(n)).collect();
            x.index_select(axis as isize, &index)
        }
        5 => {
            // As large as the tensor in no axis but one.
            let sizes: Vec<usize> = shape.iter().map(|&n| 1 + random.below(n.min(3))).collect();
            let data: Vec<usize> = (0..sizes.iter().product()).map(|_| random.below(n)).collect();
            match Index::new(sizes, data) {
                Ok(index) => x.gather(axis as isize, index),
                Err(_) => x,
            }
        }
        6 => {
            let size = 1 + random.below(2);
            x.unfold(axis as isize, Window { size, step: 1 + random.below(20), dilation: 1 })
        }
        7 => {
            let n = shape.iter().product::<usize>();
            x.take([random.below(n), random.below(n)])
        }
        _ => {
            let n = shape.iter().product::<usize>();
            x.reshape([20, n / 20]).diagonal()
        }
    }
}

/// A few elements of each axis, so far apart at most.
fn slices(shape: &[usize], furthest: usize, random: &mut Random) -> Vec<Slice> {
    let of_axis = |&n: &usize| {
        let start = random.below(n);
        let stop = (start + 1 + random.below(3)).min(n);
        Slice { start, stop, step: 1 + random.below(furthest) }
    };
    shape.iter().map(of_axis).collect()
}
