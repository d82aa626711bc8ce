//! `train`: the same numbers whatever happens to a run, and files that are whole or not there.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use safetensors::SafeTensors;
use tempfile::TempDir;

use crate::{Ran, command};

/// A run that takes no time: 3 epochs of 4 steps.
const SMALL: &str = "--hidden 8 --batch-size 400 --epochs 3";

const FILE: &str = "run.safetensors";

/// A directory, and the program in it.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Place(tempfile::tempdir().expect("there is space for temporary files"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = command(&format!("train {arguments}"));
        command.current_dir(self.0.path());
        command
    }

    /// Runs `train` to its end.
    fn run(&self, arguments: &str) -> Ran {
        Ran::from(self.command(arguments).output().expect("the program was built for this test"))
    }

    /// What a run prints that must succeed without a complaint.
    #[track_caller]
    fn printed(&self, arguments: &str) -> String {
        let Ran { code, stdout, stderr } = self.run(arguments);
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "grad-demo train {arguments}");
        stdout
    }

    /// Checks that a run is refused with the one line `error: {sentence}`.
    #[track_caller]
    fn assert_refused(&self, arguments: &str, sentence: &str) {
        let refused =
            Ran { code: Some(2), stdout: String::new(), stderr: format!("error: {sentence}\n") };
        assert_eq!(self.run(arguments), refused, "grad-demo train {arguments}");
    }

    /// Starts a run that would never end.
    fn start(&self, arguments: &str) -> Child {
        let mut command = self.command(&format!("{arguments} --epochs 1000000"));
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        child.expect("the program was built for this test")
    }

    /// Waits until the first epoch is saved.
    fn wait_for(&self, file: &str) {
        wait("checkpoint", || self.path(file).exists());
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).expect("the file is there")
    }
}

