//! The lines of code in the README's table run, as they stand there.

use argmin::core::Executor;
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::newton::NewtonCG;
use grad_core::transform::{self, Params, WithTape};
use grad_core::{Tape, Var, gradcheck};
use grad_ndarray::NdTensor;
use grad_ndarray::argmin::Objective;

type T = NdTensor<f64>;

fn f(x: Var<'_, T>) -> Var<'_, T> {
    x.tanh().sum()
}

fn g(x: Var<'_, T>) -> Var<'_, T> {
    x.exp() * x.sum()
}

fn layer<'t>([x, w]: [Var<'t, T>; 2]) -> Var<'t, T> {
    (w * x).tanh()
}

struct Model<X> {
    weight: X,
    bias: X,
}

impl<X> Params for Model<X> {
    type Leaf = X;
    type With<Y> = Model<Y>;
    type Convention = WithTape;

    fn map<Y>(&self, f: &mut impl FnMut(&X) -> Y) -> Model<Y> {
        Model { weight: f(&self.weight), bias: f(&self.bias) }
    }
}

fn loss<'t>(_: &'t Tape<T>, m: Model<Var<'t, T>>) -> Var<'t, T> {
    (m.weight * 2.0 + m.bias).square().sum()
}

/// Lines of code, which are run and of which the text is kept.
macro_rules! lines {
    ($found:ident: $($line:expr;)*) => {
        $(
            let _ = $line;
            $found.push(stringify!($line));
        )*
    };
}

/// The code in the table that does not stand for a command.
fn in_readme() -> Vec<String> {
    let readme = include_str!("../../../README.md");
    let rows = readme.lines().skip_while(|line| *line != "| to get | write |").skip(2);
    let cells = rows.map_while(|row| row.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "));
    let code = cells.flat_map(|(_, cell)| cell.split('`').skip(1).step_by(2));
    code.filter(|code| !code.starts_with("cargo "))
        .map(|code| squeezed(&code.replace("\\|", "|")))
        .collect()
}

/// Without white space, which `stringify!` sets as it likes.
fn squeezed(code: &str) -> String {
    code.split_whitespace().collect()
}

#[test]
fn the_table_of_the_readme_runs() -> Result<(), Box<dyn std::error::Error>> {
    let at = || T::from(vec![0.3, -0.2]);
    let mut found = Vec::new();
    {
        let (x, v) = (at(), T::from(vec![1.0, 2.0]));
        let model = Model { weight: at(), bias: at() };
        lines! { found:
            transform::grad(f, x.clone())?;
            transform::value_and_grad(loss, model)?;
            transform::jacrev(g, x.clone())?;
            transform::jacfwd(g, x.clone())?;
            transform::hessian(f, x.clone())?;
            transform::hvp(f, x.clone(), v.clone())?;
            transform::jvp(g, x.clone(), v)?;
            transform::linearize(g, x.clone())?;
            transform::vjp(g, x.clone())?;
            transform::grad(|x| transform::grad(f, x).square().sum(), x)?;
        }
    }
    {
        let tape = Tape::<T>::new();
        let (x, w) = (tape.var(at()), tape.var(at()));
        let y = f(x);
        lines! { found:
            transform::checkpoint(layer, [x, w]);
            transform::custom_jvp("straight_through", x, |x| x.round(), |_, _, t| t);
            tape.why_no_gradient(y, x)?;
            tape.detect_nan();
            tape.memory();
        }
    }
    let x = at();
    lines! { found:
        gradcheck(|[x]| f(x), [x])?;
        Executor::new(Objective::new(f), NewtonCG::new(MoreThuenteLineSearch::new()));
    }
    let run: Vec<String> =
        found.iter().map(|line| squeezed(line).replace(".clone()", "")).collect();
    assert_eq!(run, in_readme());
    Ok(())
}
