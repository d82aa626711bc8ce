//! What a tape recorded, as text, Graphviz DOT, Mermaid, and data: a pure function of the tape.
//!
//! Numbers are given when the trace is made: in recording order, each tracked node without a name
//! takes the next `v`, each untracked one the next `c`. A name takes no number, so naming a node
//! after it was made leaves no gap. Where a name stands twice, or looks like a number's, the text
//! adds a suffix.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::{self, Write as _};

use crate::ground::{Mode, TensorLike, format_tensor};
use crate::tape::{Node, NodeKind, Sweep, Tape};

/// What a tape recorded; its `Display` is the text.
///
/// ```
/// let tape = grad_core::Tape::<f64>::new();
/// let x = tape.named_var(3.0, "x");
/// let y = (x * x).named("y");
/// tape.gradients(y);
/// assert_eq!(tape.trace().to_string(), "\
/// x = 3.0000
/// y = x * x
/// dy ---------------
/// v1 = v0 * x
/// v2 = v0 * x
/// v3 = v1 + v2
/// dy_dy = v0
/// dy_dx = v3
/// ------------------
/// ");
/// # Ok::<(), grad_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Trace {
    /// The nodes in recording order.
    pub nodes: Vec<TraceNode>,
    /// The recorded sweeps.
    pub sweeps: Vec<TraceSweep>,
}

/// A node of a trace.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TraceNode {
    /// The name or number in the text; unique.
    pub label: String,
    /// The operation, or `var`, `constant` or `seed`.
    pub op: &'static str,
    /// True for what a recorded sweep started from; the text has no line for it.
    pub is_seed: bool,
    /// The right-hand side of the node's line: an expression, or the value of a leaf.
    pub expression: String,
    /// The places of the inputs among the nodes.
    pub inputs: Vec<usize>,
    /// The shape.
    pub shape: Vec<usize>,
    /// The value, abbreviated if long.
    pub value: String,
    /// True if sweeps go through the node.
    pub tracked: bool,
    /// The line of the user's program: `file:line:column`.
    pub location: String,
}

/// A recorded sweep of a trace.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TraceSweep {
    /// The headline: `dy` for a reverse sweep from `y`, `y_dot` for a forward sweep.
    pub label: String,
    /// The place of the differentiated node.
    pub y: usize,
    /// The place of the first node that the sweep recorded.
    pub start: usize,
    /// The place after the last node that the sweep recorded.
    pub end: usize,
    /// The derivatives that the sweep found.
    pub derivatives: Vec<TraceDerivative>,
}

/// A derivative that a sweep found.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TraceDerivative {
    /// The name in the text: `dy_dx`, or `x_dot`.
    pub label: String,
    /// The place of the node it belongs to.
    pub node: usize,
    /// The place of the node that is the derivative.
    pub derivative: usize,
}

impl<T: TensorLike> Tape<T> {
    /// What the tape recorded so far.
    pub fn trace(&self) -> Trace {
        let nodes: Vec<Node<'_, T>> = self.nodes().collect();
        let labels = labels(&nodes);
        let node = |(node, label): (&Node<'_, T>, &String)| {
            let value = node.var.value().map_or_else(|e| e.to_string(), |v| format_tensor(&v));
            let inputs: Vec<usize> = node.inputs.iter().map(|id| id.index()).collect();
            let names: Vec<&str> = inputs.iter().map(|&input| labels[input].as_str()).collect();
            TraceNode {
                label: label.clone(),
                op: node.op,
                is_seed: node.kind == NodeKind::Seed,
                expression: node.expression(&names).unwrap_or_else(|| value.clone()),
                inputs,
                shape: node.shape.to_vec(),
                value,
                tracked: node.tracked,
                location: node.location.to_string(),
            }
        };
        let sweeps = self.sweeps().iter().map(|sweep| trace_sweep(sweep, &labels)).collect();
        Trace { nodes: nodes.iter().zip(&labels).map(node).collect(), sweeps }
    }
}

