//! Order: sorting, the largest, the median. The order is found on the host, from the values; the
//! elements are then picked by index, which is linear.

use std::cmp::Ordering;

use crate::ground::{
    Axes, Error, ErrorKind, Index, Shape, TensorLike, backend, n_elements, resized,
};
use crate::tape::Var;

impl<'t, T: TensorLike> Var<'t, T> {
    /// The elements along `axis` in ascending order.
    ///
    /// The sort is stable: equal elements keep their order. NaN comes last.
    ///
    /// Shapes: unchanged.
    ///
    /// ```math
    /// y = x[i],   x̄[i] = ȳ,   ẏ = ẋ[i],   i = argsort(x)
    /// ```
    ///
    /// # Errors
    /// [`AxisOutOfRange`](ErrorKind::AxisOutOfRange); a scalar has no axis.
    ///
    /// Among equal elements each has the derivative of the place it gets.
    ///
    /// NaN: it comes last, several in the order they have, and has derivative NaN.
    #[track_caller]
    pub fn sort(self, axis: isize) -> Self {
        match self.lanes("sort", axis) {
            Ok(lanes) => self.pick_in_order(&lanes, &lanes.ascending(), lanes.shape.clone()),
            Err(void) => void,
        }
    }

    /// The `k` largest elements along the last axis, in descending order.
    ///
    /// Of equal elements the first come first. NaN counts as larger than everything.
    ///
    /// Shapes: `[.., n]` → `[.., k]`.
    ///
    /// ```math
    /// y = x[i],   x̄[i] = ȳ,   ẏ = ẋ[i]
    /// ```
    ///
    /// # Errors
    /// [`Parameter`](ErrorKind::Parameter) if k is larger than the axis;
    /// [`AxisOutOfRange`](ErrorKind::AxisOutOfRange) for a scalar.
    ///
    /// Among equal elements each has the derivative of the place it gets.
    ///
    /// NaN: it comes first, several in the order they have, and has derivative NaN if it is among
    /// the k.
    #[track_caller]
    pub fn topk(self, k: usize) -> Self {
        let lanes = match self.lanes("topk", -1) {
            Ok(lanes) => lanes,
            Err(void) => return void,
        };
        let n = lanes.shape[lanes.axis];
        if k > n {
            let message = format!("cannot take the {k} largest of {n} elements");
            return self.void("topk", ErrorKind::Parameter { message });
        }
        let mut places = Vec::with_capacity(lanes.places.len() * k);
        for lane in &lanes.places {
            places.extend(&lanes.sorted(lane, descending)[..k]);
        }
        self.pick_in_order(&lanes, &places, resized(&lanes.shape, lanes.axis, k))
    }

    /// The middle element of all in ascending order; of an even number, the lower of the two in the
    /// middle, as in PyTorch. NaN if there is one.
    ///
    /// Shapes: any → `[]`.
    ///
    /// ```math
    /// x̄ = ȳ [x = y] / n,   ẏ = Σ ẋ [x = y] / n,   n = Σ [x = y]
    /// ```
    ///
    /// # Errors
    /// [`EmptyReduction`](ErrorKind::EmptyReduction) over no elements.
    ///
    /// The n elements that are tied share the cotangent equally, as for [`Var::max`].
    ///
    /// NaN: an element that is NaN has derivative NaN, and the others have 0.
    #[track_caller]
    pub fn median(self) -> Self {
        let Ok(shape) = self.shape() else { return self };
        let (Some(n), Ok(value)) = (shape.n_elements(), self.value()) else { return self };
        let mut data = match value.to_host() {
            Ok(data) => data,
            Err(error) => return self.void("median", backend(error)),
        };
        if n == 0 {
            return self.void("median", ErrorKind::EmptyReduction { shape });
        }
        data.sort_by(|&a, &b| ascending(a, b));
        let median = data[(n - 1) / 2];
        if data[n - 1].is_nan() {
            // As for max.
            return self.max();
        }
        let tied = data.iter().filter(|&&x| x == median).count();
        self.eq(median).where_(self, 0.0).sum() / tied as f64
    }

    /// The places along `axis` that [`Var::sort`] takes its elements from. Data of the host.
    ///
    /// # Errors
    /// [`AxisOutOfRange`](ErrorKind::AxisOutOfRange); [`Backend`](ErrorKind::Backend) if the device
    /// cannot be read.
    #[track_caller]
    pub fn argsort(self, axis: isize) -> Result<Index, Error> {
        match self.lanes("argsort", axis) {
            Ok(lanes) => {
                let order = lanes.ascending().iter().map(|&place| lanes.along(place)).collect();
                self.index("argsort", lanes.shape, order)
            }
            Err(void) => Err(void.tape().error(void.id())),
        }
    }

    /// The place along `axis` of the largest element, of the first if there are several, or of the
    /// first NaN. Data of the host, without the axis.
    ///
    /// # Errors
    /// [`AxisOutOfRange`](ErrorKind::AxisOutOfRange);
    /// [`EmptyReduction`](ErrorKind::EmptyReduction) over no elements;
    /// [`Backend`](ErrorKind::Backend) if the device cannot be read.
    #[track_caller]
    pub fn argmax(self, axis: isize) -> Result<Index, Error> {
        self.arg_first("argmax", axis, |x, y| x > y || (x.is_nan() && !y.is_nan()))
    }

    /// The place along `axis` of the smallest element; otherwise as [`Var::argmax`].
    ///
    /// # Errors
    /// As [`Var::argmax`].
    #[track_caller]
    pub fn argmin(self, axis: isize) -> Result<Index, Error> {
        self.arg_first("argmin", axis, |x, y| x < y || (x.is_nan() && !y.is_nan()))
    }

