//! The data: handwritten digits, in the file `data/digits.txt`.
//!
//! 1797 images of 8×8 pixels, written by 13 people, and the digits that they meant: the second half
//! of E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
//! Repository (1998).

use grad_core::TensorLike;
use rand::SeedableRng as _;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom as _;

/// A line an image: the digit, a space, and the pixels, each a digit of base 17.
const DIGITS: &str = include_str!("../../data/digits.txt");

/// The pixels of an image.
pub(super) const N_PIXELS: usize = 64;

/// The digits, 0 to 9.
pub(super) const N_CLASSES: usize = 10;

/// The images to learn from; the 382 others are for the test.
///
/// The images come form by form, as they were filled in, and here a form begins. So the test is on
/// hands that were not seen before, which is harder than on shuffled images, and says more.
pub(super) const N_TRAIN: usize = 1415;

/// Images and what they show.
pub(super) struct Images<T> {
    /// Shape `[n, N_PIXELS]`, from 0 for paper to 1 for ink.
    pub(super) pixels: T,
    /// The digit of each.
    pub(super) digits: Vec<usize>,
}

/// All there is.
pub(super) struct Data<T> {
    pub(super) train: Images<T>,
    pub(super) test: Images<T>,
}

impl<T: TensorLike> Data<T> {
    /// Loads the digits into tensors of the dtype and on the device of `model`.
    pub(super) fn load(model: &T) -> Result<Self, T::Error> {
        let (labels, counts) = read();
        // The scans count the dark points among the 16 of each pixel.
        let pixels: Vec<f64> = counts.iter().map(|&count| f64::from(count) / 16.0).collect();
        let images = |pixels: &[f64], labels: &[usize]| {
            let pixels = model.from_host(&[labels.len(), N_PIXELS], pixels)?;
            Ok::<_, T::Error>(Images { pixels, digits: labels.to_vec() })
        };
        let (train_pixels, test_pixels) = pixels.split_at(N_TRAIN * N_PIXELS);
        let (train_labels, test_labels) = labels.split_at(N_TRAIN);
        Ok(Data {
            train: images(train_pixels, train_labels)?,
            test: images(test_pixels, test_labels)?,
        })
    }
}

impl<T: TensorLike> Images<T> {
    pub(super) fn len(&self) -> usize {
        self.digits.len()
    }

    /// The images at these places, in this order.
    pub(super) fn pick(&self, places: &[usize]) -> Result<Self, T::Error> {
        Ok(Images {
            pixels: self.pixels.index_select(0, places)?,
            digits: places.iter().map(|&place| self.digits[place]).collect(),
        })
    }
}

/// The digit of each image, and the dark points of the pixels of all.
fn read() -> (Vec<usize>, Vec<u8>) {
    let characters = DIGITS.chars().filter_map(|character| character.to_digit(17));
    let numbers: Vec<u8> = characters.map(|number| number as u8).collect();
    let images = numbers.chunks_exact(1 + N_PIXELS);
    let (labels, counts): (_, Vec<_>) =
        images.map(|image| (usize::from(image[0]), &image[1..])).unzip();
    (labels, counts.concat())
}

/// The order in which an epoch goes through the images to learn from.
///
/// It depends on the seed and the epoch only, so a run that is continued in the middle of an epoch
/// needs no state of a random number generator: it asks for the same order again.
pub(super) fn order(seed: u64, epoch: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..N_TRAIN).collect();
    // Stream 0 belongs to the initial weights.
    order.shuffle(&mut random(seed, epoch as u64 + 1));
    order
}

/// The random numbers of a purpose: streams of one seed are independent of each other.
pub(super) fn random(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(stream);
    random
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_of_each_digit_as_published() -> Result<(), grad_core::ScalarError> {
        let (labels, counts) = read();
        // "Class Distribution" of the testing set in optdigits.names, UCI Repository.
        let published = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180];
        for (digit, n) in published.into_iter().enumerate() {
            assert_eq!(labels.iter().filter(|&&x| x == digit).count(), n, "{digit}");
        }
        assert_eq!(counts.len(), labels.len() * N_PIXELS);
        assert!(counts.iter().all(|count| (0..=16).contains(count)));
        Ok(())
    }

    #[test]
    fn the_test_begins_with_a_new_form() {
        // Every form begins with the digits in their order, three times, and nothing else does.
        let (digits, _) = read();
        let begins =
            |&at: &usize| digits[at..].iter().take(30).copied().eq((0..30).map(|i| i % 10));
        let forms: Vec<usize> = (0..digits.len()).filter(begins).collect();
        assert!(forms.contains(&0) && forms.contains(&N_TRAIN), "{forms:?}");
    }

    #[test]
    fn an_epoch_visits_every_image_once_in_an_order_of_its_own() {
        let (first, second) = (order(7, 0), order(7, 1));
        assert_ne!(first, second);
        assert_ne!(first, order(8, 0));
        assert_eq!(first, order(7, 0));
        let mut places = second;
        places.sort_unstable();
        assert!(places.into_iter().eq(0..N_TRAIN));
    }
}
