//! `einsum`: sums of products, named by letters; by permute, reshape, matmul, sum and mul.
//!
//! Operands are taken in from left to right. At each step letters are of four kinds: those in both
//! operands are a batch or, if nothing later needs them, the inner axis of a matrix product; those
//! in one of them are rows or columns.

use std::collections::BTreeMap;

use crate::ground::{ErrorKind, Shape, TensorLike};
use crate::tape::{Tape, Var};

/// What names an axis. In this order they stand in an output that is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Label {
    /// An axis of an ellipsis, counted from its last, negatively.
    Dots(isize),
    Letter(char),
}

impl std::fmt::Display for Label {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Label::Dots(axis) => write!(f, "axis {axis} of `...`"),
            Label::Letter(letter) => write!(f, "`{letter}`"),
        }
    }
}

/// The labels of the operands' axes and of the result's.
struct Equation {
    inputs: Vec<Vec<Label>>,
    output: Vec<Label>,
}

impl Equation {
    /// The meaning of `text` for operands of these shapes, or what is wrong with it.
    fn parse(text: &str, shapes: &[Shape]) -> Result<Equation, String> {
        let text: String = text.chars().filter(|x| !x.is_whitespace()).collect();
        let (left, right) = match text.split_once("->") {
            Some((left, right)) => (left, Some(right)),
            None => (&text[..], None),
        };
        let terms: Vec<&str> = left.split(',').collect();
        if terms.len() != shapes.len() {
            return Err(format!("names {} operands, got {}", terms.len(), shapes.len()));
        }
        let mut inputs = Vec::new();
        for (term, shape) in terms.into_iter().zip(shapes) {
            let n_letters = term.replace("...", "").chars().count();
            let n_dots = match term.contains("...") {
                true => shape.rank().checked_sub(n_letters),
                false => (shape.rank() == n_letters).then_some(0),
            };
            let n_dots = n_dots.ok_or_else(|| {
                format!("needs a letter for each axis of shape {shape}, got `{term}`")
            })?;
            inputs.push(labels(term, n_dots)?);
        }
        let all: Vec<Label> = inputs.iter().flatten().copied().collect();
        let dots = |label: &Label| matches!(label, Label::Dots(_));
        let output = match right {
            Some(right) => {
                let n_dots = inputs.iter().map(|input| input.iter().filter(|x| dots(x)).count());
                labels(right, n_dots.max().unwrap_or(0))?
            }
            None => {
                let times = |label: &Label| all.iter().filter(|&x| x == label).count();
                let mut once: Vec<Label> = all.clone();
                once.retain(|label| dots(label) || times(label) == 1);
                once.sort_unstable();
                once.dedup();
                once
            }
        };
        for (place, label) in output.iter().enumerate() {
            if output[..place].contains(label) {
                return Err(format!("names {label} twice in the output"));
            }
            if !all.contains(label) {
                return Err(format!("names {label} in the output, but in no operand"));
            }
        }
        Ok(Equation { inputs, output })
    }

    /// The size of each label's axis: where an operand has 1, it may have another in others.
    fn sizes(&self, shapes: &[Shape]) -> Result<BTreeMap<Label, usize>, String> {
        let mut sizes = BTreeMap::new();
        for (labels, shape) in self.inputs.iter().zip(shapes) {
            for (place, (&label, &size)) in labels.iter().zip(shape.iter()).enumerate() {
                let known = sizes.entry(label).or_insert(size);
                let before = labels[..place].iter().position(|&other| other == label);
                let is_diagonal = before.is_none_or(|before| shape[before] == size);
                match (*known, size) {
                    (known, size) if is_diagonal && (known == size || size == 1) => {}
                    (1, size) if is_diagonal => *known = size,
                    (known, size) => {
                        return Err(format!("gives {label} the sizes {known} and {size}"));
                    }
                }
            }
        }
        Ok(sizes)
    }
}

/// The labels that a term names, for an ellipsis of `n_dots` axes.
fn labels(term: &str, n_dots: usize) -> Result<Vec<Label>, String> {
    let mut labels = Vec::new();
    for (place, part) in term.split("...").enumerate() {
        if place > 1 {
            return Err(format!("has two ellipses in `{term}`"));
        }
        if place == 1 {
            labels.extend((1..=n_dots as isize).rev().map(|axis| Label::Dots(-axis)));
        }
        for letter in part.chars() {
            match letter.is_alphabetic() {
                true => labels.push(Label::Letter(letter)),
                false => return Err(format!("has `{letter}` where a letter is expected")),
            }
        }
    }
    Ok(labels)
}

