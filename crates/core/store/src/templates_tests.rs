//! What templates promise, over both databases.

use futures::FutureExt;

use crate::both::{Part, on_postgres, on_sqlite};
use crate::{
    Database, PageOf, StoreError, TEMPLATE_VERSIONS, TagChange, TagKind, Tags, TemplateQuery,
    TemplateRow, TemplateSort, TemplateVersion, Templates,
};

#[tokio::test]
async fn sqlite_keeps_what_templates_promise() {
    on_sqlite(PARTS).await;
}

#[tokio::test]
async fn postgres_keeps_what_templates_promise() {
    on_postgres(PARTS).await;
}

const PARTS: &[Part] = &[
    |database| versions(database).boxed(),
    |database| lists(database).boxed(),
    |database| deleting(database).boxed(),
    |database| favorites(database).boxed(),
];

fn template(name: &str) -> TemplateRow {
    TemplateRow {
        account: "100".into(),
        name: name.into(),
        format: "YAML".into(),
        kind: "Automation".into(),
        category: "Other".into(),
        created_by: "anna".into(),
        created: 10,
        updated_by: "anna".into(),
        updated: 10,
        record: "{}".into(),
        ..TemplateRow::default()
    }
}

fn version(content: &str) -> TemplateVersion {
    let digest = format!("digest of {content}");
    TemplateVersion { digest, content: content.into(), ..TemplateVersion::default() }
}

fn page(limit: usize) -> PageOf {
    PageOf { limit, ..PageOf::default() }
}

async fn texts(templates: &Templates, name: &str, number: Option<i64>) -> (i64, Option<String>) {
    let (template, version) = templates.get("100", name, number).await.unwrap().unwrap();
    (template.latest, version.map(|version| version.content))
}

/// Faults planted: a name in another case of letters, a version too many.
async fn versions(database: Database) {
    let templates = Templates::new(database);
    assert!(templates.create(&template("Build"), &version("1\r\n")).await.unwrap());
    assert!(!templates.create(&template("bUILD"), &version("x")).await.unwrap());
    let other = TemplateRow { account: "200".into(), ..template("build") };
    assert!(templates.create(&other, &version("other")).await.unwrap());

    let next = TemplateRow {
        format: "JSON".into(),
        updated: 20,
        updated_by: "bert".into(),
        created: 99,
        created_by: "nobody".into(),
        record: "new".into(),
        ..template("BUILD")
    };
    let add = async |content: &str| {
        templates.add_version(&next, &version(content), None, Some("rg-1")).await.unwrap()
    };
    for number in 2..=TEMPLATE_VERSIONS {
        assert_eq!(add(&number.to_string()).await, Some(number));
    }
    assert_eq!(add("too many").await, None);
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(texts(&templates, "build", None).await, (200, text("200")));
    assert_eq!(texts(&templates, "build", Some(1)).await, (200, text("1\r\n")));
    assert_eq!(texts(&templates, "build", Some(201)).await, (200, None));
    assert_eq!(templates.get("100", "buil_", None).await.unwrap(), None);
    let (found, _) = templates.get("100", "build", None).await.unwrap().unwrap();
    let expected = TemplateRow {
        format: "JSON".into(),
        updated: 20,
        updated_by: "bert".into(),
        record: "new".into(),
        resource_group: "rg-1".into(),
        latest: 200,
        ..template("Build")
    };
    assert_eq!(found, expected);

    let first = templates.versions("100", "BUILD", &page(3)).await.unwrap();
    let numbers: Vec<i64> = first.items.iter().map(|version| version.version).collect();
    assert_eq!((numbers, first.total), (vec![200, 199, 198], 200));
    assert_eq!(
        (first.items[0].content.as_str(), first.items[0].digest.as_str()),
        ("", "digest of 200")
    );
    let rest = PageOf { after: first.next, limit: 500 };
    assert_eq!(templates.versions("100", "build", &rest).await.unwrap().items.len(), 197);
    let absent = templates.add_version(&template("none"), &version("x"), None, None).await;
    assert_eq!(absent.unwrap_err().to_string(), "there is no template none");
}

