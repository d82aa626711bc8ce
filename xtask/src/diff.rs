//! The difference of two texts, line by line.

/// The lines that differ, with `-` before those of `old` and `+` before those of `new`, and two
/// lines of context around them; empty if there are none.
pub(crate) fn diff(old: &str, new: &str) -> String {
    const CONTEXT: usize = 2;
    let lines = aligned(&split(old), &split(new));
    let is_near = |at: usize| {
        let range = at.saturating_sub(CONTEXT)..(at + CONTEXT + 1).min(lines.len());
        lines[range].iter().any(|(sign, _)| *sign != ' ')
    };
    let mut text = String::new();
    let mut is_cut = false;
    for (at, (sign, line)) in lines.iter().enumerate() {
        if is_near(at) {
            text.push_str(&format!("{sign} {line}\n"));
            is_cut = false;
        } else if !is_cut {
            text.push_str("  ...\n");
            is_cut = true;
        }
    }
    if lines.iter().all(|(sign, _)| *sign == ' ') { String::new() } else { text }
}

/// The lines; a text that does not end its last one has a mark there.
fn split(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_string).collect();
    if let (Some(last), false) = (lines.last_mut(), text.ends_with('\n')) {
        last.push_str("  (no newline at the end)");
    }
    lines
}

/// Both texts in one list, by their longest common subsequence.
fn aligned(old: &[String], new: &[String]) -> Vec<(char, String)> {
    // common[i][j]: how many lines old[i..] and new[j..] have in common.
    let mut common = vec![vec![0_usize; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] = if old[i] == new[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            lines.push((' ', old[i].clone()));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || (i < old.len() && common[i + 1][j] >= common[i][j + 1]) {
            lines.push(('-', old[i].clone()));
            i += 1;
        } else {
            lines.push(('+', new[j].clone()));
            j += 1;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_do_not_differ() {
        assert_eq!(diff("a\nb\n", "a\nb\n"), "");
    }

    #[test]
    fn a_changed_line_is_shown_with_its_neighbours() {
        let old = "1\n2\n3\n4\n5\n6\n7\n";
        let new = "1\n2\n3\nfour\n5\n6\n7\n";
        assert_eq!(diff(old, new), "  ...\n  2\n  3\n- 4\n+ four\n  5\n  6\n  ...\n");
    }

    #[test]
    fn an_inserted_line_moves_no_other() {
        assert_eq!(diff("a\nb\n", "a\nx\nb\n"), "  a\n+ x\n  b\n");
    }

    #[test]
    fn a_missing_last_newline_is_a_difference() {
        assert_eq!(diff("a\n", "a"), "- a\n+ a  (no newline at the end)\n");
    }
}