/// Waits until something is there, but not forever.
#[track_caller]
fn wait(what: &str, is_there: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_there() {
        assert!(Instant::now() < deadline, "there is no {what} after a minute");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The loss and the accuracy on the test, from the last line of the table.
fn test_scores(table: &str) -> (f64, f64) {
    let line = table.lines().last().unwrap_or_default();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!((words.len(), words[0], words[1], words[4]), (5, "test", "382", "%"), "{table}");
    (words[2].parse().expect("a loss"), words[3].parse().expect("an accuracy"))
}

#[test]
fn both_backends_reach_the_same_accuracy() {
    let place = Place::new();
    // Measured: 92.41, 91.10 and 91.62 %, on each backend and in each dtype.
    for seed in [0, 1, 2] {
        let scores = |choice: &str| {
            test_scores(&place.printed(&format!("--seed {seed} --backend {choice}")))
        };
        let (loss, accuracy) = scores("ndarray");
        assert!(accuracy > 90.5, "seed {seed}: {accuracy} %");
        // The runs begin with the same numbers and differ by rounding: by one image at most, which
        // is 0.26 %.
        for choice in ["candle", "candle --dtype f32"] {
            let (other_loss, other_accuracy) = scores(choice);
            let differences = ((loss - other_loss).abs(), (accuracy - other_accuracy).abs());
            assert!(differences.0 < 2e-3 && differences.1 < 0.27, "seed {seed}: {differences:?}");
        }
    }
}

#[test]
fn the_table_says_what_was_done() {
    let table = Place::new().printed("--epochs 1 --hidden 8,4 --batch-size 1415 --dtype f32");
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines[0], "digits, 64-8-4-10 on ndarray in f32, seed 0, epoch 1 of 1");
    assert_eq!(lines[1], "         images    loss  accuracy");
    assert!(lines[2].starts_with("  train    1415  "), "{table}");
    assert!(lines[3].starts_with("  test      382  "), "{table}");
    assert_eq!(lines.len(), 4, "{table}");
}

#[test]
fn the_same_run_gives_the_same_bytes() {
    let place = Place::new();
    for backend in ["ndarray", "candle"] {
        let run = |name: &str| {
            let files = format!("--checkpoint {name}.safetensors --plot {name}.svg");
            place.printed(&format!("{SMALL} --backend {backend} {files}"))
        };
        let (a, b) = (format!("{backend}-a"), format!("{backend}-b"));
        assert_eq!(run(&a), run(&b));
        for extension in ["safetensors", "svg"] {
            let read = |name: &str| place.read(&format!("{name}.{extension}"));
            assert!(read(&a) == read(&b), "{backend} {extension}");
        }
    }
}

#[test]
fn more_epochs_can_be_asked_for() {
    let place = Place::new();
    let whole = place.printed(&format!("{SMALL} --checkpoint whole.safetensors"));
    place.printed(&format!("{SMALL} --epochs 1 --checkpoint {FILE}").replace("--epochs 3 ", ""));
    // What was asked for at first need not be repeated.
    let resumed = place.printed(&format!("--epochs 3 --resume --checkpoint {FILE}"));
    assert_eq!(resumed, whole);
    assert!(place.read(FILE) == place.read("whole.safetensors"));
    // A run that is done can be asked for its table again.
    assert_eq!(place.printed(&format!("--resume --checkpoint {FILE}")), whole);
    assert!(place.read(FILE) == place.read("whole.safetensors"));
}

/// The epochs of a checkpoint that have ended: its history has a row more.
fn epochs_done(file: &[u8]) -> usize {
    let file = SafeTensors::deserialize(file).expect("a safetensors file");
    file.tensor("history").expect("a history").shape()[0] - 1
}

/// Checks that an interrupted run goes on to the file of one that was not interrupted.
#[cfg(unix)]
#[track_caller]
fn assert_goes_on(place: &Place, arguments: &str) {
    let epochs = epochs_done(&place.read(FILE)) + 1;
    let resume = format!("{arguments} --epochs {epochs} --resume --checkpoint {FILE}");
    let resumed = place.printed(&resume);
    let whole = format!("{arguments} --epochs {epochs} --checkpoint whole.safetensors");
    assert_eq!(resumed, place.printed(&whole));
    assert!(place.read(FILE) == place.read("whole.safetensors"), "{arguments}");
}

/// Sends the signal of Ctrl-C. The shell can do that everywhere, and std nowhere.
#[cfg(unix)]
fn interrupt(child: &Child) {
    let kill = format!("kill -INT {}", child.id());
    let status = Command::new("sh").args(["-c", &kill]).status();
    assert!(status.is_ok_and(|status| status.success()), "{kill}");
}

#[cfg(unix)]
fn end(child: Child) -> Ran {
    Ran::from(child.wait_with_output().expect("the program ends"))
}

#[test]
#[cfg(unix)]
fn a_run_that_was_interrupted_goes_on_to_the_same_numbers() {
    for choice in ["--backend ndarray --dtype f64", "--backend candle --dtype f32"] {
        let place = Place::new();
        // With so many steps in an epoch, it is interrupted in the middle of one.
        let arguments = format!("{choice} --batch-size 2 --hidden 8");
        let child = place.start(&format!("{arguments} --checkpoint {FILE}"));
        place.wait_for(FILE);
        interrupt(&child);
        let Ran { code, stdout, stderr } = end(child);
        assert_eq!(code, Some(130), "{stderr}");

        let epochs = epochs_done(&place.read(FILE));
        assert!(stdout.contains(&format!(", epoch {epochs} of 1000000\n")), "{stdout}");
        let begin = format!("interrupted after {epochs} of 1000000 epochs and ");
        let end = " of 708 steps; run.safetensors has it all, and --resume goes on\n";
        assert!(stderr.starts_with(&begin) && stderr.ends_with(end), "{stderr}");
        assert_goes_on(&place, &arguments);
    }
}

#[test]
#[cfg(unix)]
fn a_run_that_was_killed_goes_on_from_its_last_epoch() {
    let place = Place::new();
    let arguments = "--batch-size 100 --hidden 8";
    let mut child = place.start(&format!("{arguments} --checkpoint {FILE}"));
    place.wait_for(FILE);
    child.kill().expect("it runs");
    assert_eq!(end(child).code, None);
    assert_goes_on(&place, arguments);
}

#[test]
#[cfg(target_os = "linux")]
fn an_interruption_without_a_checkpoint_says_that_nothing_is_saved() {
    let child = Place::new().start("--hidden 8");
    let status = format!("/proc/{}/status", child.id());
    wait("handler of SIGINT", || {
        // A mask of the signals that are caught, in which SIGINT is the second from the right.
        let status = fs::read_to_string(&status).unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0) & 2 != 0
    });
    interrupt(&child);
    let Ran { code, stdout, stderr } = end(child);
    assert_eq!((code, stdout.lines().count()), (Some(130), 4), "{stdout}{stderr}");
    assert!(stderr.starts_with("interrupted after "), "{stderr}");
    assert!(stderr.ends_with(" steps; nothing is saved, since there was no --checkpoint\n"));
}

