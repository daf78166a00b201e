//! Pictures, read as whoever looks at them does: from the bytes of the SVG.

use std::collections::HashMap;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::examples;
use super::{call, choice, parameter, template, to};
use crate::graph::layout::{Picture, drawn_lines};
use crate::graph::{Graph, LeftOut, Options};
use crate::template::{Action, Next, Task, Template};

#[derive(Clone, Debug)]
struct Area {
    name: String,
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Area {
    fn meets(&self, other: &Self) -> bool {
        // Half a pixel of rounding is no overlap.
        self.left + 0.5 < other.right
            && other.left + 0.5 < self.right
            && self.top + 0.5 < other.bottom
            && other.top + 0.5 < self.bottom
    }

    fn holds(&self, (x, y): (f64, f64)) -> bool {
        self.left + 1.0 < x && x < self.right - 1.0 && self.top + 1.0 < y && y < self.bottom - 1.0
    }
}

/// What is in a picture.
#[derive(Debug, Default)]
struct Seen {
    nodes: Vec<Area>,
    labels: Vec<Area>,
    edges: Vec<(String, Vec<(f64, f64)>)>,
    titles: Vec<String>,
    elements: Vec<String>,
    width: f64,
    height: f64,
}

fn attributes(element: &BytesStart<'_>) -> HashMap<String, String> {
    let own = element.attributes().map(|own| own.unwrap());
    own.map(|own| (own.key.as_ref().to_owned(), own.value.into_owned())).collect()
}

fn numbers(text: &str) -> Vec<f64> {
    let parts = text.split(|own: char| !(own.is_ascii_digit() || own == '.' || own == '-'));
    parts.filter(|part| !part.is_empty()).map(|part| part.parse().unwrap()).collect()
}

/// Points along a path of `M`, `V` and `C`.
fn along(d: &str) -> Vec<(f64, f64)> {
    let mut points = Vec::new();
    let mut at = (0.0, 0.0);
    let starts = d.match_indices(|own: char| own.is_ascii_uppercase()).map(|(at, _)| at);
    let starts: Vec<_> = starts.chain([d.len()]).collect();
    for step in starts.windows(2).map(|pair| &d[pair[0]..pair[1]]) {
        let own = numbers(&step[1..]);
        match step.as_bytes()[0] {
            b'M' => at = (own[0], own[1]),
            b'V' => {
                points
                    .extend((0..=20).map(|n| (at.0, at.1 + (own[0] - at.1) * f64::from(n) / 20.0)));
                at = (at.0, own[0]);
            }
            b'C' => {
                let curve = |a: f64, b: f64, c: f64, d: f64, t: f64| {
                    let u = 1.0 - t;
                    u * u * u * a + 3.0 * u * u * t * b + 3.0 * u * t * t * c + t * t * t * d
                };
                points.extend((0..=20).map(|n| {
                    let t = f64::from(n) / 20.0;
                    (curve(at.0, own[0], own[2], own[4], t), curve(at.1, own[1], own[3], own[5], t))
                }));
                at = (own[4], own[5]);
            }
            other => panic!("a step {other} in {d}"),
        }
    }
    points
}

fn see(svg: &str) -> Seen {
    let mut reader = Reader::from_str(svg);
    let mut seen = Seen::default();
    let mut open: Vec<(String, HashMap<String, String>)> = Vec::new();
    let mut text = String::new();
    loop {
        let event = reader.read_event().unwrap();
        let is_empty = matches!(event, Event::Empty(_));
        match event {
            Event::Eof => break,
            Event::Start(element) | Event::Empty(element) => {
                let name = element.name().as_ref().to_owned();
                let own = attributes(&element);
                seen.elements.push(name.clone());
                seen.element(&name, &own, open.last());
                text.clear();
                if !is_empty {
                    open.push((name, own));
                }
            }
            Event::Text(own) => text.push_str(&own),
            Event::GeneralRef(own) => {
                text.push_str(match &*own {
                    "lt" => "<",
                    "gt" => ">",
                    "amp" => "&",
                    "quot" => "\"",
                    "#39" => "'",
                    other => panic!("an entity {other}"),
                });
            }
            Event::End(_) => {
                let (name, own) = open.pop().unwrap();
                seen.ends(&name, &own, &text);
                text.clear();
            }
            other => panic!("{other:?} in a picture"),
        }
    }
    assert!(open.is_empty());
    seen
}

impl Seen {
    fn element(
        &mut self,
        name: &str,
        own: &HashMap<String, String>,
        above: Option<&(String, HashMap<String, String>)>,
    ) {
        if name == "svg" {
            let view = numbers(&own["viewBox"]);
            (self.width, self.height) = (view[2], view[3]);
        }
        let Some((_, around)) = above else { return };
        let class = around.get("class").map(String::as_str).unwrap_or_default();
        if class.starts_with("oos-edge") && name == "path" {
            self.edges.push((self.titles.last().unwrap().clone(), along(&own["d"])));
        }
        if !class.starts_with("oos-node") || !matches!(name, "rect" | "polygon") {
            return;
        }
        let place = numbers(&around["transform"]);
        let (width, height) = if name == "rect" {
            (numbers(&own["width"])[0], numbers(&own["height"])[0])
        } else {
            let points = numbers(&own["points"]);
            let most =
                |from: usize| points.iter().skip(from).step_by(2).copied().fold(0.0, f64::max);
            (most(0), most(1))
        };
        let (left, top) = (place[0], place[1]);
        let (right, bottom) = (left + width, top + height);
        self.nodes.push(Area { name: String::new(), left, top, right, bottom });
    }

