//! What records promise, over SQLite, and over PostgreSQL where a server is given.

use jiff::{SignedDuration, Timestamp};
use kiln_model::{Image, Task, TaskAction, TaskStatus};
use serde_json::json;

use crate::catalogue_tests::naive;
use crate::records_samples::{Dice, image, random_image, random_query, second, task};
use crate::{
    Change, Database, ImageQuery, Records, Scope, StoreError, TaskQuery, Token, TokenKey, Versioned,
};

#[tokio::test]
async fn sqlite_keeps_what_records_promise() {
    let folder = tempfile::tempdir().unwrap();
    for (n, part) in PARTS.iter().enumerate() {
        let url = format!("sqlite://{}/{n}.db", folder.path().display());
        run(*part, Database::open(&url).await.unwrap()).await;
    }
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "a test says what it measured or skipped")]
async fn postgres_keeps_what_records_promise() {
    let Ok(server) = std::env::var("KILN_TEST_POSTGRES") else {
        println!("skipped: KILN_TEST_POSTGRES names no server");
        return;
    };
    sqlx::any::install_default_drivers();
    let start = server.trim_end_matches('/');
    let admin = sqlx::AnyPool::connect(&format!("{start}/postgres")).await.unwrap();
    for part in PARTS {
        let name = format!("kiln_{}", uuid::Uuid::new_v4().simple());
        let statement =
            |verb: &str, rest: &str| sqlx::AssertSqlSafe(format!("{verb} DATABASE {name}{rest}"));
        sqlx::query(statement("CREATE", "")).execute(&admin).await.unwrap();
        let database = Database::open(&format!("{start}/{name}")).await.unwrap();
        let pool = database.pool().clone();
        let outcome = tokio::spawn(run(*part, database)).await;
        pool.close().await;
        sqlx::query(statement("DROP", " WITH (FORCE)")).execute(&admin).await.unwrap();
        outcome.unwrap();
    }
}

/// A part of the suite; each gets a database of its own.
#[derive(Clone, Copy, Debug)]
enum Part {
    Conflicts,
    Batches,
    Tokens,
    Processes,
    Writers,
    Queries,
    Tasks,
    Forgetting,
}

const PARTS: &[Part] = &[
    Part::Conflicts,
    Part::Batches,
    Part::Tokens,
    Part::Processes,
    Part::Writers,
    Part::Queries,
    Part::Tasks,
    Part::Forgetting,
];

async fn run(part: Part, database: Database) {
    match part {
        Part::Conflicts => conflicts(database).await,
        Part::Batches => batches(database).await,
        Part::Tokens => tokens(database).await,
        Part::Processes => processes(database).await,
        Part::Writers => writers(database).await,
        Part::Queries => queries(database).await,
        Part::Tasks => tasks(database).await,
        Part::Forgetting => forgetting(database).await,
    }
}

fn own(caller: &str) -> ImageQuery {
    let scope = Scope { own: true, ..Scope::default() };
    ImageQuery { region: "r1".into(), caller: caller.into(), scope, take: 50, ..Default::default() }
}

async fn insert(records: &Records, image: Image) -> Result<(), StoreError> {
    records.apply(vec![Change::InsertImage(image)]).await
}

async fn read(records: &Records, id: &str) -> Versioned<Image> {
    records.image("r1", id).await.unwrap().unwrap()
}

async fn names(records: &Records) -> Vec<String> {
    let page = records.images(&own("100")).await.unwrap();
    assert_eq!(page.total, page.items.len() as u64);
    assert_eq!(records.count_images("100", "r1").await.unwrap(), page.total);
    page.items.iter().map(|image| image.name.clone()).collect()
}

