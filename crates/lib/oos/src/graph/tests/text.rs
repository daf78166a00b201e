//! Labels, and the flow as text.

use serde_json::json;

use super::examples;
use super::{
    and, apply, choice, equals, joined, not, or, output, parameter, template, text, value,
};
use super::{call, to};
use crate::expr::Expr;
use crate::functions::Function;
use crate::graph::{Edge, EdgeKind, Graph, LeftOut, MAX_EDGES, NodeKind, Options, label};
use crate::template::{Action, Next, Task};

#[test]
fn conditions_are_short_and_keep_their_meaning() {
    let x = |own: &str| equals(parameter("x"), text(own));
    let y = || equals(parameter("y"), value(json!(true)));
    for (condition, expected) in [
        (
            or(vec![
                equals(text("x86_64"), output("look", "arch")),
                equals(output("look", "arch"), text("arm64")),
            ]),
            "arch = x86_64 or arm64",
        ),
        (or(vec![x("1"), y()]), "x = 1 or y = true"),
        (and(vec![or(vec![x("1"), x("2")]), y()]), "(x = 1 or 2) and y = true"),
        (or(vec![and(vec![x("1"), y()]), x("2")]), "x = 1 and y = true or x = 2"),
        (not(x("1")), "x ≠ 1"),
        (not(or(vec![x("1"), y()])), "not (x = 1 or y = true)"),
        (not(parameter("x")), "not x"),
        (apply(Function::Not, vec![parameter("x")]), "not x"),
        (equals(not(parameter("x")), text("")), "(not x) = \"\""),
        (text("IsLinux"), "IsLinux"),
        (joined("disk-", "x"), "disk-{x}"),
        (x("a text that is much longer than a label"), "x = a text that is much longer than a l…"),
    ] {
        assert_eq!(label::short(&condition), expected);
    }
}

#[test]
fn very_deep_conditions_end() {
    let mut deep = parameter("x");
    for _ in 0..500 {
        deep = not(or(vec![deep.clone()]));
    }
    assert_eq!(label::short(&deep), "not (not (not (not (not (not (not …))))…");
}

#[test]
fn mermaid_of_a_repair() {
    insta::assert_snapshot!(Graph::of(&examples::repair()).mermaid());
}

#[test]
fn dot_of_a_repair() {
    insta::assert_snapshot!(Graph::of(&examples::repair()).dot());
}

#[test]
fn mermaid_of_loops() {
    insta::assert_snapshot!(Graph::of(&examples::looped()).mermaid());
}

#[test]
fn dot_of_loops() {
    insta::assert_snapshot!(Graph::of(&examples::looped()).dot());
}

#[test]
fn mermaid_of_each_kind() {
    insta::assert_snapshot!(Graph::of(&examples::kinds()).mermaid());
}

#[test]
fn hostile_names_stay_names() {
    let graph = Graph::of(&examples::hostile());
    insta::assert_snapshot!("hostile_mermaid", graph.mermaid());
    insta::assert_snapshot!("hostile_dot", graph.dot());
}

fn edges_of(graph: &Graph, name: &str) -> Vec<(EdgeKind, String)> {
    let at = graph.nodes.iter().position(|node| node.name == name).unwrap();
    let leaving = graph.edges.iter().filter(|edge| edge.from == at);
    leaving.map(|edge| (edge.kind, graph.nodes[edge.to].name.clone())).collect()
}

#[test]
fn what_a_failure_ends_is_drawn_when_asked_for() {
    let template = examples::repair();
    let usual = Graph::of(&template);
    assert!(usual.nodes.iter().all(|node| node.kind != NodeKind::Failed));
    assert_eq!(
        edges_of(&usual, "runInstances"),
        [(EdgeKind::Next, "untilInstanceReady".to_owned())]
    );

    let all = Graph::with(&template, Options { failing_ends: true });
    let error = (EdgeKind::Error, "failed".to_owned());
    assert!(edges_of(&all, "runInstances").contains(&error));
    assert!(!edges_of(&all, "createImage").contains(&error));
}

