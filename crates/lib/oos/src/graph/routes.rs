//! Places for the cells of a plan, and the ways of its lines.
//!
//! `dagre` orders the cells of each rank so that few lines cross, and gives places to cells and to
//! where long lines pass a rank. It is given ranks that are settled, edges that all lead down, and
//! no names: nothing of a template but its shape gets there.
//!
//! Lines are drawn so that none can run through a box: inside a rank they are vertical, at a place
//! that was kept free for them, and they move sideways only in the gaps between ranks.

use std::collections::BTreeMap;

use dagre::graph::{Graph, GraphOptions};
use dagre::{EdgeLabel, LayoutOptions, NodeLabel, Ranker};

use super::EdgeKind;
use super::plan::{Content, Course, Line, Plan};

/// Gaps in pixels: between ranks, between boxes side by side, and beside lines that pass.
const RANK_GAP_PX: f64 = 40.0;
const CELL_GAP_PX: f64 = 36.0;
const LINE_GAP_PX: f64 = 22.0;

/// The least distance of two lines at the side of a box, and of a line from its corner.
const PORT_GAP_PX: f64 = 14.0;
const CORNER_PX: f64 = 14.0;

/// A place in pixels, from the left and from the top.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
}

/// A rectangle in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rect {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Rect {
    fn center(&self) -> f64 {
        self.x + self.width / 2.0
    }

    fn bottom(&self) -> f64 {
        self.y + self.height
    }
}

