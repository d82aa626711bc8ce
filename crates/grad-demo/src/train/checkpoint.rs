//! Checkpoints: a run in a safetensors file.
//!
//! The tensors are the parameters, `adam.mean.*` and `adam.square.*` of each, all in the dtype of
//! the run, and the `history`. The metadata has one entry, [`KEY`], with a JSON object: the version
//! of the form, a checksum, the settings, and the number of steps taken. There is no state of random
//! numbers, since they follow from the seed and the steps.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use anyhow::{anyhow, bail};
use grad_core::TensorLike;
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

use super::adam::Adam;
use super::entry::Entry;
use super::file;
use super::fit::{Scores, Training};
use super::model::{Mlp, Score};
use super::settings::Settings;

/// The entry of the metadata that makes a safetensors file one of ours.
const KEY: &str = "grad-demo train";

/// The version of the form of this entry and of the names of the tensors.
const VERSION: u64 = 1;

/// What stands before the name of a parameter in those of its means in Adam.
const MEAN: &str = "adam.mean.";
const SQUARE: &str = "adam.square.";

/// Shape `[1 + epochs, 4]`: loss and accuracy on the images to learn from, and on those of the test.
const HISTORY: &str = "history";

/// Our entry of the metadata.
#[derive(Serialize, Deserialize)]
struct Header {
    version: u64,
    checksum: u32,
    run: Run,
}

/// What there is to a run besides tensors.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    n_steps: usize,
    settings: Settings,
}

/// The tensors of a file by name.
type Entries = BTreeMap<String, Entry>;

/// Saves a run at `path`, in place of what is there.
///
/// # Errors
/// If it cannot be written; then what was there is still there.
pub(super) fn save<T: TensorLike>(path: &Path, training: &Training<T>) -> anyhow::Result<()> {
    file::replace(path, |path| Ok(fs::write(path, serialize(training)?)?))
}

/// The bytes of the file: the same for the same run.
fn serialize<T: TensorLike>(training: &Training<T>) -> anyhow::Result<Vec<u8>> {
    let Training { settings, mlp, adam, history } = training;
    let mut entries = Entries::new();
    for (prefix, tensors) in [("", mlp), (MEAN, &adam.mean), (SQUARE, &adam.square)] {
        for (name, tensor) in tensors.named() {
            entries.insert(format!("{prefix}{name}"), Entry::of_tensor(tensor)?);
        }
    }
    let rows: Vec<f64> = history.iter().flat_map(row).collect();
    entries.insert(HISTORY.to_string(), Entry::of_numbers(&[history.len(), 4], &rows));
    pack(Run { n_steps: adam.n_steps, settings: settings.clone() }, &entries)
}

fn row(Scores { train, test }: &Scores) -> [f64; 4] {
    [train.loss, train.accuracy, test.loss, test.accuracy]
}

fn pack(run: Run, entries: &Entries) -> anyhow::Result<Vec<u8>> {
    let header = Header { version: VERSION, checksum: checksum(&run, entries)?, run };
    // One entry of metadata: several would be written in the order of a hash map, which is any.
    let metadata = HashMap::from([(KEY.to_string(), serde_json::to_string(&header)?)]);
    Ok(safetensors::serialize(entries, Some(metadata))?)
}

/// A checksum of all that a run is restored from.
fn checksum(run: &Run, entries: &Entries) -> anyhow::Result<u32> {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&serde_json::to_vec(run)?);
    for (name, entry) in entries {
        hasher.update(name.as_bytes());
        hasher.update(&entry.bytes);
    }
    Ok(hasher.finalize())
}

/// A checkpoint in memory; what it says of itself is true.
#[derive(Debug)]
pub(super) struct Checkpoint {
    run: Run,
    entries: Entries,
}

