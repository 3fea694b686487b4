//! What a port has to say to whoever runs the node is in the node's log. Alone in its process: a log is the process's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what only they use")]

mod common;

use common::*;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Writes down what is said.
#[derive(Clone, Default)]
struct Book(Arc<Mutex<Vec<(Level, String)>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0 += &format!("{field}={value:?} ");
    }
}

impl Subscriber for Book {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().unwrap().push((*event.metadata().level(), line.0));
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[test]
fn an_alarm_of_a_port_is_a_warning_in_the_log_and_other_notices_are_not() {
    let book = Book::default();
    tracing::subscriber::set_global_default(book.clone()).unwrap();
    let (node, app) = Setup::new(1).start();
    let events = node.events(at_most(8));
    app.tell(scope(0), Ask::Tell("the news"));
    app.tell(scope(0), Ask::Alarm("the house is on fire"));
    events.recv_timeout(PATIENCE).expect("the news");
    let told = events.recv_timeout(PATIENCE).expect("watchers hear it too");
    assert_eq!(told.downcast::<quorate_core::Alarm>().unwrap().to_string(), "the house is on fire");
    node.stop();
    let lines = book.0.lock().unwrap();
    assert!(!lines.iter().any(|(_, line)| line.contains("the news")), "{lines:?}");
    let warnings: Vec<_> = lines.iter().filter(|(level, _)| *level == Level::WARN).collect();
    assert_eq!(warnings.len(), 1, "{lines:?}");
    assert!(
        warnings[0].1.contains("the house is on fire") && warnings[0].1.contains("scope="),
        "{warnings:?}"
    );
}
