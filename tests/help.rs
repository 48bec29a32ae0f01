//! What coe says of itself: help with examples that run, versions, completions,
//! manual pages, lists, a first scenario, and colours only where they are wanted.

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use common::{coe, coe_in, folder, root, write};
use serde_json::Value;

/// Every command, in an order in which their examples can run one after another.
const COMMANDS: [&str; 13] = [
    "list",
    "new",
    "record",
    "replay",
    "trace",
    "run",
    "diff",
    "test",
    "images",
    "boot",
    "schema",
    "completions",
    "man",
];

/// What it prints, having gone well.
fn printed(folder: &Path, arguments: &[&str]) -> String {
    text(coe_in(folder, arguments), arguments)
}

fn text(output: Output, arguments: &[&str]) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "coe {arguments:?}: {said}");
    String::from_utf8(output.stdout).expect("text")
}

/// The examples of a command's help: what follows `coe`, without remarks.
fn examples(help: &str) -> Vec<Vec<&str>> {
    let lines = help.lines().skip_while(|line| *line != "Examples:").skip(1);
    lines
        .map_while(|line| line.strip_prefix("  coe "))
        .map(|line| line.split("   ").next().unwrap_or_default())
        .map(|line| line.split_whitespace().collect())
        .collect()
}

#[test]
fn every_example_of_the_help_runs() {
    let folder = folder();
    let scenarios = folder.path().join("scenarios");
    std::os::unix::fs::symlink(root().join("scenarios"), scenarios).expect("the scenarios");
    files_of_diff(folder.path());
    for command in COMMANDS {
        let help = printed(folder.path(), &[command, "--help"]);
        let examples = examples(&help);
        assert!(!examples.is_empty(), "{help}");
        for example in examples {
            printed(folder.path(), &example);
        }
    }
}

/// What the examples of `coe diff` are about.
fn files_of_diff(folder: &Path) {
    let hello = root().join("scenarios/seeds/hello");
    let copy = |from: &str, to: &str| {
        fs::copy(hello.with_extension(from), folder.join(to)).expect("a copy");
    };
    copy("toml", "s.toml");
    copy("golden", "old.golden");
    fs::write(folder.join("new.elf"), coe::embedded::KERNEL).expect("a kernel");
    for trace in ["before.coe", "after.coe"] {
        printed(folder, &["record", "--quiet", "s.toml", "-o", trace]);
    }
}

#[test]
fn no_command_is_without_help() {
    let help = printed(&root(), &["--help"]);
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands: Vec<_> = commands
        .map_while(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    let mut known = COMMANDS.to_vec();
    known.sort_unstable();
    let mut listed = commands.clone();
    listed.sort_unstable();
    assert_eq!(listed, known, "the test does not know all commands");
}

#[test]
fn the_version_names_what_traces_and_goldens_depend_on() {
    let version = printed(&root(), &["--version"]);
    let lines: Vec<_> = version.lines().collect();
    assert_eq!(
        lines,
        [
            format!("coe {}", env!("CARGO_PKG_VERSION")),
            format!("trace format {}", coe::trace::Version::CURRENT),
            format!("cost model {}", machine::cost::VERSION),
        ]
    );
}

#[test]
fn shells_complete_commands_and_options() {
    let folder = folder();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = printed(folder.path(), &["completions", shell]);
        assert!(script.contains("record"), "{shell}: {script}");
        if shell == "bash" {
            write(&folder, "coe.bash", &script);
        }
    }
    let complete = |words: &str| {
        let ask = format!(
            "source ./coe.bash; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _coe coe \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD - 1]}}\"; \
             echo \"${{COMPREPLY[@]}}\""
        );
        let mut bash = Command::new("bash");
        let output = bash.current_dir(folder.path()).args(["-c", &ask]).output();
        String::from_utf8(output.expect("bash").stdout).expect("text")
    };
    assert_eq!(complete("coe rec"), "record\n");
    assert_eq!(complete("coe trace --form"), "--format\n");
    assert!(complete("coe trace --format ''").contains("perfetto"));
}