impl Checkpoint {
    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read, if it is no checkpoint, or if it is not as it was written.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        Self::deserialize(&fs::read(path)?)
    }

    fn deserialize(bytes: &[u8]) -> anyhow::Result<Self> {
        let unreadable =
            |error| anyhow!("it is not a safetensors file, or it is cut short: {error}");
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(unreadable)?;
        let Some(header) = metadata.metadata().as_ref().and_then(|metadata| metadata.get(KEY))
        else {
            bail!("it is a safetensors file, but `{KEY}` did not write it");
        };
        let damaged = |error| anyhow!("its metadata is damaged: {error}");
        let header: serde_json::Value = serde_json::from_str(header).map_err(damaged)?;
        if header["version"] != VERSION {
            bail!("another version of grad-demo made it");
        }
        let Header { checksum: expected, run, .. } =
            serde_json::from_value(header).map_err(damaged)?;

        let file = SafeTensors::deserialize(bytes).map_err(unreadable)?;
        let entries = file.iter().map(|(name, view)| (name.to_string(), Entry::of_view(&view)));
        let entries = entries.collect();
        if checksum(&run, &entries)? != expected {
            bail!("it is damaged: its checksum does not fit its contents");
        }
        Ok(Checkpoint { run, entries })
    }

    /// The settings of the run.
    pub(super) fn settings(&self) -> &Settings {
        &self.run.settings
    }

    /// The run, in tensors of the dtype and on the device of `model`.
    ///
    /// # Errors
    /// If the tensors are not those of the run.
    pub(super) fn restore<T: TensorLike>(mut self, model: &T) -> anyhow::Result<Training<T>> {
        let Run { n_steps, settings } = self.run;
        settings.check()?;
        let mut take = |name: &str| {
            self.entries.remove(name).ok_or_else(|| anyhow!("it has no tensor {name}"))
        };
        let mut tensors = |prefix: &str| {
            Mlp::build(&settings.hidden, |name, shape| {
                let name = format!("{prefix}{name}");
                take(&name)?.tensor(&name, shape, model)
            })
        };
        let (mlp, mean, square) = (tensors("")?, tensors(MEAN)?, tensors(SQUARE)?);
        // One row from before the first step.
        let n_rows = (n_steps / settings.n_batches()).saturating_add(1);
        let history = take(HISTORY)?.numbers(HISTORY, &[n_rows, 4])?;
        if let Some(name) = self.entries.keys().next() {
            bail!("its tensor {name} does not belong to the model");
        }
        let score = |score: &[f64]| Score { loss: score[0], accuracy: score[1] };
        let scores = |row: &[f64]| Scores { train: score(&row[..2]), test: score(&row[2..]) };
        let history = history.chunks_exact(4).map(scores).collect();
        Ok(Training { settings, mlp, adam: Adam { n_steps, mean, square }, history })
    }
}

#[cfg(test)]
mod tests {
    use grad_candle::CandleTensor;
    use grad_candle::candle_core::{self, Device, Tensor};
    use grad_ndarray::NdTensor;

    use super::super::data::{Data, N_TRAIN};
    use super::super::fit::Watch;
    use super::*;

    /// Stops before the step of this number.
    struct StopBefore(usize);

    impl Watch for StopBefore {
        fn should_stop(&mut self) -> bool {
            self.0 == 0
        }

        fn step_done(&mut self, _: f64) {
            self.0 -= 1;
        }

        fn epoch_done<T: TensorLike>(&mut self, _: &Training<T>) {}
    }

    /// A run of 2 epochs of 3 steps.
    fn settings<T: TensorLike>(model: &T) -> Settings {
        Settings {
            backend: "any".to_string(),
            dtype: model.dtype().to_string(),
            hidden: vec![5, 3],
            batch_size: 500,
            // All digits of it matter.
            learning_rate: 0.1 / 3.0,
            seed: u64::MAX,
            epochs: 2,
        }
    }

    /// The file of a run that was stopped before some step.
    fn stopped<T: TensorLike>(data: &Data<T>, step: usize) -> anyhow::Result<Vec<u8>> {
        let mut training = Training::new(settings(&data.test.pixels), data)?;
        training.run(data, &mut StopBefore(step))?;
        assert_eq!(training.adam.n_steps, step);
        serialize(&training)
    }

    /// Stops a run before each of its steps, goes on from the file, and compares the results.
    #[track_caller]
    fn assert_exact<T: TensorLike>(model: T) -> anyhow::Result<()> {
        let data = Data::load(&model)?;
        let uninterrupted = stopped(&data, 6)?;
        for step in 0..=6 {
            let file = stopped(&data, step)?;
            let mut training = Checkpoint::deserialize(&file)?.restore(&model)?;
            assert!(serialize(&training)? == file, "saving twice gives the same, step {step}");
            training.run(&data, &mut StopBefore(usize::MAX))?;
            assert!(serialize(&training)? == uninterrupted, "stopped before step {step}");
        }
        Ok(())
    }

    fn candle(scalar: candle_core::Result<Tensor>) -> anyhow::Result<CandleTensor> {
        Ok(CandleTensor::from(scalar?))
    }

    #[test]
    fn a_run_goes_on_from_any_step_as_if_uninterrupted() -> anyhow::Result<()> {
        assert_exact(NdTensor::from(0_f64))?;
        assert_exact(NdTensor::from(0_f32))?;
        assert_exact(candle(Tensor::new(0_f64, &Device::Cpu))?)?;
        assert_exact(candle(Tensor::new(0_f32, &Device::Cpu))?)
    }

