//! From TOML to a [`Scenario`], with every mistake at its place.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use abi::boot;
use machine::{CostModel, CpuModel};

use super::section::{At, Section, array, number, table, text, word, wrong_type};
use super::{
    DEFAULT_ENV, DEFAULT_LIMIT, Disk, Ending, Expect, Hardware, Level, Policy, Program, Scenario,
    Schedule, Slice, Stdio, Typed, size,
};
use crate::events::counters::{self, Bound};
use crate::events::pattern::Pattern;
use crate::mistake::Fault;
use crate::names;
use crate::schedule::{Action, Anchor, Line, Schedule as Choices, What};

pub(super) fn scenario(file: &str, source: &str) -> Result<Scenario, Fault> {
    let document = DeTable::parse(source).map_err(|error| syntax(&error, source))?;
    let mut root = Section::new(document.get_ref(), 0..0, "the scenario");
    let title = root.text("title")?;
    let program_value = root.value("program");
    let machine = root
        .section("machine", "[machine]")?
        .map(hardware)
        .transpose()?;
    let limit = root
        .section("limits", "[limits]")?
        .map(limits)
        .transpose()?
        .flatten();
    let disk = root.section("disk", "[disk]")?.map(disk).transpose()?;
    let kernel = root
        .section("kernel", "[kernel]")?
        .map(kernel_options)
        .transpose()?;
    let stdio = root
        .text("stdio")?
        .map(|text| word(&text, "stdio", &Stdio::WORDS))
        .transpose()?;
    let input = root.value("input").map(inputs).transpose()?;
    let golden = root
        .text("golden")?
        .map(|text| word(&text, "golden", &Level::WORDS))
        .transpose()?;
    let schedule = root
        .section("schedule", "[schedule]")?
        .map(schedule)
        .transpose()?;
    let expect = root
        .section("expect", "[expect]")?
        .map(expect)
        .transpose()?;
    root.finish()?;
    let program = program_value.ok_or_else(|| missing("program", "program = \"cow-fork\""))?;
    let title = title.ok_or_else(|| missing("title", "title = \"What this shows\""))?;
    Ok(Scenario {
        title: title.value,
        program: program_of(program)?,
        machine: machine.unwrap_or_default(),
        limit: limit.unwrap_or(DEFAULT_LIMIT),
        disk,
        kernel_options: kernel.unwrap_or_default(),
        stdio: stdio.unwrap_or_default(),
        input: input.unwrap_or_default(),
        schedule: schedule.unwrap_or_default(),
        expect: expect.unwrap_or_default(),
        golden,
        file: file.to_owned(),
        text: source.to_owned(),
    })
}

fn syntax(error: &toml::de::Error, source: &str) -> Fault {
    let end = source.len();
    let span = error.span().unwrap_or(end..end);
    Fault::new(
        &span,
        format!("this is not TOML: {}", error.message()),
        "here",
    )
}

fn missing(key: &str, example: &str) -> Fault {
    Fault::new(
        &(0..0),
        format!("the scenario has no `{key}`"),
        "expected at the top of the file",
    )
    .help(format!("add a line like: {example}"))
}

/// The options of the kernel that are not a scenario's own keys.
fn kernel_options(mut section: Section<'_>) -> Result<Vec<String>, Fault> {
    let options = section.texts("options")?.unwrap_or_default();
    section.finish()?;
    for option in &options {
        let known = |(key, values): &(&str, &[&str])| {
            option
                .value
                .split_once('=')
                .is_some_and(|(given, value)| given == *key && values.contains(&value))
        };
        if !boot::OPTIONS.iter().any(known) {
            let all = boot::OPTIONS
                .iter()
                .map(|(key, values)| format!("{key}={}", values.join("|")));
            return Err(Fault::new(
                &option.span,
                format!("the kernel has no option `{}`", option.value),
                "here",
            )
            .help(format!(
                "options are: {}",
                all.collect::<Vec<_>>().join(", ")
            )));
        }
    }
    Ok(options.into_iter().map(|option| option.value).collect())
}

