//! What the program prints: that of the original, and the same on every backend in every format.

use std::process::Stdio;

use serde_json::Value;

use crate::{command, printed, run};

/// The text of the original, from its README.
const ORIGINAL: &str = include_str!("../golden/original.txt");

/// The golden files, by format. `cargo xtask golden --bless` writes them.
const GOLDEN: [(&str, &str); 4] = [
    ("text", include_str!("../golden/seed.txt")),
    ("dot", include_str!("../golden/seed.dot")),
    ("mermaid", include_str!("../golden/seed.mmd")),
    ("json", include_str!("../golden/seed.json")),
];

/// Lines with each run of `dY_dX` lines sorted: the original lists them by hash.
fn with_sorted_derivatives(text: &str) -> Vec<&str> {
    let is_derivative =
        |line: &str| line.strip_prefix("dL").is_some_and(|rest| rest.contains("_d"));
    let mut lines: Vec<&str> = text.lines().collect();
    for run in lines.chunk_by_mut(|left, right| is_derivative(left) == is_derivative(right)) {
        if run.first().is_some_and(|line| is_derivative(line)) {
            run.sort_unstable();
        }
    }
    lines
}

#[test]
fn the_text_is_that_of_the_original() {
    let printed = printed("");
    assert_eq!(with_sorted_derivatives(&printed), with_sorted_derivatives(ORIGINAL));
}

#[test]
fn derivatives_are_listed_newest_operation_first_and_leaves_last() {
    let text = printed("");
    let listed = text.lines().filter_map(|line| line.strip_prefix("dL1_d")?.split(' ').next());
    let expected = ["L1", "v9", "v8", "v7", "v6", "v5", "v4", "v3", "v0", "a", "b", "v2"];
    assert!(listed.eq(expected), "{text}");
}

#[test]
fn every_format_is_its_golden_file_on_both_backends() {
    for (format, golden) in GOLDEN {
        for backend in ["ndarray", "candle"] {
            let arguments = format!("--backend {backend} --format {format}");
            let printed = printed(&arguments);
            assert!(
                printed == golden,
                "grad-demo {arguments} differs from its golden file; if it should, run \
                 `cargo xtask golden --bless`. It printed:\n{printed}"
            );
        }
    }
}

#[test]
fn f32_gives_the_same_four_decimals() {
    for backend in ["ndarray", "candle"] {
        assert_eq!(printed(&format!("--backend {backend} --dtype f32")), GOLDEN[0].1);
    }
}

#[test]
fn the_defaults_are_text_from_ndarray_in_f64_on_the_cpu() {
    for format in ["text", "json"] {
        let all = format!("--backend ndarray --dtype f64 --device cpu --format {format}");
        assert_eq!(printed(&format!("--format {format}")), printed(&all));
    }
    assert_eq!(printed("--format text"), printed(""));
}

#[test]
fn json_holds_the_trace_and_the_derivatives() -> serde_json::Result<()> {
    let json: Value = serde_json::from_str(&printed("--format json"))?;
    let nodes = json["trace"]["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
    // a, b, L0, L1, and v0 to v25.
    assert_eq!(nodes.len(), 30);
    assert_eq!(nodes[2]["expression"], "a + b");
    assert_eq!(json["trace"]["sweeps"][1]["label"], "dL1");
    // dL0/da = b and g = dL0/db = a + 2b, so L1 = b² + g²: dL1/da = 2g, dL1/db = 2b + 4g.
    let a = [0.4605, 0.4061, 0.9422, 0.3946];
    let b = [0.0850, 0.3296, 0.9888, 0.6494];
    for i in 0..4 {
        let g = a[i] + 2.0 * b[i];
        let found = |name: &str| json[name][i].as_f64().unwrap_or(f64::NAN);
        assert!((found("da") - 2.0 * g).abs() < 1e-14, "{json}");
        assert!((found("db") - (2.0 * b[i] + 4.0 * g)).abs() < 1e-14, "{json}");
    }
    Ok(())
}

#[test]
fn json_names_the_lines_of_the_program() -> serde_json::Result<()> {
    let json: Value = serde_json::from_str(&printed("--format json"))?;
    for node in json["trace"]["nodes"].as_array().into_iter().flatten() {
        let location = node["location"].as_str().unwrap_or_default();
        let parts: Vec<&str> = location.rsplitn(3, ':').collect();
        assert_eq!(parts.last(), Some(&"crates/grad-demo/src/program.rs"), "{node}");
    }
    Ok(())
}

#[test]
fn a_reader_that_leaves_ends_the_program_quietly() -> std::io::Result<()> {
    for arguments in ["", "--format json", "compare", "--help", "--version"] {
        let (reader, writer) = std::io::pipe()?;
        drop(reader);
        let child = command(arguments).stdout(writer).stderr(Stdio::piped()).spawn()?;
        let output = child.wait_with_output()?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), stderr.as_ref()), (Some(0), ""), "grad-demo {arguments}");
    }
    Ok(())
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_reported() -> std::io::Result<()> {
    let full = std::fs::File::options().write(true).open("/dev/full")?;
    let output = command("").stdout(full).stderr(Stdio::piped()).spawn()?.wait_with_output()?;
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "error: cannot write the output: No space left on device (os error 28)\n"
    );
    Ok(())
}

#[test]
fn help_and_version_go_to_the_standard_output() {
    let help = printed("--help");
    assert!(help.starts_with("Differentiate the program of the original simple-grad"), "{help}");
    for word in ["--backend", "--dtype", "--device", "--format", "compare", "Exit codes:"] {
        assert!(help.contains(word), "{word} is not in:\n{help}");
    }
    assert!(printed("compare --help").contains("--tolerance"));
    assert_eq!(printed("--version"), concat!("grad-demo ", env!("CARGO_PKG_VERSION"), "\n"));
    assert_eq!(run("help").stdout, help);
}
