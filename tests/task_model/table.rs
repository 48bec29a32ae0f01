//! The table in docs/task-model.md, made from the rows.

use std::fmt::Write as _;

use super::common::rows::{Judge, Row, Rows};

/// The headings in the order of the book; others follow by name.
const AREAS: [&str; 4] = [
    "Clone flags",
    "Beyond thread and process",
    "Identity",
    "Credentials",
];

const INTRODUCTION: &str = "\
# The task model, row by row

Each row is something that a task shares, copies or does. Its scenario shows it, \
and expects what it shows; its fault is a deliberate mistake that a kernel built \
with the feature `mutants` can have, and with it the scenario's expectations fail; \
its program says the same when it runs on Linux itself. \
`cargo test -p coe --test task_model` holds all that, and this page is made from \
`docs/rows/*.toml` by the same test: `COE_BLESS_DOCS=1` writes it again.

To see a row broken: build the kernel with `--features mutants`, then \
`coe test --kernel ELF --kernel-option mutant=NAME SCENARIO`.
";

/// The whole page.
pub(crate) fn page(rows: &Rows) -> String {
    let mut page = INTRODUCTION.to_owned();
    let root = rows.rows.iter().filter(|row| row.root).count();
    writeln!(
        page,
        "\n{} rows; those marked † run on Linux as root only ({root}).",
        rows.rows.len()
    )
    .expect("a text takes text");
    for area in areas(rows) {
        page.push_str(&format!(
            "\n## {area}\n\n| row | shows | scenario | fault | on Linux |\n|---|---|---|---|---|\n"
        ));
        for row in rows.rows.iter().filter(|row| row.area == area) {
            page.push_str(&line(row));
        }
    }
    page.push_str(&deviations(rows));
    page
}

fn areas(rows: &Rows) -> Vec<&str> {
    let mut areas: Vec<&str> = rows.rows.iter().map(|row| row.area.as_str()).collect();
    let place = |area: &str| AREAS.iter().position(|known| *known == area);
    areas.sort_by_key(|area| (place(area).unwrap_or(AREAS.len()), *area));
    areas.dedup();
    areas
}

fn line(row: &Row) -> String {
    let judge = match row.judge() {
        Some(Judge::Linux(program, args)) => {
            let words: Vec<&str> = std::iter::once(program)
                .chain(args.iter().map(String::as_str))
                .collect();
            let mark = if row.root { " †" } else { "" };
            format!("`{}`{mark}", words.join(" "))
        }
        Some(Judge::Nobody(reason)) => format!("no: {reason}"),
        None => String::new(),
    };
    let scenario = row.scenario.trim_start_matches("scenarios/");
    let cells = [
        row.name.clone(),
        row.shows.clone(),
        format!("[{scenario}](../{})", row.scenario),
        format!("`{}`", row.mutant),
        judge,
    ];
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    format!("| {} |\n", cells.join(" | "))
}

/// What differs from today's Linux, rows first.
fn deviations(rows: &Rows) -> String {
    let mut text = String::from(
        "\n## Deviations from today's Linux\n\nWhat is not on this list is meant to be as on Linux.\n\n",
    );
    for row in &rows.rows {
        if let Some(deviation) = &row.deviation {
            text.push_str(&format!("- **{}**: {}\n", row.name, one_line(deviation)));
        }
    }
    for deviation in &rows.deviations {
        text.push_str(&format!(
            "- **{}**: {}\n",
            deviation.name,
            one_line(&deviation.text)
        ));
    }
    text
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
