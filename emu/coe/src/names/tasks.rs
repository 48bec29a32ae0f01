//! Names of tasks that do not depend on numbering: by creation path.
//!
//! The idle task is `idle`, pid 1 is `init`, init's first child is `main`, and
//! the n-th child of a task is `PARENT/n`. A task that the kernel makes for
//! itself has the name that the kernel gives it.

use std::collections::BTreeMap;

use abi::event::EventId;

/// The program of the scenario.
pub const MAIN: &str = "main";

#[derive(Clone, Debug)]
struct Known {
    name: String,
    children: u32,
    /// Made by the kernel for itself: the idle task, kernel threads.
    kernel: bool,
}

/// What the events so far say about the tasks.
#[derive(Clone, Debug)]
pub struct Tasks {
    by_id: BTreeMap<u64, Known>,
    /// The task that each CPU runs.
    current: BTreeMap<u8, u64>,
}

impl Default for Tasks {
    fn default() -> Self {
        let idle = Known {
            name: "idle".to_owned(),
            children: 0,
            kernel: true,
        };
        Tasks {
            by_id: BTreeMap::from([(0, idle)]),
            current: BTreeMap::new(),
        }
    }
}

impl Tasks {
    /// The task that this CPU runs; before the first switch it is the idle task.
    #[must_use]
    pub fn current(&self, cpu: u8) -> u64 {
        self.current.get(&cpu).copied().unwrap_or(0)
    }

    /// The task's name; a task that nobody has heard of is its number.
    #[must_use]
    pub fn name(&self, id: u64) -> String {
        match self.by_id.get(&id) {
            Some(known) => known.name.clone(),
            None => format!("#{id}"),
        }
    }

    /// True for the scenario's program and all that descends from it.
    #[must_use]
    pub fn is_program(&self, id: u64) -> bool {
        self.by_id
            .get(&id)
            .is_some_and(|known| is_program_name(&known.name))
    }

    /// Takes in what an event says. To be called before the event is shown for
    /// a creation, and after it is shown for all else: see [`Tasks::before`].
    pub fn before(&mut self, id: EventId, args: &[u64; 5]) {
        if id == EventId::SchedProcessFork {
            self.forked(args[0], args[1]);
        }
        if id == EventId::SchedProcessExec && args[1] != args[0] {
            // A thread that is not the leader takes the leader's id by exec.
            if let Some(known) = self.by_id.remove(&args[1]) {
                self.by_id.insert(args[0], known);
            }
            for current in self
                .current
                .values_mut()
                .filter(|current| **current == args[1])
            {
                *current = args[0];
            }
        }
    }

    /// Takes in what holds from the event on.
    pub fn after(&mut self, id: EventId, cpu: u8, args: &[u64; 5], text: &[u8]) {
        match id {
            EventId::SchedSwitch => {
                self.current.insert(cpu, args[2]);
            }
            EventId::TaskRename => self.renamed(args[0], text),
            _ => {}
        }
    }

    fn forked(&mut self, parent: u64, child: u64) {
        let unknown = format!("#{parent}");
        let parent = self.by_id.entry(parent).or_insert(Known {
            name: unknown,
            children: 0,
            kernel: false,
        });
        parent.children += 1;
        let (name, kernel) = match (parent.name.as_str(), parent.children) {
            _ if child == 1 => ("init".to_owned(), false),
            ("init", 1) => (MAIN.to_owned(), false),
            (name, n) => (format!("{name}/{n}"), parent.kernel),
        };
        self.by_id.insert(
            child,
            Known {
                name,
                children: 0,
                kernel,
            },
        );
    }

    fn renamed(&mut self, task: u64, comm: &[u8]) {
        let comm = String::from_utf8_lossy(comm).into_owned();
        match self.by_id.get_mut(&task) {
            Some(known) if known.kernel => known.name = comm,
            Some(_) => {}
            // The kernel names its own threads before anybody else could exist.
            None => {
                self.by_id.insert(
                    task,
                    Known {
                        name: comm,
                        children: 0,
                        kernel: true,
                    },
                );
            }
        }
    }
}

/// True for `main`, `main/1`, `main/1/2` and so on.
#[must_use]
pub fn is_program_name(name: &str) -> bool {
    name.strip_prefix(MAIN)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fork(tasks: &mut Tasks, parent: u64, child: u64) {
        tasks.before(EventId::SchedProcessFork, &[parent, child, child, 17, 0]);
    }

    fn booted() -> Tasks {
        let mut tasks = Tasks::default();
        fork(&mut tasks, 0, 1);
        fork(&mut tasks, 0, 2);
        tasks.after(EventId::TaskRename, 0, &[2, 0, 0, 0, 0], b"kthreadd");
        fork(&mut tasks, 2, 3);
        tasks.after(EventId::TaskRename, 0, &[3, 0, 0, 0, 0], b"ksoftirqd/0");
        fork(&mut tasks, 1, 4);
        tasks
    }

    #[test]
    fn names_follow_creation_and_not_numbers() {
        let mut tasks = booted();
        fork(&mut tasks, 4, 5);
        fork(&mut tasks, 4, 6);
        fork(&mut tasks, 6, 7);
        let names: Vec<_> = [0, 1, 2, 3, 4, 5, 6, 7, 99]
            .map(|id| tasks.name(id))
            .to_vec();
        assert_eq!(
            names,
            [
                "idle",
                "init",
                "kthreadd",
                "ksoftirqd/0",
                "main",
                "main/1",
                "main/2",
                "main/2/1",
                "#99"
            ]
        );
        assert!(tasks.is_program(7) && !tasks.is_program(1) && !tasks.is_program(3));
    }

    #[test]
    fn a_reused_id_has_its_new_name() {
        let mut tasks = booted();
        fork(&mut tasks, 4, 5);
        fork(&mut tasks, 4, 5);
        assert_eq!(tasks.name(5), "main/2");
    }

    #[test]
    fn exec_by_another_thread_keeps_its_name_under_the_leaders_id() {
        let mut tasks = booted();
        fork(&mut tasks, 4, 5);
        tasks.after(EventId::SchedSwitch, 0, &[4, 0, 5, 0, 0], b"");
        tasks.before(EventId::SchedProcessExec, &[4, 5, 0, 0, 0]);
        assert_eq!(tasks.name(4), "main/1");
        assert_eq!(tasks.current(0), 4);
    }

    #[test]
    fn a_program_that_renames_itself_keeps_its_path() {
        let mut tasks = booted();
        tasks.after(EventId::TaskRename, 0, &[4, 0, 0, 0, 0], b"worker");
        assert_eq!(tasks.name(4), "main");
    }
}
