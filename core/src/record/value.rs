//! Values as callers hand them over.

use crate::intern::Id;

/// A field's name: an interned id, or the text where the table of names is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Key<'a> {
    /// An interned name.
    Id(Id),
    /// The name itself.
    Text(&'a str),
}

impl<'a> Key<'a> {
    /// The key called `name`.
    pub fn new(name: &'a str) -> Self {
        crate::intern::intern(name).map_or(Self::Text(name), Self::Id)
    }
}

/// A value without foreign code behind it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A signed integer.
    I64(i64),
    /// An unsigned integer.
    U64(u64),
    /// A float; NaN and infinities are kept.
    F64(f64),
    /// Text, cut at the engine's limit.
    Str(&'a str),
    /// Raw bytes, cut at the engine's limit.
    Bytes(&'a [u8]),
}

macro_rules! from {
    ($($type:ty => $variant:ident as $target:ty),* $(,)?) => {
        $(impl From<$type> for Value<'_> {
            fn from(value: $type) -> Self {
                Self::$variant(<$target>::from(value))
            }
        })*
    };
}
from!(
    bool => Bool as bool, i8 => I64 as i64, i16 => I64 as i64, i32 => I64 as i64, i64 => I64 as i64,
    u8 => U64 as u64, u16 => U64 as u64, u32 => U64 as u64, u64 => U64 as u64,
    f32 => F64 as f64, f64 => F64 as f64,
);

impl From<usize> for Value<'_> {
    fn from(value: usize) -> Self {
        Self::U64(value as u64)
    }
}

impl From<isize> for Value<'_> {
    fn from(value: isize) -> Self {
        Self::I64(value as i64)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Self::Str(value)
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(value: &'a String) -> Self {
        Self::Str(value)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(value: &'a [u8]) -> Self {
        Self::Bytes(value)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A key and a value.
pub type Field<'a> = (Key<'a>, Value<'a>);

/// A key that is interned at its first use and found by one load afterwards.
///
/// ```
/// let field = (coati_core::key!("steps"), 4.into());
/// # let _: coati_core::record::value::Field = field;
/// ```
#[macro_export]
macro_rules! key {
    ($name:literal) => {{
        static ID: $crate::record::value::StaticKey = $crate::record::value::StaticKey::new($name);
        ID.get()
    }};
}

/// What [`key!`] keeps at its place.
#[derive(Debug)]
pub struct StaticKey {
    name: &'static str,
    id: std::sync::atomic::AtomicU32,
}

impl StaticKey {
    /// A key that is not interned yet.
    pub const fn new(name: &'static str) -> Self {
        Self { name, id: std::sync::atomic::AtomicU32::new(0) }
    }

    /// The key.
    #[inline(always)]
    pub fn get(&'static self) -> Key<'static> {
        // Relaxed: the id is plain data; what it stands for is found through the table's own
        // Acquire loads.
        match self.id.load(std::sync::atomic::Ordering::Relaxed) {
            0 => self.first(),
            id => Key::Id(Id(id)),
        }
    }

    #[cold]
    fn first(&'static self) -> Key<'static> {
        let key = Key::new(self.name);
        if let Key::Id(Id(id)) = key {
            self.id.store(id, std::sync::atomic::Ordering::Relaxed);
        }
        key
    }
}
