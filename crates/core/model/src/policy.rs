//! Policies of access: who may call which action on which resource.
//!
//! The language is that of the cloud's access management, version 1: statements of an effect, of
//! actions and of resources with wildcards. Nothing is allowed that no statement allows, and one
//! denial outweighs every permission. What this reader does not understand it refuses: a condition
//! that was passed over would allow what its author had forbidden.

use serde::Deserialize;

/// A policy that was read and understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    statements: Vec<Statement>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Statement {
    effect: Effect,
    actions: Patterns,
    resources: Patterns,
}

/// Patterns of which one must match, or (`NotAction`, `NotResource`) none may.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Patterns {
    is_negated: bool,
    patterns: Vec<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
enum Effect {
    Allow,
    Deny,
}

/// The answer of all policies of a caller together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// A statement allows it and none denies it.
    Allowed,
    /// A statement denies it.
    Denied,
    /// No statement says anything about it, which is a refusal too.
    NotMentioned,
}

/// Why a policy was refused.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// Not the JSON of a policy; the text names the field and the place.
    #[error("not a policy: {0}")]
    Syntax(#[from] serde_json::Error),
    /// The version of the language.
    #[error("Version is {0:?}; kiln reads version \"1\"")]
    Version(String),
    /// More than kiln will look through for every request.
    #[error("{what}: {found} instead of at most {limit}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much of it there is.
        found: usize,
        /// How much there may be.
        limit: usize,
    },
    /// Both or neither of `Action` and `NotAction`, or of `Resource` and `NotResource`.
    #[error("statement {number} needs exactly one of {one} and {other}")]
    OneOf {
        /// The statement, counted from 1.
        number: usize,
        /// A name.
        one: &'static str,
        /// The other name.
        other: &'static str,
    },
    /// A condition.
    #[error(
        "statement {number} has a Condition, which kiln cannot judge; grant less by Action and Resource"
    )]
    Condition {
        /// The statement, counted from 1.
        number: usize,
    },
}