#[test]
fn there_is_a_manual_page_of_every_command() {
    let folder = folder();
    printed(folder.path(), &["man", "--out", "man1"]);
    let page = |name: &str| {
        let path = folder.path().join("man1").join(name);
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    for command in COMMANDS {
        let page = page(&format!("coe-{command}.1"));
        assert!(page.contains(&format!(".TH coe-{command} 1")), "{page}");
        assert!(page.contains(".SH EXAMPLES\n"), "{page}");
        assert!(!page.contains(".SH EXTRA"), "{page}");
    }
    let whole = page("coe.1");
    assert_eq!(whole, printed(folder.path(), &["man"]));
    assert!(whole.contains(".SH \"EXIT STATUS\"\n"), "{whole}");
}

#[test]
fn a_new_scenario_is_not_written_over_another() {
    let folder = folder();
    printed(folder.path(), &["new", "mine", "--run", "hello"]);
    let before = fs::read_to_string(folder.path().join("mine.toml")).expect("a scenario");
    assert!(before.contains("run = \"hello\""), "{before}");
    assert_eq!(
        printed(folder.path(), &["run", "-q", "mine.toml"]),
        "hello\r\n"
    );
    let again = coe_in(folder.path(), &["new", "mine.toml"]);
    let said = String::from_utf8_lossy(&again.stderr);
    assert_eq!(again.status.code(), Some(125), "{said}");
    assert!(said.contains("mine.toml is there already"), "{said}");
    let after = fs::read_to_string(folder.path().join("mine.toml")).expect("a scenario");
    assert_eq!(before, after);
}

#[test]
fn lists_name_every_program_and_every_scenario() {
    let list = printed(&root(), &["list", "scenarios/seeds", "--format", "json"]);
    let list: Value = serde_json::from_str(&list).expect("JSON");
    let programs = list["programs"].as_array().expect("programs");
    assert_eq!(programs.len(), coe::embedded::PROGRAMS.len());
    for program in programs {
        let about = program["about"].as_str().expect("a text");
        assert!(about.len() > 10 && about.ends_with(['.', '?']), "{program}");
    }
    let cow = programs
        .iter()
        .find(|program| program["name"] == "cow-fork");
    assert_eq!(cow.expect("cow-fork")["usage"], "cow-fork [N]");
    let scenarios = list["scenarios"].as_array().expect("scenarios");
    let files = fs::read_dir(root().join("scenarios/seeds")).expect("the seeds");
    let files = files.filter(|file| {
        let path = file.as_ref().expect("a file").path();
        path.extension()
            .is_some_and(|extension| extension == "toml")
    });
    assert_eq!(scenarios.len(), files.count());
    let text = printed(&root(), &["list", "scenarios/seeds/hello.toml"]);
    let title = scenarios
        .iter()
        .find(|it| it["path"] == "scenarios/seeds/hello.toml")
        .map(|it| it["title"].as_str().expect("a title"));
    let title = title.expect("hello.toml");
    assert!(
        text.contains(&format!("seeds/hello.toml  {title}\n")),
        "{text}"
    );
}

#[test]
fn a_broken_scenario_is_listed_as_such() {
    let folder = folder();
    write(&folder, "good.toml", "title = \"t\"\nprogram = \"hello\"\n");
    write(
        &folder,
        "wrong.toml",
        "title = \"t\"\nprogramme = \"hello\"\n",
    );
    let output = coe_in(folder.path(), &["list", "."]);
    let listed = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(126), "{listed}");
    assert!(listed.contains("wrong.toml  (broken: "), "{listed}");
    assert!(listed.contains("good.toml   t\n"), "{listed}");
}

#[test]
fn colours_are_there_where_they_are_wanted() {
    let coloured = |environment: &[(&str, &str)], arguments: &[&str]| {
        let mut command = coe();
        command.args(arguments).envs(environment.iter().copied());
        let output = command.output().expect("coe starts");
        [output.stdout, output.stderr].concat().contains(&0x1B)
    };
    for arguments in [
        ["run", "no-such-program"],
        ["run", "--help"],
        ["run", "--what"],
    ] {
        assert!(!coloured(&[], &arguments), "a pipe: {arguments:?}");
        let force = ("CLICOLOR_FORCE", "1");
        assert!(coloured(&[force], &arguments), "forced: {arguments:?}");
        let both = [force, ("NO_COLOR", "1")];
        assert!(!coloured(&both, &arguments), "refused: {arguments:?}");
    }
}
