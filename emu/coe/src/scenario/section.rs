//! Reads one TOML table key by key, with the place of everything.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::mistake::Fault;
use crate::names;

/// A value and its place in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// The bytes of the file that it was read from.
    pub span: Range<usize>,
}

/// A table that is being read; keys that nobody asked for are a mistake.
pub(super) struct Section<'a> {
    table: &'a DeTable<'a>,
    /// What the messages call it: `[machine]`, or `the scenario`.
    name: &'a str,
    pub(super) span: Range<usize>,
    known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    pub(super) fn new(table: &'a DeTable<'a>, span: Range<usize>, name: &'a str) -> Self {
        Section {
            table,
            name,
            span,
            known: Vec::new(),
        }
    }

    pub(super) fn value(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known.push(key);
        self.table.get(key)
    }

    pub(super) fn text(&mut self, key: &'static str) -> Result<Option<At<String>>, Fault> {
        self.value(key).map(|value| text(value, key)).transpose()
    }

    pub(super) fn number(&mut self, key: &'static str) -> Result<Option<At<u64>>, Fault> {
        self.value(key).map(|value| number(value, key)).transpose()
    }

    pub(super) fn texts(&mut self, key: &'static str) -> Result<Option<Vec<At<String>>>, Fault> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        let array = array(value, key)?;
        array
            .iter()
            .map(|item| text(item, key))
            .collect::<Result<_, _>>()
            .map(Some)
    }

    pub(super) fn section(
        &mut self,
        key: &'static str,
        name: &'a str,
    ) -> Result<Option<Section<'a>>, Fault> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        Ok(Some(table(value, key, name)?))
    }

    /// Every key with its value, whatever it is called.
    pub(super) fn entries(&self) -> impl Iterator<Item = (At<&'a str>, &'a Spanned<DeValue<'a>>)> {
        self.table.iter().map(|(key, value)| {
            (
                At {
                    value: key.get_ref().as_ref(),
                    span: key.span(),
                },
                value,
            )
        })
    }

    /// Complains about the first key that nobody asked for.
    pub(super) fn finish(self) -> Result<(), Fault> {
        let unknown = self
            .entries()
            .filter(|(key, _)| !self.known.contains(&key.value))
            .min_by_key(|(key, _)| key.span.start);
        let Some((key, _)) = unknown else {
            return Ok(());
        };
        let message = format!("unknown key `{}` in {}", key.value, self.name);
        let fault = Fault::new(&key.span, message, "not a key that coe knows");
        Err(
            match names::nearest(key.value, self.known.iter().copied()) {
                Some(near) => fault.help(format!("did you mean `{near}`?")),
                None => fault.help(format!("known keys here: {}", self.known.join(", "))),
            },
        )
    }
}

pub(super) fn wrong_type(value: &Spanned<DeValue<'_>>, key: &str, expected: &str) -> Fault {
    let found = value.get_ref().type_str();
    Fault::new(
        &value.span(),
        format!("`{key}` must be {expected}, this is {}", article(found)),
        format!("expected {expected}"),
    )
}

fn article(kind: &str) -> String {
    let an = kind.starts_with(['a', 'i']);
    format!("{} {kind}", if an { "an" } else { "a" })
}

pub(super) fn text(value: &Spanned<DeValue<'_>>, key: &str) -> Result<At<String>, Fault> {
    match value.get_ref() {
        DeValue::String(text) => Ok(At {
            value: text.to_string(),
            span: value.span(),
        }),
        _ => Err(wrong_type(value, key, "a string")),
    }
}

pub(super) fn number(value: &Spanned<DeValue<'_>>, key: &str) -> Result<At<u64>, Fault> {
    let DeValue::Integer(number) = value.get_ref() else {
        return Err(wrong_type(value, key, "an integer"));
    };
    match u64::from_str_radix(number.as_str(), number.radix()) {
        Ok(number) => Ok(At {
            value: number,
            span: value.span(),
        }),
        Err(_) => Err(Fault::new(
            &value.span(),
            format!("`{key}` must lie between 0 and {}", u64::MAX),
            "out of range",
        )),
    }
}

pub(super) fn array<'a>(
    value: &'a Spanned<DeValue<'a>>,
    key: &str,
) -> Result<&'a toml::de::DeArray<'a>, Fault> {
    match value.get_ref() {
        DeValue::Array(array) => Ok(array),
        _ => Err(wrong_type(value, key, "an array")),
    }
}

pub(super) fn table<'a>(
    value: &'a Spanned<DeValue<'a>>,
    key: &str,
    name: &'a str,
) -> Result<Section<'a>, Fault> {
    match value.get_ref() {
        DeValue::Table(table) => Ok(Section::new(table, value.span(), name)),
        _ => Err(wrong_type(value, key, "a table")),
    }
}

/// The word of a fixed list that a text is.
pub(super) fn word<T: Copy>(
    text: &At<String>,
    key: &str,
    words: &[(&'static str, T)],
) -> Result<T, Fault> {
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == text.value) {
        return Ok(*value);
    }
    let list: Vec<_> = words
        .iter()
        .map(|(word, _)| format!("\"{word}\""))
        .collect();
    let expected = format!("expected {}", list.join(" or "));
    let fault = Fault::new(
        &text.span,
        format!("`{key}` cannot be \"{}\"", text.value),
        expected,
    );
    Err(
        match names::nearest(&text.value, words.iter().map(|(word, _)| *word)) {
            Some(near) => fault.help(format!("did you mean \"{near}\"?")),
            None => fault,
        },
    )
}
