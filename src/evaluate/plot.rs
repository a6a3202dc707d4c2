//! Scatter and Bland-Altman plots as SVG that stands in a page.

use std::fmt::Write as _;

use super::agreement::{Pair, limits_of_agreement};

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 330.0;
const LEFT: f64 = 48.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 46.0;

/// A dot of a plot.
#[derive(Clone, Debug, PartialEq)]
pub struct Dot {
    pub name: String,
    /// Drawn as a square in another colour: told apart without colour, too.
    pub other: bool,
    pub pair: Pair,
}

/// Labelled across, found upwards, with the line of equality.
pub fn scatter(dots: &[Dot], label: &str, found: &str) -> String {
    let most = dots.iter().map(|d| d.pair.label.max(d.pair.found)).fold(1.0, f64::max);
    let axes = Axes::new([0.0, most * 1.05], [0.0, most * 1.05]);
    let mut svg = axes.open(&format!("{found} against {label}"), label, found);
    axes.rule(&mut svg, [0.0, 0.0], [axes.x[1], axes.y[1]], "same");
    for dot in dots {
        axes.dot(&mut svg, dot, [dot.pair.label, dot.pair.found]);
    }
    svg + "</svg>\n"
}

/// The mean of both across, found less labelled upwards, with the mean difference and its limits.
pub fn bland_altman(dots: &[Dot], unit: &str) -> String {
    let mean = |d: &Dot| (d.pair.label + d.pair.found) / 2.0;
    let difference = |d: &Dot| d.pair.found - d.pair.label;
    let pairs: Vec<Pair> = dots.iter().map(|d| d.pair).collect();
    let limits = limits_of_agreement(&pairs);
    let furthest = dots.iter().map(|d| difference(d).abs()).chain(limits.into_iter().flatten().map(f64::abs));
    let reach = furthest.fold(1.0, f64::max) * 1.1;
    let axes = Axes::new([0.0, dots.iter().map(mean).fold(1.0, f64::max) * 1.05], [-reach, reach]);
    let title = "difference against mean";
    let mut svg = axes.open(title, &format!("mean of both, {unit}"), &format!("found less labelled, {unit}"));
    axes.rule(&mut svg, [0.0, 0.0], [axes.x[1], 0.0], "same");
    for level in limits.into_iter().flatten() {
        axes.rule(&mut svg, [0.0, level], [axes.x[1], level], "limit");
        let [x, y] = axes.at([axes.x[1], level]);
        let _infallible = writeln!(svg, "<text x=\"{x:.1}\" y=\"{:.1}\" class=\"end\">{level:.2}</text>", y - 4.0);
    }
    for dot in dots {
        axes.dot(&mut svg, dot, [mean(dot), difference(dot)]);
    }
    svg + "</svg>\n"
}

/// Makes text harmless in HTML and SVG. Neither knows control characters, and a file's name may hold some.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace(char::is_control, "?")
}

struct Axes {
    x: [f64; 2],
    y: [f64; 2],
}

impl Axes {
    fn new(x: [f64; 2], y: [f64; 2]) -> Self {
        Self { x, y }
    }

    fn at(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        let across = (x - self.x[0]) / (self.x[1] - self.x[0]);
        let up = (y - self.y[0]) / (self.y[1] - self.y[0]);
        [LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)]
    }

    fn open(&self, title: &str, across: &str, up: &str) -> String {
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{0}\"><title>{0}</title>\n",
            escape(title)
        );
        let ([left, bottom], [right, top]) = (self.at([self.x[0], self.y[0]]), self.at([self.x[1], self.y[1]]));
        let _infallible = writeln!(svg, "<path class=\"axis\" d=\"M{left:.1} {top:.1}V{bottom:.1}H{right:.1}\"/>");
        for x in ticks(self.x) {
            let [px, _] = self.at([x, self.y[0]]);
            let _infallible = writeln!(svg, "<text x=\"{px:.1}\" y=\"{:.1}\" class=\"mid\">{x}</text>", bottom + 16.0);
        }
        for y in ticks(self.y) {
            let [_, py] = self.at([self.x[0], y]);
            let _infallible =
                writeln!(svg, "<text x=\"{:.1}\" y=\"{:.1}\" class=\"end\">{y}</text>", left - 6.0, py + 4.0);
        }
        let (mid, half) = ((left + right) / 2.0, (top + bottom) / 2.0);
        let _infallible = writeln!(
            svg,
            "<text x=\"{mid:.1}\" y=\"{:.1}\" class=\"mid\">{}</text>\n\
             <text class=\"mid\" transform=\"translate(13 {half:.1}) rotate(-90)\">{}</text>",
            HEIGHT - 8.0,
            escape(across),
            escape(up)
        );
        svg
    }

    fn rule(&self, svg: &mut String, from: [f64; 2], to: [f64; 2], class: &str) {
        let ([x1, y1], [x2, y2]) = (self.at(from), self.at(to));
        let _infallible = writeln!(svg, "<path class=\"{class}\" d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\"/>");
    }

    fn dot(&self, svg: &mut String, dot: &Dot, place: [f64; 2]) {
        let [x, y] = self.at(place);
        let title = format!("{}: labelled {:.2}, found {:.2}", escape(&dot.name), dot.pair.label, dot.pair.found);
        let _infallible = if dot.other {
            let (x, y) = (x - 3.5, y - 3.5);
            writeln!(
                svg,
                "<rect class=\"other\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"7\" height=\"7\"><title>{title}</title></rect>"
            )
        } else {
            writeln!(svg, "<circle class=\"dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\"><title>{title}</title></circle>")
        };
    }
}

/// Four to nine round numbers within the range.
fn ticks([low, high]: [f64; 2]) -> Vec<f64> {
    let rough = (high - low) / 8.0;
    let decade = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|m| m * decade).into_iter().find(|step| *step >= rough).unwrap_or(rough);
    // The division puts the places back onto round numbers.
    ((low / step).ceil() as i64..=(high / step).floor() as i64).map(|i| (i as f64 * step * 1e6).round() / 1e6).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within() {
        assert_eq!(ticks([0.0, 12.6]), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0]);
        assert_eq!(ticks([-1.1, 1.1]), [-1.0, -0.5, 0.0, 0.5, 1.0]);
        for range in [[0.0, 1.05], [0.0, 94.5], [-37.0, 37.0]] {
            assert!((4..=9).contains(&ticks(range).len()), "{range:?}: {:?}", ticks(range));
        }
    }

    #[test]
    fn dots_lie_where_their_figures_are_and_names_are_harmless() {
        let dot = Dot { name: "<a & \"b\">".to_owned(), other: false, pair: Pair { label: 10.0, found: 0.0 } };
        let svg = scatter(&[dot], "x", "y");
        let right = LEFT + (WIDTH - LEFT - RIGHT) / 1.05;
        assert!(svg.contains(&format!("cx=\"{right:.1}\" cy=\"{:.1}\"", HEIGHT - BOTTOM)), "{svg}");
        assert!(svg.contains("&lt;a &amp; &quot;b&quot;&gt;: labelled 10.00") && !svg.contains("<a &"), "{svg}");
        assert!(!bland_altman(&[], "/mm").contains("NaN"));
    }
}
