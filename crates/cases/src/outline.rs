//! What was understood of the files, for `check -v`: each test with its steps, and which of them are served.

use std::path::PathBuf;

use crate::{
    plan::{CasePlan, StepPlan, Suite},
    vocabulary::StepKind,
};

/// One file.
#[derive(Clone, Debug)]
pub struct FileOutline {
    /// The file.
    pub path: PathBuf,
    /// Its cases.
    pub cases: Vec<CaseOutline>,
}

/// One case.
#[derive(Clone, Debug)]
pub struct CaseOutline {
    /// Its full name, without a variant.
    pub name: String,
    /// Its variants.
    pub variants: Vec<String>,
    /// Why it is going to be skipped, as far as its file says.
    pub skip: Option<String>,
    /// Its steps, in order, blocks and the suite's own steps followed by what is in them.
    pub steps: Vec<StepOutline>,
}

/// One step.
#[derive(Clone, Debug)]
pub struct StepOutline {
    /// How deep it is in blocks.
    pub depth: usize,
    /// Its line in its file.
    pub line: usize,
    /// The step of the vocabulary that it was understood as.
    pub step: String,
    /// Its name on screen.
    pub name: String,
    /// Whether something here can do it.
    pub served: bool,
}

/// What was understood of a suite, by file.
pub fn outline(suite: &Suite) -> Vec<FileOutline> {
    let mut files: Vec<FileOutline> = Vec::new();
    for case in &suite.cases {
        let path = &case.origin.file.path;
        if files.last().is_none_or(|file| file.path != *path) {
            files.push(FileOutline {
                path: path.clone(),
                cases: Vec::new(),
            });
        }
        let Some(file) = files.last_mut() else { continue };
        let name = format!("{}/{}", suite.name, case.name);
        match file
            .cases
            .last_mut()
            .filter(|last| last.name == name && case.variant.is_some())
        {
            Some(last) => last.variants.extend(case.variant.clone()),
            None => file.cases.push(case_outline(name, case)),
        }
    }
    files
}

fn case_outline(name: String, case: &CasePlan) -> CaseOutline {
    let mut steps = Vec::new();
    let procedures =
        case.parts
            .iter()
            .map(|part| &part.ready)
            .chain([&case.procedure, &case.on_failure, &case.finally]);
    for procedure in procedures {
        add(procedure, 0, &mut steps);
    }
    CaseOutline {
        name,
        variants: case.variant.iter().cloned().collect(),
        skip: case.skip.clone(),
        steps,
    }
}

fn add(steps: &[StepPlan], depth: usize, all: &mut Vec<StepOutline>) {
    for step in steps {
        all.push(StepOutline {
            depth,
            line: step.origin.line(),
            step: step.kind.name().to_owned(),
            name: step.name.clone(),
            served: !matches!(step.kind, StepKind::Unserved(_)),
        });
        match &step.kind {
            StepKind::Parallel(inner) => add(inner, depth + 1, all),
            StepKind::Defined(defined) => add(&defined.steps, depth + 1, all),
            _ => {}
        }
    }
}
