use grad_core::Tape;
use grad_core::transform::checkpoint;

fn main() {
    let tape = Tape::<f64>::new();
    let x = tape.var(1.0);
    let w = tape.var(2.0);
    let _ = checkpoint(move |x| x * w, x);
}
