//! Says in one line that this builds only for Linux, before the compiler says it in two hundred.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if target != "linux" {
        println!("cargo::error=seatrial runs on Linux only, not on {target}");
    }
}
