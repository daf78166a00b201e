//! What the parameter store promises, over both databases.

use std::collections::BTreeMap;

use futures::FutureExt;
use jiff::Timestamp;
use serde_json::json;

use crate::both::{Part, on_postgres, on_sqlite};
use crate::{
    Database, Once, PARAMETER_VERSIONS, PageOf, ParameterChange, ParameterQuery, ParameterRow,
    ParameterSort, ParameterVersion, Parameters, TagKind, Tags, Token, TokenKey,
};

#[tokio::test]
async fn sqlite_keeps_what_parameters_promise() {
    on_sqlite(PARTS).await;
}

#[tokio::test]
async fn postgres_keeps_what_parameters_promise() {
    on_postgres(PARTS).await;
}

const PARTS: &[Part] = &[|database| versions(database).boxed(), |database| lists(database).boxed()];

fn parameter(name: &str) -> ParameterRow {
    ParameterRow {
        account: "100".into(),
        name: name.into(),
        kind: "String".into(),
        created: 10,
        record: "{}".into(),
        ..ParameterRow::default()
    }
}

fn value(value: &str) -> ParameterVersion {
    ParameterVersion { value: value.into(), updated_by: "anna".into(), ..Default::default() }
}

async fn create(parameters: &Parameters, row: ParameterRow) {
    let version = value(&format!("value of {}", row.name));
    assert_eq!(parameters.create(&row, &version, None).await.unwrap(), Once::Done(true));
}

fn page(limit: usize) -> PageOf {
    PageOf { limit, ..PageOf::default() }
}

/// Faults planted: a secret of the same name, a token that is used again, versions too many.
async fn versions(database: Database) {
    let parameters = Parameters::new(database.clone());
    create(&parameters, parameter("p")).await;
    create(&parameters, ParameterRow { is_secret: true, ..parameter("p") }).await;
    let again = parameters.create(&parameter("p"), &value("x"), None).await.unwrap();
    assert_eq!(again, Once::Done(false));
    let token = |parameters: &str| {
        let key = TokenKey {
            account: "100".into(),
            region: "r1".into(),
            action: "CreateParameter".into(),
            token: "t".into(),
        };
        let answer = json!({ "of": parameters });
        (key, Token { parameters: parameters.into(), answer, created: Timestamp::now() })
    };
    for (asked, expected) in [
        ("q", Once::Done(true)),
        ("q", Once::Before(json!({ "of": "q" }))),
        ("other", Once::Mismatch),
    ] {
        let token = token(asked);
        let done = parameters.create(&parameter("q"), &value("1"), Some(&token)).await.unwrap();
        assert_eq!(done, expected);
    }

    let change = ParameterChange::default();
    for number in 2..=PARAMETER_VERSIONS + 3 {
        let version = value(&number.to_string());
        assert_eq!(parameters.update("100", false, "p", &version, &change).await.unwrap(), number);
    }
    let read = async |is_secret, number| {
        let found = parameters.get("100", is_secret, "p", number).await.unwrap().unwrap();
        (found.0.latest, found.1.map(|version| version.value))
    };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(read(false, None).await, (103, text("103")));
    assert_eq!(read(false, Some(4)).await, (103, text("4")));
    assert_eq!(read(false, Some(3)).await, (103, None));
    assert_eq!(read(true, None).await, (1, text("value of p")));
    let listed = parameters.versions("100", false, "p", &page(2)).await.unwrap();
    assert_eq!((listed.total, listed.items[0].value.as_str()), (100, "103"));

    let change = ParameterChange {
        record: text("new"),
        tags: Some([("k".to_owned(), "v".to_owned())].into()),
        resource_group: text("rg-1"),
    };
    assert_eq!(parameters.update("100", true, "p", &value("2"), &change).await.unwrap(), 2);
    let (found, version) = parameters.get("100", true, "p", None).await.unwrap().unwrap();
    assert_eq!((found.record.as_str(), found.resource_group.as_str()), ("new", "rg-1"));
    assert!(!format!("{:?}", version.unwrap()).contains("value"));
    let absent = parameters.update("200", true, "p", &value("2"), &change).await.unwrap_err();
    assert_eq!(absent.to_string(), "there is no secret parameter p");

    assert!(parameters.delete("100", true, "p").await.unwrap());
    assert!(!parameters.delete("100", true, "p").await.unwrap());
    assert_eq!(parameters.get("100", true, "p", None).await.unwrap(), None);
    assert_eq!(parameters.versions("100", true, "p", &page(9)).await.unwrap().total, 0);
    assert_eq!(read(false, None).await, (103, text("103")));
    assert!(Tags::new(database).keys("100", None, "", 9).await.unwrap().is_empty());
}