    /// The place along `axis` of the first element that none of its lane is `before`.
    #[track_caller]
    fn arg_first(
        self,
        op: &'static str,
        axis: isize,
        before: impl Fn(f64, f64) -> bool,
    ) -> Result<Index, Error> {
        let (shape, axis, data) = match self.on_host(op, axis) {
            Ok(host) => host,
            Err(void) => return Err(void.tape().error(void.id())),
        };
        let n = shape[axis];
        if n == 0 {
            let void = self.void(op, ErrorKind::EmptyReduction { shape });
            return Err(void.tape().error(void.id()));
        }
        let mut first = vec![0; data.len() / n];
        // So many lanes lie beside each other; of no elements there are none.
        let width = if data.is_empty() { 1 } else { shape[axis + 1..].iter().product() };
        let mut best = vec![0.0; width];
        for (block, first) in data.chunks_exact(n * width).zip(first.chunks_exact_mut(width)) {
            best.copy_from_slice(&block[..width]);
            for (i, row) in block.chunks_exact(width).enumerate() {
                for ((&x, best), first) in row.iter().zip(&mut best).zip(&mut *first) {
                    // Selected, not branched, so that lanes are compared several at once.
                    let is_before = before(x, *best);
                    *best = if is_before { x } else { *best };
                    *first = if is_before { i } else { *first };
                }
            }
        }
        self.index(op, shape.without(&[axis]), first)
    }

    #[track_caller]
    fn index(self, op: &'static str, shape: Shape, data: Vec<usize>) -> Result<Index, Error> {
        match Index::new(shape, data) {
            Ok(index) => Ok(index),
            Err(kind) => {
                let void = self.void(op, kind);
                Err(void.tape().error(void.id()))
            }
        }
    }

    /// The elements at `places` of the row-major order, in a shape.
    #[track_caller]
    pub(super) fn pick(self, places: &[usize], shape: Shape) -> Self {
        let Ok(own) = self.shape() else { return self };
        self.reshape(own.iter().product::<usize>()).index_select(0, places).reshape(shape)
    }

    /// [`Var::pick`] of elements whose order was found from their values. NaN among them gets
    /// derivative NaN, since no order puts it anywhere.
    #[track_caller]
    fn pick_in_order(self, lanes: &Lanes, places: &[usize], shape: Shape) -> Self {
        let picked = self.pick(places, shape);
        match places.iter().any(|&place| lanes.data[place].is_nan()) {
            // The maximum over no axes is the tensor itself, with the derivative of a maximum.
            true => picked.max_axes([]),
            false => picked,
        }
    }

    /// The values along an axis; the void handle where there are none.
    #[track_caller]
    fn lanes(self, op: &'static str, axis: isize) -> Result<Lanes, Self> {
        let (shape, axis, data) = self.on_host(op, axis)?;
        Ok(Lanes::new(shape, axis, data))
    }

    /// The shape, the axis and the elements; a void handle where they are wrong or missing.
    #[track_caller]
    fn on_host(self, op: &'static str, axis: isize) -> Result<(Shape, usize, Vec<f64>), Self> {
        let Ok(value) = self.value() else { return Err(self) };
        let shape = Shape::from(value.shape());
        match (Axes::from(axis).resolve(shape.rank()), value.to_host()) {
            (Ok(axes), Ok(data)) => Ok((shape, axes[0], data)),
            (Err(kind), _) => Err(self.void(op, kind)),
            (_, Err(error)) => Err(self.void(op, backend(error))),
        }
    }
}

/// The values of a tensor, lane by lane along one axis.
struct Lanes {
    shape: Shape,
    axis: usize,
    data: Vec<f64>,
    /// For each lane, in row-major order of the other axes, the places of its elements in `data`.
    places: Vec<Vec<usize>>,
}

impl Lanes {
    fn new(shape: Shape, axis: usize, data: Vec<f64>) -> Lanes {
        let inner = n_elements(&shape[axis + 1..]).unwrap_or(0);
        let outer = n_elements(&shape[..axis]).unwrap_or(0);
        let lane = |block, start| {
            (0..shape[axis]).map(|i| (block * shape[axis] + i) * inner + start).collect()
        };
        // Lanes of nothing may be more than memory can hold.
        let n_lanes = if data.is_empty() { 0 } else { outer * inner };
        let places = (0..n_lanes).map(|at| lane(at / inner, at % inner)).collect();
        Lanes { shape, axis, data, places }
    }

    /// The places of a lane, by their values; equal ones in the order they have.
    fn sorted(&self, lane: &[usize], order: Order) -> Vec<usize> {
        let mut places = lane.to_vec();
        places.sort_by(|&a, &b| order(self.data[a], self.data[b]));
        places
    }

    /// For each place, the place to take its element from so that all lanes ascend.
    fn ascending(&self) -> Vec<usize> {
        let mut order = vec![0; self.data.len()];
        for lane in &self.places {
            for (&place, source) in lane.iter().zip(self.sorted(lane, ascending)) {
                order[place] = source;
            }
        }
        order
    }

    /// The index along the axis of the element at a place.
    fn along(&self, place: usize) -> usize {
        place / self.shape[self.axis + 1..].iter().product::<usize>() % self.shape[self.axis]
    }
}

type Order = fn(f64, f64) -> Ordering;

/// NaN last.
fn ascending(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// NaN first.
fn descending(a: f64, b: f64) -> Ordering {
    ascending(b, a)
}
