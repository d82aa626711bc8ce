use grad_core::Tape;

fn main() {
    let mut tape = Tape::<f64>::new();
    let x = tape.var(1.0);
    tape.clear();
    let _ = x + 1.0;
}