#[test]
#[cfg(unix)]
fn a_result_is_printed_even_if_it_cannot_be_saved() {
    let place = Place::new();
    let directory = place.path("gone");
    fs::create_dir(&directory).expect("a new directory");
    let child = place.start("--batch-size 100 --hidden 8 --checkpoint gone/a --plot gone/a.svg");
    place.wait_for("gone/a");
    // It may fail while files are made there.
    wait("end of the directory", || fs::remove_dir_all(&directory).is_ok());
    interrupt(&child);
    let Ran { code, stdout, stderr } = end(child);
    assert_eq!((code, stdout.lines().count()), (Some(2), 4), "{stdout}{stderr}");
    let cannot =
        |file: &str| format!("cannot write {file}: No such file or directory (os error 2)");
    let errors = format!("error: {}\nerror: {}\n", cannot("gone/a"), cannot("gone/a.svg"));
    // If an epoch has ended in between, there was a warning.
    let warning = stderr.strip_suffix(&errors).expect(&stderr);
    assert!(warning.is_empty() || warning == format!("warning: {}\n", cannot("gone/a")));
}

#[test]
#[cfg(unix)]
fn a_link_stays_a_link() {
    let place = Place::new();
    fs::write(place.path("curve"), "").expect("a new file");
    std::os::unix::fs::symlink("curve", place.path("link.png")).expect("a new link");
    place.printed(&format!("{SMALL} --plot link.png"));
    assert!(place.path("link.png").is_symlink());
    assert!(place.read("curve").starts_with(b"\x89PNG"));
}

#[test]
fn there_is_never_half_a_file() {
    let place = Place::new();
    let arguments = format!("--hidden 8 --batch-size 1415 --epochs 100 --checkpoint {FILE}");
    let mut child = place.command(&arguments).stdout(Stdio::null()).spawn().expect("it was built");
    let mut seen = BTreeSet::new();
    while child.try_wait().expect("it is a child").is_none() {
        if let Ok(file) = fs::read(place.path(FILE)) {
            // This fails if there is not a whole file.
            seen.insert(epochs_done(&file));
        }
    }
    assert!(seen.len() > 3, "not while it is written: {seen:?}");
    let names = fs::read_dir(place.0.path()).expect("it is there").flatten();
    let names: Vec<_> = names.map(|entry| entry.file_name()).collect();
    assert_eq!(names, [FILE], "nothing else is left");
}

#[test]
fn a_file_that_is_no_checkpoint_is_refused_and_left_as_it_is() {
    let place = Place::new();
    place.printed(&format!("{SMALL} --checkpoint {FILE}"));
    let whole = place.read(FILE);
    let mut damaged = whole.clone();
    *damaged.last_mut().expect("it is not empty") ^= 1;
    let foreign = safetensors::serialize::<&str, safetensors::tensor::TensorView<'_>, _>([], None);
    let cases = [
        (
            &whole[..whole.len() - 1],
            "it is not a safetensors file, or it is cut short: incomplete metadata, file not fully covered",
        ),
        (&whole[..100], "it is not a safetensors file, or it is cut short: invalid header length"),
        (&[], "it is not a safetensors file, or it is cut short: header too small"),
        (
            b"These are not tensors.",
            "it is not a safetensors file, or it is cut short: header too large",
        ),
        (
            &foreign.expect("no tensors"),
            "it is a safetensors file, but `grad-demo train` did not write it",
        ),
        (&damaged, "it is damaged: its checksum does not fit its contents"),
    ];
    for (bytes, sentence) in cases {
        fs::write(place.path(FILE), bytes).expect("a file");
        place.assert_refused(
            &format!("--resume --checkpoint {FILE}"),
            &format!("cannot resume from {FILE}: {sentence}"),
        );
        assert!(place.read(FILE) == bytes, "{sentence}");
    }
}

#[test]
fn a_run_goes_on_only_as_it_began() {
    let place = Place::new();
    place.printed(&format!("{SMALL} --checkpoint {FILE}"));
    let whole = place.read(FILE);
    let cases = [
        ("--backend candle", "it was made with --backend ndarray, not candle"),
        ("--dtype f32", "it was made with --dtype f64, not f32"),
        ("--hidden 8,8", "it was made with --hidden 8, not 8,8"),
        ("--batch-size 401", "it was made with --batch-size 400, not 401"),
        ("--learning-rate 0.1", "it was made with --learning-rate 0.003, not 0.1"),
        ("--seed 1", "it was made with --seed 0, not 1"),
        ("--epochs 2", "it has already passed --epochs 2"),
    ];
    for (asked, sentence) in cases {
        place.assert_refused(
            &format!("{asked} --resume --checkpoint {FILE}"),
            &format!("cannot resume from {FILE}: {sentence}"),
        );
    }
    place.assert_refused(
        &format!("--checkpoint {FILE}"),
        "run.safetensors exists already; continue it with --resume, or name another file",
    );
    assert!(place.read(FILE) == whole);
    place.assert_refused(
        "--resume --checkpoint none",
        "cannot resume from none: No such file or directory (os error 2)",
    );
}

