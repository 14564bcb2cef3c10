//! What the machine has and what it lacks, for `doctor`.

use seatrial_engine::Unmet;
use unicode_width::UnicodeWidthStr;

use crate::{
    foreign::clean,
    ink::Ink,
    page::{Page, counted},
    text::TextOptions,
};

/// Renders each requirement: what was found, or why it is not met and what to do.
pub fn doctor(findings: &[(String, Result<String, Unmet>)], options: TextOptions) -> String {
    let mut out = String::new();
    let mut page = Page {
        out: &mut out,
        color: options.color,
    };
    let column = findings.iter().map(|(name, _)| name.width()).max().unwrap_or(0);
    for (name, found) in findings {
        let padding = " ".repeat(column.saturating_sub(name.width()));
        match found {
            Ok(found) => {
                let text = format!("{name}{padding}  {}", clean(found));
                page.line(Ink::Good, "met", None, text.trim_end());
            }
            Err(unmet) => {
                page.line(
                    Ink::Warning,
                    "unmet",
                    None,
                    format_args!("{name}{padding}  {}", clean(&unmet.reason)),
                );
                if let Some(help) = &unmet.help {
                    let indent = " ".repeat(column + 2);
                    for line in clean(help).lines() {
                        page.below(
                            "",
                            format_args!("{indent}{}", options.color.paint(Ink::Place, line)),
                        );
                    }
                }
            }
        }
    }
    let met = findings.iter().filter(|(_, found)| found.is_ok()).count();
    page.gap();
    let ink = if met == findings.len() {
        Ink::Good
    } else {
        Ink::Strong
    };
    let text = format!("{met} of {} met", counted(findings.len(), "requirement"));
    page.line(ink, "found", None, text);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_says_what_to_do() {
        let findings = [
            ("root".to_owned(), Ok(String::new())),
            (
                "nats-server".to_owned(),
                Ok("2.10.7, /usr/bin/nats-server".to_owned()),
            ),
            (
                "docker".to_owned(),
                Err(Unmet::because("no daemon answers at /var/run/docker.sock")
                    .help("systemctl start docker")),
            ),
        ];
        insta::assert_snapshot!(doctor(&findings, TextOptions::default()), @r"
          met          root
          met          nats-server  2.10.7, /usr/bin/nats-server
        unmet          docker       no daemon answers at /var/run/docker.sock
                                    systemctl start docker

        found          2 of 3 requirements met
        ");
    }
}
