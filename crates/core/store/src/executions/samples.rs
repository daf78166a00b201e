//! Runs to test with.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::{Batch, ExecutionRow, Executions, LogRow, TaskRow};
use crate::{Once, Token, TokenKey};

/// Longer than any test.
pub(super) const LONG: Duration = Duration::from_secs(3600);

pub(super) fn execution(id: &str) -> ExecutionRow {
    let root = super::root_part(id).to_owned();
    let depth = i64::try_from(id.matches('.').count()).unwrap();
    ExecutionRow {
        id: id.into(),
        parent: id.rsplit_once('.').map_or(String::new(), |(parent, _)| parent.into()),
        root,
        account: "100".into(),
        region: "r1".into(),
        template_name: "build".into(),
        status: "Running".into(),
        mode: "Automatic".into(),
        category: "Other".into(),
        executed_by: "100".into(),
        depth,
        created: 1,
        record: format!("record of {id}"),
        view: format!("view of {id}"),
        ..ExecutionRow::default()
    }
}

pub(super) fn task(id: &str) -> TaskRow {
    let execution = id.rsplit_once('.').unwrap().0;
    TaskRow {
        id: id.into(),
        execution: execution.into(),
        root: super::root_part(id).into(),
        name: "step".into(),
        action: "ACS::Sleep".into(),
        status: "Running".into(),
        created: 1,
        record: format!("record of {id}"),
        view: format!("view of {id}"),
        ..TaskRow::default()
    }
}

pub(super) fn log(execution: &str, message: &str) -> LogRow {
    LogRow {
        execution: execution.into(),
        root: super::root_part(execution).into(),
        message: message.into(),
        ..LogRow::default()
    }
}

/// A step that changes nothing yet.
pub(super) fn step(root: &str, lease: &str) -> Batch {
    Batch { root: root.into(), lease: lease.into(), ..Batch::default() }
}

pub(super) fn start(execution: ExecutionRow) -> Batch {
    Batch { executions: vec![execution.clone()], ..step(&execution.root, "") }
}

/// Begin a run, held by `a`. The answer is the token.
pub(super) async fn begin(executions: &Executions, root: ExecutionRow) -> String {
    match executions.create(&start(root), Some(("a", LONG)), None).await.unwrap() {
        Once::Done(Some(lease)) => lease,
        other => panic!("{other:?}"),
    }
}

pub(super) fn token(name: &str, parameters: &str) -> (TokenKey, Token) {
    let key = TokenKey {
        account: "100".into(),
        region: "r1".into(),
        action: "StartExecution".into(),
        token: name.into(),
    };
    let answer = json!({ "answer": parameters });
    (key, Token { parameters: parameters.into(), answer, created: Timestamp::now() })
}

pub(super) fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
