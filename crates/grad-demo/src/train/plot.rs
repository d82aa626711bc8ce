//! The learning curve as a picture: the loss and the accuracy after each epoch.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use anyhow::anyhow;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::SeriesLabelPosition::{LowerRight, UpperRight};
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};

use super::file;
use super::fit::Scores;
use super::model::Score;

/// The size of the picture in pixels.
const SIZE: (u32, u32) = (960, 400);

const FONT: &str = "sans-serif";

/// A curve for each set of images, in colors that color-blind people can tell apart. Source:
/// M. Okabe, K. Ito, "Color Universal Design" (2008).
const CURVES: [Curve; 2] = [
    Curve { name: "train", color: RGBColor(230, 159, 0), of: |scores| scores.train },
    Curve { name: "test", color: RGBColor(0, 114, 178), of: |scores| scores.test },
];

struct Curve {
    name: &'static str,
    color: RGBColor,
    of: fn(&Scores) -> Score,
}

/// Draws the learning curve at `path`, as PNG or SVG by its extension.
///
/// # Errors
/// If it cannot be written; then what was there is still there.
pub(super) fn save(path: &Path, history: &[Scores]) -> anyhow::Result<()> {
    // The text of a PNG is drawn with this font. That of an SVG is laid out with it and drawn with
    // the reader's. So no font has to be found on this machine.
    register_font(FONT, FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT)
        .map_err(|_| anyhow!("the font of plots cannot be read"))?;
    file::replace(path, |path| match path.extension().is_some_and(|extension| extension == "png") {
        true => save_png(path, history),
        false => draw(SVGBackend::new(path, SIZE), history),
    })
}

fn save_png(path: &Path, history: &[Scores]) -> anyhow::Result<()> {
    let (width, height) = SIZE;
    let mut pixels = vec![0; 3 * (width * height) as usize];
    draw(BitMapBackend::with_buffer(&mut pixels, SIZE), history)?;
    let mut png = png::Encoder::new(BufWriter::new(File::create(path)?), width, height);
    png.set_color(png::ColorType::Rgb);
    png.write_header()?.write_image_data(&pixels)?;
    Ok(())
}

/// The loss on the left, on a logarithmic scale, and the accuracy on the right.
fn draw(
    backend: impl DrawingBackend<ErrorType: 'static>,
    history: &[Scores],
) -> anyhow::Result<()> {
    let picture = backend.into_drawing_area();
    picture.fill(&WHITE)?;
    let (left, right) = picture.split_horizontally(SIZE.0 / 2);

    // The logarithmic scale of plotters needs positive numbers of a reasonable size.
    let loss = |score: Score| score.loss.clamp(1e-9, 1e9);
    let losses = history.iter().flat_map(|scores| [loss(scores.train), loss(scores.test)]);
    let (least, most) = losses.fold((1.0, 1.0), |(least, most), x| (x.min(least), x.max(most)));
    // A power of ten, from where the labels begin.
    let bottom = 10_f64.powf(least.log10().floor());
    panel(&left, "loss", (bottom..1.1 * most).log_scale(), UpperRight, history, loss)?;
    panel(&right, "accuracy", 0.0..1.0, LowerRight, history, |score| score.accuracy)?;
    Ok(picture.present()?)
}

/// One number of the scores over the epochs.
fn panel<B: DrawingBackend<ErrorType: 'static>>(
    area: &DrawingArea<B, Shift>,
    title: &str,
    scale: impl AsRangedCoord<Value = f64, CoordDescType: ValueFormatter<f64>>,
    legend: SeriesLabelPosition,
    history: &[Scores],
    number: impl Fn(Score) -> f64,
) -> anyhow::Result<()> {
    let epochs = 0..history.len().max(2) - 1;
    let mut chart = ChartBuilder::on(area)
        .margin(16)
        .x_label_area_size(36)
        .y_label_area_size(48)
        .caption(title, (FONT, 18))
        .build_cartesian_2d(epochs, scale)?;
    chart
        .configure_mesh()
        .x_desc("epoch")
        // Without what rounding does to 0.6.
        .y_label_formatter(&|y| ((y * 1e6).round() / 1e6).to_string())
        .light_line_style(TRANSPARENT)
        .label_style((FONT, 15))
        .draw()?;
    for Curve { name, color, of } in CURVES {
        let line = color.stroke_width(2);
        let points = history.iter().map(|scores| number(of(scores))).enumerate();
        chart
            .draw_series(LineSeries::new(points, line))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], line));
    }
    let mut labels = chart.configure_series_labels();
    labels.position(legend).background_style(WHITE).label_font((FONT, 15)).draw()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A history with these losses.
    fn history(losses: &[f64]) -> Vec<Scores> {
        let score = |loss| Score { loss, accuracy: 0.5 };
        losses.iter().map(|&loss| Scores { train: score(loss), test: score(2.0 * loss) }).collect()
    }

    #[test]
    fn every_history_can_be_drawn() -> anyhow::Result<()> {
        let directory = tempfile::tempdir()?;
        let histories: [&[f64]; 6] =
            [&[], &[2.3], &[2.3, 1.0], &[1.0, 0.0, 1e-300], &[0.0, 0.0], &[1e300, 1.0, 1e-320]];
        for losses in histories {
            for name in ["curve.svg", "curve.png"] {
                let path = directory.path().join(name);
                save(&path, &history(losses))?;
                assert!(path.metadata()?.len() > 1000, "{name} {losses:?}");
            }
        }
        Ok(())
    }
}
