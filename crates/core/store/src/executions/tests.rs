//! What executions promise, over both databases.

use std::time::Duration;

use futures::FutureExt;
use futures::future::join_all;
use serde_json::json;

use super::samples::{LONG, begin, execution, log, pairs, start, step, task, token};
use super::{Batch, Committer, ExecutionRow, Executions, LogQuery, Stored, TaskRow, after};
use crate::both::{Part, on_postgres, on_sqlite};
use crate::{Database, Once, StoreError};

#[tokio::test]
async fn sqlite_keeps_what_executions_promise() {
    on_sqlite(PARTS).await;
}

#[tokio::test]
async fn postgres_keeps_what_executions_promise() {
    on_postgres(PARTS).await;
}

const PARTS: &[Part] = &[
    |database| fencing(database).boxed(),
    |database| leases(database).boxed(),
    |database| loading(database).boxed(),
    |database| firings(database).boxed(),
    |database| kept_columns(database).boxed(),
    |database| tokens(database).boxed(),
    |database| inbox(database).boxed(),
    |database| groups(database).boxed(),
    |database| two_committers(database).boxed(),
    |database| blame(database).boxed(),
    |database| many_rows(database).boxed(),
];

async fn lines(executions: &Executions, execution: &str) -> Vec<String> {
    let query = LogQuery { execution: execution.into(), limit: 1000, ..LogQuery::default() };
    let logs = executions.logs(&query).await.unwrap();
    logs.rows.into_iter().map(|row| row.message).collect()
}

async fn loaded(executions: &Executions, root: &str) -> Stored {
    executions.load(root, false).await.unwrap().unwrap()
}

/// A step that writes something to each table.
fn full_step(root: &str, lease: &str, item: i64) -> Batch {
    let changed = ExecutionRow { record: "changed".into(), ..execution(root) };
    Batch {
        executions: vec![changed, execution(&format!("{root}.t0001"))],
        tasks: vec![task(&format!("{root}.t0001"))],
        logs: vec![log(root, "changed")],
        templates: vec![(format!("digest of {root}"), "text".into())],
        inbox_done: vec![item],
        ..step(root, lease)
    }
}

/// Fault planted: a holder whose lease was lost writes on, together with one that holds its own.
async fn fencing(database: Database) {
    let executions = Executions::new(database);
    let (lost, held) =
        (begin(&executions, execution("e-1")).await, begin(&executions, execution("e-2")).await);
    let mut items = Vec::new();
    for root in ["e-1", "e-2"] {
        match executions.put(root, "cancel", None).await.unwrap() {
            Once::Done(item) => items.push(item),
            other => panic!("{other:?}"),
        }
    }
    executions.release_of("a").await.unwrap();
    executions.take_lease("e-1", "b", LONG).await.unwrap().unwrap();
    let held_again = executions.take_lease("e-2", "a", LONG).await.unwrap().unwrap();
    assert_ne!(held, held_again);

    let before = loaded(&executions, "e-1").await;
    let batches = [
        full_step("e-1", &lost, items[0]),
        full_step("e-2", &held_again, items[1]),
        full_step("e-2", "", items[1]),
        full_step("e-3", &lost, 1),
        full_step("e-3", "", 1),
    ];
    let outcome = executions.commit(&batches).await.unwrap();
    assert_eq!(outcome, [false, true, false, false, false]);
    assert_eq!(loaded(&executions, "e-1").await, before);
    assert!(lines(&executions, "e-1").await.is_empty());
    assert_eq!(executions.inbox("e-1").await.unwrap(), [(1, "cancel".to_owned())]);
    assert_eq!(executions.load("e-3", false).await.unwrap(), None);

    let after = loaded(&executions, "e-2").await;
    assert_eq!(after.executions, ["changed", "record of e-2.t0001"]);
    assert_eq!(after.tasks, ["record of e-2.t0001"]);
    assert_eq!(lines(&executions, "e-2").await, ["changed"]);
    assert!(executions.inbox("e-2").await.unwrap().is_empty());

    // A row of another run would get past the lease.
    let smuggled = Batch { tasks: vec![task("e-1.t0001")], ..step("e-2", &held_again) };
    let refused = executions.commit(&[smuggled]).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "what is stored in a batch that was to be written, run e-2 is damaged: \
         a row is of the run e-1"
    );
}