async fn lists(database: Database) {
    let templates = Templates::new(database.clone());
    let tagged = |value: &str| [("k".to_owned(), value.to_owned())].into();
    for row in [
        TemplateRow { has_trigger: true, category: "TimerTrigger".into(), ..template("b_1") },
        TemplateRow { created: 30, tags: tagged("it's"), ..template("BX1") },
        TemplateRow { format: "JSON".into(), created: 20, updated: 40, ..template("a") },
        TemplateRow { account: "200".into(), ..template("other") },
    ] {
        assert!(templates.create(&row, &version("x")).await.unwrap());
    }
    for name in ["bx1", "BX1", "a", "nobody"] {
        templates.count_execution("100", name).await.unwrap();
    }
    assert!(templates.set_resource_group("100", "A", "rg-1").await.unwrap());
    assert!(!templates.set_resource_group("100", "other", "rg-1").await.unwrap());
    let all = || TemplateQuery { account: "100".into(), page: page(50), ..Default::default() };
    let some = |text: &str| Some(text.to_owned());
    let cases: &[(TemplateQuery, &[&str])] = &[
        (all(), &["BX1", "a", "b_1"]),
        (
            TemplateQuery { sort: TemplateSort::Name, is_ascending: true, ..all() },
            &["a", "b_1", "BX1"],
        ),
        (TemplateQuery { sort: TemplateSort::Created, ..all() }, &["BX1", "a", "b_1"]),
        (TemplateQuery { sort: TemplateSort::Updated, ..all() }, &["a", "BX1", "b_1"]),
        (TemplateQuery { name: some("B_"), ..all() }, &["b_1"]),
        (TemplateQuery { name: some("b"), ..all() }, &["BX1", "b_1"]),
        (TemplateQuery { name: some("%"), ..all() }, &[]),
        (TemplateQuery { created_by: some("bert"), ..all() }, &[]),
        (TemplateQuery { format: some("JSON"), ..all() }, &["a"]),
        (TemplateQuery { kind: some("State"), ..all() }, &[]),
        (TemplateQuery { category: some("TimerTrigger"), ..all() }, &["b_1"]),
        (TemplateQuery { has_trigger: Some(false), ..all() }, &["BX1", "a"]),
        (TemplateQuery { resource_group: some("rg-1"), ..all() }, &["a"]),
        (TemplateQuery { created_from: Some(11), created_to: Some(29), ..all() }, &["a"]),
        (TemplateQuery { tags: tagged("it's"), ..all() }, &["BX1"]),
    ];
    for (query, expected) in cases {
        let found = templates.list(query).await.unwrap();
        let names: Vec<&str> = found.items.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(
            (names.as_slice(), found.total),
            (*expected, expected.len() as u64),
            "{query:?}"
        );
    }
    let mut query = TemplateQuery { page: page(2), ..all() };
    query.page.after = templates.list(&query).await.unwrap().next;
    assert_eq!(templates.list(&query).await.unwrap().items[0].name, "b_1");

    let change = TagChange::Add(tagged("new"));
    let names = ["B_1".to_owned(), "bx1".to_owned()];
    let tags = Tags::new(database);
    assert!(tags.change("100", TagKind::Template, &names, &change, 20).await.unwrap());
    let query = TemplateQuery { tags: tagged("new"), ..all() };
    assert_eq!(templates.list(&query).await.unwrap().total, 2);
}

/// Fault planted: one of several names that is none.
async fn deleting(database: Database) {
    let templates = Templates::new(database.clone());
    for name in ["a", "b", "c"] {
        let tags = [("k".to_owned(), "v".to_owned())].into();
        let row = TemplateRow { tags, ..template(name) };
        assert!(templates.create(&row, &version("x")).await.unwrap());
    }
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let refused = templates.delete("100", &names(&["a", "none"])).await;
    assert!(matches!(refused, Err(StoreError::NotFound { .. })), "{refused:?}");
    assert_eq!(texts(&templates, "a", None).await.0, 1);
    templates.delete("100", &names(&["A", "c", "a"])).await.unwrap();
    assert_eq!(templates.get("100", "a", None).await.unwrap(), None);
    assert_eq!(templates.versions("100", "a", &page(10)).await.unwrap().total, 0);
    let tags = Tags::new(database);
    let left = tags.list("100", TagKind::Template, &[], &[].into(), &page(10)).await.unwrap();
    assert_eq!((left.total, left.items[0].resource.as_str()), (1, "b"));
    assert!(templates.create(&template("A"), &version("again")).await.unwrap());
    assert_eq!(texts(&templates, "a", None).await, (1, Some("again".into())));
}

/// A mark is the account's, in any case of letters, and goes with a template of its own.
async fn favorites(database: Database) {
    let templates = Templates::new(database);
    let of = async |account: &str| {
        templates.favorites(account).await.unwrap().into_iter().collect::<Vec<_>>()
    };
    templates.create(&template("Marked"), &version("1")).await.unwrap();
    for name in ["Marked", "MARKED", "ACS-Public"] {
        templates.set_favorite("100", name, true).await.unwrap();
    }
    templates.set_favorite("100", "Unmarked", false).await.unwrap();
    assert_eq!(of("100").await, ["acs-public", "marked"]);
    assert_eq!(of("200").await, [""; 0]);
    templates.delete("100", &["Marked".to_owned()]).await.unwrap();
    assert_eq!(of("100").await, ["acs-public"]);
    templates.set_favorite("100", "acs-PUBLIC", false).await.unwrap();
    assert_eq!(of("100").await, [""; 0]);
}
