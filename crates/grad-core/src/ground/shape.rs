//! Shapes, axes and slices: plain data, checked for overflow, shared by the engine and the backends.

use std::fmt;
use std::ops::Deref;

use smallvec::SmallVec;

use crate::ground::ErrorKind;

/// More elements than this no tensor may have: sixteen bytes each would not fit the address space.
const MAX_ELEMENTS: usize = isize::MAX as usize / 16;

/// The sizes of a tensor's axes, outermost first; `[]` is a scalar (0-d).
///
/// Up to four axes are stored in place, so making one allocates nothing.
///
/// ```
/// use grad_core::Shape;
///
/// let shape = Shape::from([2, 3]);
/// assert_eq!(shape.rank(), 2);
/// assert_eq!(shape.n_elements(), Some(6));
/// assert_eq!(shape.to_string(), "[2, 3]");
/// ```
#[derive(Clone)]
pub struct Shape(Sizes);

// Not a `SmallVec`: cloning one goes element by element, and shapes are cloned on the hot path.
#[derive(Clone)]
enum Sizes {
    /// The rank, and the sizes of that many axes.
    Inline(u8, [usize; IN_PLACE]),
    Heap(Box<[usize]>),
}

const IN_PLACE: usize = 4;

impl Shape {
    /// No tensor on a tape has more axes than this, as in NumPy.
    pub const MAX_RANK: usize = 64;

    /// The shape of a scalar, `[]`.
    #[inline]
    pub const fn scalar() -> Self {
        Shape(Sizes::Inline(0, [0; IN_PLACE]))
    }

    /// The number of axes.
    #[inline]
    pub fn rank(&self) -> usize {
        self.len()
    }

    /// The number of elements, or `None` where no tensor can be that large.
    ///
    /// An axis of size zero makes the product zero, but the other axes must still fit, as in NumPy.
    #[inline]
    pub fn n_elements(&self) -> Option<usize> {
        n_elements(self)
    }

    /// The shape that `self` and `other` broadcast to by NumPy's rule, or `None`.
    ///
    /// Axes are aligned at the last one; a missing axis or one of size 1 stretches.
    ///
    /// ```
    /// use grad_core::Shape;
    ///
    /// let (a, b) = (Shape::from([4, 1]), Shape::from([3]));
    /// assert_eq!(a.broadcast(&b), Some(Shape::from([4, 3])));
    /// assert_eq!(Shape::from([2]).broadcast(&[3]), None);
    /// ```
    #[inline]
    pub fn broadcast(&self, other: &[usize]) -> Option<Shape> {
        if **self == *other {
            return Some(self.clone());
        }
        let rank = self.rank().max(other.len());
        let size = |shape: &[usize], axis: usize| {
            (axis + shape.len()).checked_sub(rank).map_or(1, |axis| shape[axis])
        };
        (0..rank)
            .map(|axis| match (size(self, axis), size(other, axis)) {
                (a, b) if a == b => Some(a),
                (1, b) => Some(b),
                (a, 1) => Some(a),
                _ => None,
            })
            .collect()
    }

    /// True if a tensor of this shape broadcasts to `target`.
    pub fn expands_to(&self, target: &[usize]) -> bool {
        self.broadcast(target).is_some_and(|shape| *shape == *target)
    }

    /// This shape without `axes`, which are sorted and in range.
    pub fn without(&self, axes: &[usize]) -> Shape {
        self.iter().enumerate().filter(|(axis, _)| !axes.contains(axis)).map(|(_, &n)| n).collect()
    }

    /// This shape with the sizes of `axes` set to 1.
    pub fn keeping(&self, axes: &[usize]) -> Shape {
        self.iter().enumerate().map(|(axis, &n)| if axes.contains(&axis) { 1 } else { n }).collect()
    }

    /// The steps, in elements, between neighbors along each axis of a row-major array.
    pub fn row_major_strides(&self) -> Vec<usize> {
        let mut strides = vec![1usize; self.rank()];
        for axis in (1..self.rank()).rev() {
            strides[axis - 1] = strides[axis].saturating_mul(self[axis]);
        }
        strides
    }

    /// Self, unless it has more axes or elements than a tensor can.
    pub(crate) fn checked(self) -> Result<Shape, ErrorKind> {
        if self.rank() > Shape::MAX_RANK {
            return Err(ErrorKind::TooManyAxes { rank: self.rank() });
        }
        match self.n_elements() {
            Some(_) => Ok(self),
            None => Err(ErrorKind::TooLarge { shape: self }),
        }
    }
}

/// The number of elements of `shape`, or `None` where no tensor can be that large.
#[inline]
pub fn n_elements(shape: &[usize]) -> Option<usize> {
    let mut non_zero = 1usize;
    let mut any_zero = false;
    for &n in shape {
        any_zero |= n == 0;
        non_zero = non_zero.checked_mul(n.max(1)).filter(|&n| n <= MAX_ELEMENTS)?;
    }
    Some(if any_zero { 0 } else { non_zero })
}