/// A tensor with named axes.
#[derive(Clone)]
struct Term<'t, T: TensorLike> {
    x: Var<'t, T>,
    labels: Vec<Label>,
}

impl<T: TensorLike> Term<'_, T> {
    /// The sizes of the axes with these labels.
    fn sizes(&self, labels: &[Label]) -> Vec<usize> {
        let shape = self.x.shape().unwrap_or_default();
        let size = |label| shape[self.place(label)];
        if shape.rank() == self.labels.len() { labels.iter().map(size).collect() } else { vec![] }
    }

    fn place(&self, label: &Label) -> usize {
        self.labels.iter().position(|other| other == label).unwrap_or(0)
    }

    /// With axes in this order, which has each label once.
    #[track_caller]
    fn ordered(self, labels: Vec<Label>) -> Self {
        if labels == self.labels {
            return self;
        }
        let order: Vec<isize> = labels.iter().map(|label| self.place(label) as isize).collect();
        Term { x: self.x.permute(&order[..]), labels }
    }

    /// With each label once: the diagonal over axes that share one.
    #[track_caller]
    fn diagonal(mut self) -> Self {
        let repeated = |labels: &[Label]| {
            let second =
                (1..labels.len()).find(|&place| labels[..place].contains(&labels[place]))?;
            Some((labels.iter().position(|label| *label == labels[second])?, second))
        };
        while let Some((first, second)) = repeated(&self.labels) {
            let Ok(shape) = self.x.shape() else { return self };
            let mut order: Vec<isize> = (0..shape.rank() as isize).collect();
            let label = self.labels.remove(second);
            self.labels.remove(first);
            order.remove(second);
            order.remove(first);
            order.extend([first as isize, second as isize]);
            self.x = self.x.permute(&order[..]).diagonal();
            self.labels.push(label);
        }
        self
    }

    /// Without the axes of size 1 that stand for larger ones.
    #[track_caller]
    fn unstretched(mut self, sizes: &BTreeMap<Label, usize>) -> Self {
        let own = self.sizes(&self.labels);
        let is_whole = |label: &Label, size: usize| sizes.get(label) == Some(&size);
        let kept = self.labels.iter().zip(own).filter(|&(label, size)| is_whole(label, size));
        let (labels, sizes): (Vec<Label>, Vec<usize>) = kept.unzip();
        self.x = self.x.reshaped(sizes.into());
        self.labels = labels;
        self
    }

    /// Summed over the axes whose labels are not needed.
    #[track_caller]
    fn summed(mut self, is_needed: impl Fn(&Label) -> bool) -> Self {
        let dropped = |place: &usize| !is_needed(&self.labels[*place]);
        let axes: Vec<isize> =
            (0..self.labels.len()).filter(dropped).map(|axis| axis as isize).collect();
        if !axes.is_empty() {
            self.x = self.x.sum_axes(&axes[..]);
            self.labels.retain(|label| is_needed(label));
        }
        self
    }

    /// The product of two, summed over the common axes that are not needed.
    #[track_caller]
    fn times(self, other: Self, is_needed: impl Fn(&Label) -> bool) -> Self {
        let left = self.summed(|label| is_needed(label) || other.labels.contains(label));
        let right = other.summed(|label| is_needed(label) || left.labels.contains(label));
        let split = |labels: &[Label], f: &dyn Fn(&Label) -> bool| -> Vec<Label> {
            labels.iter().copied().filter(|label| f(label)).collect()
        };
        let is_common = |label: &Label| right.labels.contains(label);
        let batch = split(&left.labels, &|label| is_common(label) && is_needed(label));
        let inner = split(&left.labels, &|label| is_common(label) && !is_needed(label));
        let rows = split(&left.labels, &|label| !is_common(label));
        let columns = split(&right.labels, &|label| !left.labels.contains(label));
        let (n_batch, n_rows) = (left.sizes(&batch), left.sizes(&rows));
        let (n_inner, n_columns) = (left.sizes(&inner), right.sizes(&columns));

        let left = left.ordered([&batch[..], &rows, &inner].concat()).x;
        let labels = [&batch[..], &rows, &columns].concat();
        let shape: Shape = [&n_batch[..], &n_rows, &n_columns].concat().into();
        if inner.is_empty() {
            let right = right.ordered([&batch[..], &columns].concat()).x;
            let ones = |sizes: &[usize]| vec![1; sizes.len()];
            // Leading ones broadcast by themselves.
            let left = match rows.is_empty() {
                true if batch.is_empty() => left,
                _ => left.reshaped([&n_batch[..], &n_rows, &ones(&n_columns)].concat().into()),
            };
            let right = match batch.is_empty() {
                true => right,
                false => right.reshaped([&n_batch[..], &ones(&n_rows), &n_columns].concat().into()),
            };
            return Term { x: left * right, labels };
        }
        let right = right.ordered([&batch[..], &inner, &columns].concat()).x;
        let product = |sizes: &[usize]| sizes.iter().product::<usize>();
        let (b, m) = (product(&n_batch), product(&n_rows));
        let (k, n) = (product(&n_inner), product(&n_columns));
        let (left, right) = match batch.is_empty() {
            true => (left.reshaped([m, k].into()), right.reshaped([k, n].into())),
            false => (left.reshaped([b, m, k].into()), right.reshaped([b, k, n].into())),
        };
        Term { x: left.matmul(right).reshaped(shape), labels }
    }
}

