//! rpm's conditions between packages (`(a if b)`, `((c or d) with e >= 2)`).
//!
//! Source: rpm docs/manual/boolean_dependencies.md.

use super::version::{Bound, Relation};
use super::{Kind, Requirement};

/// No condition in a distribution is nested deeper.
const MAX_DEPTH: u32 = 8;

/// Read a condition with its parentheses. `None`: not one.
pub(super) fn parse(text: &str) -> Option<Requirement> {
    let spaced = spaced(text);
    let mut words = spaced.split_whitespace().peekable();
    let (first, found) = (words.next()?, operand_list(&mut words, MAX_DEPTH)?);
    (first == "(" && words.next().is_none()).then_some(found)
}

/// Parentheses that group set apart by blanks; those of a name (`python(abi)`) stay with it.
fn spaced(text: &str) -> String {
    let (mut out, mut in_name) = (String::new(), 0_u32);
    let mut last = ' ';
    for c in text.chars() {
        match c {
            '(' if last.is_whitespace() || (last == '(' && in_name == 0) => out.push_str(" ( "),
            '(' => {
                in_name += 1;
                out.push(c);
            }
            ')' if in_name > 0 => {
                in_name -= 1;
                out.push(c);
            }
            ')' => out.push_str(" ) "),
            _ => out.push(c),
        }
        last = c;
    }
    out
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

/// Operands with operators between, up to the closing parenthesis.
fn operand_list(words: &mut Words, depth: u32) -> Option<Requirement> {
    let first = operand(words, depth)?;
    let operator = match words.next()? {
        ")" => return Some(first),
        operator => operator,
    };
    let mut parts = vec![first];
    let mut otherwise = None;
    loop {
        parts.push(operand(words, depth)?);
        match words.next()? {
            ")" => break,
            "else" if otherwise.is_none() && parts.len() == 2 => {
                otherwise = Some(operand(words, depth)?);
                (words.next()? == ")").then_some(())?;
                break;
            }
            next if next == operator && matches!(next, "and" | "or" | "with") => {}
            _ => return None,
        }
    }
    let pair = |mut parts: Vec<Requirement>| {
        let second = parts.pop()?;
        Some((parts.pop()?, second))
    };
    Some(match operator {
        "and" | "with" => Requirement::All(parts),
        "or" => Requirement::AnyOf(parts),
        "if" => {
            let (then, when) = pair(parts)?;
            let chosen = Requirement::If(Box::new(then), Box::new(when.clone()));
            match otherwise {
                Some(other) => {
                    Requirement::All(vec![chosen, Requirement::AnyOf(vec![when, other])])
                }
                None => chosen,
            }
        }
        "unless" => {
            let (then, when) = pair(parts)?;
            Requirement::AnyOf(vec![when, then])
        }
        // What the one must not be beside the other cannot be told of one package alone.
        "without" => pair(parts)?.0,
        _ => return None,
    })
}

fn operand(words: &mut Words, depth: u32) -> Option<Requirement> {
    let name = words.next()?;
    if name == "(" {
        return operand_list(words, depth.checked_sub(1)?);
    }
    let bound = words.peek().and_then(|word| Bound::of(word, Kind::Rpm));
    let bound = match bound {
        Some(bound) => {
            words.next();
            Some((bound, words.next()?.to_owned()))
        }
        None => None,
    };
    Some(Requirement::Any(vec![Relation { name: name.to_owned(), bound }]))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn conditions_are_read_as_they_are_nested() {
        for (text, expected) in [
            ("(a or b)", "a or b"),
            ("(a >= 1 with a < 2)", "a (>= 1) and a (< 2)"),
            ("(a if b)", "a if b"),
            ("(a if (b or c) else d)", "a if b or c and b or c or d"),
            ("((python3dist(x) or b) and c)", "python3dist(x) or b and c"),
            ("(python(abi) = 3.9 unless q)", "q or python(abi) (= 3.9)"),
            ("(a)", "a"),
        ] {
            assert_eq!(
                parse(text).map(|found| found.to_string()).as_deref(),
                Some(expected),
                "{text}"
            );
        }
        let deep = format!("{}a{}", "(".repeat(50), ")".repeat(50));
        for broken in ["", "a", "(a", "(a b)", "(a or)", "(a or b and c)", "(a) b", &deep] {
            assert_eq!(parse(broken), None, "{broken}");
        }
    }
}
