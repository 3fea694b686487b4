//! quorate's node for Maelstrom, under a small network of our own that speaks as Maelstrom does: its three workloads, in
//! bad weather, and judged as they are judged there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what only they use")]

mod clients;
mod conforms;
#[path = "../../maelstrom/net.rs"]
mod net;
mod network;
#[path = "../chaos/registers.rs"]
mod registers;
#[path = "../../maelstrom/wire.rs"]
#[allow(dead_code, reason = "requests and answers are the program's")]
mod wire;

use clients::Client;
use network::{Counts, Network, Weather};
use quorate::sim::linearizability::Ended;
use registers::{Registers, linearizable, with_a_stale_read};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::thread::scope;
use std::time::{Duration, Instant};

/// As long as Maelstrom waits for an answer to `init`.
const INIT_PATIENCE: Duration = Duration::from_secs(10);

const STORM: Weather = Weather { delay_ms_max: 15, loss: 0.03, doubled: 0.05, cuts: true };

/// All are told at once who they are, and answer.
fn init(network: &Network) {
    scope(|scope| {
        for (node, number) in network.nodes.iter().zip(1_000..) {
            scope.spawn(move || {
                let mut client = Client::new(number, network, 0);
                let body = json!({ "type": "init", "node_id": node, "node_ids": network.nodes });
                let answer = client.ask(node, body, INIT_PATIENCE).expect("it answers in time");
                assert_eq!(answer["type"], "init_ok");
            });
        }
    });
}

/// What ten clients saw of five nodes.
fn lin_kv(arguments: &[&str], weather: Weather, seed: u64, length: Duration) -> (Registers, Counts) {
    let network = Network::start(5, arguments, weather, seed);
    init(&network);
    let (begun, history) = (Instant::now(), Mutex::new(Registers::new()));
    scope(|scope| {
        for id in 0..10 {
            let (network, history) = (&network, &history);
            scope.spawn(move || Client::new(id, network, seed).use_registers(begun, length, history));
        }
    });
    (history.into_inner().unwrap(), network.end())
}

fn answered(history: &Registers) -> usize {
    history.ops().iter().filter(|op| matches!(op.ended, Ended::Answered(..))).count()
}

#[test]
fn a_key_value_store_is_linearizable_while_messages_are_lost_late_doubled_and_cut_off() {
    let seed = std::env::var("QUORATE_CHAOS_SEED").map_or(3, |seed| seed.parse().unwrap());
    let (history, counts) = lin_kv(&[], STORM, seed, Duration::from_secs(12));
    println!("seed {seed}: {} of {} answered, {counts:?}", answered(&history), history.len());
    if let Err(why) = linearizable(&history) {
        panic!("seed {seed}: {why}");
    }
    // That it was stormy, that the nodes were useful all the same, and that it could have failed.
    assert!(counts.lost > 0 && counts.doubled > 0 && counts.cut > 0, "{counts:?}");
    assert_eq!(counts.nonsense, 0, "{counts:?}");
    assert!(answered(&history) > 200, "{} of {} answered", answered(&history), history.len());
    let tampered = with_a_stale_read(&history).expect("somebody read what was written twice");
    assert!(linearizable(&tampered).is_err(), "a stale read was not found");
}

#[test]
fn nodes_that_answer_reads_from_what_they_know_are_found_out() {
    let (history, _) = lin_kv(&["local"], Weather { loss: 0.0, ..STORM }, 4, Duration::from_secs(4));
    assert!(answered(&history) > 50, "{} of {} answered", answered(&history), history.len());
    assert!(linearizable(&history).is_err(), "nobody read what was old");
}

/// What was sent out comes back.
fn echoes(echoed: &[(Value, Value)]) -> bool {
    echoed.iter().all(|(sent, back)| sent == back)
}

/// Each is there once.
fn are_unique<T: Ord>(ids: &[T]) -> bool {
    ids.iter().collect::<BTreeSet<_>>().len() == ids.len()
}

#[test]
fn what_is_said_comes_back_and_no_id_is_made_twice() {
    let network = Network::start(3, &[], Weather { loss: 0.01, cuts: false, ..STORM }, 5);
    init(&network);
    let (echoed, made) = (Mutex::default(), Mutex::default());
    scope(|scope| {
        for id in 0..6 {
            let (network, echoed, made): (_, &Mutex<Vec<_>>, &Mutex<Vec<_>>) = (&network, &echoed, &made);
            scope.spawn(move || {
                let mut client = Client::new(id, network, 5);
                let (echoes, ids) = (client.echo(30), client.generate(100));
                echoed.lock().unwrap().extend(echoes);
                made.lock().unwrap().extend(ids);
            });
        }
    });
    let (mut echoed, mut made) = (echoed.into_inner().unwrap(), made.into_inner().unwrap());
    assert!(echoed.len() > 100 && made.len() > 400, "{} echoes, {} ids", echoed.len(), made.len());
    assert!(echoes(&echoed));
    assert!(are_unique(&made));
    // Planted.
    echoed[7].1["n"] = json!("another");
    made.push(made[7].clone());
    assert!(!echoes(&echoed) && !are_unique(&made));

    let mut client = Client::new(9, &network, 5);
    let mut code = |body: Value| loop {
        // Asked again when lost, when there is no leader now (11), and when nobody can know whether it was done (13).
        match client.ask("n1", body.clone(), Duration::from_secs(2)).map(|answer| answer["code"].as_u64()) {
            None | Some(Some(11 | 13)) => {}
            Some(code) => return code,
        }
    };
    assert_eq!(code(json!({ "type": "read", "key": "nothing" })), Some(20));
    assert_eq!(code(json!({ "type": "cas", "key": "nothing", "from": 1, "to": 2 })), Some(20));
    assert_eq!(code(json!({ "type": "write", "key": [1], "value": { "a": 1 } })), None);
    assert_eq!(code(json!({ "type": "cas", "key": [1], "from": 1, "to": 2 })), Some(22));
    assert_eq!(code(json!({ "type": "write", "key": 1 })), Some(12));
    assert_eq!(code(json!({ "type": "dance" })), Some(10));
    drop(network);
}

#[test]
fn a_node_that_is_cut_off_says_when_something_did_not_happen() {
    // It is told of two others, and they are never told of it.
    let network =
        Network::start(1, &[], Weather { delay_ms_max: 0, loss: 0.0, doubled: 0.0, cuts: false }, 6);
    let mut client = Client::new(1, &network, 6);
    let body = json!({ "type": "init", "node_id": "n0", "node_ids": ["n0", "n1", "n2"] });
    assert_eq!(client.ask("n0", body, INIT_PATIENCE).expect("it does not wait for ever")["type"], "init_ok");
    let answer = client.ask("n0", json!({ "type": "write", "key": 1, "value": 2 }), INIT_PATIENCE).unwrap();
    assert_eq!(answer["code"], 11, "{answer}");
}
