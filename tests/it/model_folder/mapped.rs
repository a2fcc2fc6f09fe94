//! Weights used where they are mapped: every stored type, rows, tables, data that is not
//! aligned, and types that no model can be computed with.

use std::path::PathBuf;

use candle_core::{DType, Device, Tensor};
use dfa_native_worker::model::linear::{Linear, LinearSpec};
use dfa_native_worker::model_folder::weights::{WeightMatrix, WeightStem, Weights, find_files};
use dfa_tests::fixtures::values;

/// A safetensors file with one tensor `w`, its header padded with `n_spaces`.
struct OneTensor {
    folder: tempfile::TempDir,
    path: PathBuf,
}

impl OneTensor {
    fn new(dtype: &str, shape: &[usize], data: &[u8], n_spaces: usize) -> Self {
        let header = format!(
            "{{\"w\":{{\"dtype\":\"{dtype}\",\"shape\":{shape:?},\"data_offsets\":[0,{}]}}}}{}",
            data.len(),
            " ".repeat(n_spaces)
        );
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.bytes());
        bytes.extend(data);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        std::fs::write(&path, bytes).unwrap();
        Self { folder, path }
    }

    fn weights(&self) -> Weights {
        Weights::open(self.folder.path(), std::slice::from_ref(&self.path)).unwrap()
    }
}

/// Values that f16 and bf16 hold exactly, as (6, 4), and their bytes as a type.
fn stored(dtype: &str) -> (Tensor, Vec<u8>) {
    let numbers: Vec<f32> = (0..24).map(|idx| (idx as f32 - 11.0) * 0.25).collect();
    let bytes = numbers.iter().flat_map(|number| {
        let bits = number.to_bits();
        match dtype {
            "F32" => bits.to_le_bytes().to_vec(),
            "BF16" => bits.to_le_bytes()[2..].to_vec(),
            _ => half_bits(*number).to_le_bytes().to_vec(),
        }
    });
    let bytes = bytes.collect();
    (
        Tensor::from_vec(numbers, (6, 4), &Device::Cpu).unwrap(),
        bytes,
    )
}

fn half_bits(number: f32) -> u16 {
    half::f16::from_f32(number).to_bits()
}

/// The matrix of a file whose data begins at a multiple of 8, plus `n_spaces`.
fn matrix(dtype: &str, n_spaces: usize) -> (Tensor, WeightMatrix) {
    let (expected, bytes) = stored(dtype);
    // The header without padding; its length is that of the text in `OneTensor`.
    let header = format!(
        "{{\"w\":{{\"dtype\":\"{dtype}\",\"shape\":[6, 4],\"data_offsets\":[0,{}]}}}}",
        bytes.len()
    );
    let padding = header.len().next_multiple_of(8) - header.len() + n_spaces;
    let file = OneTensor::new(dtype, &[6, 4], &bytes, padding);
    let mut weights = file.weights();
    let matrix = weights.mapped("w", &[6, 4]).unwrap();
    weights.finish().unwrap();
    // The map outlives the file's name.
    (expected, matrix)
}

#[test]
fn every_stored_type_gives_its_values_wherever_it_lies() {
    for dtype in ["F32", "F16", "BF16"] {
        for n_spaces in [0, 1, 2, 4] {
            let (expected, matrix) = matrix(dtype, n_spaces);
            let size = if dtype == "F32" { 4 } else { 2 };
            let case = format!("{dtype} {n_spaces}");
            assert_eq!(matrix.is_mapped(), n_spaces % size == 0, "{case}");
            let found = values(&matrix.to_tensor().unwrap());
            assert_eq!(found, values(&expected), "{case}");
            let some = values(&matrix.rows(2..5).unwrap().to_tensor().unwrap());
            assert_eq!(some, values(&expected.narrow(0, 2, 3).unwrap()), "{case}");
            let table = values(&matrix.gather(&[5, 0, 5]).unwrap());
            let rows = Tensor::new(&[5u32, 0, 5], &Device::Cpu).unwrap();
            let rows = expected.index_select(&rows, 0).unwrap();
            assert_eq!(table, values(&rows), "{case}");
        }
    }
}

