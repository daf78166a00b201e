//! From pairs to a type.

use super::{MAX_DEPTH, ParamError, Tree, quoted};
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor,
    value::StrDeserializer,
};
use std::fmt;

/// Read a request type from its pairs. Pairs that the type has no field for are ignored.
///
/// Lists are `Name.N`, ordered by N. A map, and a list given as one value, are read as JSON text.
/// Booleans are read in any case, because SDKs write them as their own language does.
///
/// # Errors
///
/// `Missing` or `Invalid` with the parameter's full name, for example `Tag.2.Key`.
pub fn from_params<T: DeserializeOwned>(pairs: &[(String, String)]) -> Result<T, ParamError> {
    let tree = Tree::of(pairs)?;
    T::deserialize(Node { tree: &tree, path: String::new() }).map_err(|Fault(error)| error)
}

/// The error while reading; serde's own errors know no name yet and get the nearest one.
#[derive(Debug)]
struct Fault(ParamError);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(why: T) -> Self {
        Self(ParamError::Invalid { name: String::new(), why: sentence(&why.to_string()) })
    }

    fn missing_field(field: &'static str) -> Self {
        Self(ParamError::Missing { name: field.to_owned() })
    }
}

impl Fault {
    fn invalid(path: &str, why: impl fmt::Display) -> Self {
        Self(ParamError::Invalid { name: path.to_owned(), why: sentence(&why.to_string()) })
    }

    /// Give the parameter its place: an error without a name gets it, a missing field is inside.
    fn at(self, path: &str) -> Self {
        Self(match self.0 {
            ParamError::Invalid { name, why } if name.is_empty() => {
                ParamError::Invalid { name: path.to_owned(), why }
            }
            other => other,
        })
    }

    /// A missing field of the struct at `path`, by its full name.
    fn inside(self, path: &str) -> Self {
        match self.0 {
            ParamError::Missing { name } if !name.contains('.') => {
                Self(ParamError::Missing { name: join(path, &name) })
            }
            other => Self(other).at(path),
        }
    }
}

/// A bounded sentence: what clients sent may be quoted in it.
fn sentence(why: &str) -> String {
    let end = why.floor_char_boundary(200);
    let mut text = why[..end].trim_end_matches('.').to_owned();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text + "."
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// One place of the tree and its name.
struct Node<'t, 'a> {
    tree: &'t Tree<'a>,
    path: String,
}

impl Node<'_, '_> {
    fn text(&self) -> Result<&str, Fault> {
        self.tree.value.ok_or_else(|| Fault::invalid(&self.path, "one value is expected here"))
    }

    /// Read JSON text that must be an array or an object.
    fn json<'de, V: Visitor<'de>>(&self, list: bool, visitor: V) -> Result<V::Value, Fault> {
        let what = if list { "a list as Name.N or a JSON array" } else { "a JSON object" };
        let parsed: serde_json::Value = serde_json::from_str(self.text()?)
            .map_err(|_| Fault::invalid(&self.path, format!("{what} is expected")))?;
        let read = match parsed {
            serde_json::Value::Array(_) if list => {
                de::Deserializer::deserialize_seq(parsed, visitor)
            }
            serde_json::Value::Object(_) if !list => {
                de::Deserializer::deserialize_map(parsed, visitor)
            }
            _ => return Err(Fault::invalid(&self.path, format!("{what} is expected"))),
        };
        read.map_err(|error| Fault::invalid(&self.path, error))
    }
}

/// Numbers: decimal text and nothing else.
macro_rules! number {
    ($($method:ident $visit:ident $type:ty,)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            let text = self.text()?;
            let decimal = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'-' | b'.'));
            let value: Option<$type> = decimal.then(|| text.parse().ok()).flatten();
            let value = value.ok_or_else(|| {
                Fault::invalid(&self.path, concat!("a number is expected (", stringify!($type), ")"))
            })?;
            visitor.$visit(value).map_err(|fault: Fault| fault.at(&self.path))
        }
    )*};
}

impl<'de> de::Deserializer<'de> for Node<'_, '_> {
    type Error = Fault;

    number! {
        deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16, deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64, deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32, deserialize_u64 visit_u64 u64, deserialize_f32 visit_f32 f32,
        deserialize_f64 visit_f64 f64,
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.tree.value.is_some() {
            return self.deserialize_str(visitor);
        }
        self.deserialize_struct("", &[], visitor)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let value = match self.text()? {
            text if text.eq_ignore_ascii_case("true") => true,
            text if text.eq_ignore_ascii_case("false") => false,
            _ => return Err(Fault::invalid(&self.path, "true or false is expected")),
        };
        visitor.visit_bool(value).map_err(|fault: Fault| fault.at(&self.path))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_str(self.text()?).map_err(|fault: Fault| fault.at(&self.path))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let name: StrDeserializer<'_, Fault> = self.text()?.into_deserializer();
        visitor.visit_enum(name).map_err(|fault| fault.at(&self.path))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.tree.value.is_some() && self.tree.children.is_empty() {
            return self.json(true, visitor);
        }
        let mut items = Vec::new();
        for (part, tree) in &self.tree.children {
            let path = join(&self.path, &quoted(part));
            // Only digits: `+1` and `-1` parse too and would be second spellings.
            let number = part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse::<u32>().ok());
            match number.flatten() {
                Some(number) if number > 0 => items.push((number, Node { tree, path })),
                _ => return Err(Fault::invalid(&path, "items of a list are numbered from 1")),
            }
        }
        items.sort_by_key(|(number, _)| *number);
        if let Some(pair) = items.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(Fault::invalid(&pair[1].1.path, "this item is given twice"));
        }
        let nodes = items.into_iter().map(|(_, node)| node);
        visitor.visit_seq(Items(nodes)).map_err(|fault| fault.at(&self.path))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        // With parts below it this is a struct that serde reads as a map (`flatten`).
        if self.tree.value.is_some() {
            return self.json(false, visitor);
        }
        self.deserialize_struct("", &[], visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if self.path.split('.').count() > MAX_DEPTH || self.tree.value.is_some() {
            return Err(Fault::invalid(&self.path, "fields as Name.Field are expected"));
        }
        let fields = Fields { path: &self.path, rest: self.tree.children.iter(), next: None };
        visitor.visit_map(fields).map_err(|fault| fault.inside(&self.path))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        char bytes byte_buf unit unit_struct tuple tuple_struct identifier
    }
}

struct Items<I>(I);

impl<'de, 't, 'a: 't, I: Iterator<Item = Node<'t, 'a>>> SeqAccess<'de> for Items<I> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        self.0.next().map(|node| seed.deserialize(node)).transpose()
    }
}

/// The fields of a struct.
struct Fields<'t, 'a> {
    path: &'t str,
    rest: std::collections::btree_map::Iter<'t, &'a str, Tree<'a>>,
    next: Option<(&'t str, &'t Tree<'a>)>,
}

impl<'de> MapAccess<'de> for Fields<'_, '_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        self.next = self.rest.next().map(|(name, tree)| (*name, tree));
        let Some((name, _)) = self.next else { return Ok(None) };
        let key: StrDeserializer<'_, Fault> = name.into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        let Some((name, tree)) = self.next.take() else {
            return Err(Fault::invalid(self.path, "a value was asked for before its name"));
        };
        let path = join(self.path, name);
        seed.deserialize(Node { tree, path: path.clone() }).map_err(|fault| fault.at(&path))
    }
}
