//! The small and the middle workloads of GradBench's problems, with data as it draws them.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::floor;

/// A workload of a problem, and the floor where there is one.
pub(crate) struct Workload {
    pub(crate) module: &'static str,
    pub(crate) description: String,
    pub(crate) input: Value,
    /// The function without derivative, then those with.
    pub(crate) functions: &'static [&'static str],
    pub(crate) floor: Option<Box<dyn Floor>>,
}

/// The same by hand. Results are lists of numbers in the order in which the output has them.
pub(crate) trait Floor {
    fn primal(&mut self) -> Vec<f64>;
    fn derivative(&mut self) -> Vec<f64>;
}

/// All numbers of an output in order.
pub(crate) fn numbers(output: &Value) -> Vec<f64> {
    match output {
        Value::Array(list) => list.iter().flat_map(numbers).collect(),
        Value::Object(fields) => fields.values().flat_map(numbers).collect(),
        _ => output.as_f64().into_iter().collect(),
    }
}

/// All workloads.
pub(crate) fn all() -> Result<Vec<Workload>> {
    let mut random = Random(fastrand::Rng::with_seed(31337));
    let mut all = vec![hello()];
    all.extend([(2, 5), (10, 25), (64, 25)].map(|(d, k)| gmm(&mut random, d, k)));
    all.push(ba());
    all.extend([5, 7].map(|ell| det(&mut random, ell)));
    all.push(ht()?);
    all.extend([(10, 1000), (100, 10_000)].map(|(k, n)| kmeans(&mut random, k, n, 8)));
    all.extend([256, 4096].map(|n| llsq(&mut random, n, 128)));
    all.extend([40_000, 640_000].map(|n| lse(&mut random, n)));
    all.extend([256, 1024].map(|c| lstm(&mut random, 2, c)));
    all.extend([10, 100].map(|s| ode(&mut random, 1000, s)));
    all.extend([particle(), saddle()]);
    Ok(all)
}

/// Random numbers, the same in every run.
struct Random(fastrand::Rng);

impl Random {
    /// Uniform in [0, 1).
    fn uniform(&mut self, n: usize) -> Vec<f64> {
        (0..n).map(|_| self.0.f64()).collect()
    }

    /// Of the standard normal distribution, by the method of Box and Muller.
    fn normal(&mut self, n: usize) -> Vec<f64> {
        let mut one = || {
            let (radius, angle) = (1.0 - self.0.f64(), self.0.f64());
            (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
        };
        (0..n).map(|_| one()).collect()
    }
}

/// Numbers as a matrix of rows of m.
fn rows(numbers: &[f64], m: usize) -> Value {
    numbers.chunks_exact(m).map(Value::from).collect()
}

fn hello() -> Workload {
    Workload {
        module: "hello",
        description: "x=8".to_string(),
        input: json!(8.0),
        functions: &["square", "double"],
        floor: None,
    }
}

fn gmm(random: &mut Random, d: usize, k: usize) -> Workload {
    let n = 1000;
    let triangle = d * (d - 1) / 2;
    let mixture = floor::gmm::Mixture {
        d,
        k,
        x: random.normal(n * d),
        alpha: random.normal(k),
        mu: random.uniform(k * d),
        q: random.normal(k * d),
        l: random.normal(k * triangle),
        gamma: 1.0,
        m: 0,
    };
    let input = json!({
        "d": d, "k": k, "n": n, "m": mixture.m, "gamma": mixture.gamma,
        "x": rows(&mixture.x, d), "alpha": mixture.alpha, "mu": rows(&mixture.mu, d),
        "q": rows(&mixture.q, d), "l": rows(&mixture.l, triangle),
    });
    Workload {
        module: "gmm",
        description: format!("d={d} k={k} n={n}"),
        input,
        functions: &["objective", "jacobian"],
        floor: Some(Box::new(Gmm { mixture, gradient: floor::gmm::Gradient::default() })),
    }
}

struct Gmm {
    mixture: floor::gmm::Mixture,
    gradient: floor::gmm::Gradient,
}

impl Floor for Gmm {
    fn primal(&mut self) -> Vec<f64> {
        vec![self.mixture.objective()]
    }

    fn derivative(&mut self) -> Vec<f64> {
        self.mixture.jacobian(&mut self.gradient);
        let floor::gmm::Gradient { alpha, mu, q, l } = &self.gradient;
        // In the order of the alphabet, as in a JSON object.
        [&alpha[..], l, mu, q].concat()
    }
}

/// The first problem of the data set, which has one camera, point and feature repeated.
fn ba() -> Workload {
    let cam = [
        -0.758453, -1.109613, -0.845551, 34.556073, 39.676747, 53.881673, 419.194514, 5.864426,
        -8.51887, 0.087812, 0.002739,
    ];
    let (n, m, p) = (49, 7776, 31_843);
    Workload {
        module: "ba",
        description: format!("n={n} m={m} p={p}"),
        input: json!({
            "n": n, "m": m, "p": p, "cam": cam, "x": [7.203245, 0.001144, 3.023326],
            "w": 0.417022, "feat": [271.760969, 834.209256],
        }),
        functions: &["objective", "jacobian"],
        floor: None,
    }
}

fn det(random: &mut Random, ell: usize) -> Workload {
    Workload {
        module: "det",
        description: format!("{ell}"),
        input: json!({ "A": random.uniform(ell * ell), "ell": ell }),
        functions: &["primal", "gradient"],
        floor: None,
    }
}

/// The model and the hand of the test data, whose 30 correspondences are taken in turn for 100.
fn ht() -> Result<Workload> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../grad-demo/tests/data/gradbench/ht.jsonl");
    let text = std::fs::read_to_string(&path)?;
    let mut workload: Value =
        serde_json::from_str(text.lines().next().context("the file is empty")?)?;
    let mut input = workload["input"].take();
    let in_turn = |list: &Value| -> Option<Value> {
        list.as_array().map(|list| list.iter().cycle().take(100).cloned().collect())
    };
    for field in ["/us", "/data/correspondences", "/data/points"] {
        let list = input.pointer_mut(field).context("the field is there")?;
        *list = in_turn(list).context("it is a list")?;
    }
    Ok(Workload {
        module: "ht",
        description: "complicated, 100 points".to_string(),
        input,
        functions: &["objective", "jacobian"],
        floor: None,
    })
}