#[test]
fn rows_of_rows_are_rows_and_others_are_refused() {
    let (expected, matrix) = matrix("F16", 0);
    let inner = matrix.rows(1..5).unwrap().rows(1..3).unwrap();
    assert_eq!((inner.n_rows(), inner.n_columns()), (2, 4));
    let found = values(&inner.to_tensor().unwrap());
    assert_eq!(found, values(&expected.narrow(0, 2, 2).unwrap()));
    assert_eq!(matrix.rows(3..3).unwrap().n_rows(), 0);
    let refused = matrix.rows(4..7).unwrap_err().to_string();
    assert!(
        refused.contains("rows 4..7 of a matrix with 6 rows"),
        "{refused}"
    );
    let refused = matrix.gather(&[0, 6]).unwrap_err().to_string();
    assert!(
        refused.contains("entry 6 of a table with 6 entries"),
        "{refused}"
    );
}

#[test]
fn a_layer_of_half_the_bits_gives_the_bits_of_the_widened_layer() {
    for dtype in ["F32", "F16", "BF16"] {
        let (weight, bytes) = stored(dtype);
        let file = OneTensor::new(dtype, &[6, 4], &bytes, 0);
        let mut weights = file.weights();
        let matrix = weights.mapped("w", &[6, 4]).unwrap();
        let bias = Tensor::new(&[0.5f32, -1.0, 0.0, 3.0, 0.1, 7.0], &Device::Cpu).unwrap();
        let x = Tensor::arange(0f32, 40.0, &Device::Cpu)
            .unwrap()
            .reshape((2, 5, 4))
            .unwrap();
        for bias in [None, Some(bias)] {
            let mapped = Linear::from_matrix(matrix.clone(), bias.clone()).forward(&x);
            let owned = Linear::new(weight.clone(), bias).forward(&x);
            assert_eq!(values(&mapped.unwrap()), values(&owned.unwrap()), "{dtype}");
        }
        let wrong = Tensor::zeros((2, 5), DType::F32, &Device::Cpu).unwrap();
        let refused = matrix.apply(&wrong, None).unwrap_err().to_string();
        assert!(
            refused.contains("does not end in the weight's 4 inputs"),
            "{refused}"
        );
    }
}

#[test]
fn types_that_are_no_weights_are_named() {
    for (dtype, size) in [
        ("I64", 8),
        ("F8_E4M3", 1),
        ("F64", 8),
        ("BOOL", 1),
        ("F4", 3),
    ] {
        let file = OneTensor::new(dtype, &[3], &vec![0; 3 * size], 0);
        let mut weights = file.weights();
        let spec = LinearSpec {
            inputs: 1,
            outputs: 3,
            bias: false,
        };
        Linear::load(&mut weights, "other", spec).unwrap();
        weights.tensor("w", &[3]).unwrap();
        let refused = weights.finish().unwrap_err().to_string();
        for part in [
            format!("w: expected [3], found type {dtype} (f32, f16 and bf16 are read)"),
            "other.weight: missing, expected [3, 1]".into(),
        ] {
            assert!(refused.contains(&part), "{part}: {refused}");
        }
    }
}

#[test]
fn stems_and_variants_are_found_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let found = |stem| {
        let files = find_files(folder.path(), stem).map_err(|error| error.to_string())?;
        let names = files
            .iter()
            .map(|path| path.file_name().unwrap().to_string_lossy());
        Ok::<_, String>(names.map(String::from).collect::<Vec<_>>().join(" "))
    };
    let missing = found(WeightStem::Model).unwrap_err();
    assert!(
        missing.contains("model.safetensors is missing: the weights are needed"),
        "{missing}"
    );
    write("pytorch_model-00001-of-00002.bin", "");
    let pickle = found(WeightStem::Model).unwrap_err();
    assert!(
        pickle.contains("only a pickle is here") && pickle.contains("dfa convert"),
        "{pickle}"
    );
    let index = "{\"weight_map\": {\"b\": \"s2.safetensors\", \"a\": \"s1.safetensors\"}}";
    write("s1.safetensors", "");
    write("s2.safetensors", "");
    for name in [
        "model.safetensors.index.fp16.json",
        "model.fp16.safetensors.index.json",
    ] {
        write(name, index);
        assert_eq!(
            found(WeightStem::Model).unwrap(),
            "s1.safetensors s2.safetensors",
            "{name}"
        );
    }
    write("model.fp16.safetensors", "");
    assert_eq!(found(WeightStem::Model).unwrap(), "model.fp16.safetensors");
    write("model.safetensors.index.json", index);
    assert_eq!(
        found(WeightStem::Model).unwrap(),
        "s1.safetensors s2.safetensors"
    );
    write("model.safetensors", "");
    assert_eq!(found(WeightStem::Model).unwrap(), "model.safetensors");
    assert!(found(WeightStem::Diffusers).is_err());
}
