//! Stand-ins.
#![allow(dead_code, missing_docs, unreachable_pub)]
use seatrial_cases::plan::Suite;
use seatrial_engine::*;
use seatrial_report::{Color, TextOptions};
use std::path::PathBuf;
pub struct LoadOptions {
    pub paths: Vec<PathBuf>,
}
#[derive(Default, Debug)]
pub struct Loaded {
    pub suites: Vec<Suite>,
    pub diagnostics: Vec<Diagnostic>,
    pub files: usize,
}
pub fn load(_: &LoadOptions) -> Loaded {
    Loaded::default()
}
pub fn tests(_: &[Suite], _: Option<&str>) -> Result<Vec<std::sync::Arc<dyn Test>>, Vec<Diagnostic>> {
    Ok(vec![])
}
pub fn diagnostics(all: &[Diagnostic], _: Color) -> String {
    all.iter()
        .map(|d| {
            format!(
                "{:?}: {}\n  {}\n",
                d.severity,
                d.message,
                d.help.as_deref().unwrap_or("")
            )
        })
        .collect()
}
pub fn list(specs: &[&TestSpec], _: TextOptions) -> String {
    specs.iter().map(|s| format!("{}\n", s.full_name())).collect()
}
pub fn list_json(specs: &[&TestSpec]) -> String {
    format!("{specs:?}\n")
}
pub fn doctor(f: &[(String, Result<String, Unmet>)], _: TextOptions) -> String {
    f.iter().map(|f| format!("{f:?}\n")).collect()
}
pub fn reap_report(r: &journal::ReapReport, _: TextOptions) -> String {
    format!("{r:#?}\n")
}
pub fn restore_terminal() {}