async fn leases(database: Database) {
    let executions = Executions::new(database);
    let take = async |owner: &str, time| executions.take_lease("e", owner, time).await.unwrap();
    assert_eq!(take("a", LONG).await, None, "there is no such run");
    executions.create(&start(execution("e")), None, None).await.unwrap();
    let first = take("a", LONG).await.unwrap();
    assert_eq!(take("b", LONG).await, None);
    let second = take("a", LONG).await.unwrap();
    assert_ne!(first, second);
    executions.release_lease("e", &first).await.unwrap();
    assert_eq!(take("b", LONG).await, None, "a token without worth gives nothing back");
    executions.release_lease("e", &second).await.unwrap();
    let unheld = executions.commit(&[step("e", "")]).await.unwrap();
    assert_eq!(unheld, [false], "nobody holds it, so nobody may write to it");
    let short = take("b", Duration::from_millis(1)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    // Nobody came for it, so it is still the holder's.
    assert_eq!(executions.commit(&[step("e", &short)]).await.unwrap(), [true]);
    take("a", Duration::from_millis(1)).await.unwrap();
    assert_eq!(executions.commit(&[step("e", &short)]).await.unwrap(), [false]);
    executions.renew_of("b", LONG).await.unwrap();
    executions.renew_of("a", LONG).await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(take("b", LONG).await, None, "it was renewed, and is held by a");
    assert_eq!(executions.release_of("b").await.unwrap(), [""; 0]);
    assert_eq!(executions.release_of("a").await.unwrap().len(), 1);
    executions.renew_of("a", LONG).await.unwrap();
    let last = take("b", LONG).await.expect("what was given back is not held for longer");
    let last = Batch { is_last: true, ..step("e", &last) };
    assert_eq!(executions.commit(std::slice::from_ref(&last)).await.unwrap(), [true]);
    assert_eq!(executions.commit(&[last]).await.unwrap(), [false], "the last step gave it back");
    assert!(take("a", LONG).await.is_some());
}

async fn loading(database: Database) {
    let executions = Executions::new(database);
    assert_eq!(executions.load("e", false).await.unwrap(), None);
    let mut batch = start(execution("e"));
    batch.templates = vec![("d1".into(), "text 1".into())];
    batch.logs = vec![log("e", "started")];
    let Once::Done(Some(lease)) = executions.create(&batch, Some(("a", LONG)), None).await.unwrap()
    else {
        panic!("not held");
    };
    let again = executions.create(&batch, None, None).await;
    assert!(matches!(again, Err(StoreError::Conflict)), "{again:?}");
    // A run whose name begins alike, and one that has the same text.
    let mut other = start(execution("e1"));
    other.templates = vec![("d1".into(), "text 1".into()), ("d3".into(), "text 3".into())];
    executions.create(&other, None, None).await.unwrap();

    let second = Batch {
        executions: vec![execution("e.t0001")],
        tasks: vec![
            TaskRow { position: 2, ..task("e.t0001") },
            TaskRow { position: 1, ..task("e.t0002") },
            task("e.t0001.t0001"),
        ],
        templates: vec![("d2".into(), "text 2".into()), ("d1".into(), "text 1".into())],
        logs: vec![log("e", "one"), log("e.t0001", "below"), log("e", "two")],
        ..step("e", &lease)
    };
    assert_eq!(executions.commit(&[second.clone(), second]).await.unwrap(), [true, true]);
    let stored = loaded(&executions, "e").await;
    assert_eq!(stored.executions, ["record of e", "record of e.t0001"]);
    let tasks = ["record of e.t0002", "record of e.t0001", "record of e.t0001.t0001"];
    assert_eq!(stored.tasks, tasks);
    assert_eq!(stored.templates, pairs(&[("d1", "text 1"), ("d2", "text 2")]));
    assert_eq!(lines(&executions, "e").await, ["started", "one", "two", "one", "two"]);
}

/// A trigger that fired twice: of the first firing, which ended, nothing is loaded.
async fn firings(database: Database) {
    let executions = Executions::new(database);
    let lease = begin(&executions, execution("e")).await;
    let mut batch = step("e", &lease);
    for (firing, ended) in [("e.t0001", 5), ("e.t0002", 0)] {
        let below = format!("{firing}.t0001");
        for id in [firing, &below] {
            batch.executions.push(ExecutionRow { firing: firing.into(), ended, ..execution(id) });
        }
        batch.tasks.push(TaskRow { firing: firing.into(), ended, ..task(&below) });
        batch.tasks.push(task(firing));
    }
    assert_eq!(executions.commit(&[batch]).await.unwrap(), [true]);
    let all = loaded(&executions, "e").await;
    assert_eq!((all.executions.len(), all.tasks.len()), (5, 4));
    let live = executions.load("e", true).await.unwrap().unwrap();
    assert_eq!(live.executions, ["record of e", "record of e.t0002", "record of e.t0002.t0001"]);
    let tasks = ["record of e.t0001", "record of e.t0002", "record of e.t0002.t0001"];
    assert_eq!(live.tasks, tasks);
}

/// Fault planted: a commit of the run that still knows what a request changed meanwhile.
async fn kept_columns(database: Database) {
    let executions = Executions::new(database);
    let root = ExecutionRow {
        description: "old".into(),
        resource_group: "rg-1".into(),
        tags: pairs(&[("k", "old")]),
        ..execution("e")
    };
    let lease = begin(&executions, root.clone()).await;
    let change = super::ExecutionChange {
        description: Some("new".into()),
        tags: Some(pairs(&[("k", "new")])),
        ..Default::default()
    };
    executions.update("100", "e", &change, None).await.unwrap();
    let last = ExecutionRow {
        status: "Success".into(),
        ended: 9,
        ram_role: "role".into(),
        record: "r".into(),
        view: "v".into(),
        category: "TimerTrigger".into(),
        ..root
    };
    let batch = Batch { executions: vec![last.clone()], ..step("e", &lease) };
    assert_eq!(executions.commit(&[batch]).await.unwrap(), [true]);
    let found = executions.execution("100", "e").await.unwrap().unwrap();
    let expected = ExecutionRow {
        description: "new".into(),
        tags: pairs(&[("k", "new")]),
        category: "Other".into(),
        ..last
    };
    assert_eq!(found, expected);
    assert_eq!(executions.execution("200", "e").await.unwrap(), None);
    let absent = executions.update("200", "e", &change, None).await.unwrap_err();
    assert_eq!(absent.to_string(), "there is no execution e");
}

async fn tokens(database: Database) {
    let executions = Executions::new(database);
    let create = async |id: &str, parameters: &str| {
        let token = token("t", parameters);
        executions.create(&start(execution(id)), None, Some(&token)).await.unwrap()
    };
    assert_eq!(create("e-1", "p").await, Once::Done(None));
    assert_eq!(create("e-2", "p").await, Once::Before(json!({ "answer": "p" })));
    assert_eq!(create("e-3", "other").await, Once::Mismatch);
    for id in ["e-2", "e-3"] {
        assert_eq!(executions.load(id, false).await.unwrap(), None, "{id}");
    }
    // What failed has not used its token up.
    let token = token("u", "p");
    let refused = executions.put("e-9", "item", Some(&token)).await.unwrap_err();
    assert_eq!(refused.to_string(), "there is no run e-9");
    for expected in [Once::Done(1), Once::Before(json!({ "answer": "p" }))] {
        assert_eq!(executions.put("e-1", "item", Some(&token)).await.unwrap(), expected);
    }
    assert_eq!(executions.inbox("e-1").await.unwrap().len(), 1);
}

async fn inbox(database: Database) {
    let executions = Executions::new(database);
    let lease = begin(&executions, execution("e")).await;
    begin(&executions, execution("f")).await;
    for n in 1..=3 {
        let put = executions.put("e", &format!("item {n}"), None).await.unwrap();
        assert_eq!(put, Once::Done(n));
    }
    assert_eq!(executions.called("a").await.unwrap(), ["e"]);
    assert!(executions.called("b").await.unwrap().is_empty());
    let done = Batch { inbox_done: vec![3, 1, 77], ..step("e", &lease) };
    assert_eq!(executions.commit(&[done]).await.unwrap(), [true]);
    assert_eq!(executions.inbox("e").await.unwrap(), [(2, "item 2".to_owned())]);
    // A number is never given out again, or a step that is written twice would drop a new item.
    assert_eq!(executions.put("e", "item 4", None).await.unwrap(), Once::Done(4));
    let puts = (0..8).map(|_| executions.put("f", "x", None));
    let mut numbers: Vec<i64> = join_all(puts)
        .await
        .into_iter()
        .map(|put| match put.unwrap() {
            Once::Done(number) => number,
            other => panic!("{other:?}"),
        })
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=8).collect::<Vec<_>>());
}

