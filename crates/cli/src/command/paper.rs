//! `seatrial schema`, `completions` and `man`: what is printed and never changes at run time.

use std::{fs, io};

use anyhow::Context as _;

use crate::{
    args::{Cli, CompletionsArgs, ManArgs, SchemaArgs, SchemaOf},
    exit::Exit,
    screen::print,
    stop::Stop,
};

/// Prints a JSON Schema.
pub(crate) fn schema(args: &SchemaArgs) -> Result<Exit, Stop> {
    let schema = match args.of {
        SchemaOf::Case => seatrial_cases::schema::case(),
        SchemaOf::Suite => seatrial_cases::schema::suite(),
    };
    print(&format!("{}\n", serde_json::to_string_pretty(&schema)?))?;
    Ok(Exit::Success)
}

/// Prints a completion script.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<Exit, Stop> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::definition(), "seatrial", &mut script);
    print(&String::from_utf8(script)?)?;
    Ok(Exit::Success)
}

/// Prints the manual page, or writes those of all commands.
pub(crate) fn man(args: &ManArgs) -> Result<Exit, Stop> {
    match &args.dir {
        Some(dir) => {
            fs::create_dir_all(dir).with_context(|| format!("make {}", dir.display()))?;
            clap_mangen::generate_to(Cli::definition(), dir)
                .with_context(|| format!("write manual pages to {}", dir.display()))?;
        }
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::definition()).render(&mut page)?;
            print(&String::from_utf8(page).map_err(io::Error::other)?)?;
        }
    }
    Ok(Exit::Success)
}
