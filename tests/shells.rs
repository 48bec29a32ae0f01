//! Real shells, built by others, with real work for the kernel: pipelines, job
//! control, traps, files. The same script natively and in the guest.

use std::path::Path;

mod common;

use common::{Outcome, Stdio, coe, has, native, run_coe};

const BASH: &str = "/bin/bash-static";
const BUSYBOX: &str = "/bin/busybox";

/// Where the scripts make files: natively in the test's own temporary folder.
const PROLOGUE: &str = "busybox mkdir work; cd work; d=$PWD\n";

fn guest(shell: &str, script: &str, stdio: Stdio) -> Outcome {
    let stdio = if stdio == Stdio::Pipe { "pipe" } else { "tty" };
    run_coe(
        coe()
            .args(["run", "--quiet", "--memory", "128MiB", "--stdio", stdio])
            .args(["--with", &format!("{BUSYBOX}:/bin/busybox"), shell])
            .args(arguments(shell, script)),
    )
}

fn arguments<'a>(shell: &str, script: &'a str) -> Vec<&'a str> {
    if shell == BUSYBOX {
        vec!["sh", "-c", script]
    } else {
        vec!["-c", script]
    }
}

/// Runs a script on both sides with both kinds of stdout; what it says must be
/// the same, and contain `says`.
fn judge(shell: &str, script: &str, says: &str) {
    if !has("bash-static", "bash-static") || !has("busybox", "busybox-static") {
        return;
    }
    let script = format!("{PROLOGUE}{script}");
    for stdio in [Stdio::Pipe, Stdio::Tty] {
        let native = native(Path::new(shell), &arguments(shell, &script), stdio, b"");
        let text = String::from_utf8_lossy(&native.output);
        assert!(
            text.contains(says),
            "natively, without {says:?}: {native:?}"
        );
        let guest = guest(shell, &script, stdio);
        assert_eq!(guest, native, "guest (left) and native (right), {stdio:?}");
    }
}

#[test]
fn bash_speaks() {
    let script = r#"
        echo one two three | { read a b c; echo "$c $b $a"; }
        x=$(echo sub; exit 3); echo "$x $?"
        (exit 5); echo "subshell $?"
        words=(a b c); echo "${#words[@]} ${words[1]} $((6 * 7))"
        busybox cat <<END
here $((1 + 1))
END
        f() { local n=$1; [ $n -le 1 ] && echo 1 || echo $((n * $(f $((n - 1))))); }
        f 5
        while read -r line; do echo "<$line>"; done < <(echo a; echo b)
        echo out; echo err >&2; { echo both; } 2>&1
        exec 5>five; echo to five >&5; exec 5>&-; busybox cat five
        (cd /dev; pwd); [ "$PWD" = "$d" ] && echo still here
        umask 027; : > masked; busybox stat -c '%a %s' masked
        ulimit -n 20; ulimit -n
        no-such-command; echo "not found $?"
        exit 9"#;
    judge(BASH, script, "120");
}

#[test]
fn bash_traps_signals() {
    let script = r#"
        # What bash says of dead children has their numbers in it.
        exec 2> /dev/null
        trap 'echo usr1' USR1; kill -USR1 $$
        trap 'echo int' INT; kill -INT $$
        trap '' TERM; kill -TERM $$; echo survived; trap - TERM
        (trap 'echo child got it; exit 4' HUP; kill -HUP $BASHPID; busybox sleep 9); echo $?
        busybox sleep 50 & kill $!; wait $!; echo "killed $?"
        busybox sleep 50 & kill -9 $!; wait $!; echo "killed $?"
        busybox timeout 0.05 busybox sleep 50; echo "timeout $?"
        busybox sh -c 'kill -SEGV $$'; echo "fault $?"
        trap 'echo child ended' CHLD; busybox true; trap - CHLD
        (busybox yes; echo "never") | busybox head -n 2
        kill -l 10"#;
    judge(BASH, script, "killed 137");
}

#[test]
fn bash_controls_jobs() {
    let script = r#"
        # When bash tells that a job has ended depends on who is faster.
        exec 2> /dev/null; set -m
        busybox sleep 50 & first=$!; busybox sleep 60 & second=$!
        jobs
        kill -STOP %1; until [[ -n $(jobs -s) ]]; do :; done
        jobs -s; jobs -r
        bg %1 > /dev/null; until [[ -z $(jobs -s) ]]; do :; done
        jobs -r
        kill %1 %2; wait $first; echo "ended $?"; wait $second; echo "ended $?"
        busybox sleep 0.01 & fg %+; echo "fg $?"
        (exit 3) & wait $!; echo "wait $?"
        busybox sh -c 'busybox kill -STOP $$; echo went on' & 
        until [[ -n $(jobs -s) ]]; do :; done
        fg %+
        wait; echo "all $?""#;
    judge(BASH, script, "went on");
}

