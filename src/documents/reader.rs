//! Reads a type from a tree of JSON, and keeps the path of what is being read.
//!
//! serde's derived code is compiled for every type together with the reader's parts that it calls.
//! So those do nothing here that could be done outside of them. Read by serde_json's own reader,
//! the types of the documents took 50 KiB more of the shipped binary, without a path.
//!
//! A struct is read from an object only, never from a list of its values as serde_json would.

use std::cell::RefCell;

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, Expected, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::{Error, Value, map};

/// The path of what is being read, as `phases[0].name`. After an error: of what is wrong.
#[derive(Default)]
pub(super) struct Path(RefCell<String>);

/// A value, and where paths are kept.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    value: &'a Value,
    path: &'a Path,
}

/// An object's entries that are still to be read.
struct Entries<'a> {
    rest: map::Iter<'a>,
    value: &'a Value,
    path: &'a Path,
    /// The length of the object's own path.
    own: usize,
}

/// A list's items that are still to be read.
struct Items<'a> {
    rest: std::slice::Iter<'a, Value>,
    read: usize,
    path: &'a Path,
    /// The length of the list's own path.
    own: usize,
}

/// A variant's name, and what is said of it: `"name"` or `{"name": content}`.
struct Variant<'a> {
    name: &'a str,
    content: Option<Node<'a>>,
}

impl Path {
    pub(super) fn into_text(self) -> String {
        self.0.into_inner()
    }

    fn length(&self) -> usize {
        self.0.borrow().len()
    }

    fn back_to(&self, length: usize) {
        self.0.borrow_mut().truncate(length);
    }

    fn at_key(&self, length: usize, key: &str) {
        let mut path = self.0.borrow_mut();
        path.truncate(length);
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(key);
    }

    fn at_index(&self, length: usize, index: usize) {
        let mut path = self.0.borrow_mut();
        path.truncate(length);
        path.push_str(&format!("[{index}]"));
    }
}

impl<'a> Node<'a> {
    pub(super) fn top(value: &'a Value, path: &'a Path) -> Self {
        Self { value, path }
    }

    fn entries(self, expected: &dyn Expected) -> Result<Entries<'a>, Error> {
        let Value::Object(entries) = self.value else {
            return Err(self.mistyped(expected));
        };
        Ok(Entries {
            rest: entries.iter(),
            value: &Value::Null,
            path: self.path,
            own: self.path.length(),
        })
    }

    fn items(self, expected: &dyn Expected) -> Result<Items<'a>, Error> {
        let Value::Array(items) = self.value else {
            return Err(self.mistyped(expected));
        };
        Ok(Items {
            rest: items.iter(),
            read: 0,
            path: self.path,
            own: self.path.length(),
        })
    }

    fn variant(self, expected: &dyn Expected) -> Result<Variant<'a>, Error> {
        if let Value::String(name) = self.value {
            let content = None;
            return Ok(Variant { name, content });
        }
        let mut entries = self.entries(expected)?;
        match (entries.next(), entries.rest.len()) {
            (Some((name, value)), 0) => Ok(Variant {
                name,
                content: Some(Self { value, ..self }),
            }),
            _ => {
                self.path.back_to(entries.own);
                let one = &"an object with one key";
                Err(Error::invalid_value(Unexpected::Map, one))
            }
        }
    }

    fn mistyped(self, expected: &dyn Expected) -> Error {
        Error::invalid_type(self.found(), expected)
    }

    fn found(self) -> Unexpected<'a> {
        match self.value {
            Value::Null => Unexpected::Unit,
            Value::Bool(value) => Unexpected::Bool(*value),
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => Unexpected::Unsigned(number),
                (None, Some(number)) => Unexpected::Signed(number),
                (None, None) => Unexpected::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => Unexpected::Str(text),
            Value::Array(_) => Unexpected::Seq,
            Value::Object(_) => Unexpected::Map,
        }
    }

    fn number<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.found() {
            Unexpected::Unsigned(number) => visitor.visit_u64(number),
            Unexpected::Signed(number) => visitor.visit_i64(number),
            _ => Err(self.mistyped(&visitor)),
        }
    }
}

macro_rules! whole_numbers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.number(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for Node<'de> {
    type Error = Error;

    whole_numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    forward_to_deserialize_any! {
        f32 f64 char bytes byte_buf unit unit_struct ignored_any
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(_) => self.deserialize_bool(visitor),
            Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
                Some(number) => visitor.visit_f64(number),
                None => self.number(visitor),
            },
            Value::String(_) => self.deserialize_str(visitor),
            Value::Array(_) => self.deserialize_seq(visitor),
            Value::Object(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            Value::Bool(value) => visitor.visit_bool(*value),
            _ => Err(self.mistyped(&visitor)),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            Value::String(text) => visitor.visit_str(text),
            _ => Err(self.mistyped(&visitor)),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let mut items = self.items(&visitor)?;
        visitor.visit_seq(&mut items)
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        let mut items = self.items(&visitor)?;
        if items.rest.len() != length {
            return Err(Error::invalid_length(items.rest.len(), &visitor));
        }
        visitor.visit_seq(&mut items)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let mut entries = self.entries(&visitor)?;
        visitor.visit_map(&mut entries)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let variant = self.variant(&visitor)?;
        visitor.visit_enum(variant)
    }
}

