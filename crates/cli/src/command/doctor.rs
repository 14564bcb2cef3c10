//! `seatrial doctor`.

use std::{sync::Arc, thread};

use seatrial_engine::{Requirement, Unmet};
use seatrial_environment::requirement;

use crate::{
    args::DoctorArgs,
    exit::Exit,
    screen::{Screen, print},
    stop::Stop,
};

/// Looks at each requirement and says what was found, or what to do; fails if one that is required is not met.
pub(crate) fn doctor(args: &DoctorArgs, screen: Screen) -> Result<Exit, Stop> {
    let mut requirements: Vec<Arc<dyn Requirement>> = if args.requirements.is_empty() {
        requirement::known()
    } else {
        args.requirements
            .iter()
            .map(|name| requirement::named(name))
            .collect()
    };
    for name in args.require.iter().filter(|name| !name.is_empty()) {
        if requirements.iter().all(|known| known.name() != name) {
            requirements.push(requirement::named(name));
        }
    }
    let findings = check_all(&requirements);
    print(&seatrial_report::doctor(&findings, screen.text()))?;
    let is_missing =
        |(name, found): &(String, Result<String, Unmet>)| found.is_err() && args.require.contains(name);
    Ok(if findings.iter().any(is_missing) {
        Exit::Bad
    } else {
        Exit::Success
    })
}

/// All at the same time: a daemon that does not answer takes seconds.
fn check_all(requirements: &[Arc<dyn Requirement>]) -> Vec<(String, Result<String, Unmet>)> {
    thread::scope(|scope| {
        let checks: Vec<_> = requirements
            .iter()
            .map(|requirement| (requirement.name().to_owned(), scope.spawn(|| requirement.check())))
            .collect();
        checks
            .into_iter()
            .map(|(name, check)| {
                let found = check
                    .join()
                    .unwrap_or_else(|_| Err(Unmet::because("looking for it panicked")));
                (name, found)
            })
            .collect()
    })
}