/// The limit of the cloud for a document.
const DOCUMENT_LIMIT_BYTES: usize = 6 * 1024;
const STATEMENT_LIMIT: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct RawPolicy {
    version: String,
    statement: Vec<RawStatement>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct RawStatement {
    effect: Effect,
    action: Option<OneOrMany>,
    not_action: Option<OneOrMany>,
    resource: Option<OneOrMany>,
    not_resource: Option<OneOrMany>,
    condition: Option<serde_json::Map<String, serde_json::Value>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl Policy {
    /// Read a policy document.
    ///
    /// # Errors
    ///
    /// Where it is not one of version 1, or says something that kiln cannot judge.
    pub fn parse(document: &str) -> Result<Self, PolicyError> {
        limit("bytes of the document", document.len(), DOCUMENT_LIMIT_BYTES)?;
        let raw: RawPolicy = serde_json::from_str(document)?;
        if raw.version != "1" {
            return Err(PolicyError::Version(raw.version));
        }
        limit("statements", raw.statement.len(), STATEMENT_LIMIT)?;
        let numbered = (1..).zip(raw.statement);
        let statements = numbered.map(|(number, raw)| Statement::read(number, raw));
        Ok(Self { statements: statements.collect::<Result<_, _>>()? })
    }

    /// A policy that allows everything, for the owner of an account.
    #[must_use]
    pub fn administrator() -> Self {
        let all = || Patterns { is_negated: false, patterns: vec!["*".to_owned()] };
        Self {
            statements: vec![Statement { effect: Effect::Allow, actions: all(), resources: all() }],
        }
    }
}

impl Statement {
    fn read(number: usize, raw: RawStatement) -> Result<Self, PolicyError> {
        if raw.condition.is_some_and(|condition| !condition.is_empty()) {
            return Err(PolicyError::Condition { number });
        }
        let actions = one_of(number, ("Action", raw.action), ("NotAction", raw.not_action))?;
        let resources =
            one_of(number, ("Resource", raw.resource), ("NotResource", raw.not_resource))?;
        Ok(Self { effect: raw.effect, actions, resources })
    }
}

fn one_of(
    number: usize,
    (one, plain): (&'static str, Option<OneOrMany>),
    (other, negated): (&'static str, Option<OneOrMany>),
) -> Result<Patterns, PolicyError> {
    let (is_negated, patterns) = match (plain, negated) {
        (Some(patterns), None) => (false, patterns),
        (None, Some(patterns)) => (true, patterns),
        _ => return Err(PolicyError::OneOf { number, one, other }),
    };
    let patterns = match patterns {
        OneOrMany::One(pattern) => vec![pattern],
        OneOrMany::Many(patterns) => patterns,
    };
    Ok(Patterns { is_negated, patterns })
}

fn limit(what: &'static str, found: usize, limit: usize) -> Result<(), PolicyError> {
    if found > limit { Err(PolicyError::TooLarge { what, found, limit }) } else { Ok(()) }
}

impl Patterns {
    fn match_any(&self, text: &str, is_same: impl Fn(u8, u8) -> bool + Copy) -> bool {
        self.patterns.iter().any(|pattern| matches(pattern, text, is_same)) != self.is_negated
    }
}

/// What `policies` say together about `action` (`ecs:ImportImage`) on `resource`
/// (`acs:ecs:<region>:<account>:image/<id>`). Actions are compared without regard to case.
#[must_use]
pub fn decide(policies: &[Policy], action: &str, resource: &str) -> Decision {
    let mut decision = Decision::NotMentioned;
    for statement in policies.iter().flat_map(|policy| &policy.statements) {
        let is_meant = statement.actions.match_any(action, |a, b| a.eq_ignore_ascii_case(&b))
            && statement.resources.match_any(resource, |a, b| a == b);
        match statement.effect {
            Effect::Deny if is_meant => return Decision::Denied,
            Effect::Allow if is_meant => decision = Decision::Allowed,
            _ => {}
        }
    }
    decision
}

/// Does `pattern` with `*` (any run) and `?` (any one byte) match all of `text`?
///
/// Goes back to the last `*` only, so that its time is at most the product of both lengths whatever
/// the pattern is.
fn matches(pattern: &str, text: &str, is_same: impl Fn(u8, u8) -> bool) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(b'?') => (p, t) = (p + 1, t + 1),
            Some(&byte) if is_same(byte, text[t]) => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((star_at, tried)) => {
                    star = Some((star_at, tried + 1));
                    (p, t) = (star_at + 1, tried + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(statements: &str) -> Policy {
        Policy::parse(&format!(r#"{{"Version":"1","Statement":[{statements}]}}"#)).unwrap()
    }

    const IMAGE: &str = "acs:ecs:cn-hangzhou:1000000000000001:image/m-1";

    #[test]
    fn what_nobody_allows_is_refused() {
        assert_eq!(decide(&[], "ecs:DeleteImage", IMAGE), Decision::NotMentioned);
        let reader = policy(r#"{"Effect":"Allow","Action":"ecs:Describe*","Resource":"*"}"#);
        assert_eq!(
            decide(std::slice::from_ref(&reader), "ecs:DescribeImages", IMAGE),
            Decision::Allowed
        );
        assert_eq!(
            decide(std::slice::from_ref(&reader), "ECS:describeimages", IMAGE),
            Decision::Allowed
        );
        assert_eq!(decide(&[reader], "ecs:DeleteImage", IMAGE), Decision::NotMentioned);
    }

    #[test]
    fn a_denial_outweighs_in_either_order() {
        let allow = policy(r#"{"Effect":"Allow","Action":["ecs:*"],"Resource":["*"]}"#);
        let deny =
            policy(r#"{"Effect":"Deny","Action":"ecs:DeleteImage","Resource":"*image/m-?"}"#);
        for policies in [[allow.clone(), deny.clone()], [deny, allow]] {
            assert_eq!(decide(&policies, "ecs:DeleteImage", IMAGE), Decision::Denied);
            assert_eq!(decide(&policies, "ecs:CopyImage", IMAGE), Decision::Allowed);
            let other = "acs:ecs:cn-hangzhou:1000000000000001:image/m-12";
            assert_eq!(decide(&policies, "ecs:DeleteImage", other), Decision::Allowed);
        }
    }

    #[test]
    fn negated_patterns_mean_all_others() {
        let all_but = policy(r#"{"Effect":"Allow","NotAction":["ecs:Delete*"],"NotResource":"x"}"#);
        assert_eq!(
            decide(std::slice::from_ref(&all_but), "ecs:CopyImage", IMAGE),
            Decision::Allowed
        );
        assert_eq!(
            decide(std::slice::from_ref(&all_but), "ecs:CopyImage", "x"),
            Decision::NotMentioned
        );
        assert_eq!(decide(&[all_but], "ecs:DeleteImage", IMAGE), Decision::NotMentioned);
    }

    #[test]
    fn the_administrator_may_all() {
        let all = [Policy::administrator()];
        assert_eq!(decide(&all, "ecs:ImportImage", IMAGE), Decision::Allowed);
        assert_eq!(decide(&all, "oss:PutObject", ""), Decision::Allowed);
    }

    #[test]
    fn resources_keep_their_case() {
        let policy = policy(r#"{"Effect":"Allow","Action":"*","Resource":"acs:oss:*:*:Bucket/*"}"#);
        assert_eq!(
            decide(std::slice::from_ref(&policy), "oss:GetObject", "acs:oss:r:1:Bucket/k"),
            Decision::Allowed
        );
        assert_eq!(
            decide(&[policy], "oss:GetObject", "acs:oss:r:1:bucket/k"),
            Decision::NotMentioned
        );
    }

    #[test]
    fn wildcards() {
        let is = |pattern: &str, text: &str| matches(pattern, text, |a, b| a == b);
        for (pattern, text) in [
            ("*", ""),
            ("a*c", "abbc"),
            ("*b*", "abc"),
            ("a?c", "abc"),
            ("**a", "a"),
            ("", ""),
            ("*ab", "aab"),
        ] {
            assert!(is(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in
            [("", "a"), ("a", ""), ("?", ""), ("a*c", "abd"), ("ab", "abc"), ("*a", "b")]
        {
            assert!(!is(pattern, text), "{pattern} {text}");
        }
        // The pattern that makes a backtracking matcher run for ever.
        assert!(!is(&"*a".repeat(500), &"a".repeat(499)));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let told = |document: &str| Policy::parse(document).unwrap_err().to_string();
        let of = |statement: &str| told(&format!(r#"{{"Version":"1","Statement":[{statement}]}}"#));
        assert!(told("{").starts_with("not a policy: "));
        assert_eq!(
            told(r#"{"Version":"2","Statement":[]}"#),
            r#"Version is "2"; kiln reads version "1""#
        );
        assert_eq!(
            of(r#"{"Effect":"Allow","Resource":"*"}"#),
            "statement 1 needs exactly one of Action and NotAction"
        );
        assert_eq!(
            of(r#"{"Effect":"Allow","Action":"*","Resource":"*","NotResource":"*"}"#),
            "statement 1 needs exactly one of Resource and NotResource"
        );
        let condition =
            r#"{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"IpAddress":{}}}"#;
        assert!(of(condition).starts_with("statement 1 has a Condition"));
        assert!(of(r#"{"Effect":"Perhaps","Action":"*","Resource":"*"}"#).contains("Perhaps"));
        assert!(
            of(r#"{"Effect":"Allow","Action":"*","Resource":"*","Principal":"x"}"#)
                .contains("Principal")
        );
        assert!(told(&" ".repeat(7000)).starts_with("bytes of the document: 7000"));
    }
}
