//! Workflows in WfFormat, and what is said of those that are wrong.

use quorate_scheduler::graph::GraphError;
use quorate_scheduler::graph::wfformat::{self, WfError, Workflow};

const FOUR: &str = include_str!("../data/four.json");

fn read(change: impl FnOnce(String) -> String) -> Result<Workflow, WfError> {
    wfformat::read("four.json", &change(FOUR.to_owned()))
}

#[test]
fn a_workflow_brings_its_tasks_edges_and_runtimes() {
    let workflow = read(|text| text).unwrap();
    let graph = &workflow.graph;
    assert_eq!((workflow.name.as_str(), graph.len()), ("four", 4));
    let id = |name: &str| graph.require(name).unwrap();
    assert_eq!(graph.before(id("report")).collect::<Vec<_>>(), [id("count"), id("draw")]);
    assert_eq!(graph.expected_ms(id("fetch")), 1500);
    let path = graph.critical_path();
    assert_eq!(path.length_ms, 5501);
    assert_eq!(path.tasks, [id("fetch"), id("draw"), id("report")]);
}

#[test]
fn an_error_names_the_file_the_place_and_the_tasks() {
    let said = |change: &dyn Fn(String) -> String, want: &str| {
        let said = read(change).expect_err(want).to_string();
        assert_eq!(said, want);
    };
    said(&|t| t.replace("\"1.5\"", "\"1.4\""), "four.json: schemaVersion is 1.4, not 1.5");
    said(
        &|t| t.replace("{ \"id\": \"count\", \"runtimeInSeconds\": 0.25 },", ""),
        "four.json: workflow.specification.tasks[1]: task count has no usable runtimeInSeconds",
    );
    said(
        &|t| t.replace(": 4 }", ": -4 }"),
        "four.json: workflow.execution.tasks[2]: task draw has no usable runtimeInSeconds",
    );
    said(
        &|t| t.replace("\"parents\": [\"count\", \"draw\"]", "\"parents\": [\"count\", \"drew\"]"),
        "four.json: workflow.specification.tasks[2].children[0]: draw and report disagree: \
         only draw says that report waits for draw",
    );
    said(
        &|t| {
            t.replace(
                "\"parents\": [\"fetch\"], \"children\": [\"report\"]",
                "\"parents\": [\"fetch\"], \"children\": []",
            )
        },
        "four.json: workflow.specification.tasks[3].parents[0]: count and report disagree: \
         only report says that report waits for count",
    );
    said(
        &|t| t.replace("\"children\": []", "\"children\": [\"ghost\"]"),
        "four.json: workflow.specification.tasks[3].children[0]: task report names ghost, which is not there",
    );
}

#[test]
fn broken_json_is_told_by_line_and_column() {
    let refused = read(|text| text.replace("\"id\": \"draw\", \"parents\"", "\"id\": \"draw\" \"parents\""));
    let Err(WfError::Json { file, line, column, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!((file.as_str(), line), ("four.json", 9));
    assert!(column > 10);
}

#[test]
fn a_cycle_is_told_with_its_path() {
    let refused = read(|text| {
        text.replace(
            "\"parents\": [], \"children\": [\"count\", \"draw\"]",
            "\"parents\": [\"report\"], \"children\": [\"count\", \"draw\"]",
        )
        .replace("\"children\": []", "\"children\": [\"fetch\"]")
    });
    let Err(WfError::Graph { why: GraphError::Cycle { path }, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(path.len(), 4);
    let text = path.join(" ");
    assert!(text.contains("fetch") && text.contains("report"), "{text}");
}
