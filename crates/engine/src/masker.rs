//! Keeps secrets out of all that leaves the process.
//!
//! Events are masked once, before any reporter sees them, and not in each output: an output may wrap, cut or
//! escape a text, and a secret that is cut in two is no longer found. A secret is also looked for as it stands
//! inside JSON, and each line of one that has several (a key in PEM form) by itself, because that is how logs
//! show it.

use std::{
    borrow::Cow,
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use aho_corasick::{AhoCorasick, MatchKind};

use crate::{
    event::{EventKind, StepOutcome},
    test::SourceLocation,
    verdict::{Failure, Mismatch},
};

/// Replaces secrets in texts. Cheap to clone; without secrets it costs nothing.
#[derive(Clone, Debug, Default)]
pub struct Masker {
    finder: Option<AhoCorasick>,
    patterns: usize,
    /// The length of the longest of them, in bytes.
    longest: usize,
}

/// How much of a file is read at once, besides what may belong to the next piece.
const MASKED_AT_ONCE_BYTES: usize = 1 << 20;

impl Masker {
    /// What stands in place of a secret.
    pub const MASK: &'static str = "***";

    /// Lines of a secret that are shorter than this are not looked for by themselves: `}` or `-` is no secret.
    const LINE_MIN: usize = 8;

    /// Masks these texts; empty ones are passed over. Where two overlap, the longest counts.
    pub fn new<S: AsRef<str>>(secrets: impl IntoIterator<Item = S>) -> Self {
        let mut patterns = Vec::new();
        for secret in secrets {
            let secret = secret.as_ref().trim();
            if secret.is_empty() {
                continue;
            }
            patterns.push(secret.to_owned());
            let lines = secret.lines().map(str::trim);
            patterns.extend(
                lines
                    .filter(|line| line.len() >= Self::LINE_MIN)
                    .map(str::to_owned),
            );
        }
        let in_json: Vec<String> = patterns.iter().map(|text| json_inner(text)).collect();
        patterns.extend(in_json);
        patterns.sort();
        patterns.dedup();
        if patterns.is_empty() {
            return Self::default();
        }
        let finder = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(&patterns);
        Self {
            // Building fails only past the limits of 32-bit state numbers: gigabytes of secrets.
            finder: finder.ok(),
            patterns: patterns.len(),
            longest: patterns.iter().map(String::len).max().unwrap_or_default(),
        }
    }

    /// Whether there is nothing to mask.
    pub fn is_empty(&self) -> bool {
        self.finder.is_none()
    }

    /// The text without secrets.
    pub fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match &self.finder {
            Some(finder) if finder.is_match(text) => {
                Cow::Owned(finder.replace_all(text, &vec![Self::MASK; self.patterns]))
            }
            _ => Cow::Borrowed(text),
        }
    }

    /// Bytes without secrets, for logs, which need not be UTF-8. A caller that masks a stream by pieces hands
    /// over whole lines.
    pub fn mask_bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        match &self.finder {
            Some(finder) if finder.is_match(bytes) => {
                Cow::Owned(finder.replace_all_bytes(bytes, &vec![Self::MASK; self.patterns]))
            }
            _ => Cow::Borrowed(bytes),
        }
    }

    /// Masks the files of a directory, and of those in it, in place: each byte of a secret becomes a star, so that nothing
    /// moves that somebody may have noted the position of, and a file that is still written to can be masked too.
    ///
    /// # Errors
    /// The first thing that could not be read or written; the other files are masked all the same.
    pub fn mask_files(&self, dir: &Path) -> io::Result<()> {
        let mut result = Ok(());
        if self.is_empty() {
            return result;
        }
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            let masked = if kind.is_dir() {
                self.mask_files(&entry.path())
            } else if kind.is_file() {
                File::options()
                    .read(true)
                    .write(true)
                    .open(entry.path())
                    .and_then(|file| self.mask_file(&file))
            } else {
                Ok(())
            };
            result = result.and(masked);
        }
        result
    }

    fn mask_file(&self, file: &File) -> io::Result<()> {
        let Some(finder) = &self.finder else { return Ok(()) };
        let mut buffer = vec![0; MASKED_AT_ONCE_BYTES + self.longest];
        let mut position = 0;
        loop {
            let length = file.read_at(&mut buffer, position)?;
            if length == 0 {
                return Ok(());
            }
            for found in finder.find_iter(&buffer[..length]) {
                file.write_all_at(&vec![b'*'; found.len()], position + found.start() as u64)?;
            }
            if length <= self.longest {
                return Ok(());
            }
            // What may be the beginning of a secret that goes on in the next piece is looked at again.
            position += (length - self.longest) as u64;
        }
    }

    /// Masks every text of an event.
    pub fn mask_event(&self, event: &mut EventKind) {
        if self.is_empty() {
            return;
        }
        // Every field is named, so that a new one cannot be forgotten here.
        match event {
            EventKind::RunStarted(info) => {
                let info = Arc::make_mut(info);
                self.all(&mut info.args);
                self.option(&mut info.rerun);
                for test in &mut info.tests {
                    let hides = |text: &str| matches!(self.mask(text), Cow::Owned(_));
                    if hides(&test.name) || test.labels.values().any(|value| hides(value)) {
                        let test = Arc::make_mut(test);
                        self.text(&mut test.name);
                        test.labels.values_mut().for_each(|value| self.text(value));
                    }
                }
            }
            EventKind::Notice { level: _, text } | EventKind::InternalError { text } => self.text(text),
            EventKind::RequirementUnmet { name: _, unmet } => {
                self.text(&mut unmet.reason);
                self.option(&mut unmet.help);
            }
            EventKind::FixtureProgress { fixture: _, text } => self.text(text),
            EventKind::FixtureFailed {
                fixture: _,
                took: _,
                failure,
            } => self.failure(failure),
            EventKind::StepStarted {
                test: _,
                step: _,
                parent: _,
                name,
                location,
            } => {
                self.text(name);
                self.location(location);
            }
            EventKind::StepSaw {
                test: _,
                step: _,
                seen,
            } => self.text(seen),
            EventKind::StepFinished {
                test: _,
                step: _,
                outcome,
                took: _,
            } => match outcome {
                StepOutcome::Failed { message } => self.text(message),
                StepOutcome::Done | StepOutcome::NotNeeded | StepOutcome::Interrupted => {}
            },
            EventKind::PartEnded { test: _, usage } => self.text(&mut usage.exit),
            EventKind::Breakpoint { test: _, step, look } => {
                self.text(step);
                self.all(look);
            }
            EventKind::AttemptFailed {
                test: _,
                attempt: _,
                verdict: _,
                failure,
                took: _,
            } => self.failure(failure),
            EventKind::TestFinished(outcome) => {
                outcome
                    .failure
                    .iter_mut()
                    .for_each(|failure| self.failure(failure));
                self.option(&mut outcome.reason);
            }
            EventKind::Kept { test: _, how } => self.all(how),
            EventKind::FixtureStarted { .. }
            | EventKind::FixtureReady { .. }
            | EventKind::FixtureStopped { .. }
            | EventKind::TestStarted { .. }
            | EventKind::TestSlow { .. }
            | EventKind::TestStopping { .. }
            | EventKind::Stopping { .. }
            | EventKind::StatusAsked
            | EventKind::RunFinished(_) => {}
        }
    }

    fn failure(&self, failure: &mut Arc<Failure>) {
        let failure = Arc::make_mut(failure);
        self.text(&mut failure.message);
        self.all(&mut failure.step);
        self.location(&mut failure.location);
        for Mismatch {
            field,
            expected,
            seen,
        } in &mut failure.mismatches
        {
            self.text(field);
            self.text(expected);
            self.text(seen);
        }
        failure.history.for_each_text(|text| self.text(text));
        failure.logs.iter_mut().for_each(|log| self.all(&mut log.lines));
        self.all(&mut failure.notes);
    }

    fn location(&self, location: &mut Option<SourceLocation>) {
        if let Some(location) = location
            && let Some(file) = location.file.to_str()
            && let Cow::Owned(masked) = self.mask(file)
        {
            location.file = PathBuf::from(masked);
        }
    }

    fn option(&self, text: &mut Option<String>) {
        text.iter_mut().for_each(|text| self.text(text));
    }

    fn all(&self, texts: &mut [String]) {
        texts.iter_mut().for_each(|text| self.text(text));
    }

    fn text(&self, text: &mut String) {
        if let Cow::Owned(masked) = self.mask(text) {
            *text = masked;
        }
    }
}