/// A plan with places.
#[derive(Clone, Debug, Default)]
pub(super) struct Placed {
    /// The place of each cell.
    pub(super) cells: Vec<Rect>,
    /// The way of each line: points, straight where one is above the other, otherwise in a curve
    /// that leaves and arrives vertically. Two points of a line from a cell to itself are the ends
    /// of a bow on its right.
    pub(super) ways: Vec<Vec<Point>>,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// A rank's upper and lower edge.
#[derive(Clone, Copy, Debug)]
struct Band {
    top: f64,
    middle: f64,
    bottom: f64,
}

/// Give places to a plan.
pub(super) fn place(plan: &Plan) -> Placed {
    let mut graph = shape_of(plan);
    let options = LayoutOptions {
        nodesep: CELL_GAP_PX,
        edgesep: LINE_GAP_PX,
        ranksep: RANK_GAP_PX,
        // Ranks are settled, so a spanning tree of them is all there is to find. The network
        // simplex would find the same, with no bound on its steps.
        ranker: Ranker::TightTree,
        ..LayoutOptions::default()
    };
    dagre::layout(&mut graph, Some(options));

    let cells: Vec<_> = (0..plan.cells.len()).map(|at| rect_of(&graph, plan, at)).collect();
    let bands = bands(plan, &cells);
    let passes: Vec<_> = (0..plan.lines.len()).map(|at| passes(&graph, plan, at, &bands)).collect();
    let ports = Ports::of(plan, &cells, &passes);
    let ways: Vec<_> =
        (0..plan.lines.len()).map(|at| way(plan, at, &cells, &passes, &ports, &bands)).collect();
    framed(plan, cells, ways)
}

/// What `dagre` is told.
fn shape_of(plan: &Plan) -> Graph<NodeLabel, EdgeLabel> {
    let options = GraphOptions { directed: true, multigraph: true, compound: false };
    let mut graph = Graph::with_options(options);
    for (at, cell) in plan.cells.iter().enumerate() {
        let (width, height) = (cell.size.width + 2.0 * cell.size.side, cell.size.height);
        graph.set_node(at.to_string(), Some(NodeLabel { width, height, ..NodeLabel::default() }));
    }
    let mut has_above = vec![false; plan.cells.len()];
    for (number, line) in plan.lines.iter().enumerate() {
        if line.course == Course::Own {
            let (upper, lower) = downwards(plan, line);
            has_above[lower] = true;
            let weight = if line.kind == EdgeKind::Next { 8 } else { 1 };
            link(&mut graph, plan, upper, lower, weight, number);
        }
    }
    // Each cell hangs on something, or its rank would not be kept.
    for (at, cell) in plan.cells.iter().enumerate().filter(|(at, _)| !has_above[*at]) {
        let is_above = |other: usize| plan.cells[other].rank < cell.rank;
        let before = (0..at).rev().chain(at..plan.cells.len()).filter(|other| is_above(*other));
        if let Some(upper) = before.max_by_key(|other| plan.cells[*other].rank) {
            link(&mut graph, plan, upper, at, 1, plan.lines.len() + at);
        }
    }
    graph
}

fn link(
    graph: &mut Graph<NodeLabel, EdgeLabel>,
    plan: &Plan,
    upper: usize,
    lower: usize,
    weight: i32,
    number: usize,
) {
    let ranks = plan.cells[lower].rank.saturating_sub(plan.cells[upper].rank);
    let minlen = i32::try_from(ranks).unwrap_or(i32::MAX);
    let label = EdgeLabel { minlen, weight, ..EdgeLabel::default() };
    graph.set_edge(
        upper.to_string(),
        lower.to_string(),
        Some(label),
        Some(number.to_string().as_str()),
    );
}

fn downwards(plan: &Plan, line: &Line) -> (usize, usize) {
    if is_down(plan, line) { (line.from, line.to) } else { (line.to, line.from) }
}

fn is_down(plan: &Plan, line: &Line) -> bool {
    plan.cells[line.from].rank < plan.cells[line.to].rank
}

fn rect_of(graph: &Graph<NodeLabel, EdgeLabel>, plan: &Plan, at: usize) -> Rect {
    let size = plan.cells[at].size;
    let place = graph.node(&at.to_string());
    let (x, y) = place.map_or((0.0, 0.0), |own| (own.x.unwrap_or(0.0), own.y.unwrap_or(0.0)));
    let (width, height) = (size.width, size.height);
    Rect { x: x - width / 2.0, y: y - height / 2.0, width, height }
}

fn bands(plan: &Plan, cells: &[Rect]) -> BTreeMap<usize, Band> {
    let mut bands: BTreeMap<usize, Band> = BTreeMap::new();
    for (cell, rect) in plan.cells.iter().zip(cells) {
        let middle = rect.y + rect.height / 2.0;
        let own = Band { top: rect.y, middle, bottom: rect.bottom() };
        let band = bands.entry(cell.rank).or_insert(own);
        band.top = band.top.min(own.top);
        band.bottom = band.bottom.max(own.bottom);
    }
    bands
}

/// Where a line that has its own course passes ranks, from the top: the ranks with their places.
fn passes(
    graph: &Graph<NodeLabel, EdgeLabel>,
    plan: &Plan,
    number: usize,
    bands: &BTreeMap<usize, Band>,
) -> BTreeMap<usize, f64> {
    let line = &plan.lines[number];
    if line.course != Course::Own {
        return BTreeMap::new();
    }
    let (upper, lower) = downwards(plan, line);
    let ranks = plan.cells[upper].rank + 1..plan.cells[lower].rank;
    let name = number.to_string();
    let found = graph.edge(&upper.to_string(), &lower.to_string(), Some(name.as_str()));
    let points = found.map_or(&[][..], |label| label.points.as_slice());
    let mut passes = BTreeMap::new();
    for (&rank, band) in bands.range(ranks) {
        // There are points between ranks too, which are of no use here.
        if let Some(point) = points.iter().find(|point| (point.y - band.middle).abs() < 0.5) {
            passes.insert(rank, point.x);
        }
    }
    passes
}

/// Where lines leave and reach cells.
struct Ports {
    /// Of each line: where it leaves, and where it arrives.
    ends: Vec<(f64, f64)>,
}

/// An end of a line at a cell's upper or lower side.
struct End {
    line: usize,
    is_start: bool,
    /// Where it would be best.
    wanted: f64,
    kind: EdgeKind,
}

impl Ports {
    fn of(plan: &Plan, cells: &[Rect], passes: &[BTreeMap<usize, f64>]) -> Self {
        let mut sides: BTreeMap<(usize, bool), Vec<End>> = BTreeMap::new();
        for (number, line) in plan.lines.iter().enumerate() {
            if line.course == Course::Itself {
                continue;
            }
            let (first, last) = neighbours(plan, number, passes);
            let is_down = is_down(plan, line);
            let (kind, line_number) = (line.kind, number);
            let straight = straight(&cells[line.from], &cells[line.to]);
            let mut end = |cell: usize, is_lower, is_start, wanted: Option<f64>, other: usize| {
                let wanted = wanted.or(straight).unwrap_or_else(|| cells[other].center());
                let own = End { line: line_number, is_start, wanted, kind };
                sides.entry((cell, is_lower)).or_default().push(own);
            };
            end(line.from, is_down, true, first, line.to);
            if !matches!(line.course, Course::Joins(_)) || first.is_none() {
                end(line.to, !is_down, false, last, line.from);
            }
        }
        let mut ends = vec![(0.0, 0.0); plan.lines.len()];
        for ((cell, _), side) in sides {
            for (own, x) in spread(side, &cells[cell], plan, cell) {
                let end = &mut ends[own.line];
                if own.is_start { end.0 = x } else { end.1 = x }
            }
        }
        Self { ends }
    }
}

/// Where a line between two boxes may be straight, nearest to the middle of the second.
fn straight(from: &Rect, to: &Rect) -> Option<f64> {
    let left = from.x.max(to.x) + CORNER_PX;
    let right = (from.x + from.width).min(to.x + to.width) - CORNER_PX;
    (left <= right).then(|| to.center().clamp(left, right))
}

/// Give places to the ends at one side of a cell: where they want to be, but not too close.
fn spread(mut side: Vec<End>, rect: &Rect, plan: &Plan, cell: usize) -> Vec<(End, f64)> {
    if matches!(plan.cells[cell].content, Content::Label { .. }) && side.len() == 1 {
        return side.into_iter().map(|end| (end, rect.center())).collect();
    }
    let margin = CORNER_PX.min(rect.width / 4.0);
    let (left, right) = (rect.x + margin, rect.x + rect.width - margin);
    side.sort_by(|a, b| a.wanted.total_cmp(&b.wanted).then(a.kind.cmp(&b.kind)));
    let n_gaps = u32::try_from(side.len().saturating_sub(1)).unwrap_or(u32::MAX);
    let gap = PORT_GAP_PX.min((right - left) / f64::from(n_gaps.max(1)));
    let mut places: Vec<f64> = Vec::with_capacity(side.len());
    for end in &side {
        let least = places.last().map_or(left, |last| last + gap);
        places.push(end.wanted.clamp(left, right).max(least));
    }
    let mut most = right;
    for place in places.iter_mut().rev() {
        *place = place.min(most);
        most = *place - gap;
    }
    side.into_iter().zip(places).collect()
}

/// Where a line is in the ranks beside its ends, where it passes any.
fn neighbours(
    plan: &Plan,
    number: usize,
    passes: &[BTreeMap<usize, f64>],
) -> (Option<f64>, Option<f64>) {
    let line = &plan.lines[number];
    let own = trunk_of(line, number, passes);
    let (from, to) = (plan.cells[line.from].rank, plan.cells[line.to].rank);
    let is_down = from < to;
    let beside = |rank: usize, is_below: bool| {
        let rank = if is_below { rank.checked_add(1) } else { rank.checked_sub(1) }?;
        own.get(&rank).copied()
    };
    (beside(from, is_down), beside(to, !is_down))
}

fn trunk_of<'a>(
    line: &Line,
    number: usize,
    passes: &'a [BTreeMap<usize, f64>],
) -> &'a BTreeMap<usize, f64> {
    match line.course {
        Course::Joins(trunk) => &passes[trunk],
        _ => &passes[number],
    }
}

