//! The flow for Mermaid, which many wikis and code hosts draw.

use std::fmt::Write as _;

use super::{Edge, EdgeKind, Graph, Node, NodeIndex, NodeKind};

/// The look of classes and edges. Mermaid has no notion of dark pages in a diagram, so the colours
/// are those that can be read on both.
const CLASSES: [&str; 3] = [
    "classDef conditional stroke-dasharray:5 3",
    "classDef unreachable fill:#ddd,stroke:#999,color:#666",
    "classDef failed fill:#f8d7d7,stroke:#c0392b,color:#7b1f16",
];

impl Graph {
    /// The flow as a Mermaid flowchart, ended by a line feed.
    #[must_use]
    pub fn mermaid(&self) -> String {
        let mut out = "flowchart TD\n".to_owned();
        self.mermaid_nodes(None, 1, &mut out);
        for edge in &self.edges {
            let _ = writeln!(out, "    n{} {} n{}", edge.from, arrow(edge), edge.to);
        }
        for class in CLASSES {
            let _ = writeln!(out, "    {class}");
        }
        self.mermaid_classes(&mut out);
        for (class, style) in [
            (EdgeKind::Error.name(), "stroke:#c0392b,stroke-dasharray:6 4"),
            (EdgeKind::Cancel.name(), "stroke:#b9770e,stroke-dasharray:2 3"),
            (EdgeKind::Skip.name(), "stroke:#888"),
        ] {
            let edges = self.edges.iter().enumerate();
            let numbers = edges.filter(|(_, edge)| edge.kind.name() == class);
            let numbers: Vec<_> = numbers.map(|(at, _)| at.to_string()).collect();
            if !numbers.is_empty() {
                let _ = writeln!(out, "    linkStyle {} {style}", numbers.join(","));
            }
        }
        if let Some(note) = self.left_out.note() {
            let _ = writeln!(out, "    %% {note}");
        }
        out
    }

    fn mermaid_nodes(&self, parent: Option<NodeIndex>, depth: usize, out: &mut String) {
        let indent = "    ".repeat(depth);
        for (at, node) in self.nodes.iter().enumerate().filter(|(_, node)| node.parent == parent) {
            if node.kind == NodeKind::Loop && self.nodes.iter().any(|own| own.parent == Some(at)) {
                let _ = writeln!(out, "{indent}subgraph c{at}[\" \"]");
                let _ = writeln!(out, "{indent}    {}", shape(at, node));
                self.mermaid_nodes(Some(at), depth + 1, out);
                let _ = writeln!(out, "{indent}end");
            } else {
                let _ = writeln!(out, "{indent}{}", shape(at, node));
            }
        }
    }

    fn mermaid_classes(&self, out: &mut String) {
        for (at, node) in self.nodes.iter().enumerate() {
            let is_failed = node.kind == NodeKind::Failed;
            for (class, is_so) in [
                ("conditional", node.when.is_some()),
                ("failed", is_failed),
                ("unreachable", !node.is_reachable),
            ] {
                if is_so {
                    let _ = writeln!(out, "    class n{at} {class}");
                }
            }
        }
    }
}

fn shape(at: NodeIndex, node: &Node) -> String {
    let (open, close) = match node.kind {
        NodeKind::Start | NodeKind::End | NodeKind::Failed | NodeKind::ItemEnd => ("([", "])"),
        NodeKind::Choice => ("{{", "}}"),
        NodeKind::Sleep | NodeKind::Wait => ("(", ")"),
        NodeKind::Child => ("[[", "]]"),
        NodeKind::Trigger => ("[/", "/]"),
        NodeKind::Approval => ("[\\", "\\]"),
        NodeKind::Call | NodeKind::Check | NodeKind::Loop => ("[", "]"),
    };
    let lines: Vec<_> = super::lines(node).iter().map(|line| escape(line)).collect();
    format!("n{at}{open}\"{}\"{close}", lines.join("<br/>"))
}

fn arrow(edge: &Edge) -> String {
    let arrow = match edge.kind {
        EdgeKind::Error | EdgeKind::ErrorOrCancel | EdgeKind::Cancel => "-.->",
        _ => "-->",
    };
    let label = match edge.kind {
        EdgeKind::Cancel => Some("cancelled"),
        _ => edge.label.as_deref(),
    };
    match label {
        Some(label) => format!("{arrow}|\"{}\"|", escape(label)),
        None => arrow.to_owned(),
    }
}

/// `text` between double quotes. Whatever might mean something to Mermaid, or to the HTML that it
/// makes, is written as the number of its character.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for own in text.chars() {
        if own.is_alphanumeric() || " _-.,:=≠…·→/()+?!".contains(own) {
            escaped.push(own);
        } else {
            let _ = write!(escaped, "#{};", u32::from(own));
        }
    }
    escaped
}
