//! One JSON object per line, for scripts. All fields are strings, in the words
//! of the vocabulary.

use serde_json::{Map, Value};

use super::unquoted;
use crate::events::Line;

/// `{"by":...,"cpu":...,"cycle":...,"event":...,"fields":{...},"retired":...,
/// "retired_user":...,"user":...}`, as the [schema](super::schema) says
#[must_use]
pub fn line(line: &Line) -> String {
    let mut fields = Map::new();
    for (name, value) in &line.fields {
        // A quoted text loses its quotes: JSON has its own.
        fields.insert((*name).to_owned(), Value::String(unquoted(value)));
    }
    let mut object = Map::new();
    object.insert("cycle".to_owned(), line.at.cycle.into());
    object.insert("cpu".to_owned(), line.at.cpu.into());
    object.insert("retired".to_owned(), line.at.retired.into());
    object.insert("user".to_owned(), line.at.user.into());
    object.insert("retired_user".to_owned(), line.at.retired_user.into());
    object.insert("by".to_owned(), Value::String(line.by.clone()));
    object.insert("event".to_owned(), Value::String(line.name.to_owned()));
    object.insert("fields".to_owned(), Value::Object(fields));
    Value::Object(object).to_string()
}

#[cfg(test)]
mod tests {
    use crate::events::Teller;
    use crate::events::tests::boot;

    #[test]
    fn a_line_is_one_json_object() {
        let line = super::line(&Teller::default().tell(&boot()[0]));
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["event"], "sched_process_fork");
        assert_eq!(value["fields"]["child"], "init");
        assert_eq!(value["cycle"], 1);
        assert!(!line.contains('\n'));
    }
}
