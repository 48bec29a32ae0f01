//! `coe test` as a person and a CI see it: what it finds, in which order it
//! tells, what it writes, what it exits with.

mod common;

use std::fs;
use std::path::Path;

use coe::golden::Transcript;
use coe::scenario::Level;
use coe::suite::{self, Report, Suite};
use serde_json::Value;
use tempfile::TempDir;

use common::{coe_in, folder, write};

const GOOD: &str =
    "title = \"It is as expected\"\nprogram = { run = \"hello\", args = [\"you\"] }\n";

/// A scenario that ends otherwise than it expects.
fn bad() -> String {
    format!("{GOOD}[expect]\nexit = 3\n")
}

/// Runs `coe test` in the folder, wants this exit code and no panic; its stdout.
fn test(folder: &TempDir, args: &[&str], code: i32) -> String {
    let args: Vec<_> = ["test"].into_iter().chain(args.iter().copied()).collect();
    let output = coe_in(folder.path(), &args);
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        output.status.code(),
        Some(code),
        "coe {args:?}\n{stdout}\n{stderr}"
    );
    assert!(!stderr.contains("panicked at"), "coe {args:?}: {stderr}");
    stdout
}

fn json(folder: &TempDir, args: &[&str], code: i32) -> Value {
    let args: Vec<_> = ["--format", "json"]
        .into_iter()
        .chain(args.iter().copied())
        .collect();
    serde_json::from_str(&test(folder, &args, code)).expect("one JSON document")
}

/// The paths and verdicts of a document.
fn verdicts(document: &Value) -> Vec<(String, String)> {
    let text = |entry: &Value, key: &str| entry[key].as_str().expect("a text").to_owned();
    let entries = document["scenarios"].as_array().expect("a list");
    entries
        .iter()
        .map(|entry| (text(entry, "path"), text(entry, "verdict")))
        .collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |&(path, verdict): &(&str, &str)| (path.to_owned(), verdict.to_owned());
    expected.iter().map(own).collect()
}

/// Two good ones, two bad ones, one that cannot run.
fn mixed() -> TempDir {
    let folder = folder();
    fs::create_dir(folder.path().join("s")).expect("a folder");
    write(&folder, "s/a.toml", GOOD);
    write(&folder, "s/b.toml", bad());
    write(&folder, "s/c.toml", GOOD);
    write(&folder, "s/d.toml", bad());
    write(&folder, "s/e.toml", "title = \"t\"\nprogram = \"helo\"\n");
    folder
}

const MIXED: [(&str, &str); 5] = [
    ("s/a.toml", "passed"),
    ("s/b.toml", "failed"),
    ("s/c.toml", "passed"),
    ("s/d.toml", "failed"),
    ("s/e.toml", "broken"),
];

#[test]
fn each_failure_says_what_where_and_how_to_see_it_again() {
    let folder = mixed();
    let stdout = test(&folder, &["s"], 123);
    let again = "to see it again: coe test s/b.toml";
    for said in [
        "pass    s/a.toml (",
        "FAIL    s/b.toml (",
        "        ended with: exit 0, expected: exit 3",
        again,
        "BROKEN  s/e.toml",
        "s/e.toml:2:",
        "did you mean `hello`",
        "not as expected:\n  FAIL s/b.toml\n  FAIL s/d.toml\n  BROKEN s/e.toml\n2 passed, 0 blessed, 2 failed, 1 broken\n",
    ] {
        assert!(stdout.contains(said), "{said}\n{stdout}");
    }
    // The command does reproduce it.
    let args: Vec<_> = again.split(' ').skip(6).collect();
    assert!(test(&folder, &args, 123).contains("ended with: exit 0, expected: exit 3"));
    let quiet = test(&folder, &["--quiet", "s"], 123);
    assert!(
        !quiet.contains("pass  ") && quiet.contains("FAIL    s/d.toml"),
        "{quiet}"
    );
}

