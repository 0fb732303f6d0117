//! Tells the linker to leave the unwind tables out of the shipped program.

/// Only there: tests and debug builds catch panics, which needs the tables.
#[allow(clippy::print_stdout)] // Cargo is told on standard output.
fn main() {
    println!("cargo::rerun-if-changed=no-unwind-tables.ld");
    let is = |name, value| std::env::var(name).is_ok_and(|found| found == value);
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_ENV", "musl") {
        println!("cargo::rustc-link-arg-bins=-Wl,--no-eh-frame-hdr");
        println!(concat!(
            "cargo::rustc-link-arg-bins=-Wl,-T,",
            env!("CARGO_MANIFEST_DIR"),
            "/no-unwind-tables.ld"
        ));
    }
}