/// The text as it stands between the quotes of a JSON string.
fn json_inner(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_secret_counts_and_json_hides_none() {
        let masker = Masker::new(["key", "key-with-\"quote\"", ""]);
        assert_eq!(
            masker.mask("key, key-with-\"quote\", {\"a\": \"key-with-\\\"quote\\\"\"}"),
            "***, ***, {\"a\": \"***\"}"
        );
        assert!(matches!(masker.mask("nothing here"), Cow::Borrowed(_)));
    }

    #[test]
    fn each_line_of_a_key_is_a_secret_but_not_its_crumbs() {
        let masker = Masker::new(["-----BEGIN KEY-----\nMIIEvQIBADANBg\n}\n-----END KEY-----\n"]);
        assert_eq!(masker.mask("read MIIEvQIBADANBg }"), "read *** }");
        assert_eq!(
            masker.mask("a -----BEGIN KEY-----\\nMIIEvQIBADANBg\\n}\\n-----END KEY----- b"),
            "a *** b"
        );
        assert_eq!(masker.mask_bytes(b"\xff MIIEvQIBADANBg"), b"\xff ***".as_slice());
    }

    #[test]
    fn no_text_of_a_failure_is_left_out() {
        let secret = "hunter22";
        let mut failure = Failure::new(secret).mismatch(secret, secret, secret).note(secret);
        failure.step = vec![secret.into()];
        failure.location = Some(SourceLocation {
            file: secret.into(),
            line: 1,
        });
        failure.history.saw(std::time::Duration::ZERO, secret);
        failure.logs = vec![crate::verdict::LogTail {
            source: "target".into(),
            lines: vec![secret.into()],
        }];
        let mut event = EventKind::AttemptFailed {
            test: crate::event::TestIndex(0),
            attempt: 1,
            verdict: crate::verdict::Verdict::Failed,
            failure: Arc::new(failure),
            took: std::time::Duration::ZERO,
        };
        Masker::new([secret]).mask_event(&mut event);
        let told = format!("{event:?}");
        assert!(!told.contains(secret), "{told}");
        assert_eq!(told.matches("***").count(), 9, "{told}");
    }

    #[test]
    fn a_file_is_masked_in_place_across_the_pieces_in_which_it_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let nested = dir.path().join("attempt-2");
        fs::create_dir(&nested).unwrap();
        let path = nested.join("target.stdout.log");
        let mut content = vec![b'.'; 3 * MASKED_AT_ONCE_BYTES];
        let places = [
            0,
            MASKED_AT_ONCE_BYTES - 4,
            2 * MASKED_AT_ONCE_BYTES + 1,
            content.len() - 8,
        ];
        for place in places {
            content[place..place + 8].copy_from_slice(b"hunter22");
        }
        fs::write(&path, &content).unwrap();
        Masker::new(["hunter22", "a-longer-secret"])
            .mask_files(dir.path())
            .unwrap();
        for place in places {
            content[place..place + 8].copy_from_slice(b"********");
        }
        assert!(fs::read(&path).unwrap() == content);
    }
}