fn program_of(value: &Spanned<DeValue<'_>>) -> Result<Program, Fault> {
    if matches!(value.get_ref(), DeValue::String(_)) {
        let run = not_empty(text(value, "program")?, "program")?;
        return Ok(Program {
            run,
            args: Vec::new(),
            env: default_env(),
            with: Vec::new(),
        });
    }
    let mut section = match value.get_ref() {
        DeValue::Table(_) => table(value, "program", "`program`")?,
        _ => return Err(wrong_type(value, "program", "a string or a table")),
    };
    let span = section.span.clone();
    let run = section.text("run")?;
    let args = section.texts("args")?.unwrap_or_default();
    let env = section
        .section("env", "`program.env`")?
        .map(|env| environment(&env))
        .transpose()?;
    let with = section.texts("with")?.unwrap_or_default();
    section.finish()?;
    let run = run.ok_or_else(|| {
        Fault::new(
            &span,
            "`program` does not say what to run",
            "expected a key `run`",
        )
        .help("add run = \"cow-fork\", or run = \"./a.out\" for a file beside the scenario")
    })?;
    for text in args.iter().chain(&with) {
        without_nul(text)?;
    }
    Ok(Program {
        run: not_empty(run, "run")?,
        args: args.into_iter().map(|arg| arg.value).collect(),
        env: env.unwrap_or_else(default_env),
        with,
    })
}

fn default_env() -> Vec<(String, String)> {
    DEFAULT_ENV
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .to_vec()
}

fn environment(section: &Section<'_>) -> Result<Vec<(String, String)>, Fault> {
    let mut entries = Vec::new();
    for (key, value) in section.entries() {
        let value = without_nul(&text(value, key.value)?)?.to_owned();
        if key.value.is_empty() || key.value.contains(['=', '\0']) {
            return Err(Fault::new(
                &key.span,
                "a variable's name has no `=` and is not empty",
                "here",
            ));
        }
        entries.push((key.span.start, key.value.to_owned(), value));
    }
    entries.sort();
    Ok(entries
        .into_iter()
        .map(|(_, key, value)| (key, value))
        .collect())
}

fn without_nul(text: &At<String>) -> Result<&str, Fault> {
    match text.value.contains('\0') {
        true => Err(Fault::new(
            &text.span,
            "a NUL cannot be passed to a program",
            "here",
        )),
        false => Ok(&text.value),
    }
}

fn not_empty(text: At<String>, key: &str) -> Result<At<String>, Fault> {
    without_nul(&text)?;
    match text.value.is_empty() {
        true => Err(Fault::new(
            &text.span,
            format!("`{key}` is empty"),
            "expected a name or a path",
        )),
        false => Ok(text),
    }
}

fn hardware(mut section: Section<'_>) -> Result<Hardware, Fault> {
    let mut hardware = Hardware::default();
    if let Some(memory) = section.text("memory")? {
        hardware.memory = size::memory(&memory.value).map_err(|why| {
            Fault::new(
                &memory.span,
                format!("`memory` cannot be \"{}\"", memory.value),
                why,
            )
            .help(format!("give {}", size::EXPECTED))
        })?;
    }
    if let Some(cpus) = section.number("cpus")? {
        if cpus.value != 1 {
            return Err(Fault::new(
                &cpus.span,
                "this machine has one CPU so far",
                "expected 1",
            ));
        }
        hardware.cpus = 1;
    }
    if let Some(cpu) = section.text("cpu")? {
        hardware.cpu = word(&cpu, "cpu", &CpuModel::WORDS)?;
    }
    if let Some(seed) = section.number("seed")? {
        hardware.seed = seed.value;
    }
    if let Some(cost) = section.text("cost")? {
        let words = [("standard", CostModel::Standard), ("unit", CostModel::Unit)];
        hardware.cost = word(&cost, "cost", &words)?;
    }
    if let Some(epoch) = section.number("epoch")? {
        hardware.epoch = epoch.value;
    }
    section.finish()?;
    Ok(hardware)
}

