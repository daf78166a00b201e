//! Many rows in few statements.
//!
//! A statement costs a trip to the database's thread or server, so rows go together. How many is
//! one of a few numbers only: each number is a statement of its own, and the connection keeps those
//! that it has prepared.

use sqlx::any::AnyArguments;
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AssertSqlSafe};

use crate::StoreError;

/// How many rows or values a statement takes. 64 rows of 20 columns are far below what both
/// databases allow in one statement (SQLite 32,766 values, PostgreSQL 65,535).
const CHUNKS: [usize; 4] = [64, 16, 4, 1];

/// What stands in a column, or is compared with one.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'a> {
    Text(&'a str),
    Number(i64),
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

/// A statement with its values. No text of a client is in it, only numbers of values.
pub(crate) fn statement<'q, 'v>(
    sql: String,
    values: impl IntoIterator<Item = &'q Value<'v>>,
) -> Query<'q, Any, AnyArguments>
where
    'v: 'q,
{
    let query = sqlx::query(AssertSqlSafe(sql));
    values.into_iter().fold(query, |query, value| match value {
        // PostgreSQL takes no such character, and templates and services may write one into a log.
        Value::Text(text) if text.contains('\0') => query.bind(text.replace('\0', "\u{fffd}")),
        Value::Text(text) => query.bind(*text),
        Value::Number(number) => query.bind(*number),
    })
}

/// `$1, $2, $3`: `count` numbers of values, from `first` on.
pub(crate) fn numbers(first: usize, count: usize) -> String {
    let numbers: Vec<String> =
        (0..count).map(|n| format!("${}", first.saturating_add(n))).collect();
    numbers.join(", ")
}

/// `($1, $2), ($3, $4)`: rows of `width` values, or `(?, ?), (?, ?)` without numbers.
///
/// SQLite is given none: to find the number of a value, the driver asks for its name, and SQLite
/// walks a list of all names up to it, which takes longer for a thousand values than to write them.
fn tuples(rows: usize, width: usize, has_numbers: bool) -> String {
    let row = |row: usize| match has_numbers {
        true => numbers(row.saturating_mul(width).saturating_add(1), width),
        false => vec!["?"; width].join(", "),
    };
    (0..rows).map(|n| format!("({})", row(n))).collect::<Vec<_>>().join(", ")
}

/// Split into pieces of the few lengths that statements have.
pub(crate) fn chunks<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let length = CHUNKS.into_iter().find(|length| *length <= rows.len())?;
        let (chunk, rest) = rows.split_at(length);
        rows = rest;
        Some(chunk)
    })
}

/// How rows are written to a table.
pub(crate) struct Insert {
    pub(crate) table: &'static str,
    pub(crate) columns: &'static [&'static str],
    /// What follows the rows: `ON CONFLICT …`.
    pub(crate) conflict: &'static str,
}

impl Insert {
    /// Write `rows`, each with a value for each column. Returns how many rows were written.
    pub(crate) async fn run<'v>(
        &self,
        writer: &mut AnyConnection,
        rows: &[Vec<Value<'v>>],
    ) -> Result<u64, StoreError> {
        let has_numbers = writer.backend_name() != "SQLite";
        let mut written = 0;
        for chunk in chunks(rows) {
            let sql = format!(
                "INSERT INTO {} ({}) VALUES {} {}",
                self.table,
                self.columns.join(", "),
                tuples(chunk.len(), self.columns.len(), has_numbers),
                self.conflict
            );
            let done = statement(sql, chunk.iter().flatten()).execute(&mut *writer).await?;
            written += done.rows_affected();
        }
        Ok(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_split_into_the_few_lengths() {
        for (count, lengths) in [
            (0, &[][..]),
            (1, &[1]),
            (3, &[1, 1, 1]),
            (22, &[16, 4, 1, 1]),
            (150, &[64, 64, 16, 4, 1, 1]),
        ] {
            let rows: Vec<usize> = (0..count).collect();
            let found: Vec<usize> = chunks(&rows).map(<[_]>::len).collect();
            assert_eq!(found, lengths, "{count}");
            assert_eq!(chunks(&rows).flatten().copied().collect::<Vec<_>>(), rows);
        }
        assert_eq!(tuples(2, 3, true), "($1, $2, $3), ($4, $5, $6)");
        assert_eq!(tuples(2, 3, false), "(?, ?, ?), (?, ?, ?)");
    }
}
