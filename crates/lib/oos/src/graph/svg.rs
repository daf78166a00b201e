//! The flow as a picture.
//!
//! The picture stands for itself: it loads nothing, has no scripts, and its classes begin with
//! `oos-`, so that it may be put into a page as it is. It has no ground of its own and follows the
//! page from light to dark.

use std::fmt::Write as _;

use super::layout::{self, Drawn, Label, Picture};
use super::routes::{Point, Rect};
use super::words::xml;
use super::{Edge, EdgeKind, Graph, NodeIndex, NodeKind};

const STYLE: &str = include_str!("style.css");

/// The room below the picture for a note, in pixels.
const NOTE_PX: f64 = 24.0;

/// The length of an arrow's head, and half of its width, in pixels.
const HEAD_PX: f64 = 8.0;
const HALF_HEAD_PX: f64 = 4.0;

impl Graph {
    /// The flow as an SVG document, ended by a line feed. The same graph gives the same bytes.
    #[must_use]
    pub fn svg(&self) -> String {
        let picture = Picture::of(self);
        let note = self.left_out.note();
        let height = picture.height + if note.is_some() { NOTE_PX } else { 0.0 };
        let (width, height) = (picture.width.max(160.0).ceil(), height.ceil());
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"oos-graph\" role=\"img\" \
             viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\">\n\
             <style>\n{STYLE}</style>\n"
        );
        for Rect { x, y, width, height } in &picture.frames {
            let _ = writeln!(
                out,
                "<rect class=\"oos-frame\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" \
                 height=\"{height:.1}\" rx=\"10\"/>"
            );
        }
        picture.lines.iter().for_each(|line| self.draw_line(line, &mut out));
        picture.labels.iter().for_each(|label| self.draw_label(label, &mut out));
        picture.boxes.iter().for_each(|(at, rect)| self.draw_box(*at, rect, &mut out));
        if let Some(note) = note {
            let y = height - NOTE_PX / 2.0;
            let _ = writeln!(out, "<text class=\"oos-note\" x=\"16\" y=\"{y:.1}\">{note}</text>");
        }
        out.push_str("</svg>\n");
        out
    }

    fn draw_line(&self, line: &Drawn, out: &mut String) {
        let class = self.class_of(&self.edges[line.edge]);
        let _ = write!(out, "<g class=\"oos-edge {class}\"><title>");
        out.push_str(&xml(&self.told(line.edge)));
        let _ = write!(out, "</title><path d=\"{}\"/>", course(line));
        if line.has_arrow {
            out.push_str(&head(line));
        }
        out.push_str("</g>\n");
    }

    fn class_of(&self, edge: &Edge) -> String {
        let grey = if self.nodes[edge.from].is_reachable { "" } else { " oos-unreachable" };
        format!("oos-{}{grey}", edge.kind.name())
    }

    /// An edge in a sentence.
    fn told(&self, edge: usize) -> String {
        let Edge { from, to, kind, label } = &self.edges[edge];
        let (from, to) = (&self.nodes[*from].name, &self.nodes[*to].name);
        match (kind, label) {
            (EdgeKind::Next | EdgeKind::Success, _) => format!("{from}, then {to}"),
            (EdgeKind::Branch, Some(label)) => format!("{from}, if {label}, then {to}"),
            (EdgeKind::Branch | EdgeKind::Otherwise, _) => format!("{from}, otherwise {to}"),
            (EdgeKind::Skip, _) => format!("{from}, if skipped, then {to}"),
            (EdgeKind::Error, _) => format!("{from}, if it fails, then {to}"),
            (EdgeKind::ErrorOrCancel, _) => {
                format!("{from}, if it fails or is cancelled, then {to}")
            }
            (EdgeKind::Cancel, _) => format!("{from}, if cancelled, then {to}"),
        }
    }

    fn draw_label(&self, label: &Label, out: &mut String) {
        let class = self.class_of(&self.edges[label.edge]);
        let Rect { x, y, width, height } = label.rect;
        let (x, y) = (x + width / 2.0, y + height / 2.0 + 4.0);
        let text = xml(&label.text);
        let _ = writeln!(
            out,
            "<text class=\"oos-label {class}\" x=\"{x:.1}\" y=\"{y:.1}\" \
             data-width=\"{width:.1}\">{text}</text>"
        );
    }

    fn draw_box(&self, at: NodeIndex, rect: &Rect, out: &mut String) {
        let node = &self.nodes[at];
        let mut class = format!("oos-node oos-{}", node.kind.name());
        if node.when.is_some() {
            class.push_str(" oos-conditional");
        }
        if !node.is_reachable {
            class.push_str(" oos-unreachable");
        }
        let Rect { x, y, width, height } = rect;
        let _ = write!(out, "<g class=\"{class}\" transform=\"translate({x:.1} {y:.1})\">");
        let mut title = node.name.clone();
        for more in
            node.description.iter().chain(&node.when.as_ref().map(|own| format!("when {own}")))
        {
            title.push('\n');
            title.push_str(more);
        }
        let _ =
            write!(out, "<title>{}</title>{}", xml(&title), outline(node.kind, *width, *height));
        let mut line_y = layout::PADDING_Y_PX + layout::NAME_PX;
        for (number, line) in layout::drawn_lines(node).iter().enumerate() {
            let class = if number == 0 { "oos-name" } else { "oos-small" };
            let _ = write!(
                out,
                "<text class=\"{class}\" x=\"{:.1}\" y=\"{line_y:.1}\">{}</text>",
                width / 2.0,
                xml(line)
            );
            line_y += if number == 0 { layout::NAME_LINE_PX - 1.0 } else { layout::SMALL_LINE_PX };
        }
        out.push_str("</g>\n");
    }
}

