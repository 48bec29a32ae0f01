//! Every example in README.md does what README.md says.

#[test]
fn the_examples_in_the_readme_do_what_they_say() {
    // The examples write where they stand: they get a folder of their own.
    let folder = tempfile::tempdir().expect("a folder");
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let root = root.canonicalize().expect("the workspace");
    std::fs::copy(root.join("README.md"), folder.path().join("README.md")).expect("README.md");
    std::os::unix::fs::symlink(root.join("scenarios"), folder.path().join("scenarios"))
        .expect("the scenarios");
    std::env::set_current_dir(folder.path()).expect("entering the folder");
    trycmd::TestCases::new()
        .register_bin("coe", trycmd::cargo::cargo_bin!("coe"))
        .case("README.md");
}