async fn conflicts(database: Database) {
    let records = Records::open(database).await.unwrap();
    insert(&records, image("m-1", "100", "one")).await.unwrap();
    insert(&records, image("m-2", "100", "two")).await.unwrap();
    insert(&records, image("m-3", "200", "one")).await.unwrap();
    let refused = insert(&records, image("m-4", "100", "one")).await;
    assert!(matches!(refused, Err(StoreError::DuplicateName)), "{refused:?}");
    let refused = insert(&records, image("m-1", "100", "three")).await;
    assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");

    let old = read(&records, "m-1").await;
    let mut new = old.clone();
    new.value.name = "eins".into();
    records.apply(vec![Change::UpdateImage(new.clone())]).await.unwrap();
    assert_eq!(read(&records, "m-1").await.value, new.value);
    let refused = records.apply(vec![Change::UpdateImage(new)]).await;
    assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
    let delete = |revision| Change::DeleteImage { region: "r1".into(), id: "m-1".into(), revision };
    let refused = records.apply(vec![delete(old.revision)]).await;
    assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");

    let mut taken = read(&records, "m-1").await;
    taken.value.name = "two".into();
    let refused = records.apply(vec![Change::UpdateImage(taken)]).await;
    assert!(matches!(refused, Err(StoreError::DuplicateName)), "{refused:?}");
    assert_eq!(names(&records).await, ["eins", "two"]);

    let current = read(&records, "m-1").await.revision;
    records.apply(vec![delete(current)]).await.unwrap();
    assert_eq!(records.image("r1", "m-1").await.unwrap(), None);
    let refused = records.apply(vec![delete(current)]).await;
    assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
    assert_eq!(names(&records).await, ["two"]);
    let hashes = records.blob_hashes("r1").await.unwrap();
    assert_eq!(hashes.into_iter().collect::<Vec<_>>(), ["hash-m-2", "hash-m-3"]);
}

/// Fault planted: the last change of a batch fails; nothing of the others may stay.
async fn batches(database: Database) {
    let records = Records::open(database).await.unwrap();
    insert(&records, image("m-1", "100", "one")).await.unwrap();
    let mut renamed = read(&records, "m-1").await;
    renamed.value.name = "renamed".into();
    let (key, token) = sample_token("t");
    let sound = vec![
        Change::UpdateImage(renamed),
        Change::InsertTask(task("t-1", "100", 0)),
        Change::Remember(key.clone(), token),
        Change::InsertImage(image("m-2", "100", "two")),
    ];
    let faulty = [sound.clone(), vec![Change::InsertImage(image("m-3", "100", "two"))]].concat();
    let refused = records.apply(faulty).await;
    assert!(matches!(refused, Err(StoreError::DuplicateName)), "{refused:?}");
    assert_eq!(names(&records).await, ["one"]);
    assert_eq!(records.task("t-1").await.unwrap(), None);
    assert_eq!(records.token(&key).await.unwrap(), None);
    records.apply(sound).await.unwrap();
    assert_eq!(names(&records).await, ["renamed", "two"]);
    assert!(records.token(&key).await.unwrap().is_some());
}

fn sample_token(token: &str) -> (TokenKey, Token) {
    let key = TokenKey {
        account: "100".into(),
        region: "r1".into(),
        action: "ImportImage".into(),
        token: token.into(),
    };
    let answer = json!({"ImageId": "m-1", "List": [1, null]});
    (key, Token { parameters: "0a".repeat(32), answer, created: second(0) })
}

async fn tokens(database: Database) {
    let records = Records::open(database).await.unwrap();
    let (key, token) = sample_token("t");
    records.apply(vec![Change::Remember(key.clone(), token.clone())]).await.unwrap();
    assert_eq!(records.token(&key).await.unwrap(), Some(token.clone()));
    let refused = records.apply(vec![Change::Remember(key.clone(), token.clone())]).await;
    assert!(matches!(refused, Err(StoreError::DuplicateToken)), "{refused:?}");
    let other = TokenKey { action: "CopyImage".into(), ..key };
    assert_eq!(records.token(&other).await.unwrap(), None);
    records.apply(vec![Change::Remember(other, token)]).await.unwrap();
}

