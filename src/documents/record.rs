//! Objects read and written by a table of their keys. serde's derive makes code for each type; for
//! the many small ones of checks this serves all, at a tenth of the size.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

use super::check::FileKind;
use super::size::Size;

/// Where the value of one key goes.
pub(super) enum Slot<'a> {
    /// A text that must be given.
    Text(&'a mut String),
    /// A text; none for `null`, as in all others that may be missing.
    MaybeText(&'a mut Option<String>),
    /// A list of texts.
    Texts(&'a mut Vec<String>),
    /// A flag; false when missing.
    Flag(&'a mut bool),
    /// A flag of which it matters whether it was given.
    MaybeFlag(&'a mut Option<bool>),
    /// A number.
    MaybeNumber(&'a mut Option<u32>),
    /// A size that must be given.
    Size(&'a mut Size),
    /// A size.
    MaybeSize(&'a mut Option<Size>),
    /// What a path leads to.
    MaybeKind(&'a mut Option<FileKind>),
}

impl<'de> DeserializeSeed<'de> for Slot<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self {
            Self::Text(slot) => *slot = String::deserialize(deserializer)?,
            Self::MaybeText(slot) => *slot = Option::deserialize(deserializer)?,
            Self::Texts(slot) => *slot = Vec::deserialize(deserializer)?,
            Self::Flag(slot) => *slot = bool::deserialize(deserializer)?,
            Self::MaybeFlag(slot) => *slot = Option::deserialize(deserializer)?,
            Self::MaybeNumber(slot) => *slot = Option::deserialize(deserializer)?,
            Self::Size(slot) => *slot = Size::deserialize(deserializer)?,
            Self::MaybeSize(slot) => *slot = Option::deserialize(deserializer)?,
            Self::MaybeKind(slot) => *slot = Option::deserialize(deserializer)?,
        }
        Ok(())
    }
}

impl Slot<'_> {
    /// Writes the value, unless nothing is asked with it.
    fn write<M: SerializeMap>(self, key: &str, map: &mut M) -> Result<(), M::Error> {
        match self {
            Self::Text(text) | Self::MaybeText(Some(text)) => map.serialize_entry(key, text),
            Self::Texts(texts) if !texts.is_empty() => map.serialize_entry(key, texts),
            Self::Flag(flag) if *flag => map.serialize_entry(key, flag),
            Self::MaybeFlag(Some(flag)) => map.serialize_entry(key, flag),
            Self::MaybeNumber(Some(number)) => map.serialize_entry(key, number),
            Self::Size(size) | Self::MaybeSize(Some(size)) => {
                map.serialize_entry(key, &size.to_string())
            }
            Self::MaybeKind(Some(kind)) => map.serialize_entry(key, kind),
            _ => Ok(()),
        }
    }
}

/// An object with known keys.
pub(super) trait Record {
    /// Its keys, at most 32. The first ones, as many as [`Record::required`] says, must be given.
    fn keys(&self) -> &'static [&'static str];
    /// How many of the keys must be given.
    fn required(&self) -> usize;
    /// Where the value of the key with this index goes.
    fn slot(&mut self, index: usize) -> Option<Slot<'_>>;
}

/// Describes a struct's keys: first those that must be given, then the others.
macro_rules! record {
    ($type:ident: $($needed:literal $needed_field:ident $needed_slot:ident),*;
     $($key:literal $field:ident $slot:ident),*) => {
        impl $crate::documents::record::Record for $type {
            fn keys(&self) -> &'static [&'static str] {
                &[$($needed,)* $($key,)*]
            }

            fn required(&self) -> usize {
                const NEEDED: &[&str] = &[$($needed),*];
                NEEDED.len()
            }

            fn slot(&mut self, index: usize) -> Option<$crate::documents::record::Slot<'_>> {
                use $crate::documents::record::Slot;
                let slots = [
                    $(Slot::$needed_slot(&mut self.$needed_field),)*
                    $(Slot::$slot(&mut self.$field),)*
                ];
                slots.into_iter().nth(index)
            }
        }
    };
}
pub(super) use record;

/// Shows a record as an object.
pub(super) struct Shown<'a>(RefCell<&'a mut dyn Record>);

impl<'a> Shown<'a> {
    pub(super) fn of(record: &'a mut dyn Record) -> Self {
        Self(RefCell::new(record))
    }
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut record = self.0.borrow_mut();
        let mut map = serializer.serialize_map(None)?;
        for (index, key) in record.keys().iter().enumerate() {
            if let Some(slot) = record.slot(index) {
                slot.write(key, &mut map)?;
            }
        }
        map.end()
    }
}

/// Fills a record from an object.
pub(super) struct Fill<'a>(pub(super) &'a mut dyn Record);

impl<'de> DeserializeSeed<'de> for Fill<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fill<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let keys = self.0.keys();
        let mut given = 0_u32;
        while let Some(index) = map.next_key_seed(Key(keys))? {
            let bit = 1 << index;
            let name = keys.get(index).copied().unwrap_or_default();
            if given & bit != 0 {
                return Err(A::Error::duplicate_field(name));
            }
            given |= bit;
            if let Some(slot) = self.0.slot(index) {
                map.next_value_seed(slot)?;
            }
        }
        let needed = keys.iter().take(self.0.required()).enumerate();
        for (index, name) in needed {
            if given & (1 << index) == 0 {
                return Err(A::Error::missing_field(name));
            }
        }
        Ok(())
    }
}

/// One of these keys; gives its index.
struct Key(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for Key {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Key {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<usize, E> {
        let known = self.0.iter().position(|key| *key == text);
        known.ok_or_else(|| E::unknown_field(text, self.0))
    }
}
