//! Lines with their times, both streams in one order: for people, not for searching.

use super::{
    Stream,
    files::{stream_path, times_path},
};
use std::{
    collections::VecDeque,
    fs::File,
    io::{self, BufRead, BufReader, Read as _, Seek as _, SeekFrom},
    os::unix::fs::FileExt as _,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A longer line is given in pieces.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// How far back from its end a stream is looked at for its last lines.
const TAIL_BYTES: u64 = 64 * 1024;

/// How far back from its end the file of times is looked at.
const TAIL_TIMES_BYTES: u64 = 256 * 1024;

/// A line that a part wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When its first bytes came.
    pub time: SystemTime,
    /// Where.
    pub stream: Stream,
    /// What, without the end of the line; bytes that are no text are replaced.
    pub text: String,
}

/// The lines of a part's logs, in the order in which they ended.
#[derive(Debug)]
pub struct LogLines {
    times: BufReader<File>,
    streams: [Open; 2],
    ready: VecDeque<LogLine>,
    at_end: bool,
}

/// A stream with the line it is in.
#[derive(Debug)]
struct Open {
    file: File,
    stream: Stream,
    /// How far it was read.
    position: u64,
    /// When what comes next came.
    time: SystemTime,
    line: Vec<u8>,
    line_time: SystemTime,
}

impl LogLines {
    pub(super) fn from_start(base: &Path) -> io::Result<Self> {
        Self::open(base, BufReader::new(File::open(times_path(base))?), [0, 0])
    }

    fn open(base: &Path, times: BufReader<File>, positions: [u64; 2]) -> io::Result<Self> {
        let open = |stream: Stream| -> io::Result<Open> {
            Ok(Open {
                file: File::open(stream_path(base, stream))?,
                stream,
                position: positions[stream.index()],
                time: UNIX_EPOCH,
                line: Vec::new(),
                line_time: UNIX_EPOCH,
            })
        };
        Ok(Self {
            times,
            streams: [open(Stream::Stdout)?, open(Stream::Stderr)?],
            ready: VecDeque::new(),
            at_end: false,
        })
    }

    /// Reads the next chunk.
    fn advance(&mut self) -> io::Result<()> {
        let mut line = String::new();
        self.times.read_line(&mut line)?;
        let Some((time, stream, end)) = parse_time(&line) else {
            // The end, or a line that is being written.
            self.at_end = true;
            for open in &mut self.streams {
                open.read_until(u64::MAX, &mut self.ready)?;
                open.finish_line(&mut self.ready);
            }
            return Ok(());
        };
        let open = &mut self.streams[stream.index()];
        open.time = time;
        open.read_until(end, &mut self.ready)
    }
}

impl Iterator for LogLines {
    type Item = io::Result<LogLine>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() {
            if self.at_end {
                return None;
            }
            if let Err(error) = self.advance() {
                self.at_end = true;
                return Some(Err(error));
            }
        }
        self.ready.pop_front().map(Ok)
    }
}

impl Open {
    fn read_until(&mut self, end: u64, ready: &mut VecDeque<LogLine>) -> io::Result<()> {
        let mut chunk = [0; 16 * 1024];
        while self.position < end {
            let wanted = usize::try_from(end - self.position)
                .unwrap_or(usize::MAX)
                .min(chunk.len());
            let length = self.file.read_at(&mut chunk[..wanted], self.position)?;
            if length == 0 {
                break;
            }
            self.position += length as u64;
            for piece in chunk[..length].split_inclusive(|byte| *byte == b'\n') {
                if self.line.is_empty() {
                    self.line_time = self.time;
                }
                self.line.extend_from_slice(piece);
                if piece.ends_with(b"\n") || self.line.len() >= LINE_BYTES_MAX {
                    self.finish_line(ready);
                }
            }
        }
        Ok(())
    }

    fn finish_line(&mut self, ready: &mut VecDeque<LogLine>) {
        if self.line.is_empty() {
            return;
        }
        let text = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        ready.push_back(LogLine {
            time: self.line_time,
            stream: self.stream,
            text: String::from_utf8_lossy(text).into_owned(),
        });
        self.line.clear();
    }
}