/// Near misses planted: a folder whose name begins like another's, wildcards, other accounts.
async fn lists(database: Database) {
    let parameters = Parameters::new(database.clone());
    let tags =
        |value: &str| -> BTreeMap<String, String> { [("k".to_owned(), value.to_owned())].into() };
    for row in [
        ParameterRow { created: 50, ..parameter("/a/one") },
        ParameterRow { kind: "StringList".into(), ..parameter("/a/b/two") },
        parameter("a/three"),
        ParameterRow { tags: tags("\"q\""), ..parameter("/a_/four") },
        parameter("/ab/five"),
        parameter("six"),
        ParameterRow { account: "200".into(), ..parameter("/a/other") },
        ParameterRow { is_secret: true, ..parameter("/a/secret") },
    ] {
        create(&parameters, row).await;
    }
    assert!(parameters.set_resource_group("100", false, "six", "rg-1").await.unwrap());
    assert!(!parameters.set_resource_group("100", true, "six", "rg-1").await.unwrap());
    let all = || ParameterQuery {
        account: "100".into(),
        is_ascending: true,
        page: page(50),
        ..ParameterQuery::default()
    };
    let some = |text: &str| Some(text.to_owned());
    let recursive = |path: &str| ParameterQuery { path: some(path), is_recursive: true, ..all() };
    let cases: &[(ParameterQuery, &[&str])] = &[
        (all(), &["/a/b/two", "/a/one", "/a_/four", "/ab/five", "a/three", "six"]),
        (ParameterQuery { path: some("/a"), ..all() }, &["/a/one", "a/three"]),
        (ParameterQuery { path: some("a/"), ..all() }, &["/a/one", "a/three"]),
        (ParameterQuery { path: some("/"), ..all() }, &["six"]),
        (recursive("/a"), &["/a/b/two", "/a/one", "a/three"]),
        (recursive("/a/b"), &["/a/b/two"]),
        (recursive("/a/b/two"), &[]),
        (recursive("/"), &["/a/b/two", "/a/one", "/a_/four", "/ab/five", "a/three", "six"]),
        (ParameterQuery { is_secret: true, ..recursive("/a") }, &["/a/secret"]),
        (ParameterQuery { name: some("A_"), ..all() }, &["/a_/four"]),
        (ParameterQuery { kind: some("StringList"), ..all() }, &["/a/b/two"]),
        (ParameterQuery { resource_group: some("rg-1"), ..all() }, &["six"]),
        (ParameterQuery { tags: tags("\"q\""), ..all() }, &["/a_/four"]),
        (
            ParameterQuery { sort: ParameterSort::Created, is_ascending: false, ..recursive("a") },
            &["/a/one", "a/three", "/a/b/two"],
        ),
    ];
    for (query, expected) in cases {
        let found = parameters.list(query).await.unwrap();
        let names: Vec<&str> = found.items.iter().map(|(row, _)| row.name.as_str()).collect();
        assert_eq!(
            (names.as_slice(), found.total),
            (*expected, expected.len() as u64),
            "{query:?}"
        );
        for (row, value) in &found.items {
            assert_eq!(*value, format!("value of {}", row.name));
        }
    }
    let mut query = ParameterQuery { page: page(4), ..all() };
    query.page.after = parameters.list(&query).await.unwrap().next;
    let second = parameters.list(&query).await.unwrap();
    assert_eq!((second.items.len(), second.items[0].0.name.as_str()), (2, "a/three"));
    let all = Tags::new(database);
    let found = all.values("100", Some(TagKind::Parameter), "k", None, 9).await.unwrap();
    assert_eq!(found, ["\"q\""]);
}
