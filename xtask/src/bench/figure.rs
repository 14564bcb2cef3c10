//! A measured figure, its target, and the peer that it stands beside.

use std::fmt::Write as _;

pub(super) struct Figure {
    pub(super) what: String,
    pub(super) value: f64,
    pub(super) unit: Unit,
    pub(super) target: Option<Target>,
    /// Who did the same, and what it took.
    pub(super) peers: Vec<(String, f64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Milliseconds,
    Megabytes,
    Percent,
    MegabytesPerSecond,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Target {
    AtMost(f64),
    AtLeast(f64),
}

impl Figure {
    pub(super) fn new(what: impl Into<String>, value: f64, unit: Unit) -> Self {
        Self {
            what: what.into(),
            value,
            unit,
            target: None,
            peers: Vec::new(),
        }
    }

    pub(super) fn target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }

    pub(super) fn beside(mut self, peer: impl Into<String>, value: f64) -> Self {
        self.peers.push((peer.into(), value));
        self
    }
}

impl Unit {
    fn write(self, value: f64) -> String {
        match self {
            Unit::Milliseconds if value >= 1000.0 => format!("{:.2} s", value / 1000.0),
            Unit::Milliseconds => format!("{value:.1} ms"),
            Unit::Megabytes => format!("{value:.1} MB"),
            Unit::Percent => format!("{value:.2} %"),
            Unit::MegabytesPerSecond => format!("{value:.0} MB/s"),
        }
    }

    /// How many times better the first value is than the second.
    fn ratio(self, value: f64, peer: f64) -> f64 {
        match self {
            Unit::Milliseconds | Unit::Megabytes | Unit::Percent => peer / value,
            Unit::MegabytesPerSecond => value / peer,
        }
    }
}

impl Target {
    fn is_met(self, value: f64) -> bool {
        match self {
            Target::AtMost(most) => value <= most,
            Target::AtLeast(least) => value >= least,
        }
    }

    fn write(self, unit: Unit) -> String {
        match self {
            Target::AtMost(most) => format!("≤ {}", unit.write(most)),
            Target::AtLeast(least) => format!("≥ {}", unit.write(least)),
        }
    }
}

/// The figures side by side: a line each, and one more for each further peer.
pub(super) fn table(figures: &[Figure]) -> String {
    let mut rows = vec![["figure", "seatrial", "target", "", "beside", ""].map(str::to_owned)];
    for figure in figures {
        let mut peers = figure.peers.iter().map(|(peer, theirs)| {
            let ratio = figure.unit.ratio(figure.value, *theirs);
            [
                format!("{peer}: {}", figure.unit.write(*theirs)),
                format!("{ratio:.1} ×"),
            ]
        });
        let [peer, ratio] = peers.next().unwrap_or_default();
        let (target, met) = match figure.target {
            Some(target) if target.is_met(figure.value) => (target.write(figure.unit), "met"),
            Some(target) => (target.write(figure.unit), "MISSED"),
            None => (String::new(), ""),
        };
        let value = figure.unit.write(figure.value);
        rows.push([figure.what.clone(), value, target, met.to_owned(), peer, ratio]);
        rows.extend(peers.map(|[peer, ratio]| ["", "", "", "", &peer, &ratio].map(str::to_owned)));
    }
    let mut widths = [0; 6];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for [what, value, target, met, peer, ratio] in &rows {
        let [w0, w1, w2, w3, w4, w5] = widths;
        let line = format!("{what:w0$}  {value:>w1$}  {target:>w2$}  {met:w3$}  {peer:w4$}  {ratio:>w5$}");
        // A string takes all that is written to it.
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Figure, Target, Unit, table};

    #[test]
    fn figures_stand_beside_their_targets_and_peers() {
        let figures = [
            Figure::new("10,000 tests", 200.0, Unit::Milliseconds)
                .target(Target::AtMost(400.0))
                .beside("pytest", 4300.0)
                .beside("libtest", 900.0),
            Figure::new("logs", 250.0, Unit::MegabytesPerSecond)
                .target(Target::AtLeast(300.0))
                .beside("grep", 500.0),
            Figure::new("idle", 0.125, Unit::Percent),
        ];
        let expected = "\
figure        seatrial      target          beside
10,000 tests  200.0 ms  ≤ 400.0 ms  met     pytest: 4.30 s     21.5 ×
                                            libtest: 900.0 ms   4.5 ×
logs          250 MB/s  ≥ 300 MB/s  MISSED  grep: 500 MB/s      0.5 ×
idle            0.12 %
";
        assert_eq!(table(&figures), expected);
    }
}
