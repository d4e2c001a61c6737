//! The committed header is what `coati-capi` says it is. `make header` writes it anew.

use std::path::Path;

/// What stands before each function there, and what cbindgen looks for instead.
const NAMED: [&str; 2] =
    [r#"cfg_attr(feature = "export", unsafe(no_mangle))"#, "unsafe(no_mangle)"];

#[test]
fn the_committed_header_is_up_to_date() {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    let committed = crate_dir.join("../include/coati.h");
    let config = cbindgen::Config::from_file(crate_dir.join("cbindgen.toml")).unwrap();
    let named = tempfile::tempdir().unwrap();
    for source in std::fs::read_dir(crate_dir.join("../capi/src")).unwrap() {
        let source = source.unwrap();
        let text = std::fs::read_to_string(source.path()).unwrap();
        let text = text.replace(NAMED[0], NAMED[1]);
        std::fs::write(named.path().join(source.file_name()), text).unwrap();
    }
    let lib = named.path().join("lib.rs");
    let bindings = cbindgen::Builder::new().with_src(lib).with_config(config).generate();
    let mut fresh = Vec::new();
    bindings.expect("the crate parses").write(&mut fresh);
    let fresh = String::from_utf8(fresh).unwrap();
    if std::env::var_os("COATI_WRITE_HEADER").is_some() {
        std::fs::write(&committed, &fresh).unwrap();
    }
    let committed = std::fs::read_to_string(&committed).unwrap_or_default();
    let same = fresh.lines().zip(committed.lines()).take_while(|(a, b)| a == b).count();
    assert!(
        fresh == committed,
        "include/coati.h differs from the crate in line {}: run `make header`",
        same + 1
    );
}
