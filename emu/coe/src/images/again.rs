//! What a trace recorded, on another kernel and with other programs: the run
//! after a change of code.

use std::sync::Arc;

use super::{Chooser, Guests, Setup, cpio};
use crate::scenario::Scenario;
use crate::schedule::Schedule;

impl Setup {
    /// The same run on these guests. What the scenario brought along itself
    /// stays as it was recorded; the programs that it names are the guests'.
    ///
    /// `recorded` are the choices of the recording, if it made any that the
    /// kernel would not have made itself. The run follows them unless the
    /// scenario says by itself how they come about.
    ///
    /// # Errors
    /// If the recorded scenario's text is none of this coe's.
    pub fn on_guests(
        mut self,
        guests: &Guests,
        recorded: Option<Arc<Schedule>>,
    ) -> Result<Setup, crate::Error> {
        self.kernel = guests.kernel.clone();
        if let Some((_, own)) = self.initrd.as_deref().and_then(cpio::split) {
            let mut initrd = guests.archive();
            initrd.extend(own);
            self.initrd = Some(initrd);
        }
        for option in &guests.options {
            self.cmdline.push(' ');
            self.cmdline.push_str(option);
        }
        self.chooser = by_scenario(&self.scenario)?;
        if let (Chooser::Defaults, Some(recorded)) = (&self.chooser, recorded) {
            self.follow(recorded);
        }
        Ok(self)
    }
}

/// Who answers by the recorded scenario, if there was one.
fn by_scenario(text: &str) -> Result<Chooser, crate::Error> {
    if text.is_empty() {
        return Ok(Chooser::Defaults);
    }
    Ok(Chooser::of(&Scenario::parse(
        "the recorded scenario",
        text,
    )?))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_same_guests_make_the_same_setup() {
        let text = "title = \"t\"\nprogram = \"hello\"\n[schedule]\npolicy = \"random\"\n";
        let scenario = Scenario::parse("x.toml", text).unwrap();
        let first = Setup::from_scenario(&scenario, Path::new("")).unwrap();
        let mut recorded = first.clone();
        recorded.chooser = Chooser::Defaults;
        let again = recorded
            .on_guests(&Guests::default(), Some(Arc::default()))
            .unwrap();
        assert_eq!(again.initrd, first.initrd);
        assert_eq!(again.kernel, first.kernel);
        assert_eq!(again.cmdline, first.cmdline);
        assert!(matches!(again.chooser, Chooser::Seeded(1)));
    }

    #[test]
    fn options_and_programs_are_the_guests() {
        let scenario = Scenario::parse("x.toml", "title = \"t\"\nprogram = \"hello\"\n").unwrap();
        let recorded = Setup::from_scenario(&scenario, Path::new("")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("hello"), b"\x7fELF of mine").unwrap();
        let mut guests = Guests::default();
        guests.add_folder(folder.path()).unwrap();
        guests.options = vec!["debug=1".to_owned()];
        let again = recorded.clone().on_guests(&guests, None).unwrap();
        assert_eq!(again.cmdline, format!("{} debug=1", recorded.cmdline));
        let initrd = again.initrd.unwrap();
        assert!(initrd.windows(12).any(|bytes| bytes == b"\x7fELF of mine"));
        assert!(initrd.len() < recorded.initrd.unwrap().len());
    }

    #[test]
    fn recorded_choices_are_followed_where_no_scenario_explains_them() {
        let text = "title = \"t\"\nprogram = \"hello\"\n";
        let scenario = Scenario::parse("x.toml", text).unwrap();
        let mut recorded = Setup::from_scenario(&scenario, Path::new("")).unwrap();
        recorded.scenario = String::new();
        let guests = Guests::default();
        let again = recorded.clone().on_guests(&guests, Some(Arc::default()));
        assert!(again.unwrap().schedule().is_some());
        let again = recorded.on_guests(&guests, None).unwrap();
        assert!(again.schedule().is_none());
    }
}
