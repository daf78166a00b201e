//! What is laid out: the boxes and labels of one level of a graph, and the lines between them.
//!
//! Three things are settled here, before any place is known:
//!
//! - Ranks. The order of the text is how people know a template, so a box is placed below all that
//!   leads to it from further up in the text, and never by what a solver finds shorter.
//! - Trunks. Where several long edges of one kind lead to one place (failures to a clean-up task),
//!   one of them is laid out and the others join it on the way. Six lines side by side say no more
//!   than one, and hide what runs beside them.
//! - Size. A long line costs as much as the ranks that it passes, and there are templates in which
//!   every task jumps far. Past a bound, the longest jumps are written as `→ name` instead.

use std::collections::BTreeMap;

use super::words;
use super::{Edge, EdgeKind, Graph, NodeIndex};

/// How many ranks all laid out lines together may pass.
const MAX_PASSED: usize = 600;

/// The size of a thing, in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Size {
    pub(super) width: f64,
    pub(super) height: f64,
    /// Room on both sides for a line from the box to itself. On both, so that what is above the
    /// box stays above its middle.
    pub(super) side: f64,
}

/// A thing that needs room: a box, or the label of an edge.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) content: Content,
    pub(super) size: Size,
    /// Counted from the top; those of a rank stand side by side.
    pub(super) rank: usize,
}

/// What stands in a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// A node, or the frame around a loop's tasks.
    Node(NodeIndex),
    /// The label of an edge, by its number.
    Label { edge: usize, text: String },
}

/// A line from cell to cell.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) from: usize,
    pub(super) to: usize,
    /// The number of the edge.
    pub(super) edge: usize,
    pub(super) kind: EdgeKind,
    pub(super) course: Course,
}

/// How a line gets from here to there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    /// By itself.
    Own,
    /// Beside others until it meets the line of this number, and then on that.
    Joins(usize),
    /// From a cell to itself.
    Itself,
}

/// Cells and lines of one level: the tasks of the template, or those of one loop.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    pub(super) cells: Vec<Cell>,
    pub(super) lines: Vec<Line>,
}

/// Lines of one look from all sides to one cell: above it or below.
type Group = (Look, usize, bool);

/// The kinds of edges that look alike.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Look {
    Flow,
    Branch,
    Skip,
    Error,
    Cancel,
}

impl Plan {
    /// The plan of the nodes that have `parent`, and of `parent` itself: it is the top of its frame.
    ///
    /// `size` tells how large a node is, or the frame of a loop.
    pub(super) fn of(
        graph: &Graph,
        parent: Option<NodeIndex>,
        size: &dyn Fn(NodeIndex) -> Size,
    ) -> Self {
        let mut plan = Self::default();
        let mut cell_of = BTreeMap::new();
        for (at, node) in graph.nodes.iter().enumerate() {
            if node.parent == parent || Some(at) == parent {
                cell_of.insert(at, plan.cells.len());
                plan.cells.push(Cell { content: Content::Node(at), size: size(at), rank: 0 });
            }
        }
        let n_boxes = plan.cells.len();
        let mut edges = Vec::new();
        for (number, edge) in graph.edges.iter().enumerate() {
            if graph.nodes[edge.to].parent != parent {
                continue;
            }
            // What leaves the last node of a loop leaves its frame.
            let mut from = edge.from;
            while Some(from) != parent
                && graph.nodes[from].parent != parent
                && let Some(above) = graph.nodes[from].parent
            {
                from = above;
            }
            if let (Some(&from), Some(&to)) = (cell_of.get(&from), cell_of.get(&edge.to)) {
                edges.push((number, edge, from, to));
            }
        }
        plan.rank_boxes(&edges, n_boxes);
        for (number, edge, from, to) in edges {
            plan.add(number, edge, from, to);
        }
        plan.write_out_level_lines(graph);
        plan.bundle();
        plan.bound(graph);
        plan
    }

    /// Boxes come below all that leads to them from above; a label needs a rank of its own.
    ///
    /// What only failures lead to, or nothing, comes below what precedes it in the text as well: a
    /// clean-up task belongs at the bottom, however early the first failure goes there.
    fn rank_boxes(&mut self, edges: &[(usize, &Edge, usize, usize)], n_boxes: usize) {
        let mut above = vec![Vec::new(); n_boxes];
        let mut is_in_flow = vec![false; n_boxes];
        for &(_, edge, from, to) in edges {
            if from < to {
                above[to].push((from, 1 + usize::from(edge.label.is_some())));
                is_in_flow[to] |= !matches!(look(edge.kind), Look::Error | Look::Cancel);
            }
        }
        for at in 1..n_boxes {
            let ranks = above[at].iter().map(|&(from, step)| self.cells[from].rank + step);
            let least = if is_in_flow[at] { 0 } else { self.cells[at - 1].rank + 1 };
            self.cells[at].rank = ranks.max().unwrap_or(0).max(least);
        }
    }