fn disk(mut section: Section<'_>) -> Result<Disk, Fault> {
    let span = section.span.clone();
    let (image, bytes) = (section.text("image")?, section.text("size")?);
    section.finish()?;
    match (image, bytes) {
        (Some(image), None) => Ok(Disk::Image(not_empty(image, "image")?)),
        (None, Some(text)) => size::disk(&text.value).map(Disk::Size).map_err(|why| {
            let message = format!("`size` cannot be \"{}\"", text.value);
            Fault::new(&text.span, message, why)
        }),
        (Some(_), Some(size)) => Err(Fault::new(
            &size.span,
            "an image has its own size",
            "leave out `image` or `size`",
        )),
        (None, None) => Err(Fault::new(
            &span,
            "`[disk]` does not say what is on it",
            "expected `image` or `size`",
        )
        .help("add image = \"x.img\" for a file beside the scenario, or size = \"1MiB\"")),
    }
}

fn limits(mut section: Section<'_>) -> Result<Option<u64>, Fault> {
    let cycles = section.number("cycles")?;
    section.finish()?;
    Ok(cycles.map(|cycles| cycles.value))
}

fn inputs(value: &Spanned<DeValue<'_>>) -> Result<Vec<Typed>, Fault> {
    let mut inputs = Vec::new();
    let mut last = 0;
    for item in array(value, "input")?.iter() {
        let mut section = table(item, "input", "`input`")?;
        let (at, text) = (section.number("at")?, section.text("text")?);
        section.finish()?;
        let (Some(at), Some(text)) = (at, text) else {
            let expected = "expected { at = CYCLE, text = \"...\" }";
            return Err(Fault::new(
                &item.span(),
                "an input has a time and a text",
                expected,
            ));
        };
        if at.value < last {
            let message = "inputs are written in the order of their times";
            return Err(Fault::new(
                &at.span,
                message,
                format!("the one before is at {last}"),
            ));
        }
        last = at.value;
        inputs.push(Typed {
            at: at.value,
            text: text.value,
        });
    }
    Ok(inputs)
}

fn schedule(mut section: Section<'_>) -> Result<Schedule, Fault> {
    let policy = section.text("policy")?;
    let slice = section.value("slice").map(slice).transpose()?;
    let list = section.value("script");
    let script = list.map(steps).transpose()?.unwrap_or_default();
    let file = section.text("file")?.map(|file| not_empty(file, "file"));
    let file = file.transpose()?;
    let span = section.span.clone();
    section.finish()?;
    let policy = policy
        .map(|text| word(&text, "policy", &Policy::WORDS))
        .transpose()?
        .unwrap_or_default();
    if let (Some(file), Policy::Script) = (&file, policy) {
        return Err(Fault::new(
            &file.span,
            "a script is a schedule: there cannot be another one",
            "leave out `file` or `script`",
        ));
    }
    match (policy == Policy::Script, list) {
        (true, None) => Err(Fault::new(
            &span,
            "the policy \"script\" has no `script`",
            "expected script = [{ at = \"EVENT FIELD=VALUE\", run = \"TASK\" }]",
        )),
        (false, Some(list)) => Err(Fault::new(
            &list.span(),
            "only the policy \"script\" follows a script",
            "give policy = \"script\"",
        )),
        _ => Ok(Schedule {
            policy,
            slice: slice.unwrap_or_default(),
            script,
            file,
        }),
    }
}

