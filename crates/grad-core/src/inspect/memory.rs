//! What a tape holds in memory, and which lines made it so.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::panic::Location;

use crate::ground::{Shape, Storage, TensorLike};
use crate::tape::{NodeId, Tape};

/// What a tape holds; its `Display` lists the ten largest buffers with their lines.
///
/// ```
/// let tape = grad_core::Tape::<f64>::new();
/// let x = tape.var(3.0);
/// let y = (x * x).sin();
/// let memory = tape.memory();
/// // A number needs no buffer: it is in its node.
/// assert_eq!((memory.n_nodes, memory.tensors), (3, 0));
/// assert!(memory.tape >= 3 * size_of::<f64>());
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Memory {
    /// The number of nodes.
    pub n_nodes: usize,
    /// The bytes of all buffers together.
    pub tensors: usize,
    /// The bytes that the tape itself takes: the nodes, with what a tensor has besides its elements,
    /// the lists beside them, and what one sweep leaves to the next.
    pub tape: usize,
    /// The memory of the tensors, piece by piece, the largest first.
    pub buffers: Vec<Buffer>,
}

/// A piece of memory in which elements of tensors lie.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Buffer {
    /// Its size.
    pub bytes: usize,
    /// The node that made it: of those that reach most of it, the oldest.
    pub node: NodeId,
    /// The operation that made it, or the kind of leaf.
    pub op: &'static str,
    /// The shape of the tensor for which it was made.
    pub shape: Shape,
    /// The name of the node, if it has one.
    pub name: Option<String>,
    /// The line of the user's program.
    pub location: &'static Location<'static>,
    /// True if a recorded sweep made it: then the line is that of what was differentiated.
    pub in_sweep: bool,
    /// The number of nodes whose tensors lie in it.
    pub n_nodes: usize,
}

impl<T: TensorLike> Tape<T> {
    /// What the tape holds in memory.
    ///
    /// Tensors that share memory, as views, broadcasts and clones do, are counted once, if the
    /// backend says where its elements lie ([`TensorLike::storage`]). Not counted are the parameters
    /// that an operation keeps elsewhere, such as a long list of indices, and the temporary memory of
    /// kernels. Takes time in proportion to the tape, but for sorting.
    pub fn memory(&self) -> Memory {
        let found = pieces((0..self.len()).map(|index| self.value(NodeId(index as u32)).storage()));
        let names = self.names();
        let in_sweep = covered(self.len(), self.sweeps().iter().map(|sweep| &sweep.nodes));
        let buffer = |piece: &Piece| {
            let (op, location) = self.made_by(piece.node);
            Buffer {
                bytes: piece.bytes.len(),
                node: piece.node,
                op,
                shape: self.shape(piece.node),
                name: names.get(&piece.node).map(|name| name.to_string()),
                location,
                in_sweep: in_sweep[piece.node.index()],
                n_nodes: piece.n_nodes,
            }
        };
        let mut buffers: Vec<Buffer> = found.iter().map(buffer).collect();
        buffers.sort_by_key(|buffer| (std::cmp::Reverse(buffer.bytes), buffer.node));
        Memory {
            n_nodes: self.len(),
            tensors: buffers.iter().map(|buffer| buffer.bytes).sum(),
            tape: self.own_bytes(),
            buffers,
        }
    }
}

/// For each of the first `n` places, whether it is in one of the ranges.
fn covered<'a>(n: usize, ranges: impl Iterator<Item = &'a Range<usize>>) -> Vec<bool> {
    let mut changes = vec![0_isize; n + 1];
    for range in ranges {
        changes[range.start.min(n)] += 1;
        changes[range.end.min(n)] -= 1;
    }
    let depths = changes.iter().scan(0, |depth, change| {
        *depth += change;
        Some(*depth)
    });
    depths.map(|depth| depth > 0).collect()
}

/// Parts of memory that overlap, taken together.
struct Piece {
    bytes: Range<usize>,
    /// The node whose part is the largest, and the size of that part.
    node: NodeId,
    largest: usize,
    n_nodes: usize,
}

/// The pieces of memory of tensors in recording order.
fn pieces(storages: impl Iterator<Item = Storage>) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut shared = Vec::new();
    for (index, storage) in storages.enumerate() {
        let node = NodeId(index as u32);
        match storage {
            Storage::Own(n) if n > 0 => {
                pieces.push(Piece { bytes: 0..n, node, largest: n, n_nodes: 1 });
            }
            Storage::Part { memory, bytes } if !bytes.is_empty() => {
                shared.push((memory, bytes, node));
            }
            Storage::Inline | Storage::Own(_) | Storage::Part { .. } => {}
        }
    }
    shared.sort_unstable_by_key(|(memory, bytes, node)| (*memory, bytes.start, *node));
    let mut last_memory = None;
    for (memory, bytes, node) in shared {
        let size = bytes.len();
        match pieces.last_mut() {
            Some(piece) if last_memory == Some(memory) && bytes.start < piece.bytes.end => {
                piece.bytes.end = piece.bytes.end.max(bytes.end);
                piece.n_nodes += 1;
                if size > piece.largest || (size == piece.largest && node < piece.node) {
                    (piece.node, piece.largest) = (node, size);
                }
            }
            _ => pieces.push(Piece { bytes, node, largest: size, n_nodes: 1 }),
        }
        last_memory = Some(memory);
    }
    pieces
}