fn kmeans(random: &mut Random, k: usize, n: usize, d: usize) -> Workload {
    let points = random.uniform(n * d);
    let centroids = points[(n - k) * d..].to_vec();
    Workload {
        module: "kmeans",
        description: format!("k={k} n={n} d={d}"),
        input: json!({ "points": rows(&points, d), "centroids": rows(&centroids, d) }),
        functions: &["cost", "dir"],
        floor: Some(Box::new(Kmeans { points, centroids, d, ratio: Vec::new() })),
    }
}

struct Kmeans {
    points: Vec<f64>,
    centroids: Vec<f64>,
    d: usize,
    ratio: Vec<f64>,
}

impl Floor for Kmeans {
    fn primal(&mut self) -> Vec<f64> {
        vec![floor::kmeans::cost(&self.points, &self.centroids, self.d)]
    }

    fn derivative(&mut self) -> Vec<f64> {
        floor::kmeans::direction(&self.points, &self.centroids, self.d, &mut self.ratio);
        self.ratio.clone()
    }
}

fn llsq(random: &mut Random, n: usize, m: usize) -> Workload {
    let x = random.uniform(m);
    Workload {
        module: "llsq",
        description: format!("n={n} m={m}"),
        input: json!({ "x": x, "n": n }),
        functions: &["primal", "gradient"],
        floor: Some(Box::new(Llsq { x, n, gradient: Vec::new() })),
    }
}

struct Llsq {
    x: Vec<f64>,
    n: usize,
    gradient: Vec<f64>,
}

impl Floor for Llsq {
    fn primal(&mut self) -> Vec<f64> {
        vec![floor::llsq::primal(&self.x, self.n)]
    }

    fn derivative(&mut self) -> Vec<f64> {
        floor::llsq::gradient(&self.x, self.n, &mut self.gradient);
        self.gradient.clone()
    }
}

fn lse(random: &mut Random, n: usize) -> Workload {
    let x = random.uniform(n);
    Workload {
        module: "lse",
        description: format!("n={n}"),
        input: json!({ "x": x }),
        functions: &["primal", "gradient"],
        floor: Some(Box::new(Lse { x, gradient: Vec::new() })),
    }
}

struct Lse {
    x: Vec<f64>,
    gradient: Vec<f64>,
}

impl Floor for Lse {
    fn primal(&mut self) -> Vec<f64> {
        vec![floor::lse::primal(&self.x)]
    }

    fn derivative(&mut self) -> Vec<f64> {
        floor::lse::gradient(&self.x, &mut self.gradient);
        std::mem::take(&mut self.gradient)
    }
}

fn lstm(random: &mut Random, layers: usize, c: usize) -> Workload {
    let b = 14;
    let bits = (0..c * b).map(|_| f64::from(random.0.bool())).collect();
    let network = floor::lstm::Network {
        layers,
        b,
        state: random.uniform(2 * layers * b),
        main: random.uniform(8 * layers * b),
        extra: random.uniform(3 * b),
        sequence: bits,
    };
    Workload {
        module: "lstm",
        description: format!("l={layers} c={c}"),
        input: json!({
            "main_params": rows(&network.main, 4 * b), "extra_params": rows(&network.extra, b),
            "state": rows(&network.state, b), "sequence": rows(&network.sequence, b),
        }),
        functions: &["objective", "jacobian"],
        floor: Some(Box::new(Lstm { network, gradient: Vec::new() })),
    }
}

struct Lstm {
    network: floor::lstm::Network,
    gradient: Vec<f64>,
}

impl Floor for Lstm {
    fn primal(&mut self) -> Vec<f64> {
        vec![self.network.objective()]
    }

    fn derivative(&mut self) -> Vec<f64> {
        self.network.jacobian(&mut self.gradient);
        self.gradient.clone()
    }
}

fn ode(random: &mut Random, n: usize, s: usize) -> Workload {
    Workload {
        module: "ode",
        description: format!("n={n} s={s}"),
        input: json!({ "x": random.uniform(n), "s": s }),
        functions: &["primal", "gradient"],
        floor: None,
    }
}

/// The derivatives of these problems are inside; there is no function without.
const MODES: &[&str] = &["ff", "fr", "rf", "rr"];

fn particle() -> Workload {
    Workload {
        module: "particle",
        description: "w=0".to_string(),
        input: json!({ "w": 0.0 }),
        functions: MODES,
        floor: None,
    }
}

fn saddle() -> Workload {
    Workload {
        module: "saddle",
        description: "start=(1, 1)".to_string(),
        input: json!({ "start": [1.0, 1.0] }),
        functions: MODES,
        floor: None,
    }
}