    fn ends(&mut self, name: &str, own: &HashMap<String, String>, text: &str) {
        let class = own.get("class").map(String::as_str).unwrap_or_default();
        if name == "title" {
            self.titles.push(text.to_owned());
        } else if class == "oos-name" {
            text.clone_into(&mut self.nodes.last_mut().unwrap().name);
        } else if class.starts_with("oos-label") {
            let half = numbers(&own["data-width"])[0] / 2.0;
            let (x, y) = (numbers(&own["x"])[0], numbers(&own["y"])[0]);
            let (left, right, top, bottom) = (x - half, x + half, y - 11.0, y + 3.0);
            self.labels.push(Area { name: text.to_owned(), left, top, right, bottom });
        }
    }
}

/// The laws of every picture.
fn check(name: &str, graph: &Graph) {
    let svg = graph.svg();
    let seen = see(&svg);
    let mut names: Vec<_> = graph.nodes.iter().map(|node| drawn_lines(node)[0].clone()).collect();
    let mut drawn: Vec<_> = seen.nodes.iter().map(|area| area.name.clone()).collect();
    names.sort();
    drawn.sort();
    assert_eq!(drawn, names, "{name}");
    for (at, area) in seen.nodes.iter().enumerate() {
        for other in &seen.nodes[at + 1..] {
            assert!(!area.meets(other), "{name}: {area:?} lies over {other:?}");
        }
        for (edge, points) in &seen.edges {
            let through = points.iter().find(|point| area.holds(**point));
            assert_eq!(through, None, "{name}: {edge} runs through {area:?}");
        }
    }
    for (at, label) in seen.labels.iter().enumerate() {
        let others = seen.nodes.iter().chain(&seen.labels[at + 1..]);
        for other in others {
            assert!(!label.meets(other), "{name}: {label:?} lies over {other:?}");
        }
    }
    for area in seen.nodes.iter().chain(&seen.labels) {
        let is_inside = area.left >= 0.0 && area.top >= 0.0;
        assert!(is_inside && area.right <= seen.width && area.bottom <= seen.height, "{area:?}");
    }
    for (x, y) in seen.edges.iter().flat_map(|(_, points)| points) {
        assert!((0.0..=seen.width).contains(x) && (0.0..=seen.height).contains(y), "{name}");
    }
}

#[test]
fn pictures_keep_their_laws() {
    for (name, template) in examples::all() {
        check(name, &Graph::of(&template));
        check(name, &Graph::with(&template, Options { failing_ends: true }));
    }
}

/// The laws would find what they forbid.
#[test]
fn overlaps_would_be_seen() {
    let area = |left: f64, top: f64| Area {
        name: String::new(),
        left,
        top,
        right: left + 10.0,
        bottom: top + 10.0,
    };
    assert!(area(0.0, 0.0).meets(&area(9.0, 9.0)));
    assert!(!area(0.0, 0.0).meets(&area(10.0, 0.0)));
    assert!(along("M0,0C0,10 20,10 20,20V40").iter().any(|point| area(5.0, 5.0).holds(*point)));
    assert!(!along("M0,0V40").iter().any(|point| area(5.0, 5.0).holds(*point)));
}

/// Numbers without an order, the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % below
    }

    fn next(&mut self, n: usize) -> Next {
        match self.roll(4) {
            0 => Next::End,
            1 => Next::Task(format!("t{}", self.roll(n))),
            _ => Next::Next,
        }
    }

    fn tasks(&mut self, n: usize, depth: usize) -> Vec<Task> {
        let mut tasks = Vec::new();
        for at in 0..n {
            let name = format!("t{at}");
            let mut own = match self.roll(8) {
                0 | 1 => {
                    let branch = |_| (parameter("x"), self.next(n));
                    let choices: Vec<_> = (0..3).map(branch).collect();
                    choice(&name, choices, self.next(n))
                }
                2 if depth < 2 => {
                    let n = 1 + self.roll(5);
                    super::task(&name, Action::Loop { tasks: self.tasks(n, depth + 1) })
                }
                _ => call(&name, "DescribeInstances"),
            };
            (own.on_success, own.on_error, own.on_cancel) = (
                self.next(n),
                self.next(n),
                if self.roll(5) == 0 { self.next(n) } else { Next::End },
            );
            if self.roll(5) == 0 {
                own = own.when(parameter("y"));
            }
            tasks.push(own);
        }
        tasks
    }
}

