//! The names of a scope that are known before any part is: the test, its suite, and what fixtures and builds gave.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use seatrial_environment::IsolationGroup;
use serde_json::Value as Json;

use super::Stage;
use crate::{plan::CasePlan, template::Scope};

/// A suite, as its tests and fixtures know it.
#[derive(Debug, Clone)]
pub(crate) struct SuiteName {
    pub(crate) name: String,
    pub(crate) dir: PathBuf,
}

/// A fixture or a build, by its name in templates and its key in the run.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    pub(crate) name: String,
    pub(crate) key: String,
}

/// What a fixture made.
pub(crate) struct RunningFixture {
    /// `fixture.NAME`.
    pub(crate) seen: Json,
    /// What stands behind it.
    pub(crate) group: IsolationGroup,
}

/// What a build made: `build.NAME`.
pub(crate) struct Built(pub(crate) PathBuf);

/// The names known before any part is.
pub(crate) fn scope(
    stage: &Stage,
    suite: &SuiteName,
    case: Option<&CasePlan>,
    fixtures: &[Given],
    builds: &[Given],
) -> Scope {
    let shown = |path: &Path| path.display().to_string();
    let mut scope = Scope::new();
    scope.set(&["uuid"], uuid::Uuid::new_v4().to_string());
    scope.set(&["suite", "name"], suite.name.as_str());
    scope.set(&["suite", "dir"], shown(&suite.dir));
    if let Some(case) = case {
        scope.set(&["case", "name"], case.name.as_str());
        scope.set(&["case", "variant"], case.variant.as_deref().unwrap_or_default());
        scope.set(&["case", "dir"], shown(&case.dir));
    }
    for (given, fixture) in running(stage, fixtures) {
        scope.set(&["fixture", &given.name], fixture.seen.clone());
    }
    for given in builds {
        if let Some(built) = stage.fixture::<Built>(&given.key) {
            scope.set(&["build", &given.name], shown(&built.0));
        }
    }
    scope
}

/// The fixtures that were made.
pub(crate) fn running<'a>(
    stage: &Stage,
    fixtures: &'a [Given],
) -> impl Iterator<Item = (&'a Given, Arc<RunningFixture>)> {
    fixtures
        .iter()
        .filter_map(move |given| Some((given, stage.fixture::<RunningFixture>(&given.key)?)))
}
