//! Lists that are read page by page: conditions, orders, and where the next page begins.
//!
//! A page begins behind the last row of the one before, told by what rows are sorted by and not by
//! a count, so that rows that come and go meanwhile make nothing appear twice or not at all.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::rows::{Value, numbers, statement};
use crate::{Database, Dialect, StoreError, tags};

/// Rows on a page at most, whatever is asked for.
const PAGE: usize = 1000;

/// Characters of a continuation at most: no name that rows are sorted by is that long.
const CONTINUATION: usize = 8192;

/// A page of a list that goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing<T> {
    /// How many there are on all pages.
    pub total: u64,
    /// Those of this page.
    pub items: Vec<T>,
    /// What to ask for the next page with; `None`: this is the last one. Letters and digits only.
    pub next: Option<String>,
}

/// Which page is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageOf {
    /// [`Listing::next`] of the page before; `None`: the first one.
    pub after: Option<String>,
    /// How many items at most; one at least.
    pub limit: usize,
}

/// A column that rows are sorted by.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Key {
    Text(&'static str),
    Number(&'static str),
}

impl Key {
    fn column(self) -> &'static str {
        match self {
            Self::Text(column) | Self::Number(column) => column,
        }
    }

    fn read(self, row: &AnyRow, index: usize) -> Result<Json, StoreError> {
        Ok(match self {
            Self::Text(_) => Json::from(row.try_get::<String, _>(index)?),
            Self::Number(_) => Json::from(row.try_get::<i64, _>(index)?),
        })
    }
}

/// What rows are sorted by; the columns together are of no two rows alike.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) keys: Vec<Key>,
    pub(crate) is_ascending: bool,
}

impl Order {
    fn columns(&self) -> Vec<&'static str> {
        self.keys.iter().map(|key| key.column()).collect()
    }

    fn sql(&self) -> String {
        let direction = if self.is_ascending { "ASC" } else { "DESC" };
        let columns: Vec<String> =
            self.columns().iter().map(|column| format!("{column} {direction}")).collect();
        columns.join(", ")
    }

    /// What a continuation begins with: one of another order is of no use.
    fn mark(&self) -> Json {
        Json::from(self.sql())
    }

    /// The continuation behind a row whose keys are read from `index` on.
    fn behind(&self, row: &AnyRow, index: usize) -> Result<String, StoreError> {
        let mut parts = vec![self.mark()];
        for (n, key) in self.keys.iter().enumerate() {
            parts.push(key.read(row, index.saturating_add(n))?);
        }
        Ok(Json::from(parts).to_string().bytes().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The keys of the row that `continuation` is behind.
    fn parse(&self, continuation: &str) -> Result<Vec<Json>, StoreError> {
        let unknown = || StoreError::NotFound { what: "page that this token stands for".into() };
        let bytes = unhex(continuation).ok_or_else(unknown)?;
        let mut parts: Vec<Json> = serde_json::from_slice(&bytes).map_err(|_| unknown())?;
        if parts.first() != Some(&self.mark()) || parts.len() != self.keys.len().saturating_add(1) {
            return Err(unknown());
        }
        parts.remove(0);
        let fits = |(key, part): (&Key, &Json)| match key {
            Key::Text(_) => part.is_string(),
            Key::Number(_) => part.is_i64(),
        };
        if self.keys.iter().zip(&parts).all(fits) { Ok(parts) } else { Err(unknown()) }
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if text.len() > CONTINUATION || !text.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.as_bytes().chunks_exact(2);
    pairs.map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.last()?)?)).collect()
}

/// What is read of which table.
pub(crate) struct Select {
    pub(crate) table: &'static str,
    pub(crate) columns: &'static [&'static str],
}

/// Which rows are meant: those that fulfil everything that is added.
pub(crate) struct Filter<'a> {
    dialect: Dialect,
    condition: String,
    values: Vec<Value<'a>>,
}

impl<'a> Filter<'a> {
    pub(crate) fn new(dialect: Dialect) -> Self {
        Self { dialect, condition: "1 = 1".to_owned(), values: Vec::new() }
    }

    /// Keeps a value, and answers what stands for it.
    fn number(&mut self, value: impl Into<Value<'a>>) -> String {
        self.values.push(value.into());
        format!("${}", self.values.len())
    }

    /// A condition without values.
    pub(crate) fn only(&mut self, condition: &str) {
        self.condition.push_str(&format!(" AND {condition}"));
    }

    /// A condition in which `{}` stands for the value.
    pub(crate) fn and(&mut self, condition: &str, value: impl Into<Value<'a>>) {
        let number = self.number(value);
        self.only(&condition.replace("{}", &number));
    }

    /// A condition as [`Self::and`], if there is a value.
    pub(crate) fn some(&mut self, condition: &str, value: Option<impl Into<Value<'a>>>) {
        if let Some(value) = value {
            self.and(condition, value);
        }
    }