/// Many callers at once: each gets its own answer, and of each run the steps stay in order.
async fn groups(database: Database) {
    // All of them in one poll: after 128 operations tokio lets others have a turn, and who comes
    // first then is anybody's guess.
    const STEPS: usize = 30;
    let executions = Executions::new(database);
    let mut leases = Vec::new();
    for root in ["e-1", "e-2", "e-3"] {
        leases.push((root, begin(&executions, execution(root)).await));
    }
    leases.push(("e-4", "not its lease".into()));
    executions.create(&start(execution("e-4")), None, None).await.unwrap();
    let committer = Committer::start(executions.clone());
    let mut waiting = Vec::new();
    for n in 0..STEPS {
        for (root, lease) in &leases {
            let changed = ExecutionRow { record: format!("{n}"), ..execution(root) };
            let batch = Batch {
                executions: vec![changed],
                logs: vec![log(root, &n.to_string())],
                ..step(root, lease)
            };
            // Joined futures are polled in their order, so they queue in it.
            waiting.push(committer.commit(batch));
        }
    }
    for (n, outcome) in join_all(waiting).await.into_iter().enumerate() {
        assert_eq!(outcome.unwrap(), n % 4 != 3, "{n}");
    }
    let expected: Vec<String> = (0..STEPS).map(|n| n.to_string()).collect();
    for root in ["e-1", "e-2", "e-3"] {
        assert_eq!(lines(&executions, root).await, expected);
        assert_eq!(loaded(&executions, root).await.executions, [(STEPS - 1).to_string()]);
    }
    assert_eq!(loaded(&executions, "e-4").await.executions, ["record of e-4"]);
}