/// Time, stream and end of `1795219200123456789 o 4096 100`, with its newline.
fn parse_time(line: &str) -> Option<(SystemTime, Stream, u64)> {
    let mut words = line.strip_suffix('\n')?.split(' ');
    let nanoseconds = words.next()?.parse().ok()?;
    let letter = words.next()?;
    let stream = Stream::BOTH
        .into_iter()
        .find(|stream| letter.starts_with(stream.letter()))?;
    let start: u64 = words.next()?.parse().ok()?;
    let length: u64 = words.next()?.parse().ok()?;
    Some((
        UNIX_EPOCH + Duration::from_nanos(nanoseconds),
        stream,
        start + length,
    ))
}

pub(super) fn tail(base: &Path, lines: usize) -> io::Result<Vec<LogLine>> {
    let mut times = match File::open(times_path(base)) {
        Ok(times) => times,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let times_start = times.metadata()?.len().saturating_sub(TAIL_TIMES_BYTES);
    times.seek(SeekFrom::Start(times_start))?;
    let mut positions = [0; 2];
    for stream in Stream::BOTH {
        positions[stream.index()] = line_start(&stream_path(base, stream))?;
    }
    let mut times = BufReader::new(times);
    if times_start > 0 {
        times.read_line(&mut String::new())?;
    }
    let mut last = VecDeque::new();
    for line in LogLines::open(base, times, positions)? {
        last.push_back(line?);
        if last.len() > lines {
            last.pop_front();
        }
    }
    Ok(last.into())
}

/// Where the first whole line of the last [`TAIL_BYTES`] begins.
fn line_start(path: &Path) -> io::Result<u64> {
    let mut file = File::open(path)?;
    let start = file.metadata()?.len().saturating_sub(TAIL_BYTES);
    if start == 0 {
        return Ok(0);
    }
    file.seek(SeekFrom::Start(start))?;
    let mut window = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut window)?;
    let newline = window.iter().position(|byte| *byte == b'\n');
    Ok(newline.map_or(start, |newline| start + newline as u64 + 1))
}

#[cfg(test)]
mod tests {
    use super::{super::LogWriter, *};
    use crate::logs::Logs;

    fn texts(lines: impl IntoIterator<Item = LogLine>) -> Vec<String> {
        lines
            .into_iter()
            .map(|line| format!("{} {}", line.stream.letter(), line.text))
            .collect()
    }

    #[test]
    fn lines_come_in_the_order_in_which_they_were_written() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = LogWriter::open(dir.path(), "a.b").unwrap();
        for (stream, text) in [
            (Stream::Stdout, "one\ntw"),
            (Stream::Stderr, "oops\n"),
            (Stream::Stdout, "o\r\nthree\n"),
            (Stream::Stderr, "no newline"),
        ] {
            writer.write(stream, text.as_bytes()).unwrap();
        }
        let logs = Logs::recorded(dir.path(), "a.b");
        let lines: Vec<_> = logs.lines().unwrap().map(Result::unwrap).collect();
        assert!(lines.iter().all(|line| line.time > UNIX_EPOCH));
        assert_eq!(
            texts(lines),
            ["o one", "e oops", "o two", "o three", "e no newline"]
        );
        assert_eq!(texts(logs.tail(2).unwrap()), ["o three", "e no newline"]);
        assert_eq!(Logs::parts(dir.path()).unwrap(), ["a.b"]);
    }

    #[test]
    fn the_tail_of_much_is_quick_and_whole_lines() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = LogWriter::open(dir.path(), "p").unwrap();
        for number in 0..20_000 {
            writer
                .write(Stream::Stdout, format!("line {number}\n").as_bytes())
                .unwrap();
        }
        let tail = Logs::recorded(dir.path(), "p").tail(3).unwrap();
        assert!(tail.iter().all(|line| line.time > UNIX_EPOCH));
        assert_eq!(texts(tail), ["o line 19997", "o line 19998", "o line 19999"]);
    }

    #[test]
    fn no_logs_have_no_tail() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Logs::recorded(dir.path(), "p").tail(3).unwrap(), []);
    }
}