    /// The column has `part` somewhere, in any case of (ASCII) letters. Not by `LIKE`, for which
    /// some characters of `part` would stand for others.
    pub(crate) fn contains(&mut self, column: &str, part: Option<&'a String>) {
        let position = match self.dialect {
            Dialect::Sqlite => "instr",
            Dialect::Postgres => "strpos",
        };
        self.some(&format!("{position}(LOWER({column}), LOWER({{}})) > 0"), part);
    }

    /// The column has one of `values`; with none of them, anything.
    pub(crate) fn one_of(&mut self, column: &str, values: &'a [String]) {
        if values.is_empty() {
            return;
        }
        let first = self.values.len().saturating_add(1);
        self.values.extend(values.iter().map(Value::from));
        self.only(&format!("{column} IN ({})", numbers(first, values.len())));
    }

    /// The time in the column is within the bounds, which belong to it. 0, which is no time, is not.
    pub(crate) fn between(&mut self, column: &str, from: Option<i64>, to: Option<i64>) {
        if from.is_some() || to.is_some() {
            self.only(&format!("{column} > 0"));
        }
        self.some(&format!("{column} >= {{}}"), from);
        self.some(&format!("{column} <= {{}}"), to);
    }

    /// The resource that `column` names has all of the tags.
    pub(crate) fn tagged(
        &mut self,
        account: &'a str,
        kind: tags::Kind,
        column: &str,
        wanted: &'a BTreeMap<String, String>,
    ) {
        for (name, value) in wanted {
            let account = self.number(account);
            let kind = self.number(kind.word());
            let (name, value) = (self.number(name), self.number(value));
            self.only(&format!(
                "{column} IN (SELECT resource FROM oos_tags WHERE account = {account} \
                 AND kind = {kind} AND name = {name} AND value = {value})"
            ));
        }
    }

    /// The page of the rows that are meant.
    pub(crate) async fn page<T>(
        &self,
        database: &Database,
        select: &Select,
        order: &Order,
        page: &PageOf,
        read: impl Fn(&AnyRow) -> Result<T, StoreError>,
    ) -> Result<Listing<T>, StoreError> {
        let Select { table, columns } = select;
        let behind = page.after.as_ref().map(|after| order.parse(after)).transpose()?;
        let count = format!("SELECT COUNT(*) FROM {table} WHERE {}", self.condition);
        let total: i64 =
            statement(count, &self.values).fetch_one(database.pool()).await?.try_get(0)?;

        let (mut condition, mut values) = (self.condition.clone(), self.values.clone());
        let keys = order.columns().join(", ");
        if let Some(behind) = &behind {
            let sign = if order.is_ascending { ">" } else { "<" };
            let from = values.len().saturating_add(1);
            let marks = numbers(from, behind.len());
            condition.push_str(&format!(" AND ({keys}) {sign} ({marks})"));
            values.extend(behind.iter().map(|key| match key {
                Json::String(text) => Value::Text(text),
                number => Value::Number(number.as_i64().unwrap_or_default()),
            }));
        }
        let limit = page.limit.clamp(1, PAGE);
        // One more than wanted tells whether there is a next page.
        let sql = format!(
            "SELECT {}, {keys} FROM {table} WHERE {condition} ORDER BY {} LIMIT {}",
            columns.join(", "),
            order.sql(),
            limit.saturating_add(1)
        );
        let rows = statement(sql, &values).fetch_all(database.pool()).await?;
        let shown = rows.get(..limit).unwrap_or(&rows);
        let next = match shown.last() {
            Some(last) if rows.len() > limit => Some(order.behind(last, columns.len())?),
            _ => None,
        };
        let items = shown.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Listing { total: u64::try_from(total).unwrap_or(0), items, next })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Faults planted: tokens that no list gave out, one of them for another order.
    #[test]
    fn only_tokens_of_the_same_order_are_taken() {
        let order = |is_ascending| Order {
            keys: vec![Key::Number("created"), Key::Text("id")],
            is_ascending,
        };
        let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
        let sound = hex(r#"["created DESC, id DESC",5,"é'%"]"#);
        let keys = order(false).parse(&sound).unwrap();
        assert_eq!(keys, [Json::from(5), Json::from("é'%")]);
        for broken in [
            String::new(),
            "0".into(),
            "zz".into(),
            "é".into(),
            hex("[]"),
            hex("7"),
            hex(r#"["created DESC, id DESC",5]"#),
            hex(r#"["created DESC, id DESC","5","x"]"#),
            hex(r#"["created DESC, id DESC",5.5,"x"]"#),
            "ab".repeat(CONTINUATION),
            sound[..sound.len() - 2].to_owned(),
        ] {
            let refused = order(false).parse(&broken).unwrap_err();
            assert_eq!(refused.to_string(), "there is no page that this token stands for");
        }
        assert!(order(true).parse(&sound).is_err());
    }
}