/// A script is a schedule in which each line counts from the one before on.
fn steps(value: &Spanned<DeValue<'_>>) -> Result<Choices, Fault> {
    let step = |(number, item): (usize, &Spanned<DeValue<'_>>)| {
        let mut section = table(item, "script", "`script`")?;
        let at = section.text("at")?;
        let nth = section.number("nth")?;
        let run = section.text("run")?;
        section.finish()?;
        let (Some(at), Some(run)) = (at, run) else {
            let expected = "expected { at = \"EVENT FIELD=VALUE\", nth = N, run = \"TASK\" }";
            let message = "a step of a script has an event and a task";
            return Err(Fault::new(&item.span(), message, expected));
        };
        Ok(Line {
            anchor: Anchor {
                task: None,
                what: What::Event(pattern(&at)?),
                nth: nth.map_or(1, |nth| nth.value.max(1)),
                then: true,
                plus: None,
            },
            action: Action::Run(not_empty(run, "run")?.value),
            place: format!("script: step {}", number + 1),
        })
    };
    let lines = array(value, "script")?.iter().enumerate().map(step);
    Ok(Choices {
        lines: lines.collect::<Result<_, _>>()?,
    })
}

fn slice(value: &Spanned<DeValue<'_>>) -> Result<Slice, Fault> {
    const EXPECTED: &str = "an integer (user instructions) or a string like \"10_000 cycles\"";
    let (count, span) = match value.get_ref() {
        DeValue::Integer(_) => (number(value, "slice")?.value, value.span()),
        DeValue::String(text) => {
            let digits = text
                .strip_suffix("cycles")
                .map(|count| count.trim().replace('_', ""));
            let count = digits
                .and_then(|digits| digits.parse().ok())
                .ok_or_else(|| {
                    Fault::new(
                        &value.span(),
                        format!("`slice` cannot be \"{text}\""),
                        format!("expected {EXPECTED}"),
                    )
                })?;
            (count, value.span())
        }
        _ => return Err(wrong_type(value, "slice", EXPECTED)),
    };
    if count == 0 {
        return Err(Fault::new(
            &span,
            "a slice of nothing lets no task run",
            "expected at least 1",
        ));
    }
    Ok(match value.get_ref() {
        DeValue::Integer(_) => Slice::Instructions(count),
        _ => Slice::Cycles(count),
    })
}

fn expect(mut section: Section<'_>) -> Result<Expect, Fault> {
    let exit = section.number("exit")?;
    let signal = section.text("signal")?;
    let stdout = section.texts("stdout")?;
    let counters = section.section("counters", "[expect] counters")?;
    let order = section.texts("order")?.unwrap_or_default();
    section.finish()?;
    let ending = match (exit, signal) {
        (Some(_), Some(signal)) => {
            let message = "a program cannot both exit and be killed by a signal";
            return Err(Fault::new(
                &signal.span,
                message,
                "leave out `exit` or `signal`",
            ));
        }
        (Some(exit), None) => Some(Ending::Exit(u8::try_from(exit.value).map_err(|_| {
            Fault::new(
                &exit.span,
                "an exit status lies between 0 and 255",
                "out of range",
            )
        })?)),
        (None, Some(name)) => Some(Ending::Signal(signal_number(&name)?)),
        (None, None) => None,
    };
    Ok(Expect {
        ending,
        stdout: stdout.map(|lines| lines.into_iter().map(|line| line.value).collect()),
        counters: counters
            .map(|section| counter_bounds(&section))
            .transpose()?
            .unwrap_or_default(),
        order: order.iter().map(pattern).collect::<Result<_, _>>()?,
    })
}

fn signal_number(name: &At<String>) -> Result<u8, Fault> {
    names::signals::from_name(&name.value).ok_or_else(|| {
        let fault = Fault::new(
            &name.span,
            format!("there is no signal \"{}\"", name.value),
            "expected a name like \"SIGSEGV\"",
        );
        match names::nearest(&name.value, names::signals::all()) {
            Some(near) => fault.help(format!("did you mean \"{near}\"?")),
            None => fault,
        }
    })
}