impl Deref for Shape {
    type Target = [usize];

    #[inline]
    fn deref(&self) -> &[usize] {
        match &self.0 {
            Sizes::Inline(rank, sizes) => &sizes[..usize::from(*rank)],
            Sizes::Heap(sizes) => sizes,
        }
    }
}

impl From<&[usize]> for Shape {
    #[inline]
    fn from(sizes: &[usize]) -> Self {
        if sizes.len() > IN_PLACE {
            return Shape(Sizes::Heap(sizes.into()));
        }
        let mut inline = [0; IN_PLACE];
        inline[..sizes.len()].copy_from_slice(sizes);
        Shape(Sizes::Inline(sizes.len() as u8, inline))
    }
}

impl PartialEq for Shape {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Shape {}

impl std::hash::Hash for Shape {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl Default for Shape {
    fn default() -> Self {
        Shape::scalar()
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(sizes: [usize; N]) -> Self {
        Shape::from(&sizes[..])
    }
}

impl<const N: usize> From<&[usize; N]> for Shape {
    fn from(sizes: &[usize; N]) -> Self {
        Shape::from(&sizes[..])
    }
}

impl From<Vec<usize>> for Shape {
    fn from(sizes: Vec<usize>) -> Self {
        Shape::from(&sizes[..])
    }
}

impl From<&Shape> for Shape {
    fn from(shape: &Shape) -> Self {
        shape.clone()
    }
}

impl From<usize> for Shape {
    fn from(size: usize) -> Self {
        Shape::from([size])
    }
}

impl FromIterator<usize> for Shape {
    fn from_iter<I: IntoIterator<Item = usize>>(sizes: I) -> Self {
        Shape::from(&sizes.into_iter().collect::<SmallVec<[usize; 8]>>()[..])
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &self[..])
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Axes as a caller names them: negative ones count from the end.
///
/// Made from one `isize`, an array or a slice of them: `x.sum_axes(0)`, `x.sum_axes([0, -1])`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Axes(SmallVec<[isize; 4]>);

impl Axes {
    /// The axes of a tensor of the given rank that these name, in the order given.
    ///
    /// # Errors
    /// [`ErrorKind::AxisOutOfRange`]; [`ErrorKind::RepeatedAxis`] if two name the same one.
    pub fn resolve(&self, rank: usize) -> Result<SmallVec<[usize; 4]>, ErrorKind> {
        let mut axes = SmallVec::with_capacity(self.0.len());
        for &axis in &self.0 {
            let from_end = if axis < 0 { rank as isize } else { 0 };
            let resolved = axis.checked_add(from_end).and_then(|axis| usize::try_from(axis).ok());
            match resolved.filter(|&axis| axis < rank) {
                None => return Err(ErrorKind::AxisOutOfRange { axis, rank }),
                Some(resolved) if axes.contains(&resolved) => {
                    return Err(ErrorKind::RepeatedAxis { axis });
                }
                Some(resolved) => axes.push(resolved),
            }
        }
        Ok(axes)
    }

    /// As [`Axes::resolve`], in ascending order.
    pub(crate) fn resolve_sorted(&self, rank: usize) -> Result<SmallVec<[usize; 4]>, ErrorKind> {
        let mut axes = self.resolve(rank)?;
        axes.sort_unstable();
        Ok(axes)
    }
}

impl Deref for Axes {
    type Target = [isize];

    fn deref(&self) -> &[isize] {
        &self.0
    }
}

impl From<isize> for Axes {
    fn from(axis: isize) -> Self {
        Axes(SmallVec::from_slice(&[axis]))
    }
}

impl From<&[isize]> for Axes {
    fn from(axes: &[isize]) -> Self {
        Axes(SmallVec::from_slice(axes))
    }
}

impl From<Vec<isize>> for Axes {
    fn from(axes: Vec<isize>) -> Self {
        Axes(SmallVec::from_vec(axes))
    }
}

impl<const N: usize> From<[isize; N]> for Axes {
    fn from(axes: [isize; N]) -> Self {
        Axes::from(&axes[..])
    }
}

impl<const N: usize> From<&[isize; N]> for Axes {
    fn from(axes: &[isize; N]) -> Self {
        Axes::from(&axes[..])
    }
}

/// The axis of a tensor of the given rank that `axis` names; negative ones count from the end.
pub(crate) fn resolve_axis(axis: isize, rank: usize) -> Result<usize, ErrorKind> {
    Axes::from(axis).resolve(rank).map(|axes| axes[0])
}

/// `shape` with another size along one axis.
pub(crate) fn resized(shape: &[usize], axis: usize, size: usize) -> Shape {
    shape.iter().enumerate().map(|(i, &n)| if i == axis { size } else { n }).collect()
}

/// Every `step`-th index of one axis from `start` up to, not including, `stop`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slice {
    /// The first index.
    pub start: usize,
    /// One past the last index; at most the size of the axis.
    pub stop: usize,
    /// The distance between indices, at least 1.
    pub step: usize,
}

impl Slice {
    /// All of an axis of size `n`.
    pub fn all(n: usize) -> Self {
        Slice { start: 0, stop: n, step: 1 }
    }