impl<'a> Entries<'a> {
    fn next(&mut self) -> Option<(&'a str, &'a Value)> {
        let Some((key, value)) = self.rest.next() else {
            self.path.back_to(self.own);
            return None;
        };
        self.path.at_key(self.own, key);
        self.value = value;
        Some((key, value))
    }
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        let Some((key, _)) = self.next() else {
            return Ok(None);
        };
        let key: StrDeserializer<'_, Error> = key.into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(Node::top(self.value, self.path))
    }
}

impl<'a> Items<'a> {
    fn next(&mut self) -> Option<Node<'a>> {
        let Some(value) = self.rest.next() else {
            self.path.back_to(self.own);
            return None;
        };
        self.path.at_index(self.own, self.read);
        self.read += 1;
        Some(Node::top(value, self.path))
    }
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        match self.next() {
            Some(item) => seed.deserialize(item).map(Some),
            None => Ok(None),
        }
    }
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Error> {
        let name: StrDeserializer<'_, Error> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> Variant<'de> {
    fn content(self, expected: &dyn Expected) -> Result<Node<'de>, Error> {
        let mistyped = || Error::invalid_type(Unexpected::UnitVariant, expected);
        self.content.ok_or_else(mistyped)
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        match self.content {
            Some(node) if !node.value.is_null() => Err(node.mistyped(&"a name alone")),
            _ => Ok(()),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(self.content(&"a name with its values")?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Error> {
        self.content(&visitor)?.deserialize_tuple(length, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.content(&visitor)?.deserialize_map(visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::{Node, Path};
    use crate::documents::{Batch, CheckSpec, StepSpec, ViScript};
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};
    use std::collections::HashMap;
    use std::fmt::Debug;

    fn read<T: DeserializeOwned>(tree: &Value) -> Result<T, (String, String)> {
        let path = Path::default();
        let value = T::deserialize(Node::top(tree, &path));
        value.map_err(|error| (path.into_text(), error.to_string()))
    }

    /// Every tree that differs from this one in one value.
    fn spoiled(tree: &Value) -> Vec<Value> {
        let others = [
            json!(null),
            json!(-1),
            json!(1.5),
            json!("x"),
            json!([]),
            json!({"x": 1}),
        ];
        let mut all = others.to_vec();
        match tree {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    for change in spoiled(item) {
                        let mut items = items.clone();
                        items[index] = change;
                        all.push(items.into());
                    }
                }
            }
            Value::Object(entries) => {
                for (key, value) in entries {
                    let mut fewer = entries.clone();
                    fewer.remove(key);
                    all.push(fewer.into());
                    for change in spoiled(value) {
                        let mut entries = entries.clone();
                        entries.insert(key.clone(), change);
                        all.push(entries.into());
                    }
                }
            }
            _ => {}
        }
        all
    }

    /// Holds what is read against serde_json's own reader, and paths against serde_path_to_error's.
    fn agrees<T: DeserializeOwned + PartialEq + Debug>(text: &str) {
        let tree: Value = serde_json::from_str(text).unwrap();
        let mut refused = 0;
        for tree in spoiled(&tree).into_iter().chain([tree]) {
            let expected: Result<T, _> = serde_path_to_error::deserialize(tree.clone());
            match (read::<T>(&tree), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected),
                // serde_json takes a list for a struct.
                (Err((_, problem)), Ok(_)) => assert!(problem.contains("sequence"), "{problem}"),
                (Ok(found), Err(expected)) => panic!("{found:?} is not {expected}: {tree}"),
                (Err((path, problem)), Err(expected)) => {
                    refused += 1;
                    let expected = match expected.path().to_string() {
                        top if top == "." => String::new(),
                        path => path,
                    };
                    // They differ in whether a variant's name is part of the path to it.
                    let near = path.starts_with(&expected) || expected.starts_with(&path);
                    let same = path == expected || near && problem.contains("variant");
                    assert!(same, "{path} is not {expected}: {problem}: {tree}");
                }
            }
        }
        assert!(refused > 5);
    }

    #[test]
    fn documents_are_read_as_serde_json_reads_them() {
        agrees::<Batch>(include_str!("../../batches/flat-to-subvolumes.json"));
        agrees::<ViScript>(include_str!("../../viscripts/btrfs_root_viScript.json"));
        agrees::<ViScript>(include_str!(
            "../../viscripts/system_validation_viScript.json"
        ));
        agrees::<CheckSpec>(r#"{"memory": {"minimum": "4 GB"}}"#);
        agrees::<StepSpec>(r#"{"snapshot": {"from": "/", "to": "a"}}"#);
    }

    #[test]
    fn tuples_maps_and_variants_are_read_as_serde_json_reads_them() {
        agrees::<HashMap<String, Vec<(i64, Option<u32>)>>>(r#"{"a": [[1, 2]], "b": [[-3, null]]}"#);
        agrees::<Vec<Result<String, (u8, bool)>>>(r#"[{"Ok": "x"}, {"Err": [1, true]}]"#);
    }
}
