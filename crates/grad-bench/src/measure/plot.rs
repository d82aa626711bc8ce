//! How time or memory grows with the size, as a picture with two logarithmic scales.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};

use super::record::Measurement;

/// The size of a picture in pixels.
const SIZE: (u32, u32) = (640, 480);

const FONT: &str = "sans-serif";

/// Colors that color-blind people can tell apart. Source: M. Okabe, K. Ito, "Color Universal
/// Design" (2008).
const COLORS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(213, 94, 0),
    RGBColor(86, 180, 233),
];

/// The points of each contender, size and number, in the order of the contenders.
type Series<'a> = Vec<(&'a str, Vec<(f64, f64)>)>;

/// Draws a picture of each case with several sizes: `<bench>-<case>-time.svg`, and `-memory`.
pub(crate) fn growth(directory: &Path, measurements: &[Measurement]) -> Result<()> {
    fs::create_dir_all(directory)?;
    // The text is laid out with this font and drawn with the reader's.
    register_font(FONT, FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT)
        .map_err(|_| anyhow!("the font of plots cannot be read"))?;
    let time = |m: &Measurement| m.time.as_ref().map(|time| time.min);
    let memory = |m: &Measurement| m.peak_bytes.map(|bytes| bytes as f64);
    pictures(directory, measurements, "time", time)?;
    pictures(directory, measurements, "memory", memory)
}

fn pictures(
    directory: &Path,
    measurements: &[Measurement],
    what: &str,
    number: impl Fn(&Measurement) -> Option<f64>,
) -> Result<()> {
    let mut cases: BTreeMap<(&str, &str), Series<'_>> = BTreeMap::new();
    for measured in measurements {
        let (Some(size), Some(y)) = (measured.size, number(measured)) else { continue };
        let series = cases.entry((&measured.bench, &measured.case)).or_default();
        let place = series.iter().position(|(name, _)| *name == measured.contender);
        let place = place.unwrap_or_else(|| {
            series.push((&measured.contender, Vec::new()));
            series.len() - 1
        });
        // A logarithm needs a positive number.
        series[place].1.push((size as f64, y.max(1.0)));
    }
    for ((bench, case), series) in cases {
        let unit = if what == "time" { "nanoseconds" } else { "bytes" };
        let name = format!("{bench}-{case}-{what}.svg").replace(' ', "-");
        draw(&directory.join(name), &format!("{bench}, {what} by {case}"), case, unit, &series)?;
    }
    Ok(())
}

fn draw(path: &Path, title: &str, x: &str, y: &str, series: &Series<'_>) -> Result<()> {
    let picture = SVGBackend::new(path, SIZE).into_drawing_area();
    picture.fill(&WHITE)?;
    let points = || series.iter().flat_map(|(_, points)| points.iter().copied());
    let (xs, ys) = (decades(points().map(|point| point.0)), decades(points().map(|point| point.1)));
    let mut chart = ChartBuilder::on(&picture)
        .margin(16)
        .x_label_area_size(40)
        .y_label_area_size(64)
        .caption(title, (FONT, 18))
        .build_cartesian_2d((xs.0..xs.1).log_scale(), (ys.0..ys.1).log_scale())?;
    let label = |number: &f64| format!("{number:e}");
    chart
        .configure_mesh()
        .x_desc(x)
        .y_desc(y)
        .x_label_formatter(&label)
        .y_label_formatter(&label)
        .light_line_style(TRANSPARENT)
        .label_style((FONT, 15))
        .draw()?;
    for ((name, points), color) in series.iter().zip(COLORS.into_iter().cycle()) {
        let line = color.stroke_width(2);
        chart
            .draw_series(LineSeries::new(points.iter().copied(), line).point_size(3))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], line));
    }
    let mut labels = chart.configure_series_labels();
    labels.position(SeriesLabelPosition::UpperLeft).background_style(WHITE);
    labels.label_font((FONT, 15)).draw()?;
    Ok(picture.present()?)
}

/// The powers of ten around some numbers.
pub(crate) fn decades(numbers: impl Iterator<Item = f64>) -> (f64, f64) {
    let (least, most) =
        numbers.fold((f64::INFINITY, 1.0_f64), |(least, most), x| (least.min(x), most.max(x)));
    let first = least.log10().floor();
    // One decade at least, or there would be nothing to draw on.
    (10_f64.powf(first), 10_f64.powf(most.log10().ceil().max(first + 1.0)))
}
