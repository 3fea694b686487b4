//! What a view for a snapshot of a scheduler of a million tasks costs, in states that differ in what there is to copy.
//! Not a row of the benches, for no peer of theirs has such a thing.

use quorate_benches::clock::thread_cpu_ns;
use quorate_core::{AgentId, Applied, NodeId, StateMachine};
use quorate_scheduler::engine::{Act, AgentSpec, Block, Command, ConfigError, EngineConfig};
use quorate_scheduler::{GraphSpec, TaskId, TaskSpec, Work};

const TASKS: u32 = 1_000_000;
const AGENTS: u32 = 1000;
const ROUNDS: usize = 9;

fn main() -> Result<(), ConfigError> {
    let ready = loaded(|_| None)?;
    report("all ready", &ready);
    report("all but a thousand waiting", &loaded(|task| task.checked_sub(1000))?);
    for bytes in [0, 32] {
        let mut work = ready.clone();
        finish(&mut work, bytes);
        assert_eq!(work.open(), 0);
        report(&format!("all done, results of {bytes} bytes"), &work);
    }
    Ok(())
}

fn apply(work: &mut Work, command: Command) {
    work.apply(command, Applied { index: 1, term: 1 });
}

fn loaded(before: impl Fn(u32) -> Option<u32>) -> Result<Work, ConfigError> {
    let names: Vec<String> = (0..TASKS).map(|task| format!("t{task}")).collect();
    let mut spec = GraphSpec::with_capacity(names.len(), names.len());
    spec.add_all(names.iter().map(|name| TaskSpec::new(name.as_str())));
    let edge = |task: u32| Some((names[before(task)? as usize].as_str(), names[task as usize].as_str()));
    spec.edges((0..TASKS).filter_map(edge));
    let mut work = Work::new(EngineConfig::default())?;
    apply(&mut work, Command::Submit(Box::new(spec)));
    Ok(work)
}

fn finish(work: &mut Work, result_bytes: usize) {
    let agents = (0..AGENTS).map(|id| AgentSpec::new(AgentId(id.into()))).collect();
    apply(work, Command::Register { node: NodeId(1), agents });
    for first in (0..TASKS).step_by(AGENTS as usize) {
        let pairs = (first..first + AGENTS).map(|task| (TaskId(task), AgentId((task % AGENTS).into())));
        let block = |acts| Command::Block(Block { epoch: 0, at: 1, draw: 0, acts });
        apply(work, block(vec![Act::Assign(pairs.clone().collect())]));
        let ends = pairs.filter_map(|(task, _)| {
            let (lease, _) = work.lease(task)?;
            Some(Act::Complete { lease, digest: 1, result: vec![1; result_bytes] })
        });
        let ends = block(ends.collect());
        apply(work, ends);
    }
}

fn report(what: &str, work: &Work) {
    let mut spent: Vec<u64> = (0..ROUNDS)
        .map(|_| {
            let start = thread_cpu_ns();
            let view = std::hint::black_box(work.freeze());
            let spent = thread_cpu_ns() - start;
            drop(view);
            spent / 1000
        })
        .collect();
    spent.sort_unstable();
    println!("{what}: {} us, at least {}, at most {}", spent[ROUNDS / 2], spent[0], spent[ROUNDS - 1]);
}
