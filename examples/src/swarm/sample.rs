//! The workflow that is run when none is given: a survey of the sky in ten fields, about a thousand tasks, written
//! as WfFormat, so that it takes the same way in as a file.

use quorate::Rng;
use serde_json::{Value, json};

const FIELDS: usize = 10;
const IMAGES: usize = 31;

/// Tasks as they are collected.
struct Draft {
    rng: Rng,
    /// Name, parents, seconds.
    tasks: Vec<(String, Vec<String>, f64)>,
}

impl Draft {
    fn task(&mut self, name: String, parents: Vec<String>, seconds: (f64, f64)) -> String {
        let (least, most) = seconds;
        let took = least + (most - least) * self.rng.unit();
        self.tasks.push((name.clone(), parents, took));
        name
    }

    fn field(&mut self, f: usize) -> String {
        let split = self.task(format!("split_{f:02}"), vec![], (6.0, 10.0));
        let images: Vec<String> = (0..IMAGES)
            .map(|i| self.task(format!("project_{f:02}_{i:02}"), vec![split.clone()], (20.0, 60.0)))
            .collect();
        let overlaps: Vec<String> = images
            .windows(2)
            .enumerate()
            .map(|(i, pair)| self.task(format!("overlap_{f:02}_{i:02}"), pair.to_vec(), (5.0, 15.0)))
            .collect();
        let model = self.task(format!("model_{f:02}"), overlaps, (15.0, 25.0));
        let flat: Vec<String> = images
            .iter()
            .enumerate()
            .map(|(i, image)| {
                self.task(format!("flatten_{f:02}_{i:02}"), vec![image.clone(), model.clone()], (10.0, 30.0))
            })
            .collect();
        let add = self.task(format!("add_{f:02}"), flat, (30.0, 45.0));
        let small: Vec<String> =
            (0..4).map(|i| self.task(format!("shrink_{f:02}_{i}"), vec![add.clone()], (8.0, 12.0))).collect();
        self.task(format!("preview_{f:02}"), small, (10.0, 15.0))
    }
}

/// The workflow of this seed, as WfFormat 1.5.
pub fn workflow(seed: u64) -> Value {
    let mut draft = Draft { rng: Rng::from_seed(seed), tasks: Vec::new() };
    let previews: Vec<String> = (0..FIELDS).map(|f| draft.field(f)).collect();
    let mosaic = draft.task("mosaic".into(), previews, (20.0, 30.0));
    draft.task("report".into(), vec![mosaic], (4.0, 6.0));

    let children = |name: &str| -> Vec<&str> {
        let of = |(_, parents, _): &&(String, Vec<String>, f64)| parents.iter().any(|parent| parent == name);
        draft.tasks.iter().filter(of).map(|(child, _, _)| child.as_str()).collect()
    };
    let specification: Vec<Value> = draft
        .tasks
        .iter()
        .map(|(name, parents, _)| json!({ "name": name, "id": name, "parents": parents, "children": children(name) }))
        .collect();
    let execution: Vec<Value> = draft
        .tasks
        .iter()
        .map(|(name, _, seconds)| json!({ "id": name, "runtimeInSeconds": seconds }))
        .collect();
    json!({
        "name": format!("survey-{FIELDS}x{IMAGES}-{seed}"),
        "description": "A survey of the sky, made up",
        "schemaVersion": "1.5",
        "workflow": {
            "specification": { "tasks": specification, "files": [] },
            "execution": { "tasks": execution },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_about_a_thousand_tasks_and_is_the_same_for_a_seed() {
        let made = workflow(1);
        let tasks = made["workflow"]["specification"]["tasks"].as_array().expect("tasks").len();
        assert_eq!(tasks, 1002);
        assert_eq!(made, workflow(1));
        assert_ne!(made, workflow(2));
    }
}
