//! What lists of executions answer, and what is left of what goes, over both databases.

use std::collections::BTreeSet;

use futures::FutureExt;

use super::samples::{begin, execution, log, pairs, start, step, task};
use super::{
    Batch, Depth, ExecutionChange, ExecutionQuery, ExecutionRow, ExecutionSort, Executions,
    LogQuery, TaskExecutionQuery, TaskExecutionSort, TaskRow,
};
use crate::both::{Part, on_postgres, on_sqlite};
use crate::{Database, Listing, PageOf, StoreError, TagChange, TagKind, Tags};

#[tokio::test]
async fn sqlite_lists_executions() {
    on_sqlite(PARTS).await;
}

#[tokio::test]
async fn postgres_lists_executions() {
    on_postgres(PARTS).await;
}

const PARTS: &[Part] = &[
    |database| filters(database).boxed(),
    |database| pages(database).boxed(),
    |database| tasks(database).boxed(),
    |database| logs(database).boxed(),
    |database| deleting(database).boxed(),
    |database| forgetting(database).boxed(),
    |database| spent(database).boxed(),
    |database| texts(database).boxed(),
    |database| tags(database).boxed(),
];

fn all() -> ExecutionQuery {
    let page = PageOf { limit: 100, ..PageOf::default() };
    ExecutionQuery { account: "100".into(), is_ascending: true, page, ..Default::default() }
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

async fn ids(executions: &Executions, query: &ExecutionQuery) -> Vec<String> {
    let found = executions.list(query).await.unwrap();
    assert_eq!((found.total, found.next), (found.items.len() as u64, None));
    found.items.into_iter().map(|row| row.id).collect()
}

/// Executions that differ from each other in everything that lists ask for.
async fn plant(executions: &Executions) {
    let roots = [
        ExecutionRow {
            template_name: "Build_100%".into(),
            description: r"a\b 50%".into(),
            tags: pairs(&[("team", "o'neil \"x\""), ("stage", "test")]),
            resource_group: "rg-1".into(),
            created: 10,
            ..execution("e-1")
        },
        ExecutionRow {
            template_name: "BuildX1000".into(),
            description: "a-b 500".into(),
            tags: pairs(&[("team", "o'neil \"x\"")]),
            status: "Success".into(),
            category: "TimerTrigger".into(),
            ram_role: "role".into(),
            created: 20,
            ended: 25,
            ..execution("e-2")
        },
        ExecutionRow {
            mode: "Debug".into(),
            executed_by: "anna".into(),
            region: "r2".into(),
            status: "Failed".into(),
            category: "AlarmTrigger".into(),
            created: 30,
            ended: 31,
            ..execution("e-3")
        },
        ExecutionRow { account: "200".into(), created: 15, ..execution("e-4") },
    ];
    for root in roots {
        let lease = begin(executions, root.clone()).await;
        if root.id == "e-1" {
            let below = ["e-1.t0001", "e-1.t0002", "e-1.t0001.t0001"];
            let batch = Batch { executions: below.map(execution).into(), ..step("e-1", &lease) };
            assert_eq!(executions.commit(&[batch]).await.unwrap(), [true]);
        }
    }
}

/// Near misses planted: other names that a wildcard would match, bounds that are one off.
async fn filters(database: Database) {
    let executions = Executions::new(database);
    plant(&executions).await;
    let cases: &[(ExecutionQuery, &[&str])] = &[
        (all(), &["e-1", "e-2", "e-3"]),
        (ExecutionQuery { account: "200".into(), ..all() }, &["e-4"]),
        (ExecutionQuery { region: some("r2"), ..all() }, &["e-3"]),
        (ExecutionQuery { id: some("e-1.t0001.t0001"), ..all() }, &["e-1.t0001.t0001"]),
        (ExecutionQuery { id: some("e-4"), ..all() }, &[]),
        (ExecutionQuery { template_name: some("build_1"), ..all() }, &["e-1"]),
        (ExecutionQuery { template_name: some("D_100%"), ..all() }, &["e-1"]),
        (ExecutionQuery { template_name: some("BUILD"), ..all() }, &["e-1", "e-2", "e-3"]),
        (ExecutionQuery { description: some("50%"), ..all() }, &["e-1"]),
        (ExecutionQuery { description: some(r"A\B"), ..all() }, &["e-1"]),
        (ExecutionQuery { description: some("a_b"), ..all() }, &[]),
        (ExecutionQuery { status: some("Running"), ..all() }, &["e-1"]),
        (ExecutionQuery { mode: some("Debug"), ..all() }, &["e-3"]),
        (ExecutionQuery { parent: some("e-1"), ..all() }, &["e-1.t0001", "e-1.t0002"]),
        (
            ExecutionQuery { include_children: true, status: some("Running"), ..all() },
            &["e-1.t0001", "e-1.t0001.t0001", "e-1.t0002", "e-1"],
        ),
        (
            ExecutionQuery { depth: Some(Depth::Root), include_children: true, ..all() },
            &["e-1", "e-2", "e-3"],
        ),
        (ExecutionQuery { depth: Some(Depth::FirstChild), ..all() }, &["e-1.t0001", "e-1.t0002"]),
        (
            ExecutionQuery { categories: vec!["Other".into(), "TimerTrigger".into()], ..all() },
            &["e-1", "e-2"],
        ),
        (ExecutionQuery { created_from: Some(20), ..all() }, &["e-2", "e-3"]),
        (ExecutionQuery { created_from: Some(11), created_to: Some(29), ..all() }, &["e-2"]),
        (ExecutionQuery { ended_to: Some(31), ..all() }, &["e-2", "e-3"]),
        (ExecutionQuery { ended_from: Some(26), ..all() }, &["e-3"]),
        (ExecutionQuery { executed_by: some("anna"), ..all() }, &["e-3"]),
        (ExecutionQuery { ram_role: some("role"), ..all() }, &["e-2"]),
        (ExecutionQuery { resource_group: some("rg-1"), ..all() }, &["e-1"]),
        (ExecutionQuery { tags: pairs(&[("team", "o'neil \"x\"")]), ..all() }, &["e-1", "e-2"]),
        (
            ExecutionQuery { tags: pairs(&[("team", "o'neil \"x\""), ("stage", "test")]), ..all() },
            &["e-1"],
        ),
        (ExecutionQuery { tags: pairs(&[("team", "test")]), ..all() }, &[]),
        (ExecutionQuery { sort: ExecutionSort::Ended, ..all() }, &["e-1", "e-2", "e-3"]),
        (ExecutionQuery { sort: ExecutionSort::Status, ..all() }, &["e-3", "e-1", "e-2"]),
        (ExecutionQuery { is_ascending: false, ..all() }, &["e-3", "e-2", "e-1"]),
    ];
    for (query, expected) in cases {
        assert_eq!(ids(&executions, query).await, *expected, "{query:?}");
    }
    let found = executions.list(&ExecutionQuery { id: some("e-1"), ..all() }).await.unwrap();
    let row = &found.items[0];
    assert_eq!((row.record.as_str(), row.view.as_str()), ("", "view of e-1"));
    assert_eq!(row.tags, pairs(&[("team", "o'neil \"x\""), ("stage", "test")]));
}

/// Fault planted: pages that end between executions that are sorted alike, and one that goes
/// between two pages.
async fn pages(database: Database) {
    let executions = Executions::new(database);
    for n in 0..7 {
        let created = if n < 5 { 10 } else { 20 };
        let row = ExecutionRow { created, ..execution(&format!("e-{n}")) };
        executions.create(&start(row), None, None).await.unwrap();
    }
    for sort in [ExecutionSort::Created, ExecutionSort::Ended, ExecutionSort::Status] {
        for is_ascending in [true, false] {
            let mut query = ExecutionQuery { sort, is_ascending, ..all() };
            let whole = ids(&executions, &query).await;
            query.page.limit = 2;
            let mut seen = Vec::new();
            loop {
                let Listing { total, items, next } = executions.list(&query).await.unwrap();
                assert_eq!(total, 7);
                assert!(items.len() == 2 || next.is_none());
                seen.extend(items.into_iter().map(|row| row.id));
                query.page.after = next;
                if query.page.after.is_none() {
                    break;
                }
            }
            assert_eq!(seen, whole);
            assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 7);
        }
    }
    let mut query = all();
    query.page.limit = 3;
    query.page.after = executions.list(&query).await.unwrap().next;
    executions.delete(&["e-0".into()]).await.unwrap();
    let second: Vec<String> =
        executions.list(&query).await.unwrap().items.into_iter().map(|row| row.id).collect();
    assert_eq!(second, ["e-3", "e-4", "e-5"]);
    query.is_ascending = false;
    let refused = executions.list(&query).await;
    assert!(matches!(refused, Err(StoreError::NotFound { .. })), "{refused:?}");
}

