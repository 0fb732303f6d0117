//! The room `modes`.