/// Two processes with the same runs, of which each holds one: nothing is mixed up or lost.
async fn two_committers(database: Database) {
    let executions = Executions::new(database);
    let mut leases = Vec::new();
    for (root, owner) in [("e-1", "a"), ("e-2", "b")] {
        executions.create(&start(execution(root)), None, None).await.unwrap();
        leases.push(executions.take_lease(root, owner, LONG).await.unwrap().unwrap());
    }
    let committers = [Committer::start(executions.clone()), Committer::start(executions.clone())];
    for n in 0..20 {
        let line = |root: &str, lease: &str| Batch {
            logs: vec![log(root, &n.to_string())],
            ..step(root, lease)
        };
        let outcomes = tokio::join!(
            committers[0].commit(line("e-1", &leases[0])),
            committers[0].commit(line("e-2", &leases[0])),
            committers[1].commit(line("e-1", &leases[1])),
            committers[1].commit(line("e-2", &leases[1])),
        );
        let held = [outcomes.0, outcomes.1, outcomes.2, outcomes.3].map(Result::unwrap);
        assert_eq!(held, [true, false, false, true]);
    }
    let expected: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    assert_eq!(lines(&executions, "e-1").await, expected);
    assert_eq!(lines(&executions, "e-2").await, expected);
}

/// Fault planted: in the middle of a group, a batch that cannot be written.
async fn blame(database: Database) {
    let executions = Executions::new(database);
    let lease = begin(&executions, execution("e")).await;
    let committer = Committer::start(executions.clone());
    let sound = |n: &str| Batch { logs: vec![log("e", n)], ..step("e", &lease) };
    let broken = Batch { logs: vec![log("other", "x")], ..step("e", &lease) };
    let outcomes = join_all([
        committer.commit(sound("1")),
        committer.commit(sound("2")),
        committer.commit(broken),
        committer.commit(sound("3")),
    ])
    .await;
    let told: Vec<Option<bool>> = outcomes.into_iter().map(Result::ok).collect();
    assert_eq!(told, [Some(true), Some(true), None, Some(true)]);
    assert_eq!(lines(&executions, "e").await, ["1", "2", "3"]);

    executions.database.pool().close().await;
    let outcomes = join_all([committer.commit(sound("4")), committer.commit(sound("5"))]).await;
    for outcome in outcomes {
        let error = outcome.unwrap_err();
        assert!(error.is_transient(), "{error}");
        assert!(error.to_string().starts_with("the store is unavailable: "), "{error}");
    }
}

/// As many rows as one statement cannot take, some of them twice.
async fn many_rows(database: Database) {
    let executions = Executions::new(database);
    let lease = begin(&executions, execution("e")).await;
    let ids: Vec<String> = (0..300).map(|n| format!("e.t{n:04}")).collect();
    let batch = Batch {
        executions: ids.iter().map(|id| execution(id)).collect(),
        tasks: ids.iter().chain(&ids[..50]).map(|id| task(id)).collect(),
        logs: ids.iter().map(|id| log("e", id)).collect(),
        ..step("e", &lease)
    };
    let last = Batch {
        executions: vec![ExecutionRow {
            record: "last".into(),
            description: "late".into(),
            ..execution("e.t0000")
        }],
        ..step("e", &lease)
    };
    assert_eq!(executions.commit(&[batch, last]).await.unwrap(), [true, true]);
    let stored = loaded(&executions, "e").await;
    assert_eq!((stored.executions.len(), stored.tasks.len()), (301, 300));
    assert_eq!(lines(&executions, "e").await, ids);
    let found = executions.execution("100", "e.t0000").await.unwrap().unwrap();
    assert_eq!((found.record.as_str(), found.description.as_str()), ("last", ""));
    assert!(found.created < after(Duration::ZERO));
}
