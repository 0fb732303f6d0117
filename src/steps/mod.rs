//! The room `steps`.
