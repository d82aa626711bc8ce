//! Wrong arguments: one sentence on the standard error, exit code 2, and nothing else.

use crate::{Ran, run};

/// Checks that the program refuses `arguments` with the one line `error: {sentence}`.
#[track_caller]
fn assert_refused(arguments: &str, sentence: &str) {
    let refused =
        Ran { code: Some(2), stdout: String::new(), stderr: format!("error: {sentence}\n") };
    assert_eq!(run(arguments), refused, "grad-demo {arguments}");
}

#[test]
fn unknown_choices_are_answered_with_the_known_ones() {
    let cases = [
        ("backend", "torch", "ndarray, candle"),
        ("dtype", "f16", "f32, f64"),
        ("format", "yaml", "text, dot, mermaid, json"),
    ];
    for (name, value, possible) in cases {
        let meta = name.to_uppercase();
        assert_refused(
            &format!("--{name} {value}"),
            &format!(
                "invalid value '{value}' for '--{name} <{meta}>' [possible values: {possible}]"
            ),
        );
        assert_refused(
            &format!("--{name}"),
            &format!(
                "a value is required for '--{name} <{meta}>' but none was supplied [possible \
                 values: {possible}]"
            ),
        );
    }
}

#[test]
fn what_does_not_name_a_device_is_refused() {
    for device in ["cuda", "cuda:", "cuda:x", "cuda:-1", "cuda:+1", "gpu", "metal:0"] {
        for command in ["", "--backend candle", "compare"] {
            assert_refused(
                &format!("{command} --device {device}"),
                &format!(
                    "invalid value '{device}' for '--device <DEVICE>': expected cpu, metal, or \
                     cuda:N where N is the number of a device, from 0"
                ),
            );
        }
    }
}

#[test]
fn ndarray_computes_on_the_cpu_only() {
    for device in ["cuda:0", "cuda:9", "metal"] {
        let sentence = format!(
            "the ndarray backend computes on the cpu, not on {device}; use --backend candle"
        );
        assert_refused(&format!("--device {device}"), &sentence);
        assert_refused(&format!("--backend ndarray --dtype f32 --device {device}"), &sentence);
    }
}

#[test]
#[cfg(not(feature = "cuda"))]
fn cuda_needs_a_build_with_cuda() {
    for device in ["cuda:0", "cuda:9"] {
        let sentence = format!("device {device} needs a build with --features cuda");
        assert_refused(&format!("--backend candle --device {device}"), &sentence);
        assert_refused(&format!("compare --dtype f32 --device {device}"), &sentence);
    }
}

#[test]
#[cfg(feature = "cuda")]
fn a_cuda_device_that_is_absent_is_named() {
    // No machine has so many.
    let Ran { code, stdout, stderr } = run("--backend candle --device cuda:4096");
    assert_eq!((code, stdout.as_str()), (Some(2), ""));
    assert!(stderr.starts_with("error: device cuda:4096 cannot be used: candle: "), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

#[test]
#[cfg(not(feature = "metal"))]
fn metal_needs_a_build_with_metal() {
    let sentence = "device metal needs a build with --features metal";
    assert_refused("--backend candle --device metal", sentence);
    assert_refused("compare --device metal", sentence);
}

#[test]
fn a_tolerance_is_a_finite_number_not_below_0() {
    for tolerance in ["-1", "-1e-9", "nan", "NaN", "inf", "-inf", "small"] {
        assert_refused(
            // Joined by `=`, since `-inf` alone is not a number to clap.
            &format!("compare --tolerance={tolerance}"),
            &format!(
                "invalid value '{tolerance}' for '--tolerance <TOLERANCE>': expected a finite \
                 number, 0 or larger"
            ),
        );
    }
    assert_refused(
        "compare --tolerance -1",
        "invalid value '-1' for '--tolerance <TOLERANCE>': expected a finite number, 0 or larger",
    );
    assert_refused(
        "compare --tolerance",
        "a value is required for '--tolerance <TOLERANCE>' but none was supplied",
    );
}

#[test]
fn misspelled_words_are_answered_with_the_nearest() {
    assert_refused(
        "--bakend candle",
        "unexpected argument '--bakend' found; tip: a similar argument exists: '--backend'",
    );
    assert_refused(
        "compre",
        "unrecognized subcommand 'compre'; tip: a similar subcommand exists: 'compare'",
    );
    assert_refused("nonsense", "unrecognized subcommand 'nonsense'");
}

#[test]
fn arguments_in_the_wrong_place_are_refused() {
    assert_refused(
        "--backend candle compare",
        "the subcommand 'compare' cannot be used with '--backend <BACKEND>'",
    );
    assert_refused("compare --backend candle", "unexpected argument '--backend' found");
    assert_refused("--tolerance 1", "unexpected argument '--tolerance' found");
    assert_refused("compare extra", "unexpected argument 'extra' found");
    assert_refused(
        "--dtype f32 --dtype f64",
        "the argument '--dtype <DTYPE>' cannot be used multiple times",
    );
}
