//! The commands in the README's table are such as the program takes.

use super::{Ran, run};

#[test]
fn the_commands_of_the_readme_are_understood() {
    let readme = include_str!("../../../../README.md");
    let table = readme.lines().skip_while(|line| *line != "| to get | write |");
    let code = table.take_while(|row| row.starts_with('|')).flat_map(|row| row.split('`'));
    let arguments = |code: &'static str| {
        let run = code.strip_prefix("cargo run ")?;
        run.strip_prefix("--release ").unwrap_or(run).strip_prefix("-p grad-demo -- ")
    };
    let commands: Vec<&str> = code.filter_map(arguments).collect();
    assert!(commands.len() >= 3, "{commands:?}");
    for arguments in commands {
        // Arguments before `--help` are checked.
        let Ran { code, stdout, stderr } = run(&format!("{arguments} --help"));
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{arguments}");
        assert!(stdout.contains("Usage:"), "{stdout}");
    }
}