    /// How many indices there are.
    pub fn size(&self) -> usize {
        self.stop.saturating_sub(self.start).div_ceil(self.step.max(1))
    }

    /// The shape of `slices` of a tensor of `shape`, one slice an axis.
    ///
    /// # Errors
    /// [`ErrorKind::BadSlice`] where a step is zero, a slice leaves its axis, or their number is
    /// not the rank.
    pub fn shape_of(slices: &[Slice], shape: &Shape) -> Result<Shape, ErrorKind> {
        let fits = |(slice, &n): (&Slice, &usize)| {
            slice.step > 0 && slice.start <= slice.stop && slice.stop <= n
        };
        if slices.len() != shape.rank() || !slices.iter().zip(shape.iter()).all(fits) {
            return Err(ErrorKind::BadSlice { slices: slices.to_vec(), shape: shape.clone() });
        }
        Ok(slices.iter().map(Slice::size).collect())
    }
}

impl fmt::Display for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.start, self.stop)?;
        if self.step != 1 {
            write!(f, " by {}", self.step)?;
        }
        Ok(())
    }
}

/// Whole numbers that pick elements: data of the host, with a shape, and never differentiated.
///
/// Made from a list, for one axis, or from a shape and row-major data.
///
/// ```
/// use grad_core::Index;
///
/// assert_eq!(&**Index::from([2, 0]).shape(), [2]);
/// assert!(Index::new([2, 2], vec![0, 1, 1]).is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    shape: Shape,
    data: std::sync::Arc<[usize]>,
}

impl Index {
    /// Indices of a shape, in row-major order.
    ///
    /// # Errors
    /// [`ErrorKind::ShapeMismatch`] if there are not as many as the shape has elements.
    pub fn new(shape: impl Into<Shape>, data: impl Into<Vec<usize>>) -> Result<Self, ErrorKind> {
        let (shape, data) = (shape.into(), data.into());
        match shape.n_elements() == Some(data.len()) {
            true => Ok(Index { shape, data: data.into() }),
            false => {
                let rule = "have different numbers of elements";
                Err(ErrorKind::ShapeMismatch { left: shape, right: data.len().into(), rule })
            }
        }
    }

    /// The shape.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The indices in row-major order.
    pub fn data(&self) -> &[usize] {
        &self.data
    }
}

impl From<&[usize]> for Index {
    fn from(list: &[usize]) -> Self {
        Index { shape: list.len().into(), data: list.into() }
    }
}

impl From<Vec<usize>> for Index {
    fn from(list: Vec<usize>) -> Self {
        Index::from(&list[..])
    }
}

impl<const N: usize> From<[usize; N]> for Index {
    fn from(list: [usize; N]) -> Self {
        Index::from(&list[..])
    }
}

impl<const N: usize> From<&[usize; N]> for Index {
    fn from(list: &[usize; N]) -> Self {
        Index::from(&list[..])
    }
}

/// Windows that slide along an axis, as convolutions and pooling use them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// The number of elements in a window.
    pub size: usize,
    /// The distance from one window to the next, at least 1.
    pub step: usize,
    /// The distance between elements of a window, at least 1.
    pub dilation: usize,
}

impl Window {
    /// The number of windows that fit on an axis of size `n`; those that do not fit are dropped.
    ///
    /// `None` if size, step or dilation is zero, or a window is longer than any axis can be.
    pub fn count(&self, n: usize) -> Option<usize> {
        let reach = self.size.checked_sub(1)?.checked_mul(self.dilation)?.checked_add(1)?;
        let more = n.checked_sub(reach).map(|rest| rest.checked_div(self.step));
        match (self.dilation, self.step) {
            (0, _) | (_, 0) => None,
            _ => Some(more.flatten().map_or(0, |more| more + 1)),
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "size {}, step {}, dilation {}", self.size, self.step, self.dilation)
    }
}

/// The shape rule of elementwise operations: what all arguments broadcast to, at least one.
#[inline]
pub fn broadcast(x: &[Shape]) -> Result<Shape, ErrorKind> {
    let Some((first, others)) = x.split_first() else {
        return Err(ErrorKind::Arity { expected: 1, got: 0 });
    };
    others.iter().try_fold(first.clone(), |left, right| match left.broadcast(right) {
        Some(shape) => Ok(shape),
        None => {
            let right = right.clone();
            Err(ErrorKind::ShapeMismatch { left, right, rule: "do not broadcast" })
        }
    })
}

/// Writes a list as `[a, b]`, with `Display` of its items.
pub(crate) fn list<I: IntoIterator<Item: fmt::Display>>(items: I) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    format!("[{}]", items.join(", "))
}