impl<T: TensorLike> Var<'_, T> {
    /// Reshaped, unless that is the tensor's own shape.
    #[track_caller]
    fn reshaped(self, shape: Shape) -> Self {
        match self.shape() {
            Ok(own) if own != shape => self.reshape(shape),
            _ => self,
        }
    }
}

impl<T: TensorLike> Tape<T> {
    /// Einstein's summation convention: products of elements of the operands, whose axes are named
    /// by letters, summed over the letters that the output does not have.
    ///
    /// `"ij,jk->ik"` is the matrix product, `"ii->i"` a diagonal, `"ij->"` a sum. Without `->` the
    /// output has the letters that occur once, in alphabetical order. `...` stands for any number
    /// of axes, which broadcast; an axis of size 1 broadcasts against other operands, too. Spaces do
    /// not count.
    ///
    /// Shapes: `"bhqd,bhkd->bhqk"` of `[b, h, q, d]`, `[b, h, k, d]` → `[b, h, q, k]`.
    ///
    /// ```math
    /// y_k = Σ_ij a_ik b_ij …,   ā = einsum of ȳ and the other operands, with a's letters as output
    /// ```
    ///
    /// A composition of permutations, reshapes, matrix products, sums and products, which takes the
    /// operands in from left to right; so its derivatives are theirs.
    ///
    /// # Errors
    /// [`Parameter`](ErrorKind::Parameter), with the equation, if it does not fit the operands.
    ///
    /// Non-smooth points: none.
    #[track_caller]
    pub fn einsum<'t>(&'t self, equation: &str, operands: &[Var<'t, T>]) -> Var<'t, T> {
        let mut shapes = Vec::with_capacity(operands.len());
        for x in operands {
            match x.shape() {
                Ok(_) if !std::ptr::eq(self, x.tape()) => {
                    return self.fail("einsum", ErrorKind::ForeignHandle);
                }
                Ok(shape) => shapes.push(shape),
                Err(_) => return *x,
            }
        }
        let parsed = Equation::parse(equation, &shapes);
        let parsed = parsed.and_then(|parsed| Ok((parsed.sizes(&shapes)?, parsed)));
        let (sizes, Equation { inputs, output }) = match parsed {
            Ok(parsed) => parsed,
            Err(message) => {
                let message = format!("equation \"{equation}\" {message}");
                return self.fail("einsum", ErrorKind::Parameter { message });
            }
        };
        let mut result: Option<Term<'t, T>> = None;
        for (place, (&x, labels)) in operands.iter().zip(&inputs).enumerate() {
            let next = Term { x, labels: labels.clone() }.diagonal().unstretched(&sizes);
            let later = &inputs[place + 1..];
            let is_needed = |label: &Label| {
                output.contains(label) || later.iter().any(|labels| labels.contains(label))
            };
            result = Some(match result {
                None => next.summed(is_needed),
                Some(term) => term.times(next, is_needed),
            });
        }
        match result {
            Some(term) => term.ordered(output).x,
            None => self.fail("einsum", ErrorKind::Arity { expected: 1, got: 0 }),
        }
    }
}