fn trace_sweep(sweep: &Sweep, labels: &[String]) -> TraceSweep {
    let y = &labels[sweep.y.index()];
    let derivative = |&(node, derivative): &(crate::NodeId, crate::NodeId)| {
        let x = &labels[node.index()];
        let label = match sweep.mode {
            Mode::Reverse => format!("d{y}_d{x}"),
            Mode::Forward => format!("{x}_dot"),
        };
        TraceDerivative { label, node: node.index(), derivative: derivative.index() }
    };
    TraceSweep {
        label: match sweep.mode {
            Mode::Reverse => format!("d{y}"),
            Mode::Forward => format!("{y}_dot"),
        },
        y: sweep.y.index(),
        start: sweep.nodes.start,
        end: sweep.nodes.end,
        derivatives: sweep.derivatives.iter().map(derivative).collect(),
    }
}

/// A unique name or number for each node.
fn labels<T: TensorLike>(nodes: &[Node<'_, T>]) -> Vec<String> {
    let named =
        |node: &Node<'_, T>| node.name.as_deref().filter(|name| !name.is_empty()).map(printable);
    let names: HashSet<String> = nodes.iter().filter_map(named).collect();
    let mut given = HashSet::new();
    let mut next_suffix: HashMap<String, usize> = HashMap::new();
    let (mut n_tracked, mut n_untracked) = (0, 0);
    let mut labels = Vec::with_capacity(nodes.len());
    for node in nodes {
        let label = match named(node) {
            None => {
                let (letter, n) =
                    if node.tracked { ('v', &mut n_tracked) } else { ('c', &mut n_untracked) };
                *n += 1;
                format!("{letter}{}", *n - 1)
            }
            Some(name) if !looks_like_a_number(&name) && !given.contains(&name) => name,
            Some(name) => {
                let suffix = next_suffix.entry(name.clone()).or_insert(2);
                loop {
                    let label = format!("{name}_{suffix}");
                    *suffix += 1;
                    if !given.contains(&label) && !names.contains(&label) {
                        break label;
                    }
                }
            }
        };
        given.insert(label.clone());
        labels.push(label);
    }
    labels
}

/// A name on one line.
fn printable(name: &str) -> String {
    name.chars()
        .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
        .collect()
}

/// True for what a node without a name may be called: `v12`, `c3`.
fn looks_like_a_number(label: &str) -> bool {
    let digits = label.strip_prefix(['v', 'c']).unwrap_or("");
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

const WIDTH: usize = 18;

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label = |at: usize| self.nodes.get(at).map_or("?", |node| &node.label);
        let (begins, ends) = self.sweeps_by_place();
        let none = Vec::new();
        for at in 0..=self.nodes.len() {
            for (_, sweep) in ends.get(&at).unwrap_or(&none).iter().filter(|(_, s)| s.start < at) {
                sweep.write_end(f, label)?;
            }
            for (_, sweep) in begins.get(&at).unwrap_or(&none) {
                writeln!(f, "{:-<WIDTH$}", format!("{} ", sweep.label))?;
                if sweep.end <= at {
                    // It recorded nothing: the derivatives were there already.
                    sweep.write_end(f, label)?;
                }
            }
            if let Some(node) = self.nodes.get(at).filter(|node| !node.is_seed) {
                writeln!(f, "{} = {}", node.label, node.expression)?;
            }
        }
        Ok(())
    }
}

impl TraceSweep {
    fn write_end<'a>(
        &self,
        f: &mut fmt::Formatter<'_>,
        label: impl Fn(usize) -> &'a str,
    ) -> fmt::Result {
        for found in &self.derivatives {
            writeln!(f, "{} = {}", found.label, label(found.derivative))?;
        }
        writeln!(f, "{:-<WIDTH$}", "")
    }
}

/// Sweeps with their numbers, by the place where they begin, or end.
type ByPlace<'a> = BTreeMap<usize, Vec<(usize, &'a TraceSweep)>>;

