//! The flow for Graphviz.

use std::fmt::Write as _;

use super::{EdgeKind, Graph, Node, NodeIndex, NodeKind};

impl Graph {
    /// The flow in the DOT language, ended by a line feed.
    #[must_use]
    pub fn dot(&self) -> String {
        let mut out = "digraph template {\n    rankdir=TB;\n".to_owned();
        out.push_str("    node [shape=box, fontname=\"sans-serif\", fontsize=11];\n");
        out.push_str("    edge [fontname=\"sans-serif\", fontsize=9];\n");
        self.dot_nodes(None, 1, &mut out);
        for edge in &self.edges {
            let mut attributes = attributes_of(edge.kind).to_owned();
            if let Some(label) = &edge.label {
                let _ = write!(attributes, ", label={}", quote(label));
            }
            let _ = writeln!(out, "    n{} -> n{} [{attributes}];", edge.from, edge.to);
        }
        if let Some(note) = self.left_out.note() {
            let _ = writeln!(out, "    label={};", quote(&note));
        }
        out.push_str("}\n");
        out
    }

    fn dot_nodes(&self, parent: Option<NodeIndex>, depth: usize, out: &mut String) {
        let indent = "    ".repeat(depth);
        for (at, node) in self.nodes.iter().enumerate().filter(|(_, node)| node.parent == parent) {
            if node.kind == NodeKind::Loop && self.nodes.iter().any(|own| own.parent == Some(at)) {
                // Graphviz draws a frame around those subgraphs only whose names start so.
                let _ = writeln!(out, "{indent}subgraph cluster_{at} {{");
                let _ = writeln!(out, "{indent}    n{at} [{}];", described(node));
                self.dot_nodes(Some(at), depth + 1, out);
                let _ = writeln!(out, "{indent}}}");
            } else {
                let _ = writeln!(out, "{indent}n{at} [{}];", described(node));
            }
        }
    }
}

fn described(node: &Node) -> String {
    let lines: Vec<_> = super::lines(node).iter().map(|line| escape(line)).collect();
    let mut attributes = format!("label=\"{}\"", lines.join("\\n"));
    let shape = match node.kind {
        NodeKind::Start | NodeKind::End | NodeKind::Failed | NodeKind::ItemEnd => Some("oval"),
        NodeKind::Choice => Some("hexagon"),
        NodeKind::Child => Some("component"),
        NodeKind::Trigger => Some("cds"),
        NodeKind::Approval => Some("house"),
        _ => None,
    };
    if let Some(shape) = shape {
        let _ = write!(attributes, ", shape={shape}");
    }
    let mut styles = Vec::new();
    if matches!(node.kind, NodeKind::Sleep | NodeKind::Wait) {
        styles.push("rounded");
    }
    if node.when.is_some() {
        styles.push("dashed");
    }
    if !styles.is_empty() {
        let _ = write!(attributes, ", style=\"{}\"", styles.join(","));
    }
    if !node.is_reachable {
        attributes.push_str(", color=gray, fontcolor=gray");
    } else if node.kind == NodeKind::Failed {
        attributes.push_str(", color=\"#c0392b\"");
    }
    if let Some(description) = &node.description {
        let _ = write!(attributes, ", tooltip={}", quote(description));
    }
    attributes
}

const fn attributes_of(kind: EdgeKind) -> &'static str {
    match kind {
        EdgeKind::Next => "weight=8",
        EdgeKind::Success | EdgeKind::Branch | EdgeKind::Otherwise => "weight=2",
        EdgeKind::Skip => "color=gray",
        EdgeKind::Error | EdgeKind::ErrorOrCancel => "style=dashed, color=\"#c0392b\"",
        EdgeKind::Cancel => "style=dotted, color=\"#b9770e\"",
    }
}

fn quote(text: &str) -> String {
    format!("\"{}\"", escape(text))
}

/// `text` between double quotes. A backslash would start one of Graphviz's own escapes, as `\N`.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}