#[test]
fn files_that_cannot_be_written_are_refused_before_the_work() {
    let place = Place::new();
    fs::create_dir(place.path("directory.svg")).expect("a new directory");
    for option in ["checkpoint", "plot"] {
        place.assert_refused(
            &format!("--{option} none/a.svg"),
            "cannot write none/a.svg: No such file or directory (os error 2)",
        );
    }
    place.assert_refused("--plot directory.svg", "cannot write directory.svg: it is a directory");
    place.assert_refused(
        "--plot a.svg --checkpoint a.svg",
        "the checkpoint and the plot cannot be the same file",
    );
    let is_empty = fs::read_dir(place.0.path()).expect("it is there").count() == 1;
    assert!(is_empty, "nothing is left");
}

#[test]
fn a_loss_that_is_no_number_ends_the_run() {
    let place = Place::new();
    let Ran { code, stdout, stderr } = place.run("--learning-rate 1e300 --dtype f32");
    assert_eq!((code, stdout.as_str()), (Some(2), ""));
    assert_eq!(stderr, "error: the loss is NaN after step 1; try a smaller --learning-rate\n");
}

#[test]
fn the_plot_shows_both_curves_over_all_epochs() {
    let place = Place::new();
    place.printed(&format!("{SMALL} --plot curve.svg"));
    let svg = String::from_utf8(place.read("curve.svg")).expect("SVG is text");
    let svg = roxmltree::Document::parse(&svg).expect("SVG is XML");
    let texts: Vec<&str> =
        svg.descendants().filter_map(|node| node.text()).map(str::trim).collect();
    for text in ["loss", "accuracy", "epoch", "train", "test"] {
        assert!(texts.contains(&text), "{text} is not in {texts:?}");
    }
    // Two curves in each of two panels, from before the first epoch to after the third.
    let lines = svg.descendants().filter_map(|node| node.attribute("points"));
    let n_points = lines.map(|points| points.split_whitespace().count());
    let curves = n_points.filter(|&n| n == 4).count();
    assert_eq!(curves, 4);
}

#[test]
fn a_plot_can_be_a_png() {
    let place = Place::new();
    place.printed(&format!("{SMALL} --plot curve.png"));
    let png = place.read("curve.png");
    // The signature; the length and the name of the first chunk; the width and the height in it.
    let header = [&b"\x89PNG\r\n\x1a\n"[..], &13_u32.to_be_bytes(), b"IHDR"].concat();
    let size = [960_u32.to_be_bytes(), 400_u32.to_be_bytes()].concat();
    assert!(png.starts_with(&[header, size].concat()), "{:?}", &png[..24]);
}

#[test]
fn wrong_arguments_are_refused_in_one_sentence() {
    let place = Place::new();
    let cases = [
        ("--epochs", "N", "0 -1 x 1.5", "expected a whole number, 1 or larger"),
        (
            "--batch-size",
            "N",
            "0 1416 x",
            "expected a whole number from 1 to 1415, which is all images",
        ),
        ("--learning-rate", "RATE", "0 -1 nan inf x", "expected a finite number above 0"),
        (
            "--hidden",
            "WIDTHS",
            "0 4097 8, 8,x ,",
            "expected whole numbers from 1 to 4096, separated by commas",
        ),
        ("--seed", "N", "-1", "invalid digit found in string"),
        ("--plot", "FILE", "curve curve.jpg .svg", "expected a name that ends in .svg or .png"),
    ];
    for (option, meta, values, expected) in cases {
        for value in values.split(' ') {
            place.assert_refused(
                &format!("{option}={value}"),
                &format!("invalid value '{value}' for '{option} <{meta}>': {expected}"),
            );
        }
    }
    place.assert_refused(
        "--resume",
        "the following required arguments were not provided: --checkpoint <FILE>",
    );
    place.assert_refused("--format dot", "unexpected argument '--format' found");
    place.assert_refused(
        "--device cuda:0",
        "the ndarray backend computes on the cpu, not on cuda:0; use --backend candle",
    );
}
