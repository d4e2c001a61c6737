//! Gives the shared library its soname, which cargo leaves out, and keeps it mapped once loaded:
//! threads hold thread-locals whose destructors would be unmapped by `dlclose`.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let target = std::env::var("CARGO_CFG_TARGET_OS");
    if target.as_deref() == Ok("linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libcoati.so.0");
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
