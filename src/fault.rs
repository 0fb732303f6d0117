//! The room `fault`.
