use grad_core::extend::{ByPartial, Elementwise, Primal};
use grad_core::{ScalarError, Tape, Var};

struct Keeps<'a>(Var<'a, f64>);

impl Elementwise<f64> for Keeps<'_> {
    const NAME: &'static str = "keeps";

    fn forward(&self, x: &[&f64]) -> Result<f64, ScalarError> {
        Ok(*x[0])
    }

    fn partial<'t>(&self, _: usize, _: &Primal<'t, f64>, c: Var<'t, f64>) -> Var<'t, f64> {
        c
    }
}

fn main() {
    let tape = Tape::<f64>::new();
    let x = tape.var(1.0);
    let _ = tape.apply(ByPartial(Keeps(x)), &[x]);
}
