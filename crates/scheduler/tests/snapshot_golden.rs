//! The bytes of a snapshot of a scheduler, as they lie on disks and travel to who joins. A change here is a new
//! version of the snapshot. A planted bug is part of the settings, and so of the bytes: then there is nothing to see.
#![cfg(not(feature = "mutations"))]
#![allow(clippy::unwrap_used, reason = "a test")]

use quorate_core::{AgentId, Applied, NodeId, StateMachine};
use quorate_scheduler::engine::{Act, AgentSpec, Block, Command, EngineConfig, Reply, Whom};
use quorate_scheduler::graph::{Class, Join, Retry, TaskSpec, Timeouts};
use quorate_scheduler::{GraphSpec, TaskId, Work};

/// A scheduler in which everything stands somewhere: tasks in every state, results, texts, timers, a queue,
/// agents that are up, suspected and gone.
fn work() -> Work {
    let task = TaskSpec::new;
    let retry = Retry { retries_max: 1, ..Retry::default() };
    let timeouts = Timeouts { queue_ms: Some(900), run_ms: Some(500), ..Timeouts::default() };
    let mut first = GraphSpec::new()
        .task(task("done"))
        .task(task("next").after(["done", "failed"]).join(Join::AtLeast(1)))
        .task(task("failed").retry(Retry { retries_max: 0, ..retry }).fallback("plan b"))
        .task(task("plan b").class(Class::Critical))
        .task(task("pauses").retry(retry).timeouts(timeouts))
        .task(task("runs").needs(["rust"]).expected_ms(70))
        .task(task("last"));
    first.edge("runs", "last");
    let mut second = GraphSpec::new().task(task("behind").after(["done", "last"]));
    second.edge("last", "more");
    let second = second.task(task("more").class(Class::Low).timeouts(timeouts));
    let agents =
        vec![AgentSpec::new(AgentId(1)).slots(3).skill("rust", 900), AgentSpec::new(AgentId(2)).slots(2)];
    let mut work = Work::new(EngineConfig::default()).unwrap();
    let mut index = 0;
    let mut apply = |command: Command| {
        index += 1;
        let reply = work.apply(command, Applied { index, term: 1 });
        assert!(!matches!(reply, Reply::Refused(_)), "{reply:?}");
    };
    let block = |at, acts| Command::Block(Block { epoch: 1, at, draw: at * 7, acts });
    let lease = |task| quorate_scheduler::Lease { task: TaskId(task), attempt: 1, epoch: 1 };
    let fail = |task, text: &str| Act::Fail { lease: lease(task), hopeless: false, text: text.into() };
    apply(Command::Submit(Box::new(first)));
    apply(Command::Register { node: NodeId(10), agents });
    apply(Command::Register { node: NodeId(11), agents: vec![AgentSpec::new(AgentId(3))] });
    let places = [(0, 1), (2, 1), (4, 2), (5, 1)].map(|(task, agent)| (TaskId(task), AgentId(agent)));
    apply(block(10, vec![Act::Assign(places.to_vec())]));
    let done = Act::Complete { lease: lease(0), digest: 77, result: b"forty-two".to_vec() };
    apply(block(20, vec![done, fail(2, "it broke"), fail(4, "once more")]));
    apply(Command::Submit(Box::new(second)));
    apply(Command::AddTask(Box::new(task("alone"))));
    apply(Command::AddEdge { from: "runs".into(), to: "more".into() });
    apply(Command::Cancel { task: "alone".into() });
    apply(Command::Unregister { agents: vec![AgentId(3)] });
    apply(block(30, vec![Act::Suspect(Whom::Agent(AgentId(2)))]));
    work
}

#[test]
fn a_view_stays_as_it_was_while_the_scheduler_goes_on() {
    let mut work = work();
    let frozen = work.freeze();
    let before = postcard::to_stdvec(&frozen).unwrap();
    let lease = quorate_scheduler::Lease { task: TaskId(5), attempt: 1, epoch: 1 };
    let done = Act::Complete { lease, digest: 5, result: b"another".to_vec() };
    let commands = [
        Command::AddTask(Box::new(TaskSpec::new("later").after(["behind"]))),
        Command::RemoveEdge { from: "last".into(), to: "more".into() },
        Command::Block(Block { epoch: 1, at: 40, draw: 3, acts: vec![done] }),
    ];
    for command in commands {
        let reply = work.apply(command, Applied { index: 100, term: 1 });
        assert!(!matches!(reply, Reply::Refused(_)), "{reply:?}");
    }
    assert_eq!(work.result(TaskId(5)), Some(&b"another"[..]));
    assert_eq!(postcard::to_stdvec(&frozen).unwrap(), before);
    assert_ne!(postcard::to_stdvec(&work.freeze()).unwrap(), before);
}

#[test]
fn the_bytes_of_a_snapshot_stay_as_they_are() {
    let work = work();
    let bytes = postcard::to_stdvec(&work.freeze()).unwrap();
    let lines: Vec<String> = bytes
        .chunks(64)
        .map(|chunk| chunk.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n")
        .collect();
    assert_eq!(lines.concat(), include_str!("golden/snapshot_v1.txt"));
    let (frozen, rest) = postcard::take_from_bytes(&bytes).unwrap();
    assert!(rest.is_empty());
    assert_eq!(Work::restore(frozen), Ok(work));
}