/// So many lines a report has.
const LINES: usize = 10;

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (tensors, tape, n_buffers) = (Size(self.tensors), Size(self.tape), self.buffers.len());
        writeln!(f, "{} nodes hold {tensors} in {n_buffers} buffers", self.n_nodes)?;
        writeln!(f, "the tape itself takes {tape}")?;
        let rows = self.rows();
        let (shown, others) = rows.split_at(rows.len().min(LINES));
        let cells: Vec<_> = shown.iter().map(Row::cells).collect();
        let width = |column: usize| {
            cells.iter().map(|cells| cells[column].chars().count()).max().unwrap_or(0)
        };
        let widths: [usize; 4] = std::array::from_fn(width);
        for (row, [size, op, shape, name]) in shown.iter().zip(&cells) {
            let [of_size, of_op, of_shape, of_name] = widths;
            write!(f, "  {size:>of_size$}  {op:of_op$}  {shape:of_shape$}  ")?;
            if of_name > 0 {
                write!(f, "{name:of_name$}  ")?;
            }
            let Buffer { location, in_sweep, n_nodes, .. } = row.buffer;
            write!(f, "at {location}{}", if *in_sweep { ", in a sweep" } else { "" })?;
            match n_nodes {
                1 => writeln!(f)?,
                n => writeln!(f, ", shared by {n} nodes")?,
            }
        }
        if !others.is_empty() {
            let n: usize = others.iter().map(|row| row.times).sum();
            let bytes = others.iter().map(|row| row.times * row.buffer.bytes).sum();
            writeln!(f, "  and {n} more, {}", Size(bytes))?;
        }
        Ok(())
    }
}

/// Buffers that differ in nothing that is shown, as those that a loop makes.
struct Row<'a> {
    times: usize,
    buffer: &'a Buffer,
}

impl Memory {
    fn rows(&self) -> Vec<Row<'_>> {
        let mut rows: Vec<Row<'_>> = Vec::new();
        let mut places = HashMap::new();
        for buffer in &self.buffers {
            let Buffer { bytes, node: _, op, shape, name, location, in_sweep, n_nodes } = buffer;
            let shown = (bytes, op, shape, name, location, in_sweep, n_nodes);
            let place = *places.entry(shown).or_insert(rows.len());
            match rows.get_mut(place) {
                Some(row) => row.times += 1,
                None => rows.push(Row { times: 1, buffer }),
            }
        }
        rows
    }
}

impl Row<'_> {
    /// The cells of a line before the place.
    fn cells(&self) -> [String; 4] {
        let Buffer { bytes, op, shape, name, .. } = self.buffer;
        let size = match self.times {
            1 => Size(*bytes).to_string(),
            times => format!("{times} × {}", Size(*bytes)),
        };
        let name = name.as_ref().map_or(String::new(), |name| format!("{name:?}"));
        [size, op.to_string(), shape.to_string(), name]
    }
}

/// A number of bytes in a unit that suits it.
struct Size(usize);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
        let Size(bytes) = *self;
        if bytes < 1024 {
            return write!(f, "{bytes} B");
        }
        let (mut size, mut unit) = (bytes as f64 / 1024.0, 0);
        // What would be written as 1024.0 is 1.0 of the next unit.
        while size >= 1023.95 && unit + 1 < UNITS.len() {
            (size, unit) = (size / 1024.0, unit + 1);
        }
        write!(f, "{size:.1} {}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(memory: usize, bytes: Range<usize>) -> Storage {
        Storage::Part { memory, bytes }
    }

    /// Size, node and number of nodes of each piece.
    fn found(storages: Vec<Storage>) -> Vec<(usize, usize, usize)> {
        let pieces = pieces(storages.into_iter());
        pieces.iter().map(|piece| (piece.bytes.len(), piece.node.index(), piece.n_nodes)).collect()
    }

    #[test]
    fn parts_that_overlap_are_one_piece() {
        // A whole, its two halves, and the whole once more.
        let halves = [part(0, 64..128), part(0, 64..96), part(0, 96..128), part(0, 64..128)];
        assert_eq!(found(halves.to_vec()), [(64, 0, 4)]);
        // A chain in which only neighbors overlap; the middle one is the largest.
        let chain = [part(0, 0..20), part(0, 10..50), part(0, 40..60)];
        assert_eq!(found(chain.to_vec()), [(60, 1, 3)]);
        // The halves alone.
        assert_eq!(found(halves[1..3].to_vec()), [(32, 0, 1), (32, 1, 1)]);
    }

    #[test]
    fn neighbors_and_other_memories_are_apart() {
        let parts = [part(0, 0..8), part(0, 8..16), part(1, 0..8), part(2, 4..8)];
        assert_eq!(found(parts.to_vec()), [(8, 0, 1), (8, 1, 1), (8, 2, 1), (4, 3, 1)]);
    }

    #[test]
    fn what_is_empty_or_inline_is_no_piece() {
        let storages = [Storage::Inline, Storage::Own(0), part(0, 8..8), Storage::Own(3)];
        assert_eq!(found(storages.to_vec()), [(3, 3, 1)]);
        // Buffers of one's own are never shared.
        assert_eq!(found(vec![Storage::Own(3), part(0, 0..2), Storage::Own(3)]).len(), 3);
    }

    #[test]
    fn sizes_have_the_unit_that_suits_them() {
        let text = |bytes| Size(bytes).to_string();
        assert_eq!(text(0), "0 B");
        assert_eq!(text(1023), "1023 B");
        assert_eq!(text(1024), "1.0 KiB");
        assert_eq!(text(1536), "1.5 KiB");
        assert_eq!(text((1 << 20) - 1), "1.0 MiB");
        assert_eq!(text(5 << 30), "5.0 GiB");
        assert_eq!(text(usize::MAX), "16384.0 PiB");
    }
}