#[test]
fn the_command_that_reproduces_names_the_same_guests() {
    let folder = mixed();
    let args = ["--kernel-option", "clone_stopped=on", "s/b.toml"];
    let stdout = test(&folder, &args, 123);
    let again = "coe test --kernel-option clone_stopped=on s/b.toml\n";
    assert!(stdout.contains(again), "{stdout}");
}

#[test]
fn exit_codes_tell_failed_from_broken_from_missing() {
    let folder = mixed();
    test(&folder, &["s/a.toml"], 0);
    test(&folder, &["s/e.toml"], 127);
    write(&folder, "typo.toml", "titel = \"t\"\n");
    test(&folder, &["typo.toml", "s/a.toml"], 126);
    test(&folder, &["typo.toml", "s/b.toml"], 123);
    test(&folder, &["nowhere"], 127);
    test(&folder, &["--filter", "zzz", "s"], 127);
    for wrong in [["--jobs", "0"], ["--partition", "3/2"], ["--format", "xml"]] {
        test(&folder, &[wrong[0], wrong[1], "s"], 125);
    }
}

#[test]
fn the_json_document_says_everything_at_any_number_of_jobs() {
    let folder = mixed();
    let document = json(&folder, &["--jobs", "1", "s"], 123);
    for jobs in ["2", "8"] {
        assert_eq!(document, json(&folder, &["--jobs", jobs, "s"], 123));
    }
    assert_eq!(verdicts(&document), pairs(&MIXED));
    assert_eq!(document["exit_code"], 123);
    assert_eq!(
        (
            &document["passed"],
            &document["failed"],
            &document["broken"]
        ),
        (&Value::from(2), &Value::from(2), &Value::from(1))
    );
    let [good, wrong, .., broken] = document["scenarios"].as_array().expect("a list").as_slice()
    else {
        panic!("{document}");
    };
    assert_eq!(good["title"], "It is as expected");
    assert_eq!(good["ending"], "exit 0");
    assert!(good["cycles"].as_u64() > Some(100_000) && good["digest"].is_string());
    assert_eq!(wrong["failures"][0]["kind"], "expectation");
    assert_eq!(wrong["command"], "coe test s/b.toml");
    assert_eq!(broken["error"]["exit_code"], 127);
    assert!(broken.get("cycles").is_none(), "{broken}");
}

#[test]
fn a_filter_and_a_partition_choose() {
    let folder = mixed();
    let ran = |args: &[&str], code| {
        let verdicts = verdicts(&json(&folder, args, code));
        verdicts
            .into_iter()
            .map(|(path, _)| path)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        ran(&["--filter", "a.t", "--filter", "s/c", "s"], 0),
        ["s/a.toml", "s/c.toml"]
    );
    assert_eq!(
        ran(&["--partition", "1/2", "s"], 127),
        ["s/a.toml", "s/c.toml", "s/e.toml"]
    );
    assert_eq!(
        ran(&["--partition", "2/2", "s"], 123),
        ["s/b.toml", "s/d.toml"]
    );
    assert_eq!(ran(&["--partition", "9/9", "s"], 0), Vec::<String>::new());
}

#[test]
fn failing_fast_stops_at_the_same_place_always() {
    let folder = mixed();
    for jobs in ["1", "2", "8"] {
        let document = json(&folder, &["--fail-fast", "--jobs", jobs, "s"], 123);
        assert_eq!(verdicts(&document), pairs(&MIXED[..2]));
        let left = serde_json::json!(["s/c.toml", "s/d.toml", "s/e.toml"]);
        assert_eq!(document["not_run"], left);
    }
    let stdout = test(&folder, &["--fail-fast", "s"], 123);
    assert!(
        stdout.ends_with("1 failed, 0 broken, 3 not run\n"),
        "{stdout}"
    );
}