fn way(
    plan: &Plan,
    number: usize,
    cells: &[Rect],
    passes: &[BTreeMap<usize, f64>],
    ports: &Ports,
    bands: &BTreeMap<usize, Band>,
) -> Vec<Point> {
    let line = &plan.lines[number];
    let (from, to) = (&cells[line.from], &cells[line.to]);
    if line.course == Course::Itself {
        let (x, y) = (from.x + from.width, from.y + from.height / 2.0);
        return vec![Point { x, y: y + 9.0 }, Point { x, y: y - 9.0 }];
    }
    let (begin, end) = ports.ends[number];
    let is_down = is_down(plan, line);
    let (rank, goal) = (plan.cells[line.from].rank, plan.cells[line.to].rank);
    let (start, last, first_band, last_band) = if is_down {
        (from.bottom(), to.y, bands[&rank].bottom, bands[&goal].top)
    } else {
        (from.y, to.bottom(), bands[&rank].top, bands[&goal].bottom)
    };
    let mut points = vec![Point { x: begin, y: start }, Point { x: begin, y: first_band }];
    let mut pass = |rank: &usize, x: f64| {
        let band = bands[rank];
        let (enter, leave) =
            if is_down { (band.top, band.bottom) } else { (band.bottom, band.top) };
        points.push(Point { x, y: enter });
        points.push(Point { x, y: leave });
    };
    let trunk = trunk_of(line, number, passes);
    if let (Course::Joins(_), (Some(x), _)) = (line.course, neighbours(plan, number, passes)) {
        let y = if is_down { bands.get(&(rank + 1)) } else { bands.get(&(rank - 1)) }
            .map_or(first_band, |band| if is_down { band.top } else { band.bottom });
        points.push(Point { x, y });
        return points;
    }
    if is_down {
        trunk.range(rank + 1..goal).for_each(|(rank, x)| pass(rank, *x));
    } else {
        trunk.range(goal + 1..rank).rev().for_each(|(rank, x)| pass(rank, *x));
    }
    points.push(Point { x: end, y: last_band });
    points.push(Point { x: end, y: last });
    points
}

/// Move everything so that it begins at 0, and tell how large it is.
fn framed(plan: &Plan, mut cells: Vec<Rect>, mut ways: Vec<Vec<Point>>) -> Placed {
    let sides: Vec<_> = plan.cells.iter().map(|cell| cell.size.side).collect();
    let left = cells.iter().zip(&sides).map(|(own, side)| own.x - side);
    let left = left.chain(ways.iter().flatten().map(|own| own.x)).reduce(f64::min).unwrap_or(0.0);
    let top = cells.iter().map(|own| own.y).reduce(f64::min).unwrap_or(0.0);
    for cell in &mut cells {
        cell.x -= left;
        cell.y -= top;
    }
    for point in ways.iter_mut().flatten() {
        point.x -= left;
        point.y -= top;
    }
    let right = cells.iter().zip(&sides).map(|(own, side)| own.x + own.width + side);
    let width = right.chain(ways.iter().flatten().map(|own| own.x)).fold(0.0, f64::max);
    let height = cells.iter().map(Rect::bottom).fold(0.0, f64::max);
    Placed { cells, ways, width, height }
}