    /// The run of a file, or why it is refused.
    fn restore(file: &[u8]) -> anyhow::Result<Training<NdTensor<f64>>> {
        Checkpoint::deserialize(file)?.restore(&NdTensor::from(0_f64))
    }

    #[track_caller]
    fn assert_refused(file: &[u8], sentence: &str) {
        let error = restore(file).err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some(sentence));
    }

    fn file() -> anyhow::Result<Vec<u8>> {
        stopped(&Data::load(&NdTensor::from(0_f64))?, 1)
    }

    /// A file that says to hold what somebody else has put into it.
    fn forged(forge: impl FnOnce(&mut Run, &mut Entries)) -> anyhow::Result<Vec<u8>> {
        let Checkpoint { mut run, mut entries } = Checkpoint::deserialize(&file()?)?;
        forge(&mut run, &mut entries);
        pack(run, &entries)
    }

    #[test]
    fn a_file_that_was_cut_short_is_refused() -> anyhow::Result<()> {
        let file = file()?;
        for length in 0..file.len() {
            let error = restore(&file[..length]).err().map(|error| error.to_string());
            let error = error.unwrap_or_default();
            assert!(
                error.starts_with("it is not a safetensors file, or it is cut short: "),
                "{error}"
            );
        }
        Ok(())
    }

    #[test]
    fn a_file_with_a_wrong_bit_is_refused() -> anyhow::Result<()> {
        let whole = file()?;
        let mut file = whole.clone();
        for at in 0..file.len() {
            file[at] ^= 1 << (at % 8);
            // A few bits of the header do not matter, such as those of a space.
            if let Ok(training) = restore(&file) {
                assert!(serialize(&training)? == whole, "bit {} of byte {at}", at % 8);
            }
            file[at] = whole[at];
        }
        Ok(())
    }

    #[test]
    fn files_of_others_are_refused() -> anyhow::Result<()> {
        let tensor = Entry::of_numbers(&[2], &[1.0, 2.0]);
        let foreign = |metadata: Option<&str>| {
            let metadata =
                metadata.map(|text| HashMap::from([(KEY.to_string(), text.to_string())]));
            safetensors::serialize([("x", &tensor)], metadata)
        };
        assert_refused(
            &foreign(None)?,
            "it is a safetensors file, but `grad-demo train` did not write it",
        );
        assert_refused(
            &foreign(Some("x"))?,
            "its metadata is damaged: expected value at line 1 column 1",
        );
        for version in ["{}", r#"{"version": 2}"#, r#"{"version": "1"}"#, "[]"] {
            assert_refused(&foreign(Some(version))?, "another version of grad-demo made it");
        }
        assert_refused(
            &foreign(Some(r#"{"version": 1}"#))?,
            "its metadata is damaged: missing field `checksum`",
        );
        Ok(())
    }

    #[test]
    fn tensors_that_do_not_fit_are_refused() -> anyhow::Result<()> {
        assert_refused(
            &forged(|run, _| run.settings.hidden = vec![5, 4])?,
            "its tensor layers.1.weight has the shape [5, 3], not [5, 4]",
        );
        assert_refused(
            &stopped(&Data::load(&NdTensor::from(0_f32))?, 1)?,
            "its tensor layers.0.weight has dtype F32, not F64",
        );
        assert_refused(
            &forged(|_, entries| drop(entries.remove("adam.mean.layers.2.bias")))?,
            "it has no tensor adam.mean.layers.2.bias",
        );
        assert_refused(
            &forged(|_, entries| {
                drop(entries.insert("x".to_string(), Entry::of_numbers(&[], &[0.0])));
            })?,
            "its tensor x does not belong to the model",
        );
        assert_refused(
            // The fourth step is the first of the second epoch.
            &forged(|run, _| run.n_steps = 3)?,
            "its tensor history has the shape [1, 4], not [2, 4]",
        );
        let forged = forged(|run, _| {
            run.n_steps = usize::MAX;
            run.settings.batch_size = N_TRAIN;
        })?;
        let sentence = format!("its tensor history has the shape [1, 4], not [{}, 4]", usize::MAX);
        assert_refused(&forged, &sentence);
        Ok(())
    }

    #[test]
    fn settings_that_are_not_possible_are_refused() -> anyhow::Result<()> {
        let forgeries: [fn(&mut Settings); 6] = [
            |settings| settings.batch_size = 0,
            |settings| settings.batch_size = usize::MAX,
            |settings| settings.hidden = vec![],
            |settings| settings.hidden = vec![usize::MAX],
            |settings| settings.learning_rate = -1.0,
            |settings| settings.epochs = 0,
        ];
        for forge in forgeries {
            let file = forged(|run, _| forge(&mut run.settings))?;
            assert_refused(&file, "its settings are not valid");
        }
        Ok(())
    }
}