#[test]
fn a_golden_that_no_scenario_uses_fails() {
    let folder = folder();
    write(&folder, "a.toml", format!("{GOOD}golden = \"outcome\"\n"));
    test(&folder, &["--bless", "."], 0);
    test(&folder, &["."], 0);
    fs::rename(
        folder.path().join("a.golden"),
        folder.path().join("b.golden"),
    )
    .expect("a rename");
    test(&folder, &["--bless", "a.toml"], 0);
    for args in [["."].as_slice(), &["--bless", "."]] {
        let stdout = test(&folder, args, 123);
        assert!(
            stdout.contains("UNUSED  ./b.golden\n        no scenario uses this golden"),
            "{stdout}"
        );
        assert!(stdout.ends_with("0 broken, 1 unused goldens\n"), "{stdout}");
    }
    assert_eq!(
        json(&folder, &["."], 123)["unused_goldens"][0]["path"],
        "./b.golden"
    );
    // Who asks for one scenario is not told of other files.
    test(&folder, &["a.toml"], 0);
}

#[test]
fn the_junit_file_says_the_same() {
    use quick_junit::{NonSuccessKind, TestCaseStatus};
    let folder = mixed();
    fs::write(folder.path().join("s/left.golden"), "").expect("a golden");
    let path = folder.path().join("report.xml");
    test(&folder, &["--junit", "report.xml", "s"], 123);
    let xml = fs::read_to_string(&path).expect("the file");
    let report = quick_junit::Report::deserialize_from_str(&xml).expect("JUnit XML");
    assert_eq!((report.tests, report.failures, report.errors), (6, 3, 1));
    let [suite] = report.test_suites.as_slice() else {
        panic!("one folder is one suite: {xml}");
    };
    let kinds: Vec<_> = suite
        .test_cases
        .iter()
        .map(|case| match &case.status {
            TestCaseStatus::Success { .. } => (case.name.as_str(), "success"),
            TestCaseStatus::Skipped { .. } => (case.name.as_str(), "skipped"),
            TestCaseStatus::NonSuccess { kind, .. } => match kind {
                NonSuccessKind::Failure => (case.name.as_str(), "failure"),
                NonSuccessKind::Error => (case.name.as_str(), "error"),
            },
        })
        .collect();
    assert_eq!(
        kinds,
        [
            ("a.toml", "success"),
            ("b.toml", "failure"),
            ("c.toml", "success"),
            ("d.toml", "failure"),
            ("e.toml", "error"),
            ("left.golden", "failure"),
        ]
    );
    assert!(xml.contains("to see it again: coe test s/b.toml"), "{xml}");
    assert_eq!(as_python_reads(&path), ["6", "3", "1"]);
    test(&folder, &["--fail-fast", "--junit", "report.xml", "s"], 123);
    let xml = fs::read_to_string(&path).expect("the file");
    let report = quick_junit::Report::deserialize_from_str(&xml).expect("JUnit XML");
    assert_eq!((report.tests, report.test_suites[0].skipped), (6, 3));
}

