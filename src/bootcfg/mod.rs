//! The room `bootcfg`.
