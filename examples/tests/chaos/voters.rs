//! Who votes: changed through whoever leads, asked again and again until it is so. In a thread of its own, since blows do
//! not wait for it.

use crate::nodes::Finder;
use crate::talk::{Said, said};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{sleep, spawn};
use std::time::Duration;

/// For one line: a newcomer that has to catch up has longer, in further tries.
const LINE_PATIENCE: Duration = Duration::from_secs(4);

/// Between two tries.
const REST: Duration = Duration::from_millis(50);

#[derive(Clone, Copy)]
enum Wish {
    Out(u64),
    In(u64),
}

/// What the thread and whoever wishes share.
#[derive(Default)]
struct Shared {
    /// Who does not vote, or may not.
    missing: Mutex<Option<u64>>,
    again: AtomicU64,
    over: AtomicBool,
}

/// One vote is missing at a time.
pub struct Voters {
    wishes: Sender<Wish>,
    shared: Arc<Shared>,
}

impl Voters {
    pub fn new(finder: Finder) -> Voters {
        let ((wishes, asked), shared) = (channel(), Arc::<Shared>::default());
        let its = shared.clone();
        spawn(move || grant(&finder, &asked, &its));
        Voters { wishes, shared }
    }

    /// Whose vote is missing.
    pub fn missing(&self) -> Option<u64> {
        *self.shared.missing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many got their vote back.
    pub fn again(&self) -> u64 {
        self.shared.again.load(Ordering::Relaxed)
    }

    /// It is to vote no more.
    pub fn remove(&self, id: u64) {
        self.lose(id);
        self.wishes.send(Wish::Out(id)).unwrap();
    }

    /// It has no vote any more: that was on its disk.
    pub fn lose(&self, id: u64) {
        *self.shared.missing.lock().unwrap_or_else(PoisonError::into_inner) = Some(id);
    }

    /// It is to vote again, on the disk that it has by now.
    pub fn add(&self, id: u64) {
        self.wishes.send(Wish::In(id)).unwrap();
    }
}

impl Drop for Voters {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
    }
}

/// One wish after the other, each until it is so.
fn grant(finder: &Finder, asked: &Receiver<Wish>, shared: &Shared) {
    for wish in asked {
        while !is_so(finder, wish) {
            if shared.over.load(Ordering::Relaxed) {
                return;
            }
            sleep(REST);
        }
        if let Wish::In(_) = wish {
            shared.again.fetch_add(1, Ordering::Relaxed);
            *shared.missing.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}

fn is_so(finder: &Finder, wish: Wish) -> bool {
    let ask = |id: u64, line: &str| Some(said(&finder.talk(id, LINE_PATIENCE)?.ask(line).ok()?));
    let names = |list: &str, id: u64| list.split(',').any(|word| word == id.to_string());
    let Some(leader) = finder.leader(LINE_PATIENCE) else { return false };
    match wish {
        Wish::Out(id) => match ask(leader, &format!("change -{id}")) {
            Some(Said::Ok(voters)) => !names(&voters, id),
            Some(Said::No(_, why)) => why.contains("does not vote"),
            _ => false,
        },
        // Whoever leads may still know it by the disk that is lost. It knows itself what it is.
        Wish::In(id) => match ask(leader, &format!("change +{id}")) {
            Some(Said::Ok(_)) => matches!(ask(id, "linked"), Some(Said::Ok(voters)) if names(&voters, id)),
            _ => false,
        },
    }
}