/// Two processes, as far as the database can tell.
async fn processes(database: Database) {
    let one = Records::open(database.clone()).await.unwrap();
    let two = Records::open(database).await.unwrap();
    insert(&one, image("m-1", "100", "one")).await.unwrap();
    assert_eq!(names(&two).await, ["one"]);
    let mut changed = read(&two, "m-1").await;
    changed.value.name = "changed".into();
    two.apply(vec![Change::UpdateImage(changed)]).await.unwrap();
    assert_eq!(names(&one).await, ["changed"]);
    let revision = read(&one, "m-1").await.revision;
    let (region, id) = ("r1".into(), "m-1".into());
    one.apply(vec![Change::DeleteImage { region, id, revision }]).await.unwrap();
    assert!(names(&two).await.is_empty());
}

/// Eight writers add tags to one image and images of their own; nothing may be lost.
async fn writers(database: Database) {
    let records = Records::open(database).await.unwrap();
    insert(&records, image("m-0", "100", "shared")).await.unwrap();
    let mut writers = Vec::new();
    for writer in 0..8 {
        let records = records.clone();
        writers.push(tokio::spawn(async move {
            for n in 0..5 {
                let id = format!("m-{writer}-{n}");
                insert(&records, image(&id, "100", &id)).await.unwrap();
                loop {
                    let mut shared = read(&records, "m-0").await;
                    shared.value.tags.insert(id.clone(), String::new());
                    match records.apply(vec![Change::UpdateImage(shared)]).await {
                        Ok(()) => break,
                        Err(StoreError::Conflict) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
                let named = ImageQuery { ids: vec![id], ..own("100") };
                assert_eq!(records.images(&named).await.unwrap().total, 1);
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(read(&records, "m-0").await.value.tags.len(), 40);
    assert_eq!(names(&records).await.len(), 41);
}

async fn queries(database: Database) {
    let records = Records::open(database.clone()).await.unwrap();
    let mut dice = Dice(3);
    let images: Vec<Image> = (0..200).map(|n| random_image(&mut dice, n)).collect();
    let changes = images.iter().cloned().map(Change::InsertImage);
    records.apply(changes.collect()).await.unwrap();
    let reopened = Records::open(database).await.unwrap();
    for n in 0..200 {
        let query = random_query(&mut dice, 200);
        let page = if n % 2 == 0 { &records } else { &reopened }.images(&query).await.unwrap();
        let items: Vec<&Image> = page.items.iter().map(AsRef::as_ref).collect();
        assert_eq!((page.total, items), naive(&images, &query), "{query:?}");
    }
}

async fn tasks(database: Database) {
    let records = Records::open(database).await.unwrap();
    let mut all: Vec<Task> = (0..40).map(|n| task(&format!("t-{n:02}"), "100", n / 2)).collect();
    for (n, task) in all.iter_mut().enumerate() {
        task.action =
            [TaskAction::ImportImage, TaskAction::ExportImage, TaskAction::CopyImage][n % 3];
        task.owner = ["100", "200"][usize::from(n % 5 == 0)].into();
        task.status = [TaskStatus::Processing, TaskStatus::Finished][n % 2];
    }
    records.apply(all.iter().cloned().map(Change::InsertTask).collect()).await.unwrap();
    let base =
        TaskQuery { region: "r1".into(), owner: "100".into(), take: 7, ..TaskQuery::default() };
    for query in [
        base.clone(),
        TaskQuery { skip: 14, ..base.clone() },
        TaskQuery { action: Some(TaskAction::ExportImage), ..base.clone() },
        TaskQuery { action: Some(TaskAction::CopyImage), ..base.clone() },
        TaskQuery { status: Some(TaskStatus::Finished), take: 99, ..base.clone() },
        TaskQuery { ids: vec!["t-03".into(), "t-04".into(), "t-05".into()], ..base.clone() },
        TaskQuery { images: vec!["m-t-06".into(), "x".into()], ..base.clone() },
        TaskQuery { created_from: Some(second(3)), created_to: Some(second(8)), ..base.clone() },
        TaskQuery { region: "r2".into(), ..base },
    ] {
        let page = records.tasks(&query).await.unwrap();
        let mut meant: Vec<_> = all.iter().filter(|task| is_meant(&query, task)).cloned().collect();
        meant.sort_by(|a, b| b.created.cmp(&a.created).then(a.id.cmp(&b.id)));
        assert_eq!(page.total, meant.len() as u64, "{query:?}");
        let meant: Vec<_> = meant.into_iter().skip(query.skip).take(query.take).collect();
        assert_eq!(page.items, meant, "{query:?}");
    }
    assert_eq!(records.unfinished_tasks().await.unwrap().len(), 20);
    task_changes(&records).await;
}

fn is_meant(query: &TaskQuery, task: &Task) -> bool {
    task.action != TaskAction::CopyImage
        && (&task.region, &task.owner) == (&query.region, &query.owner)
        && (query.ids.is_empty() || query.ids.contains(&task.id))
        && (query.images.is_empty() || query.images.contains(&task.image))
        && query.action.is_none_or(|action| task.action == action)
        && query.status.is_none_or(|status| task.status == status)
        && query.created_from.is_none_or(|from| task.created >= from)
        && query.created_to.is_none_or(|to| task.created <= to)
}

async fn task_changes(records: &Records) {
    let mut first = records.task("t-00").await.unwrap().unwrap();
    first.value.status = TaskStatus::Failed;
    records.apply(vec![Change::UpdateTask(first.clone())]).await.unwrap();
    assert_eq!(records.task("t-00").await.unwrap().unwrap().value, first.value);
    assert_eq!(records.unfinished_tasks().await.unwrap().len(), 19);
    let refused = records.apply(vec![Change::UpdateTask(first.clone())]).await;
    assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
    let refused = records.apply(vec![Change::InsertTask(first.value)]).await;
    assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
}

/// Fault planted: a process that was out of touch while a deletion was forgotten.
async fn forgetting(database: Database) {
    let days = |n: i64| SignedDuration::from_hours(24 * n);
    let now = Timestamp::now();
    let records = Records::open(database.clone()).await.unwrap();
    let (old_key, old) = sample_token("old");
    let (new_key, new) = sample_token("new");
    let ended = |id: &str, age: i64| Task {
        status: TaskStatus::Finished,
        finished: Some(now - days(age)),
        ..task(id, "100", 0)
    };
    records
        .apply(vec![
            Change::Remember(old_key.clone(), Token { created: now - days(2), ..old }),
            Change::Remember(new_key.clone(), Token { created: now, ..new }),
            Change::InsertTask(ended("t-old", 33)),
            Change::InsertTask(ended("t-new", 29)),
            Change::InsertTask(task("t-running", "100", 0)),
            Change::InsertImage(image("m-1", "100", "one")),
            Change::InsertImage(image("m-2", "100", "two")),
        ])
        .await
        .unwrap();
    let behind = Records::open(database.clone()).await.unwrap();
    assert_eq!(names(&behind).await.len(), 2);
    let revision = read(&records, "m-1").await.revision;
    let (region, id) = ("r1".into(), "m-1".into());
    records.apply(vec![Change::DeleteImage { region, id, revision }]).await.unwrap();

    records.forget_before(now - days(1)).await.unwrap();
    assert_eq!(records.token(&old_key).await.unwrap(), None);
    assert!(records.token(&new_key).await.unwrap().is_some());
    for (id, is_there) in [("t-old", false), ("t-new", true), ("t-running", true)] {
        assert_eq!(records.task(id).await.unwrap().is_some(), is_there, "{id}");
    }
    let deletions = async || {
        let count = sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM deleted_images");
        count.fetch_one(database.pool()).await.unwrap()
    };
    assert_eq!(deletions().await, 1);
    records.forget_before(now + days(2)).await.unwrap();
    assert_eq!(deletions().await, 0);
    assert_eq!(names(&behind).await, ["two"]);
    records.forget_before(now + days(2)).await.unwrap();
    assert_eq!(names(&records).await, ["two"]);
}