#[test]
fn a_last_task_that_goes_on_after_its_failure_has_failed_all_the_same() {
    let mut last = call("last", "A").on_error("ACS::NEXT");
    let failed = (EdgeKind::Error, "failed".to_owned());
    let end = (EdgeKind::Error, "end".to_owned());
    assert_eq!(edges_of(&Graph::of(&template(vec![last.clone()])), "last")[1], failed);
    last.is_critical = false;
    assert_eq!(edges_of(&Graph::of(&template(vec![last])), "last")[1], end);
}

#[test]
fn a_failure_and_a_cancellation_that_lead_to_one_place_are_one_edge() {
    let edges = |own: Task| {
        let graph = Graph::of(&template(vec![own, call("a", "A"), call("undo", "B")]));
        edges_of(&graph, "make").into_iter().skip(1).collect::<Vec<_>>()
    };
    let make = || call("make", "A");
    let to = |kind, name: &str| (kind, name.to_owned());
    for (own, expected) in [
        (make(), vec![]),
        (make().on_error("undo"), vec![to(EdgeKind::Error, "undo")]),
        (make().on_cancel("UNDO"), vec![to(EdgeKind::Cancel, "undo")]),
        (make().on_error("undo").on_cancel("undo"), vec![to(EdgeKind::ErrorOrCancel, "undo")]),
        (
            make().on_error("undo").on_cancel("a"),
            vec![to(EdgeKind::Error, "undo"), to(EdgeKind::Cancel, "a")],
        ),
    ] {
        assert_eq!(edges(own), expected);
    }
}

#[test]
fn skips_and_unreachable_tasks_are_told() {
    let kinds = Graph::of(&examples::kinds());
    let expected = [(EdgeKind::Success, "hook".to_owned()), (EdgeKind::Skip, "rest".to_owned())];
    assert_eq!(edges_of(&kinds, "child"), expected);

    let unreachable = |graph: &Graph| -> Vec<String> {
        let nodes = graph.nodes.iter().filter(|node| !node.is_reachable);
        nodes.map(|node| node.name.clone()).collect()
    };
    assert!(unreachable(&kinds).is_empty());
    assert_eq!(unreachable(&Graph::of(&examples::backward())), ["forgotten"]);
}

#[test]
fn names_are_found_in_any_case_and_missing_ones_fail() {
    let graph = Graph::of(&template(vec![
        call("first", "A").on_success("THIRD").on_error("nowhere"),
        call("second", "B"),
        call("third", "C"),
    ]));
    let expected =
        [(EdgeKind::Success, "third".to_owned()), (EdgeKind::Error, "failed".to_owned())];
    assert_eq!(edges_of(&graph, "first"), expected);
}

#[test]
fn tasks_of_a_loop_are_a_flow_of_their_own() {
    let graph = Graph::of(&examples::looped());
    let parents: Vec<_> = graph.nodes.iter().map(|node| node.parent).collect();
    assert_eq!(parents, [None, None, None, Some(2), Some(2), Some(2), Some(2), None, None, None]);
    let edge = |from, to, kind| Edge { from, to, kind, label: None };
    for expected in
        [edge(2, 3, EdgeKind::Next), edge(5, 6, EdgeKind::Next), edge(6, 8, EdgeKind::Error)]
    {
        assert!(graph.edges.contains(&expected), "{expected:?}");
    }
}

#[test]
fn too_much_is_left_out_and_counted() {
    let tasks: Vec<_> = (0..250).map(|n| call(&format!("t{n}"), "A")).collect();
    let graph = Graph::of(&template(tasks));
    // The edge to the first task that is left out goes too.
    assert_eq!(graph.left_out, LeftOut { n_tasks: 50, n_edges: 51 });
    assert!(graph.mermaid().contains("%% not shown: 50 tasks and 51 edges"));

    let one = || (parameter("x"), Next::End);
    let many: Vec<(Expr, Next)> = std::iter::repeat_with(one).take(5000).collect();
    let graph = Graph::of(&template(vec![choice("many", many, to("ACS::END"))]));
    assert_eq!((graph.edges.len(), graph.left_out.n_edges), (MAX_EDGES, 5002 - MAX_EDGES));
}

#[test]
fn loops_in_loops_end() {
    let mut own = call("core", "A");
    for _ in 0..300 {
        own = super::task("around", Action::Loop { tasks: vec![own] });
    }
    let graph = Graph::of(&template(vec![own]));
    assert_eq!(graph.nodes.iter().filter(|node| node.kind == NodeKind::Loop).count(), 9);
}