#[test]
fn pictures_of_anything_keep_their_laws() {
    for seed in 0..60 {
        let mut dice = Dice(seed);
        let n = 1 + dice.roll(24);
        let template = template(dice.tasks(n, 0));
        let options = Options { failing_ends: seed % 3 == 0 };
        check(&format!("seed {seed}"), &Graph::with(&template, options));
    }
}

#[test]
fn the_same_template_gives_the_same_bytes() {
    for (name, template) in examples::all() {
        let graph = Graph::of(&template);
        let first = graph.svg();
        for _ in 0..4 {
            assert!(Graph::of(&template).svg() == first, "{name}");
        }
    }
}

#[test]
fn hostile_text_stays_text() {
    let svg = Graph::of(&examples::hostile()).svg();
    let seen = see(&svg);
    assert!(!svg.contains("<script") && !svg.contains(" onload=\""), "{svg}");
    let known = ["svg", "style", "g", "title", "path", "polygon", "rect", "text"];
    let unknown: Vec<_> =
        seen.elements.iter().filter(|own| !known.contains(&own.as_str())).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    let told = "</title><script>alert(1)</script>";
    assert!(seen.titles.iter().any(|title| title.contains(told)), "{:?}", seen.titles);
    assert!(seen.labels.iter().any(|label| label.name == "\" onload=\"alert(1)"));
}

#[test]
fn long_edges_to_one_place_share_a_trunk() {
    let seen = see(&Graph::of(&examples::repair()).svg());
    let bottom = seen.nodes.iter().find(|area| area.name == "stopInstances").unwrap().top;
    let arrive = seen.edges.iter().filter(|(title, points)| {
        title.ends_with("if it fails, then stopInstances")
            && (points.last().unwrap().1 - bottom).abs() < 0.2
    });
    assert_eq!(arrive.count(), 1);
    let all = seen.edges.iter().filter(|(title, _)| title.ends_with(", then stopInstances"));
    assert_eq!(all.count(), 5);
}

/// Each task jumps to its mirror image: no two lines lead to the same place.
fn mirrored(n: usize) -> Template {
    let own = |at: usize| {
        let far = format!("t{}", n - 1 - at);
        call(&format!("t{at}"), "A").on_error(&far)
    };
    template((0..n).map(own).collect())
}

#[test]
fn jumps_that_are_too_many_and_too_long_are_written_out() {
    let few = see(&Graph::of(&mirrored(20)).svg());
    assert!(few.labels.is_empty());
    let many = Graph::of(&mirrored(200));
    check("mirrored", &many);
    let seen = see(&many.svg());
    assert!(seen.labels.iter().any(|label| label.name == "→ t199"), "{:?}", seen.labels.len());
    let passed = seen.edges.iter().map(|(_, points)| points.len()).sum::<usize>();
    assert!(passed < 200_000, "{passed}");
}

#[test]
fn large_templates_have_a_picture_that_says_what_is_missing() {
    let branches = |n: usize| (0..n).map(|at| (parameter("x"), to(&format!("t{at}")))).collect();
    let mut tasks = vec![choice("many", branches(500), Next::End)];
    tasks.extend((0..300).map(|at| call(&format!("t{at}"), "A").on_error("t299")));
    let graph = Graph::of(&template(tasks));
    let LeftOut { n_tasks, n_edges } = graph.left_out;
    assert_eq!(n_tasks, 101);
    assert!(n_edges > 400, "{n_edges}");
    let svg = graph.svg();
    see(&svg);
    assert!(svg.contains(&format!("not shown: 101 tasks and {n_edges} edges")));
    assert_eq!(Picture::of(&graph).boxes.len(), graph.nodes.len());
}

#[test]
fn pictures_of_shipped_templates_keep_their_laws() {
    for shipped in crate::library::SHIPPED {
        check(shipped.name, &Graph::of(&crate::template::load(shipped.text).unwrap()));
    }
}

/// For whoever wants to look at them: `KILN_PICTURES=DIR cargo test`.
#[test]
fn pictures_are_written_where_asked_for() {
    let Some(folder) = std::env::var_os("KILN_PICTURES") else { return };
    let shipped = crate::library::SHIPPED.iter();
    let shipped = shipped.map(|own| (own.name, crate::template::load(own.text).unwrap()));
    for (name, template) in examples::all().into_iter().chain(shipped) {
        let file = std::path::Path::new(&folder).join(format!("{name}.svg"));
        std::fs::write(file, Graph::of(&template).svg()).unwrap();
    }
}
