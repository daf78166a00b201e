//! A graph with places: loops from the inside to the outside, each a box in the level around it.

use super::plan::{Content, Course, Plan, Size};
use super::routes::{self, Point, Rect};
use super::{Edge, Graph, Node, NodeIndex, NodeKind, words};

/// The size of letters in pixels: of a name, and of what stands below it.
pub(super) const NAME_PX: f64 = 13.0;
pub(super) const SMALL_PX: f64 = 11.0;

/// The height of a line of text, and the room around text in a box, in pixels.
pub(super) const NAME_LINE_PX: f64 = 18.0;
pub(super) const SMALL_LINE_PX: f64 = 15.0;
const PADDING_X_PX: f64 = 16.0;
pub(super) const PADDING_Y_PX: f64 = 8.0;

/// The room inside a loop's frame, and around the picture, in pixels.
const FRAME_PX: f64 = 18.0;
const MARGIN_PX: f64 = 16.0;

/// The room that a line from a box to itself takes on its right, in pixels.
pub(super) const BOW_PX: f64 = 26.0;

/// How many characters of a line are drawn. The whole name is in the tooltip.
const MAX_DRAWN: usize = 52;

/// A graph with places, in pixels.
#[derive(Clone, Debug, Default)]
pub(super) struct Picture {
    pub(super) boxes: Vec<(NodeIndex, Rect)>,
    pub(super) frames: Vec<Rect>,
    pub(super) labels: Vec<Label>,
    pub(super) lines: Vec<Drawn>,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// A text beside an edge.
#[derive(Clone, Debug)]
pub(super) struct Label {
    pub(super) edge: usize,
    pub(super) text: String,
    pub(super) rect: Rect,
}

/// A line.
#[derive(Clone, Debug)]
pub(super) struct Drawn {
    pub(super) edge: usize,
    pub(super) way: Vec<Point>,
    pub(super) is_bow: bool,
    /// Whether it ends at a node, and not at a label or at another line.
    pub(super) has_arrow: bool,
}

impl Picture {
    /// Places for all of `graph`.
    pub(super) fn of(graph: &Graph) -> Self {
        let mut picture = level(graph, None);
        picture.shift(MARGIN_PX, MARGIN_PX);
        picture.width += 2.0 * MARGIN_PX;
        picture.height += 2.0 * MARGIN_PX;
        picture
    }

    fn shift(&mut self, x: f64, y: f64) {
        let rects = self.boxes.iter_mut().map(|(_, rect)| rect).chain(&mut self.frames);
        for rect in rects.chain(self.labels.iter_mut().map(|label| &mut label.rect)) {
            rect.x += x;
            rect.y += y;
        }
        for point in self.lines.iter_mut().flat_map(|line| &mut line.way) {
            point.x += x;
            point.y += y;
        }
    }

    fn take(&mut self, other: Self) {
        self.boxes.extend(other.boxes);
        self.frames.extend(other.frames);
        self.labels.extend(other.labels);
        self.lines.extend(other.lines);
    }
}

/// The nodes that have `parent`. Graphs nest a few levels at most, see where they are made.
fn level(graph: &Graph, parent: Option<NodeIndex>) -> Picture {
    let is_frame = |at: NodeIndex| {
        Some(at) != parent
            && graph.nodes[at].kind == NodeKind::Loop
            && graph.nodes.iter().any(|node| node.parent == Some(at))
    };
    let own = |at: &NodeIndex| graph.nodes[*at].parent == parent && is_frame(*at);
    let mut inner: Vec<(NodeIndex, Picture)> =
        (0..graph.nodes.len()).filter(own).map(|at| (at, level(graph, Some(at)))).collect();
    // What leaves a loop leaves its last node.
    let is_itself = |edge: &Edge, at: NodeIndex| {
        edge.to == at && (edge.from == at || graph.nodes[edge.from].parent == Some(at))
    };
    let side = |at: NodeIndex| {
        if graph.edges.iter().any(|edge| is_itself(edge, at)) { BOW_PX } else { 0.0 }
    };
    let size = |at: NodeIndex| match inner.iter().find(|(own, _)| *own == at) {
        Some((_, picture)) => {
            let (width, height) = (picture.width, picture.height);
            Size { width: width + 2.0 * FRAME_PX, height: height + 2.0 * FRAME_PX, side: side(at) }
        }
        None => Size { side: side(at), ..size_of(&graph.nodes[at]) },
    };
    let mut plan = Plan::of(graph, parent, &size);
    let placed = routes::place(&plan);
    let mut picture = Picture { width: placed.width, height: placed.height, ..Picture::default() };
    for (cell, rect) in plan.cells.iter_mut().zip(&placed.cells) {
        match &cell.content {
            Content::Label { edge, text } => {
                picture.labels.push(Label { edge: *edge, text: text.clone(), rect: *rect });
            }
            Content::Node(at) => match inner.iter_mut().find(|(own, _)| own == at) {
                Some((_, inside)) => {
                    let mut inside = std::mem::take(inside);
                    inside.shift(rect.x + FRAME_PX, rect.y + FRAME_PX);
                    picture.frames.push(*rect);
                    picture.take(inside);
                }
                None => picture.boxes.push((*at, *rect)),
            },
        }
    }
    for (line, way) in plan.lines.iter().zip(placed.ways) {
        let is_bow = line.course == Course::Itself;
        let is_at_node = matches!(plan.cells[line.to].content, Content::Node(_));
        let to = &placed.cells[line.to];
        let arrives = way.last().is_some_and(|end| end.y == to.y || end.y == to.y + to.height);
        let has_arrow = is_at_node && (is_bow || arrives);
        picture.lines.push(Drawn { edge: line.edge, way, is_bow, has_arrow });
    }
    picture
}

/// What is written in a box, cut to what fits.
pub(super) fn drawn_lines(node: &Node) -> Vec<String> {
    super::lines(node).iter().map(|line| words::line(line, MAX_DRAWN)).collect()
}

fn size_of(node: &Node) -> Size {
    let lines = drawn_lines(node);
    let mut width: f64 = 0.0;
    for (at, line) in lines.iter().enumerate() {
        // The name is bold.
        let own =
            if at == 0 { words::width(line, NAME_PX * 1.08) } else { words::width(line, SMALL_PX) };
        width = width.max(own);
    }
    let n_small = u32::try_from(lines.len().saturating_sub(1)).unwrap_or(0);
    let height = NAME_LINE_PX + f64::from(n_small) * SMALL_LINE_PX + 2.0 * PADDING_Y_PX;
    let slant = if node.kind == NodeKind::Choice { 24.0 } else { 0.0 };
    Size { width: (width + 2.0 * PADDING_X_PX + slant).max(64.0), height, side: 0.0 }
}