fn counter_bounds(section: &Section<'_>) -> Result<Vec<(String, Bound)>, Fault> {
    let mut bounds: Vec<(Range<usize>, String, Bound)> = Vec::new();
    for (key, value) in section.entries() {
        if counters::find(key.value).is_none() {
            let fault = Fault::new(
                &key.span,
                format!("there is no counter `{}`", key.value),
                "not a counter",
            );
            let known = counters::names().collect::<Vec<_>>().join(", ");
            return Err(match names::nearest(key.value, counters::names()) {
                Some(near) => fault.help(format!("did you mean `{near}`?")),
                None => fault.help(format!("counters: {known}")),
            });
        }
        let bound = match value.get_ref() {
            DeValue::Integer(_) => Bound::Exactly(number(value, key.value)?.value),
            DeValue::String(text) => Bound::parse(text).ok_or_else(|| {
                let message = format!("a counter cannot be \"{text}\"");
                Fault::new(
                    &value.span(),
                    message,
                    "expected a number, \">= N\" or \"<= N\"",
                )
            })?,
            _ => {
                return Err(wrong_type(
                    value,
                    key.value,
                    "a number, \">= N\" or \"<= N\"",
                ));
            }
        };
        bounds.push((key.span, key.value.to_owned(), bound));
    }
    bounds.sort_by_key(|(span, _, _)| span.start);
    Ok(bounds
        .into_iter()
        .map(|(_, name, bound)| (name, bound))
        .collect())
}

