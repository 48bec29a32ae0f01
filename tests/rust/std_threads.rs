//! Rust's standard library with two threads, a channel, a mutex and
//! thread-local data. `tests/std_programs.rs` compiles and judges it.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

thread_local! {
    static OWN: Cell<u32> = const { Cell::new(7) };
}

fn main() {
    let (sender, receiver) = mpsc::channel();
    let sums = Arc::new(Mutex::new(BTreeMap::new()));
    let threads: Vec<_> = (0..2u32)
        .map(|number| {
            let (sender, sums) = (sender.clone(), Arc::clone(&sums));
            thread::spawn(move || {
                OWN.set(OWN.get() + number);
                for item in 0..100 {
                    sender.send((number, item)).expect("the receiver is there");
                }
                sums.lock().expect("nobody panics").insert(number, OWN.get());
                number * 100
            })
        })
        .collect();
    drop(sender);

    let mut next = [0; 2];
    for (number, item) in receiver {
        assert_eq!(next[number as usize], item, "messages of one thread stay in order");
        next[number as usize] += 1;
    }
    println!("received {next:?}");
    for thread in threads {
        println!("joined {}", thread.join().expect("it does not panic"));
    }
    println!("own: {:?}, here {}", sums.lock().expect("nobody panics"), OWN.get());
    println!("{:.3} {:?} {:e}", std::f64::consts::PI, 0.1 + 0.2, 1e300);
    let args: Vec<_> = std::env::args().skip(1).collect();
    println!("arguments {args:?}, HOME {:?}", std::env::var("HOME"));
    // The default message names the thread by its id, which is another one everywhere.
    std::panic::set_hook(Box::new(|_| println!("a thread panics")));
    let caught = thread::spawn(|| panic!("on purpose")).join().is_err();
    println!("a panic of a thread is caught: {caught}");
    std::process::exit(3);
}