    fn add(&mut self, edge: usize, own: &Edge, from: usize, to: usize) {
        let kind = own.kind;
        let line = |from, to, course| Line { from, to, edge, kind, course };
        if from == to {
            return self.lines.push(line(from, to, Course::Itself));
        }
        let Some(text) = own.label.clone() else {
            return self.lines.push(line(from, to, Course::Own));
        };
        let label = self.add_label(edge, text, from);
        self.lines.push(line(from, label, Course::Own));
        self.lines.push(line(label, to, Course::Own));
    }

    /// A label stands just below the box that it belongs to, also where the edge then turns up.
    fn add_label(&mut self, edge: usize, text: String, from: usize) -> usize {
        let size =
            Size { width: words::width(&text, LABEL_PX) + 8.0, height: LABEL_PX + 6.0, side: 0.0 };
        let rank = self.cells[from].rank + 1;
        self.cells.push(Cell { content: Content::Label { edge, text }, size, rank });
        self.cells.len() - 1
    }

    /// A layered picture has no lines inside a rank: what leads back to its neighbour is text.
    fn write_out_level_lines(&mut self, graph: &Graph) {
        let is_level = |line: &Line| {
            line.course != Course::Itself && self.cells[line.from].rank == self.cells[line.to].rank
        };
        let is_gone: Vec<_> = self.lines.iter().map(is_level).collect();
        for (number, _) in is_gone.iter().enumerate().filter(|(_, is_gone)| **is_gone) {
            self.write_out(number, graph);
        }
        self.drop_lines(&is_gone);
    }

    /// How many ranks a line passes on its way.
    fn passed(&self, line: &Line) -> usize {
        self.cells[line.from].rank.abs_diff(self.cells[line.to].rank).saturating_sub(1)
    }

    /// Make trunks of lines that lead to the same place.
    fn bundle(&mut self) {
        for members in self.groups().into_values() {
            if let [trunk, others @ ..] = members.as_slice() {
                for &other in others {
                    self.lines[other].course = Course::Joins(*trunk);
                }
            }
        }
    }

    /// The long lines that look alike and lead to the same place, each group's longest first.
    fn groups(&self) -> BTreeMap<Group, Vec<usize>> {
        let mut groups: BTreeMap<Group, Vec<usize>> = BTreeMap::new();
        for (number, line) in self.lines.iter().enumerate() {
            if line.course != Course::Itself && self.passed(line) > 0 {
                let is_down = self.cells[line.from].rank < self.cells[line.to].rank;
                groups.entry((look(line.kind), line.to, is_down)).or_default().push(number);
            }
        }
        for members in groups.values_mut() {
            members.sort_by_key(|&number| std::cmp::Reverse(self.passed(&self.lines[number])));
        }
        groups
    }

    /// Write the longest jumps as text, as long as the lines together are too long.
    fn bound(&mut self, graph: &Graph) {
        let mut groups: Vec<_> = self.groups().into_values().collect();
        let length = |plan: &Self, group: &[usize]| plan.passed(&plan.lines[group[0]]);
        let mut total: usize = groups.iter().map(|group| length(self, group)).sum();
        groups.sort_by_key(|group| length(self, group));
        let mut gone = Vec::new();
        while total > MAX_PASSED
            && let Some(group) = groups.pop()
        {
            total -= length(self, &group);
            for number in group {
                self.write_out(number, graph);
                gone.push(number);
            }
        }
        let mut is_gone = vec![false; self.lines.len()];
        gone.iter().for_each(|&number| is_gone[number] = true);
        self.drop_lines(&is_gone);
    }

    /// A label `→ name` in the place of a line.
    fn write_out(&mut self, number: usize, graph: &Graph) {
        let Line { from, to, edge, kind, .. } = self.lines[number];
        let Content::Node(target) = self.cells[to].content else { return };
        let name = format!("→ {}", words::line(&graph.nodes[target].name, 32));
        let label = self.add_label(edge, name, from);
        self.lines.push(Line { from, to: label, edge, kind, course: Course::Own });
    }

    fn drop_lines(&mut self, is_gone: &[bool]) {
        let is_gone = |number: usize| is_gone.get(number).copied().unwrap_or(false);
        let mut numbers = Vec::with_capacity(self.lines.len());
        let mut n_kept = 0;
        for number in 0..self.lines.len() {
            numbers.push(n_kept);
            n_kept += usize::from(!is_gone(number));
        }
        let mut number = 0;
        self.lines.retain(|_| {
            number += 1;
            !is_gone(number - 1)
        });
        for line in &mut self.lines {
            if let Course::Joins(trunk) = &mut line.course {
                // A trunk goes with all that joins it, so one that is joined is still there.
                *trunk = numbers[*trunk];
            }
        }
    }
}

/// The size of a label's letters, in pixels.
pub(super) const LABEL_PX: f64 = 11.0;

const fn look(kind: EdgeKind) -> Look {
    match kind {
        EdgeKind::Next | EdgeKind::Success => Look::Flow,
        EdgeKind::Branch | EdgeKind::Otherwise => Look::Branch,
        EdgeKind::Skip => Look::Skip,
        EdgeKind::Error | EdgeKind::ErrorOrCancel => Look::Error,
        EdgeKind::Cancel => Look::Cancel,
    }
}