#[test]
fn busybox_works_on_files() {
    let script = r#"
        mkdir -p a/b; echo hello > a/b/f; ln -s b/f a/link; ln a/b/f a/hard
        cat a/link; readlink a/link; stat -c '%h %s %F' a/b/f a/hard a/link
        chmod 640 a/b/f; stat -c %a a/hard; mv a/b/f a/b/g; ls a a/b
        cp -r a copy; find copy | sort; rm -r copy; [ -e copy ] || echo gone
        dd if=/dev/zero of=zeros bs=1k count=5 2>/dev/null; stat -c %s zeros
        truncate -s 100 zeros; wc -c < zeros; touch -d '2001-02-03 04:05:06' zeros; stat -c %Y zeros
        seq 1 100 | awk '{ s += $1 } END { print s }'
        seq 1 20 | sort -rn | head -n 3 | tr '\n' ' '; echo
        echo 'a-b-c' | sed 's/-/+/g' | cut -d+ -f2
        tar cf t.tar a; tar tf t.tar | sort; gzip t.tar; gunzip -c t.tar.gz | md5sum | wc -c
        mkfifo pipe; cat pipe & echo through > pipe; wait
        echo one > log; echo two >> log; tail -n 1 log; wc -l < log
        find . -name 'l*' | sort; rmdir a 2>/dev/null || echo not empty
        printf '%s\n' x y | xargs -n 1 echo arg; diff log log && echo same
        test -x /bin/busybox && echo executable; ls /no/such 2>&1"#;
    judge(BUSYBOX, script, "5050");
}

#[test]
fn busybox_asks_about_tasks() {
    let script = r#"
        id -u; id -g
        cat /proc/self/comm; tr '\0' ' ' < /proc/self/cmdline; echo
        readlink /proc/self/cwd | grep -c work; ls -l /proc/self/fd/0 > /dev/null && echo has fd 0
        sh -c 'echo $(( $$ == $(cut -d" " -f4 /proc/self/stat) ))'
        sleep 20 & pid=$!
        until grep -q sleep /proc/$pid/comm && grep -q 'S (sl' /proc/$pid/status; do usleep 999; done
        grep -E '^(Name|State):' /proc/$pid/status; { kill $pid; wait $pid; } 2> /dev/null
        [ -d /proc/$pid ] || echo "no $?"
        setsid sh -c 'cut -d" " -f1 /proc/self/stat > /dev/null; echo session'
        (sleep 0.01; echo slept) & wait; usleep 1000; echo "end $?""#;
    judge(BUSYBOX, script, "sleep");
}

/// What is typed at an interactive bash, and everything that it then says.
const SESSION: &str = r#"
title = "A person at a shell stops a job, lets it go on and ends it"
program = { run = "/bin/bash-static", args = ["--norc", "-i"], with = ["/bin/busybox:/bin/busybox"], env = { PS1 = "> ", PATH = "/bin", HOME = "/", TERM = "dumb" } }
machine = { memory = "128MiB" }
input = [
  { at = 200_000_000, text = "busybox sleep 1000\n" },
  { at = 300_000_000, text = "\u001a" },
  { at = 400_000_000, text = "jobs\n" },
  { at = 500_000_000, text = "bg\n" },
  { at = 600_000_000, text = "fg\n" },
  { at = 700_000_000, text = "\u0003" },
  { at = 800_000_000, text = "echo $?; jobs\n" },
  { at = 900_000_000, text = "busybox cat &\n" },
  { at = 1000_000_000, text = "\n" },
  { at = 1100_000_000, text = "kill %1\n" },
  { at = 1200_000_000, text = "\n" },
  { at = 1300_000_000, text = "exit 7\n" },
]

[expect]
exit = 7
stdout = [
  "> busybox sleep 1000",
  "^Z",
  "[1]+  Stopped                 busybox sleep 1000",
  "> jobs",
  "[1]+  Stopped                 busybox sleep 1000",
  "> bg",
  "[1]+ busybox sleep 1000 &",
  "> fg",
  "busybox sleep 1000",
  "^C",
  "> echo $?; jobs",
  "130",
  "> busybox cat &",
  "[1] 6",
  "> ",
  "",
  "[1]+  Stopped                 busybox cat",
  "> kill %1",
  "> ",
  "[1]+  Terminated              busybox cat",
  "> exit 7",
  "exit",
]
"#;

#[test]
fn a_person_at_bash_stops_a_job_and_lets_it_go_on() {
    if !has("bash-static", "bash-static") || !has("busybox", "busybox-static") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder for the scenario");
    let scenario = folder.path().join("session.toml");
    std::fs::write(&scenario, SESSION).expect("writing the scenario");
    let outcome = run_coe(coe().arg("test").arg(&scenario));
    let said = String::from_utf8_lossy(&outcome.output);
    assert_eq!(outcome.status, 0, "{said}");
}