/// What a reader of XML that is not ours finds: cases, failures, errors.
fn as_python_reads(path: &Path) -> Vec<String> {
    let script = "import sys, xml.etree.ElementTree as e; root = e.parse(sys.argv[1]).getroot(); \
        assert root.tag == 'testsuites'; suites = root.findall('testsuite'); \
        [print(len(root.findall('testsuite/testcase' + kind))) for kind in ('', '/failure', '/error')]; \
        assert all(int(s.get('tests')) == len(s.findall('testcase')) for s in suites)";
    let mut python = std::process::Command::new("python3");
    let output = python
        .args(["-c", script])
        .arg(path)
        .output()
        .expect("python3 starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let found = String::from_utf8_lossy(&output.stdout);
    found.lines().map(str::to_owned).collect()
}

/// The phases of an exact golden: what each took, and what its functions add up to.
fn phases(golden: &str) -> Vec<(u64, u64)> {
    let number = |text: &str| -> Option<u64> { text.split(' ').next()?.parse().ok() };
    let (mut phases, mut passed): (Vec<(u64, u64)>, u64) = (Vec::new(), 0);
    for line in golden.lines() {
        if let Some(cycles) = line.strip_prefix('+').and_then(number) {
            phases.push((cycles, 0));
            passed += cycles;
        } else if let Some(end) = line.strip_prefix("end at cycle ").and_then(number) {
            phases.push((end - passed, 0));
        } else if let Some(cycles) = line.strip_prefix("  ").and_then(number) {
            phases.last_mut().expect("a phase").1 += cycles;
        }
    }
    phases
}

#[test]
fn an_exact_golden_names_the_functions_that_cost_more() {
    let folder = folder();
    write(&folder, "s.toml", format!("{GOOD}golden = \"exact\"\n"));
    test(&folder, &["--bless", "s.toml"], 0);
    test(&folder, &["s.toml"], 0);
    let golden = fs::read_to_string(folder.path().join("s.golden")).expect("the golden");
    let phases = phases(&golden);
    assert!(phases.len() > 10, "{golden}");
    assert!(phases.iter().all(|(took, sum)| took == sum), "{phases:?}");
    // A further word on its command line costs the kernel time when it reads it.
    let stdout = test(
        &folder,
        &["--kernel-option", "clone_stopped=off", "s.toml"],
        123,
    );
    let said = "the events are the same; ";
    assert!(stdout.contains(said), "{stdout}");
    let gain = stdout
        .lines()
        .find(|line| line.contains("kernel::cmdline::parse ("))
        .expect("the function that reads the words");
    assert!(gain.trim_start().starts_with('+'), "{stdout}");
}

#[test]
fn stepping_through_a_run_changes_nothing() {
    let folder = folder();
    let text = "title = \"t\"\nprogram = { run = \"timing\", args = [\"clocks\"] }\n";
    let path = write(&folder, "s.toml", text);
    let mut setup = {
        let scenario = coe::scenario::Scenario::load(&path).expect("a scenario");
        coe::images::Setup::from_scenario(&scenario, folder.path()).expect("a setup")
    };
    let run = |setup: &coe::images::Setup, mut transcript: Transcript| {
        let finished = coe::run::run(setup, &mut [&mut transcript]).expect("it runs");
        let text = transcript.text(&finished, &setup.kernel);
        let lines = text.lines().filter(|line| !line.starts_with("  "));
        (lines.map(str::to_owned).collect::<Vec<_>>(), text)
    };
    let whole = run(&setup, Transcript::new(Level::Exact));
    let stepped = run(&setup, Transcript::profiled(Level::Exact, &setup.kernel));
    assert_eq!(stepped.0, whole.0);
    assert!(
        stepped.1.contains(" (asleep)\n"),
        "it sleeps: {}",
        stepped.1
    );
    assert!(phases(&stepped.1).iter().all(|(took, sum)| took == sum));
    // A limit that is reached in the middle of anything, also of sleep.
    for limit in [1_400_001, 3_000_007, 6_000_001] {
        setup.limit = limit;
        let whole = run(&setup, Transcript::new(Level::Exact));
        let stepped = run(&setup, Transcript::profiled(Level::Exact, &setup.kernel));
        assert_eq!(stepped.0, whole.0, "limit {limit}");
    }
}

/// A result without the host's business.
fn plain(report: &Report) -> String {
    let verdict = report.verdict.name();
    format!("{} {verdict} {:?}", report.path.display(), report.ran)
}

#[test]
fn a_hundred_runs_give_a_hundred_equal_results() {
    let folder = folder();
    for (name, program) in [
        ("fork", "cow-fork"),
        ("mistaken", "cow-frok"),
        ("random", "threads"),
    ] {
        let text = format!(
            "title = \"{name}\"\nprogram = \"{program}\"\ngolden = \"order\"\n[schedule]\npolicy = \"random\"\nslice = 500\n"
        );
        write(&folder, &format!("{name}.toml"), text);
    }
    let paths = suite::find(&[folder.path().to_owned()])
        .expect("the folder")
        .scenarios;
    let run = |bless, jobs| {
        let suite = Suite {
            bless,
            ..Suite::default()
        };
        let mut results = Vec::new();
        suite.run_all(
            &paths,
            jobs,
            |_: &Path| {},
            |report| {
                results.push(plain(&report));
                std::ops::ControlFlow::Continue(())
            },
        );
        results
    };
    run(true, 2);
    let first = run(false, 1);
    let ends = |line: &String| line.contains(" passed ") || line.contains("mistaken.toml broken");
    assert!(first.len() == 3 && first.iter().all(ends), "{first:?}");
    for round in 0..99 {
        assert_eq!(
            run(false, [1, 2, 8][round % 3]),
            first,
            "in run {}",
            round + 2
        );
    }
}

#[test]
fn a_terminal_shows_how_far_it_is() {
    let folder = mixed();
    let scenarios = folder.path().join("s");
    // The terminal of these tests is a dumb one unless somebody says otherwise.
    let args = [
        "TERM=xterm",
        env!("CARGO_BIN_EXE_coe"),
        "test",
        &scenarios.to_string_lossy(),
    ]
    .map(str::to_owned);
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let coe = Path::new("/usr/bin/env");
    let outcome = common::native(coe, &args, common::Stdio::Tty, b"");
    let shown = String::from_utf8_lossy(&outcome.output);
    assert_eq!(outcome.status, 123, "{shown}");
    for said in ["] 0/5 in ", "5 scenarios in ", "FAIL    "] {
        assert!(shown.contains(said), "{said}\n{shown}");
    }
    let piped = common::native(coe, &args, common::Stdio::Pipe, b"");
    let piped = String::from_utf8_lossy(&piped.output);
    assert!(
        !piped.contains("scenarios in") && piped.contains("2 passed"),
        "{piped}"
    );
}

/// The text of a file of the workspace.
fn text(path: &str) -> String {
    fs::read_to_string(common::root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn the_workflow_for_github_runs_coe_as_it_wants_to_be_run() {
    let workflow = text("examples/github-actions.yml");
    let mut commands = workflow
        .lines()
        .filter_map(|line| line.split_once("run: target/release/coe "));
    let (_, command) = commands.next().expect("a command of coe");
    assert!(
        commands.next().is_none(),
        "one command is what this looks at"
    );
    let folder = folder();
    fs::create_dir(folder.path().join("scenarios")).expect("a folder");
    for name in ["a", "b", "c", "d", "e"] {
        write(&folder, &format!("scenarios/{name}.toml"), GOOD);
    }
    let mut ran = 0;
    for part in ["1", "2", "3", "4"] {
        let part = |text: &str| text.replace("${{ matrix.part }}", part);
        let command = part(command);
        let words: Vec<_> = command.split(' ').collect();
        assert_eq!(words[0], "test");
        test(&folder, &words[1..], 0);
        // What is kept at the end is what was written.
        let kept = workflow
            .lines()
            .find_map(|line| line.trim().strip_prefix("path: scenarios"));
        let kept = format!("scenarios{}", part(kept.expect("what is kept")));
        let xml = fs::read_to_string(folder.path().join(&kept)).expect("the JUnit file");
        let report = quick_junit::Report::deserialize_from_str(&xml).expect("JUnit XML");
        ran += report.tests;
    }
    assert_eq!(ran, 5, "the parts of the matrix run each scenario once");
    assert!(workflow.contains("part: [1, 2, 3, 4]"));
}

#[test]
fn the_page_about_ci_knows_every_option() {
    let page = text("docs/ci.md");
    let help = test(&folder(), &["--help"], 0);
    let options = help
        .split_whitespace()
        .filter(|word| word.starts_with("--"));
    let options: Vec<_> = options
        .map(|word| word.trim_end_matches([',', '.', ')']))
        .collect();
    assert!(options.len() > 10, "{help}");
    for option in options {
        assert!(
            option == "--help" || page.contains(option),
            "docs/ci.md lacks {option}"
        );
    }
}