async fn tasks(database: Database) {
    let executions = Executions::new(database);
    let lease = begin(&executions, execution("e")).await;
    let mut other = start(ExecutionRow { account: "200".into(), ..execution("f") });
    other.tasks = vec![task("f.t0001")];
    executions.create(&other, None, None).await.unwrap();
    let item = |n: i64, status: &str| TaskRow {
        execution: "e".into(),
        parent: "e.t0002".into(),
        position: n,
        status: status.into(),
        resource: if n < 3 { format!("i-{n}") } else { String::new() },
        ..task(&format!("e.t0002.{n:04}"))
    };
    let batch = Batch {
        tasks: vec![
            TaskRow { position: 2, name: "two".into(), created: 5, ..task("e.t0002") },
            TaskRow {
                position: 1,
                status: "Success".into(),
                action: "ACS::Pause".into(),
                created: 5,
                ended: 9,
                ..task("e.t0001")
            },
            item(1, "Success"),
            item(2, "Failed"),
            item(3, "Failed"),
        ],
        ..step("e", &lease)
    };
    assert_eq!(executions.commit(&[batch]).await.unwrap(), [true]);
    let all = || TaskExecutionQuery {
        account: "100".into(),
        is_ascending: true,
        page: PageOf { limit: 100, ..PageOf::default() },
        ..Default::default()
    };
    let cases: &[(TaskExecutionQuery, &[&str])] = &[
        (all(), &["e.t0001", "e.t0002"]),
        (TaskExecutionQuery { account: "200".into(), ..all() }, &["f.t0001"]),
        (TaskExecutionQuery { execution: some("f"), ..all() }, &[]),
        (TaskExecutionQuery { execution: some("e"), ..all() }, &["e.t0001", "e.t0002"]),
        (
            TaskExecutionQuery { parent: some("e.t0002"), ..all() },
            &["e.t0002.0001", "e.t0002.0002", "e.t0002.0003"],
        ),
        (
            TaskExecutionQuery { include_items: true, ..all() },
            &["e.t0002.0001", "e.t0002.0002", "e.t0002.0003", "e.t0001", "e.t0002"],
        ),
        (TaskExecutionQuery { only_resources: true, ..all() }, &["e.t0002.0001", "e.t0002.0002"]),
        (TaskExecutionQuery { id: some("e.t0002.0002"), ..all() }, &["e.t0002.0002"]),
        (TaskExecutionQuery { name: some("two"), ..all() }, &["e.t0002"]),
        (TaskExecutionQuery { action: some("ACS::Pause"), ..all() }, &["e.t0001"]),
        (
            TaskExecutionQuery { status: some("Success"), include_items: true, ..all() },
            &["e.t0002.0001", "e.t0001"],
        ),
        (TaskExecutionQuery { ended_to: Some(9), ..all() }, &["e.t0001"]),
        (TaskExecutionQuery { created_from: Some(6), ..all() }, &[]),
        (TaskExecutionQuery { sort: TaskExecutionSort::Ended, ..all() }, &["e.t0002", "e.t0001"]),
        (TaskExecutionQuery { is_ascending: false, ..all() }, &["e.t0002", "e.t0001"]),
    ];
    for (query, expected) in cases {
        let found = executions.list_tasks(query).await.unwrap();
        let ids: Vec<&str> = found.items.iter().map(|row| row.id.as_str()).collect();
        assert_eq!((ids.as_slice(), found.total), (*expected, expected.len() as u64), "{query:?}");
    }
    let mut query = TaskExecutionQuery { include_items: true, ..all() };
    query.page.limit = 4;
    query.page.after = executions.list_tasks(&query).await.unwrap().next;
    let second = executions.list_tasks(&query).await.unwrap();
    assert_eq!((second.items.len(), second.items[0].id.as_str()), (1, "e.t0002"));

    let of = ["e".to_owned(), "f".to_owned(), "nobody".to_owned()];
    let counters = executions.counters(&of).await.unwrap();
    let counts: Vec<String> =
        counters.iter().map(|(id, counts)| format!("{id} {counts:?}")).collect();
    assert_eq!(counts, [r#"e {"Running": 1, "Success": 1}"#, r#"f {"Running": 1}"#]);
    let current = executions.current_tasks(&of).await.unwrap();
    let current: Vec<&str> = current.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(current, ["e.t0002", "f.t0001"]);
    let resources = executions.resources(&["e".into(), "f".into()]).await.unwrap();
    let counts = [("Failed".to_owned(), 1), ("Success".to_owned(), 1)].into();
    assert_eq!(resources, [("e".to_owned(), counts)].into(), "f has none");
}

/// Near miss planted: an execution whose identifier begins like another's.
async fn logs(database: Database) {
    let executions = Executions::new(database);
    let lease = begin(&executions, execution("e")).await;
    let line = |execution: &str, message: &str| log(execution, message);
    let about = super::LogRow { task: "e.t1".into(), at: 7, ..line("e", "4") };
    let batch = Batch {
        logs: vec![
            line("e", "1"),
            line("e.t1", "2"),
            line("e.t1.t1", "3"),
            about.clone(),
            line("e.t10", "5"),
        ],
        ..step("e", &lease)
    };
    assert_eq!(executions.commit(&[batch]).await.unwrap(), [true]);
    let of = |id: &str, include_below, after| LogQuery {
        execution: id.into(),
        include_below,
        task: None,
        after,
        limit: 100,
    };
    let cases: &[(LogQuery, &[&str])] = &[
        (of("e", false, 0), &["1", "4"]),
        (of("e", true, 0), &["1", "2", "3", "4", "5"]),
        (of("e", true, 3), &["4", "5"]),
        (LogQuery { task: some("e.t1"), ..of("e", true, 0) }, &["4"]),
        (of("e.t1", false, 0), &["2"]),
        (of("e.t1", true, 0), &["2", "3"]),
        (of("nobody", true, 0), &[]),
    ];
    for (query, expected) in cases {
        let logs = executions.logs(query).await.unwrap();
        let found: Vec<&str> = logs.rows.iter().map(|row| row.message.as_str()).collect();
        assert_eq!((found.as_slice(), logs.is_truncated), (*expected, false), "{query:?}");
    }
    let mut query =
        LogQuery { execution: "e".into(), include_below: true, limit: 2, ..Default::default() };
    let mut seen = Vec::new();
    loop {
        let logs = executions.logs(&query).await.unwrap();
        seen.extend(logs.rows);
        query.after = logs.last;
        if !logs.is_truncated {
            break;
        }
    }
    assert_eq!(seen.len(), 5);
    assert_eq!(seen[3], about);
    // Who follows a log goes on from its end.
    assert_eq!(executions.logs(&query).await.unwrap().last, 5);
}

async fn count(executions: &Executions, table: &str) -> i64 {
    let sql = sqlx::AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
    sqlx::query_scalar(sql).fetch_one(executions.database.pool()).await.unwrap()
}

const TABLES: &[&str] = &[
    "oos_runs",
    "oos_executions",
    "oos_tasks",
    "oos_logs",
    "oos_inbox",
    "oos_run_texts",
    "oos_tags",
];

async fn counts(executions: &Executions) -> Vec<i64> {
    let mut counts = Vec::new();
    for table in TABLES {
        counts.push(count(executions, table).await);
    }
    counts
}

/// A run with something in each table.
async fn plant_full(executions: &Executions, id: &str, ended: i64) -> String {
    let mut root = ExecutionRow { ended, tags: pairs(&[("k", "v")]), ..execution(id) };
    root.created = ended.max(1);
    let lease = begin(executions, root).await;
    let below = format!("{id}.t0001");
    let batch = Batch {
        executions: vec![ExecutionRow { ended, ..execution(&below) }],
        tasks: vec![TaskRow { ended, ..task(&below) }],
        logs: vec![log(id, "line")],
        templates: vec![("d".into(), "text".into()), (format!("d of {id}"), "text".into())],
        ..step(id, &lease)
    };
    assert_eq!(executions.commit(&[batch]).await.unwrap(), [true]);
    executions.put(id, "item", None).await.unwrap();
    lease
}

/// Fault planted: the holder of a run that was deleted writes on.
async fn deleting(database: Database) {
    let executions = Executions::new(database);
    plant_full(&executions, "e-1", 0).await;
    let one = counts(&executions).await;
    assert_eq!(one, [1, 2, 1, 1, 1, 2, 1]);
    plant_full(&executions, "e-2", 0).await;
    plant_full(&executions, "e-10", 9).await;
    let none: [&str; 0] = [];
    assert_eq!(executions.unheld("b").await.unwrap(), none);
    assert_eq!(executions.unheld("a").await.unwrap(), ["e-1", "e-2"]);
    executions.release_of("a").await.unwrap();
    assert_eq!(executions.unheld("b").await.unwrap(), ["e-1", "e-2"]);
    let lease = executions.take_lease("e-1", "a", super::samples::LONG).await.unwrap().unwrap();
    assert_eq!(executions.count_running("100").await.unwrap(), 2);
    assert_eq!(executions.count_running("200").await.unwrap(), 0);

    let gone = ["e-1".to_owned(), "e-2.t0001".to_owned(), "e-10".to_owned(), "e-1".to_owned()];
    assert_eq!(executions.delete(&gone).await.unwrap(), 2);
    assert_eq!(counts(&executions).await, one);
    assert_eq!(ids(&executions, &all()).await, ["e-2"]);
    let late = Batch { executions: vec![execution("e-1")], ..step("e-1", &lease) };
    assert_eq!(executions.commit(&[late]).await.unwrap(), [false]);
    assert_eq!(counts(&executions).await, one);
    let absent = executions.put("e-1", "item", None).await;
    assert!(matches!(absent, Err(StoreError::NotFound { .. })), "{absent:?}");
}

async fn forgetting(database: Database) {
    let executions = Executions::new(database);
    for (id, ended) in [("e-1", 5), ("e-2", 6), ("e-3", 7), ("e-4", 0)] {
        plant_full(&executions, id, ended).await;
    }
    assert_eq!(executions.forget_before(7, 1).await.unwrap(), 1);
    assert_eq!(ids(&executions, &all()).await, ["e-4", "e-2", "e-3"]);
    assert_eq!(executions.forget_before(7, 10).await.unwrap(), 1);
    assert_eq!(ids(&executions, &all()).await, ["e-4", "e-3"]);
    // Texts are used since just now, so that they go only when that is long ago.
    assert_eq!(count(&executions, "oos_texts").await, 5);
    assert_eq!(executions.forget_before(super::now(), 10).await.unwrap(), 1);
    assert_eq!(count(&executions, "oos_texts").await, 2);
    let stored = executions.load("e-4", false).await.unwrap().unwrap();
    assert_eq!(stored.templates, pairs(&[("d", "text"), ("d of e-4", "text")]));

    // A trigger that goes on, with a firing that ended and one that has not.
    let lease = executions.take_lease("e-4", "a", super::samples::LONG).await.unwrap().unwrap();
    let mut batch = step("e-4", &lease);
    for (id, ended) in [("e-4.t0002", 3), ("e-4.t0003", 0)] {
        let firing = ExecutionRow { firing: id.into(), ended, ..execution(id) };
        batch.executions.push(firing);
        batch.tasks.push(TaskRow { firing: id.into(), ended, ..task(&format!("{id}.t0001")) });
        batch.logs.push(log(id, id));
    }
    assert_eq!(executions.commit(&[batch]).await.unwrap(), [true]);
    assert_eq!(executions.forget_before(4, 10).await.unwrap(), 1);
    let query = ExecutionQuery { parent: some("e-4"), ..all() };
    assert_eq!(ids(&executions, &query).await, ["e-4.t0001", "e-4.t0003"]);
    assert_eq!(count(&executions, "oos_tasks").await, 2);
    assert_eq!(count(&executions, "oos_logs").await, 2);
}

/// Faults planted: a resource that is not there, one of another account, too many tags.
async fn tags(database: Database) {
    let executions = Executions::new(database.clone());
    plant(&executions).await;
    let tags = Tags::new(database);
    let kind = TagKind::Execution;
    let add = |wanted: &[(&str, &str)]| TagChange::Add(pairs(wanted));
    let change = async |ids: &[&str], change: TagChange, most| {
        let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        tags.change("100", kind, &ids, &change, most).await
    };
    for missing in ["nobody", "e-4"] {
        let refused = change(&["e-1", missing], add(&[("x", "y")]), 20).await.unwrap_err();
        assert_eq!(refused.to_string(), format!("there is no execution {missing}"));
    }
    assert!(!change(&["e-3", "e-1"], add(&[("x", "y")]), 2).await.unwrap());
    let found = async |wanted: &[(&str, &str)]| {
        ids(&executions, &ExecutionQuery { tags: pairs(wanted), ..all() }).await
    };
    assert!(found(&[("x", "y")]).await.is_empty());
    assert!(change(&["e-3", "e-1"], add(&[("stage", "it's"), ("b", "")]), 3).await.unwrap());
    assert_eq!(found(&[("stage", "it's")]).await, ["e-1", "e-3"]);
    assert_eq!(tags.keys("100", Some(kind), "", 10).await.unwrap(), ["b", "stage", "team"]);
    assert_eq!(tags.keys("100", None, "b", 1).await.unwrap(), ["stage"]);
    assert!(tags.keys("200", None, "", 10).await.unwrap().is_empty());
    assert_eq!(tags.values("100", None, "b", None, 10).await.unwrap(), [""]);
    assert!(tags.values("100", None, "b", Some(""), 10).await.unwrap().is_empty());
    assert_eq!(tags.values("100", Some(kind), "stage", None, 10).await.unwrap(), ["it's"]);

    let page = PageOf { limit: 2, ..PageOf::default() };
    let wanted = pairs(&[("stage", "it's")]);
    let listed = tags.list("100", kind, &[], &wanted, &page).await.unwrap();
    assert_eq!((listed.total, listed.items.len()), (5, 2));
    let page = PageOf { after: listed.next, limit: 10 };
    let listed = tags.list("100", kind, &[], &wanted, &page).await.unwrap();
    let shown: Vec<String> =
        listed.items.iter().map(|tag| format!("{} {}", tag.resource, tag.name)).collect();
    assert_eq!(shown, ["e-1 team", "e-3 b", "e-3 stage"]);

    let remove = TagChange::Remove(vec!["stage".into(), "nothing".into()]);
    assert!(change(&["e-1"], remove, 20).await.unwrap());
    assert_eq!(found(&[("stage", "it's")]).await, ["e-3"]);
    assert!(change(&["e-1"], TagChange::Clear, 20).await.unwrap());
    let row = executions.execution("100", "e-1").await.unwrap().unwrap();
    assert!(row.tags.is_empty());
    let change = ExecutionChange { tags: Some(pairs(&[("n", "1")])), ..Default::default() };
    executions.update("100", "e-1", &change, None).await.unwrap();
    assert_eq!(found(&[("n", "1")]).await, ["e-1"]);
}

/// Near misses planted: another name, one that runs, one whose run has not ended, one that is young.
async fn spent(database: Database) {
    let executions = Executions::new(database.clone());
    for (id, ended) in
        [("o-ended", 5), ("o-open", 0), ("o-runs", 5), ("o-young", 5), ("o-other", 5)]
    {
        begin(&executions, ExecutionRow { ended, ..execution(id) }).await;
    }
    let mut writer = database.begin().await.unwrap();
    for (id, name, status, completed) in [
        ("o-ended", "execution", "Completed", 10),
        ("o-gone", "execution", "Failed", 10),
        ("o-open", "execution", "Completed", 10),
        ("o-runs", "execution", "Running", 10),
        ("o-young", "execution", "Completed", 20),
        ("o-other", "import", "Completed", 10),
    ] {
        let instance = "INSERT INTO journal_instances (instance, name, execution, created, updated, \
                        custom_status_version) VALUES ($1, $2, 1, 0, 0, 0)";
        sqlx::query(instance).bind(id).bind(name).execute(&mut *writer).await.unwrap();
        let own = "INSERT INTO journal_executions (instance, execution, status, started, completed) \
                   VALUES ($1, 1, $2, 0, $3)";
        let own = sqlx::query(own).bind(id).bind(status).bind(i64::from(completed));
        own.execute(&mut *writer).await.unwrap();
    }
    writer.commit().await.unwrap();
    let spent = executions.spent_orchestrations("execution", 20, 10).await.unwrap();
    assert_eq!(spent, ["o-ended", "o-gone"]);
    let first = executions.spent_orchestrations("execution", 20, 1).await.unwrap();
    assert_eq!(first, ["o-ended"]);
}

async fn texts(database: Database) {
    let executions = Executions::new(database);
    let mut batch = start(execution("e-text"));
    batch.templates = vec![("digest".into(), "text".into())];
    executions.create(&batch, None, None).await.unwrap();
    assert_eq!(executions.text("e-text", "digest").await.unwrap().as_deref(), Some("text"));
    assert_eq!(executions.text("e-text", "other").await.unwrap(), None);
    assert_eq!(executions.text("e-none", "digest").await.unwrap(), None);
    assert!(executions.is_there("e-text").await.unwrap());
    assert!(!executions.is_there("e-none").await.unwrap());
}