fn pattern(text: &At<String>) -> Result<Pattern, Fault> {
    Pattern::parse(&text.value).map_err(|error| {
        let fault = Fault::new(&text.span, error.message, "in this pattern");
        match error.hint {
            Some(hint) => fault.help(hint),
            None => fault,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Ending, Level, Policy, Scenario, Slice, Stdio};
    use crate::mistake::Mistake;
    use machine::{CostModel, CpuModel};
    use miette::Diagnostic;

    const WHOLE: &str = r#"
title = "Everything"
program = { run = "cow-fork", args = ["3"], env = { B = "2", A = "1" }, with = ["./x:/y"] }
machine = { memory = "128MiB", cpus = 1, cpu = "v3", seed = 7, cost = "unit", epoch = 5 }
limits = { cycles = 200_000_000 }
stdio = "pipe"
input = [{ at = 10, text = "a\n" }, { at = 20, text = "b" }]
golden = "order"

[schedule]
policy = "random"
slice = "10_000 cycles"

[expect]
exit = 3
stdout = ["one", "two"]
counters = { cow_copies = 3, forks = ">= 1" }
order = ["sched_process_fork child=main/1", "page_fault kind=cow task=main/1"]
"#;

    fn parse(text: &str) -> Scenario {
        Scenario::parse("x.toml", text).unwrap()
    }

    fn complaint(text: &str) -> (String, String, Option<String>) {
        let error: Mistake = *Scenario::parse("x.toml", text).unwrap_err();
        let marked = text[error.span()].to_owned();
        (
            error.to_string(),
            marked,
            error.help().map(|help| help.to_string()),
        )
    }

    fn with(line: &str) -> String {
        format!("title = \"t\"\nprogram = \"p\"\n{line}\n")
    }

    #[test]
    fn every_key_is_read() {
        let scenario = parse(WHOLE);
        assert_eq!(scenario.program.args, ["3"]);
        assert_eq!(scenario.program.env[0], ("B".to_owned(), "2".to_owned()));
        assert_eq!(scenario.program.with[0].value, "./x:/y");
        assert_eq!(
            (scenario.machine.memory, scenario.machine.seed),
            (128 << 20, 7)
        );
        assert_eq!(
            (scenario.machine.cost, scenario.machine.epoch),
            (CostModel::Unit, 5)
        );
        assert_eq!(scenario.machine.cpu, CpuModel::V3);
        assert_eq!((scenario.limit, scenario.stdio), (200_000_000, Stdio::Pipe));
        assert_eq!(scenario.input[1].text, "b");
        assert_eq!(scenario.golden, Some(Level::Order));
        assert_eq!(scenario.schedule.policy, Policy::Random);
        assert_eq!(scenario.schedule.slice, Slice::Cycles(10_000));
        assert_eq!(scenario.expect.ending, Some(Ending::Exit(3)));
        assert_eq!(scenario.expect.counters.len(), 2);
        assert_eq!(scenario.expect.order.len(), 2);
    }

    #[test]
    fn a_short_scenario_has_defaults() {
        let scenario = parse(&with(""));
        assert_eq!(scenario.machine.memory, 64 << 20);
        assert_eq!(scenario.machine.cpu, CpuModel::V2);
        assert_eq!(scenario.program.env.len(), 3);
        assert_eq!(scenario.stdio, Stdio::Tty);
        assert!(scenario.golden.is_none());
    }

    #[test]
    fn an_unknown_key_is_marked_with_its_nearest_neighbour() {
        let (message, marked, help) = complaint(&with("machin = { memory = \"64MiB\" }"));
        assert_eq!(message, "unknown key `machin` in the scenario");
        assert_eq!(marked, "machin");
        assert_eq!(help.as_deref(), Some("did you mean `machine`?"));
        let (message, marked, help) = complaint(&with("[schedule]\npolcy = \"fifo\""));
        assert_eq!(message, "unknown key `polcy` in [schedule]");
        assert_eq!(marked, "polcy");
        assert_eq!(help.as_deref(), Some("did you mean `policy`?"));
    }

    #[test]
    fn a_wrong_type_says_what_was_expected() {
        let (message, marked, _) = complaint(&with("[limits]\ncycles = \"many\""));
        assert_eq!(message, "`cycles` must be an integer, this is a string");
        assert_eq!(marked, "\"many\"");
        assert!(
            complaint("title = 3\nprogram = \"p\"")
                .0
                .contains("must be a string")
        );
        assert!(
            complaint(&with("golden = \"ordr\""))
                .2
                .unwrap()
                .contains("\"order\"")
        );
        assert!(
            complaint(&with("[limits]\ncycles = -1"))
                .0
                .contains("between 0 and")
        );
    }

    #[test]
    fn broken_toml_points_at_the_place() {
        let (message, _, _) = complaint("title = \n");
        assert!(message.starts_with("this is not TOML"), "{message}");
    }

    #[test]
    fn too_little_memory_says_how_much_is_needed() {
        let text = with("[machine]\nmemory = \"8MiB\"");
        let (message, marked, help) = complaint(&text);
        assert_eq!(message, "`memory` cannot be \"8MiB\"");
        assert_eq!(marked, "\"8MiB\"");
        assert!(help.unwrap().contains("16MiB"));
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(
            complaint("title = \"t\"").0,
            "the scenario has no `program`"
        );
        assert_eq!(
            complaint("program = \"p\"").0,
            "the scenario has no `title`"
        );
        assert!(
            complaint(&with("").replace("\"p\"", "{ args = [] }"))
                .0
                .contains("what to run")
        );
    }

    #[test]
    fn contradictions_and_nonsense_are_refused() {
        for line in [
            "[expect]\nexit = 0\nsignal = \"SIGINT\"",
            "[expect]\nexit = 256",
            "[expect]\nsignal = \"SIGSEGW\"",
            "[expect]\ncounters = { cows = 1 }",
            "[expect]\norder = [\"page_falt\"]",
            "[schedule]\nslice = 0",
            "[schedule]\nslice = \"10\"",
            "[machine]\ncpus = 2",
            "input = [{ at = 5, text = \"a\" }, { at = 4, text = \"b\" }]",
            "input = [{ at = 5 }]",
            "[disk]",
            "[disk]\nimage = \"\"",
            "[disk]\nimage = \"x\"\nsize = \"1MiB\"",
            "[disk]\nsize = \"3KiB\"",
        ] {
            assert!(Scenario::parse("x.toml", &with(line)).is_err(), "{line}");
        }
    }
}
