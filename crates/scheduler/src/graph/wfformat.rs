//! Import of workflows in WfFormat 1.5, the JSON schema of WfCommons (Coleman et al. 2022). Read are the tasks, who
//! waits for whom, and how long each ran; files, machines and commands are left out.

use super::{Graph, GraphError, GraphSpec, TaskSpec};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The schema that is read.
pub const SCHEMA: &str = "1.5";

/// A workflow that was read and checked.
#[derive(Clone, PartialEq, Debug)]
pub struct Workflow {
    /// What the file calls it.
    pub name: String,
    /// Its tasks, to be submitted.
    pub spec: GraphSpec,
    /// The same, loaded.
    pub graph: Graph,
}

/// A file that is refused: which, where in it, and which tasks it is about.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WfError {
    /// Not JSON, or not of this shape.
    #[error("{file}:{line}:{column}: {what}")]
    Json {
        /// The file.
        file: String,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// What is wrong there.
        what: String,
    },
    /// Written for another schema.
    #[error("{file}: schemaVersion is {found}, not {SCHEMA}")]
    Schema {
        /// The file.
        file: String,
        /// What it says.
        found: String,
    },
    /// A task without a runtime, or with one that is no duration.
    #[error("{file}: {place}: task {task} has no usable runtimeInSeconds")]
    NoRuntime {
        /// The file.
        file: String,
        /// Where in it.
        place: String,
        /// Which task.
        task: String,
    },
    /// A parent or child that is no task of the file.
    #[error("{file}: {place}: task {task} names {other}, which is not there")]
    Unknown {
        /// The file.
        file: String,
        /// Where in it.
        place: String,
        /// Which task.
        task: String,
        /// Whom it names.
        other: String,
    },
    /// One says that it is a parent or child of the other, and the other does not.
    #[error(
        "{file}: {place}: {parent} and {child} disagree: only {said_by} says that {child} waits for {parent}"
    )]
    Disagree {
        /// The file.
        file: String,
        /// Where in it.
        place: String,
        /// The parent.
        parent: String,
        /// The child.
        child: String,
        /// Who of the two says so.
        said_by: String,
    },
    /// The graph is none: a cycle, a task twice.
    #[error("{file}: workflow.specification.tasks: {why}")]
    Graph {
        /// The file.
        file: String,
        /// What is wrong, with the tasks' names.
        why: GraphError,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    name: String,
    schema_version: String,
    workflow: Body,
}

#[derive(Deserialize)]
struct Body {
    specification: Specification,
    execution: Option<Execution>,
}

#[derive(Deserialize)]
struct Specification {
    tasks: Vec<Task>,
}

#[derive(Deserialize)]
struct Task {
    id: String,
    parents: Vec<String>,
    children: Vec<String>,
}

#[derive(Deserialize)]
struct Execution {
    tasks: Vec<Ran>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ran {
    id: String,
    runtime_in_seconds: Option<f64>,
}

/// Reads the text of a file; `file` is only its name, for errors. Runtimes become whole milliseconds, rounded.
pub fn read(file: &str, text: &str) -> Result<Workflow, WfError> {
    let read: File = serde_json::from_str(text).map_err(|why| WfError::Json {
        file: file.into(),
        line: why.line(),
        column: why.column(),
        what: why.to_string(),
    })?;
    if read.schema_version != SCHEMA {
        return Err(WfError::Schema { file: file.into(), found: read.schema_version });
    }
    let tasks = &read.workflow.specification.tasks;
    let known: BTreeMap<&str, usize> =
        tasks.iter().enumerate().map(|(i, task)| (task.id.as_str(), i)).collect();
    let agreed = Agreement { file, tasks, known: &known };
    agreed.check()?;
    let runs = runtimes(file, read.workflow.execution.as_ref())?;
    let edges = tasks.iter().map(|task| task.parents.len()).sum();
    let mut spec = GraphSpec::with_capacity(tasks.len(), edges);
    for (i, task) in tasks.iter().enumerate() {
        let Some(ms) = runs.get(task.id.as_str()) else {
            let place = format!("workflow.specification.tasks[{i}]");
            return Err(WfError::NoRuntime { file: file.into(), place, task: task.id.clone() });
        };
        spec.add(TaskSpec::new(&task.id).after(&task.parents).expected_ms(*ms));
    }
    let graph = Graph::build(&spec).map_err(|why| WfError::Graph { file: file.into(), why })?;
    Ok(Workflow { name: read.name, spec, graph })
}

fn runtimes<'a>(file: &str, execution: Option<&'a Execution>) -> Result<BTreeMap<&'a str, u32>, WfError> {
    let mut runs = BTreeMap::new();
    for (i, ran) in execution.iter().flat_map(|execution| execution.tasks.iter().enumerate()) {
        let ms = ran.runtime_in_seconds.map(|seconds| (seconds * 1000.0).round());
        match ms {
            Some(ms) if (0.0..=f64::from(u32::MAX)).contains(&ms) => runs.insert(ran.id.as_str(), ms as u32),
            _ => {
                let place = format!("workflow.execution.tasks[{i}]");
                return Err(WfError::NoRuntime { file: file.into(), place, task: ran.id.clone() });
            }
        };
    }
    Ok(runs)
}

/// Parents and children say the same thing twice; that they do is checked from both sides.
struct Agreement<'a> {
    file: &'a str,
    tasks: &'a [Task],
    known: &'a BTreeMap<&'a str, usize>,
}

impl Agreement<'_> {
    fn check(&self) -> Result<(), WfError> {
        for (i, task) in self.tasks.iter().enumerate() {
            for (j, parent) in task.parents.iter().enumerate() {
                let place = format!("workflow.specification.tasks[{i}].parents[{j}]");
                let other = self.other(task, parent, &place)?;
                if !other.children.contains(&task.id) {
                    return Err(self.disagree(place, &other.id, &task.id, &task.id));
                }
            }
            for (j, child) in task.children.iter().enumerate() {
                let place = format!("workflow.specification.tasks[{i}].children[{j}]");
                let other = self.other(task, child, &place)?;
                if !other.parents.contains(&task.id) {
                    return Err(self.disagree(place, &task.id, &other.id, &task.id));
                }
            }
        }
        Ok(())
    }

    fn other(&self, task: &Task, other: &str, place: &str) -> Result<&Task, WfError> {
        self.known.get(other).and_then(|i| self.tasks.get(*i)).ok_or_else(|| WfError::Unknown {
            file: self.file.into(),
            place: place.into(),
            task: task.id.clone(),
            other: other.into(),
        })
    }

    fn disagree(&self, place: String, parent: &str, child: &str, said_by: &str) -> WfError {
        WfError::Disagree {
            file: self.file.into(),
            place,
            parent: parent.into(),
            child: child.into(),
            said_by: said_by.into(),
        }
    }
}