/// The shape of a box, which tells its kind to those who do not see colours.
fn outline(kind: NodeKind, width: f64, height: f64) -> String {
    let rect = |radius: f64| {
        format!("<rect width=\"{width:.1}\" height=\"{height:.1}\" rx=\"{radius:.1}\"/>")
    };
    match kind {
        NodeKind::Choice => {
            let (middle, right) = (height / 2.0, width - 14.0);
            format!(
                "<polygon points=\"0,{middle:.1} 14,0 {right:.1},0 {width:.1},{middle:.1} \
                 {right:.1},{height:.1} 14,{height:.1}\"/>"
            )
        }
        NodeKind::Start | NodeKind::End | NodeKind::Failed | NodeKind::ItemEnd => {
            rect(height / 2.0)
        }
        NodeKind::Sleep | NodeKind::Wait => rect(14.0),
        NodeKind::Child => {
            let right = width - 6.0;
            format!("{}<path d=\"M6,0V{height:.1}M{right:.1},0V{height:.1}\"/>", rect(2.0))
        }
        NodeKind::Trigger | NodeKind::Approval => {
            format!("{}<path d=\"M0,4H{width:.1}\"/>", rect(4.0))
        }
        NodeKind::Call | NodeKind::Check | NodeKind::Loop => rect(5.0),
    }
}

/// The `d` of a line's path.
fn course(line: &Drawn) -> String {
    let mut d = String::new();
    let Some((first, rest)) = line.way.split_first() else { return d };
    let _ = write!(d, "M{:.1},{:.1}", first.x, first.y);
    let mut last = *first;
    for point in rest {
        if line.is_bow {
            let x = first.x + layout::BOW_PX * 1.2;
            let (from, to) = (last.y + 3.0, point.y - 3.0);
            let _ = write!(d, "C{x:.1},{from:.1} {x:.1},{to:.1} {:.1},{:.1}", point.x, point.y);
        } else if (last.x - point.x).abs() < 0.05 {
            if (last.y - point.y).abs() >= 0.05 {
                let _ = write!(d, "V{:.1}", point.y);
            }
        } else {
            let middle = f64::midpoint(last.y, point.y);
            let _ = write!(
                d,
                "C{:.1},{middle:.1} {:.1},{middle:.1} {:.1},{:.1}",
                last.x, point.x, point.x, point.y
            );
        }
        last = *point;
    }
    d
}

/// The head of an arrow. A shape of its own and no marker: markers have names, which would have to
/// be unique in the page around.
fn head(line: &Drawn) -> String {
    let [.., before, tip] = line.way.as_slice() else { return String::new() };
    let Point { x, y } = *tip;
    let points = if line.is_bow {
        let base = x + HEAD_PX;
        [(x, y), (base, y - HALF_HEAD_PX), (base, y + HALF_HEAD_PX)]
    } else {
        let base = if before.y > y || (before.y == y && is_upward(line)) {
            y + HEAD_PX
        } else {
            y - HEAD_PX
        };
        [(x, y), (x - HALF_HEAD_PX, base), (x + HALF_HEAD_PX, base)]
    };
    let points = points.map(|(x, y)| format!("{x:.1},{y:.1}"));
    format!("<polygon points=\"{}\"/>", points.join(" "))
}

fn is_upward(line: &Drawn) -> bool {
    matches!((line.way.first(), line.way.last()), (Some(first), Some(last)) if first.y > last.y)
}