impl Trace {
    /// The graph in the language of Graphviz: `dot -Tsvg` draws it.
    pub fn to_dot(&self) -> String {
        let mut text =
            String::from("digraph trace {\n    rankdir=LR;\n    node [fontname=monospace];\n");
        self.draw(
            &mut text,
            &Drawing {
                node: |at, text, leaf| {
                    let shape = if leaf { "ellipse" } else { "box" };
                    format!("n{at} [label=\"{}\", shape={shape}];", escape(text, DOT))
                },
                begin: |at, label| {
                    format!("subgraph cluster_{at} {{ label=\"{}\";", escape(label, DOT))
                },
                end: "}",
                edge: |from, to| format!("n{from} -> n{to};"),
            },
        );
        text.push_str("}\n");
        text
    }

    /// The graph in the language of Mermaid, which Markdown viewers draw.
    pub fn to_mermaid(&self) -> String {
        let mut text = String::from("flowchart LR\n");
        self.draw(
            &mut text,
            &Drawing {
                node: |at, text, leaf| {
                    let text = escape(text, MERMAID);
                    if leaf { format!("n{at}([\"{text}\"])") } else { format!("n{at}[\"{text}\"]") }
                },
                begin: |at, label| format!("subgraph s{at} [\"{}\"]", escape(label, MERMAID)),
                end: "end",
                edge: |from, to| format!("n{from} --> n{to}"),
            },
        );
        text
    }

    fn sweeps_by_place(&self) -> (ByPlace<'_>, ByPlace<'_>) {
        let (mut begins, mut ends) = (ByPlace::new(), ByPlace::new());
        for (number, sweep) in self.sweeps.iter().enumerate() {
            begins.entry(sweep.start).or_default().push((number, sweep));
            ends.entry(sweep.end).or_default().push((number, sweep));
        }
        (begins, ends)
    }

    /// Writes nodes, sweeps and edges in the syntax of `drawing`.
    fn draw(&self, text: &mut String, drawing: &Drawing) {
        let mut line = |depth: usize, content: String| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{:1$}{content}", "", 4 * depth);
        };
        let (begins, ends) = self.sweeps_by_place();
        let none = Vec::new();
        let mut depth = 1;
        for (at, node) in self.nodes.iter().enumerate() {
            // A sweep that recorded nothing has nothing to group.
            for (number, sweep) in
                begins.get(&at).unwrap_or(&none).iter().filter(|(_, sweep)| sweep.end > at)
            {
                line(depth, (drawing.begin)(*number, &sweep.label));
                depth += 1;
            }
            let shown = match node.is_seed {
                true => format!("{} = seed", node.label),
                false => format!("{} = {}", node.label, node.expression),
            };
            line(depth, (drawing.node)(at, &shown, node.inputs.is_empty()));
            for _ in ends.get(&(at + 1)).unwrap_or(&none).iter().filter(|(_, s)| s.start <= at) {
                depth = depth.saturating_sub(1);
                line(depth, drawing.end.to_string());
            }
        }
        for (at, node) in self.nodes.iter().enumerate() {
            for &input in &node.inputs {
                line(1, (drawing.edge)(input, at));
            }
        }
    }
}

/// The syntax of a graph language.
struct Drawing {
    /// A node by its place, its text, and whether it is a leaf.
    node: fn(usize, &str, bool) -> String,
    /// The beginning of a group of nodes.
    begin: fn(usize, &str) -> String,
    end: &'static str,
    /// An edge between two places.
    edge: fn(usize, usize) -> String,
}

/// What would end or alter a quoted text of Graphviz.
const DOT: &[(char, &str)] = &[('\\', "\\\\"), ('"', "\\\"")];

/// Mermaid's entities for what would end or alter a quoted text.
const MERMAID: &[(char, &str)] = &[('#', "#35;"), ('"', "#quot;"), ('<', "#lt;"), ('>', "#gt;")];

/// `text` with characters replaced.
fn escape(text: &str, replacements: &[(char, &str)]) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match replacements.iter().find(|(special, _)| *special == c) {
            Some((_, replacement)) => escaped.push_str(replacement),
            None => escaped.push(c),
        }
    }
    escaped
}
