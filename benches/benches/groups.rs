//! Many groups beside raft-rs. See [`quorate_benches::groups`].

use quorate_benches::groups::{BUSY, CONTENDERS, Contender, IDLE, Run};
use quorate_benches::report::{Counted, Row, publish};
use quorate_benches::rounds::interleaved;
use std::cell::Cell;

const ROUNDS: usize = 3;
const COMMITS: u64 = 102_400;

fn main() -> std::io::Result<()> {
    let mut rows = Vec::new();
    for groups in [1, 100, 10_000] {
        rows.push(row(format!("{groups} groups, a commit"), BUSY, |who| who.busy(groups, COMMITS)));
    }
    for groups in [100, 10_000] {
        rows.push(row(format!("{groups} groups, an idle second"), IDLE, |who| who.idle(groups)));
    }
    publish("groups", &rows)
}

fn row(setting: String, conditions: &str, run: impl Fn(&Contender) -> Run) -> Row {
    let messages = [Cell::new(0.0), Cell::new(0.0)];
    let timed = |at: usize| {
        let (run, messages) = (&run, &messages);
        move || {
            let Run { cpu_ns, messages: sent } = run(&CONTENDERS[at]);
            messages[at].set(sent);
            cpu_ns
        }
    };
    let (mut ours, mut theirs) = (timed(0), timed(1));
    let spreads = interleaved(ROUNDS, &mut [&mut ours, &mut theirs]);
    let mut row = Row::new(setting, spreads[0].median, CONTENDERS[1].name, spreads[1].median, conditions);
    row.counted = vec![Counted { what: "messages", ours: messages[0].get(), peer: messages[1].get() }];
    row
}
