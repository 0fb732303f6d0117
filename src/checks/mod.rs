//! The room `checks`.
