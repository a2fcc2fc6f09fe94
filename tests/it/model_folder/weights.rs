//! The weights: missing, misshapen, cut off; in shards, in half precision.

use std::collections::{BTreeMap, HashMap};

use candle_core::{DType, Device, Tensor};
use dfa_native_worker::generate::generate;
use dfa_native_worker::observer::Unobserved;
use dfa_tests::closeness::relative_l2;
use dfa_tests::dfa_command::run_dfa;
use dfa_tests::engine::TestRun;
use dfa_tests::fixtures::{fixture, values};
use serde_json::json;

use super::{CONFIG, FolderCopy, SHARDS, WEIGHTS};

const TO_Q: &str = "transformer_blocks.1.attn1.to_q.weight";

/// The latents that a folder's model makes in two steps.
fn latents_of(copy: &FolderCopy) -> Vec<f32> {
    let run = TestRun::open(copy.root(), 2, 4.0, &[1, 2]);
    let made = generate(&run.denoiser(), None, &run.noise(3), &mut Unobserved);
    values(&made.unwrap().latent)
}

#[test]
fn tensors_that_do_not_fit_are_named_with_both_shapes() {
    let check = |spoil: &dyn Fn(&mut HashMap<String, Tensor>), expected: &[&str]| {
        let copy = FolderCopy::new();
        let mut tensors = copy.tensors();
        spoil(&mut tensors);
        copy.save(WEIGHTS, &tensors);
        copy.assert_refused(&["do not fit its config.json", "fetch the folder again"]);
        copy.assert_refused(expected);
    };
    let zeros = |dims: &[usize], dtype| Tensor::zeros(dims, dtype, &Device::Cpu).unwrap();
    let replace = |tensor: Tensor| {
        move |tensors: &mut HashMap<String, Tensor>| {
            tensors.insert(TO_Q.to_owned(), tensor.clone());
        }
    };
    let missing = format!("{TO_Q}: missing, expected [24, 24]");
    check(&|tensors| drop(tensors.remove(TO_Q)), &[&missing]);
    let misshapen = format!("{TO_Q}: expected [24, 24], found ");
    let shape = |dims: &[usize]| (zeros(dims, DType::F32), format!("{misshapen}{dims:?}"));
    for dims in [&[24, 25][..], &[12, 48], &[576], &[24, 24, 1], &[0, 24]] {
        let (tensor, expected) = shape(dims);
        check(&replace(tensor), &[&expected]);
    }
    let doubles = format!("{misshapen}type F64 (f32, f16 and bf16 are read)");
    check(&replace(zeros(&[24, 24], DType::F64)), &[&doubles]);
    // All of them at once.
    check(
        &|tensors| {
            tensors.remove("proj_out_2.bias");
            tensors.remove("pos_embed.proj.weight");
            tensors.insert(TO_Q.to_owned(), zeros(&[1], DType::F32));
        },
        &[
            "pos_embed.proj.weight: missing, expected [24, 4, 2, 2]",
            "proj_out_2.bias: missing, expected [32]",
            &format!("{misshapen}[1]"),
        ],
    );
}

#[test]
fn a_config_of_another_size_names_the_first_and_counts_the_rest() {
    let copy = FolderCopy::new();
    copy.set(CONFIG, "num_attention_heads", json!(4));
    copy.assert_refused(&[
        "pos_embed.proj.bias: expected [32], found [24]",
        "… and ",
        " more",
    ]);
    let deeper = FolderCopy::new();
    deeper.set(CONFIG, "num_layers", json!(4));
    deeper.assert_refused(&["transformer_blocks.3.attn1.to_q.weight: missing, expected [24, 24]"]);
}

fn whole() -> Vec<u8> {
    std::fs::read(fixture("dit/tiny").join(WEIGHTS)).unwrap()
}

#[test]
fn damaged_weight_files_are_refused() {
    let whole = whole();
    let check = |bytes: &[u8]| {
        let copy = FolderCopy::new();
        copy.write(WEIGHTS, bytes);
        let file = copy.path(WEIGHTS);
        let remedy = "fetch or convert it again";
        copy.assert_refused(&[
            file.to_str().unwrap(),
            "is not a valid safetensors file",
            remedy,
        ]);
        let refused = run_dfa(&["generate", "--model", copy.root().to_str().unwrap()]);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.stderr.contains(remedy), "{refused:?}");
    };
    for n_bytes in [0, 7, 8, 100, whole.len() / 2, whole.len() - 1] {
        check(&whole[..n_bytes]);
    }
    check(&[whole.as_slice(), &[0; 4]].concat());
    check(&[0xff; 64]);
    check(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n");
}

/// Cuts the weights into two shards with an index.
fn shard(copy: &FolderCopy) -> BTreeMap<String, String> {
    let tensors: BTreeMap<String, Tensor> = copy.tensors().into_iter().collect();
    let mut shards = [HashMap::new(), HashMap::new()];
    let mut map = BTreeMap::new();
    for (idx, (name, tensor)) in tensors.into_iter().enumerate() {
        shards[idx % 2].insert(name.clone(), tensor);
        map.insert(name, file_of_shard(idx % 2));
    }
    for (idx, tensors) in shards.iter().enumerate() {
        copy.save(&format!("transformer/{}", file_of_shard(idx)), tensors);
    }
    copy.remove(WEIGHTS);
    write_index(copy, &map);
    map
}

fn file_of_shard(idx: usize) -> String {
    format!(
        "diffusion_pytorch_model-{:05}-of-00002.safetensors",
        idx + 1
    )
}

fn write_index(copy: &FolderCopy, map: &BTreeMap<String, String>) {
    let index = json!({"metadata": {"total_size": 1}, "weight_map": map});
    copy.write(SHARDS, index.to_string().as_bytes());
}

#[test]
fn shards_are_the_same_model() {
    let copy = FolderCopy::new();
    let expected = latents_of(&copy);
    shard(&copy);
    assert_eq!(latents_of(&copy), expected);
}

#[test]
fn indices_that_lie_are_refused() {
    let refused = |spoil: &dyn Fn(&FolderCopy, BTreeMap<String, String>), expected: &[&str]| {
        let copy = FolderCopy::new();
        let map = shard(&copy);
        spoil(&copy, map);
        copy.assert_refused(expected);
    };
    let second = file_of_shard(1);
    refused(
        &|copy, _| copy.remove(&format!("transformer/{}", file_of_shard(1))),
        &[
            &second,
            "is missing",
            "the index names this shard; fetch it too",
        ],
    );
    for outside in ["../elsewhere.safetensors", "..", "", "a/b.safetensors"] {
        refused(
            &|copy, mut map| {
                map.insert(TO_Q.to_owned(), outside.to_owned());
                write_index(copy, &map);
            },
            &[
                "index.json",
                "weight_map",
                &format!("{outside:?}"),
                "a file in the same folder",
            ],
        );
    }
    // The index names one shard only: what lies in the other is missing.
    refused(
        &|copy, map| {
            write_index(
                copy,
                &map.into_iter()
                    .filter(|(_, file)| *file != second)
                    .collect(),
            );
        },
        &["missing, expected"],
    );
    // Both shards hold all tensors.
    refused(
        &|copy, _| {
            let second = file_of_shard(1);
            for file in [file_of_shard(0), second] {
                copy.write(&format!("transformer/{file}"), &whole());
            }
        },
        &["is in ", "and again in ", &second, "expected once"],
    );
    let of_index = |text: &'static str, expected: &[&str]| {
        refused(&|copy, _| copy.write(SHARDS, text.as_bytes()), expected);
    };
    of_index("{", &["index.json", "is not the JSON it should be"]);
    of_index("{}", &["index.json", "weight_map"]);
    of_index("{\"weight_map\": {\"a\": 1}}", &["index.json"]);
    of_index(
        "{\"weight_map\": {}}",
        &["index.json", "weight_map", "names no shard"],
    );
    refused(
        &|copy, _| copy.write(&format!("transformer/{}", file_of_shard(0)), b"short"),
        &[&file_of_shard(0), "is not a valid safetensors file"],
    );
}

#[test]
fn half_precision_is_widened_exactly() {
    let full = latents_of(&FolderCopy::new());
    // A weight is off by up to 2⁻¹¹ (f16) or 2⁻⁸ (bf16) of itself; two steps with guidance
    // enlarge that, by less than ten.
    for (dtype, tolerance) in [(DType::F16, 5e-3), (DType::BF16, 4e-2)] {
        let stored = FolderCopy::new();
        let widened = FolderCopy::new();
        let half: HashMap<String, Tensor> = stored
            .tensors()
            .into_iter()
            .map(|(name, tensor)| (name, tensor.to_dtype(dtype).unwrap()))
            .collect();
        stored.save(WEIGHTS, &half);
        let wide = half
            .into_iter()
            .map(|(name, tensor)| (name, tensor.to_dtype(DType::F32).unwrap()))
            .collect();
        widened.save(WEIGHTS, &wide);
        let found = latents_of(&stored);
        assert_eq!(found, latents_of(&widened), "{dtype:?}");
        let difference = relative_l2(&full, &found);
        assert!(
            0.0 < difference && difference < tolerance,
            "{dtype:?}: {difference}"
        );
    }
}

#[test]
fn files_of_other_names_are_found_or_explained() {
    let copy = FolderCopy::new();
    let expected = latents_of(&copy);
    let half = "transformer/diffusion_pytorch_model.fp16.safetensors";
    std::fs::rename(copy.path(WEIGHTS), copy.path(half)).unwrap();
    assert_eq!(latents_of(&copy), expected);
    copy.remove(half);
    copy.write("transformer/diffusion_pytorch_model.bin", b"\x80\x02");
    copy.assert_refused(&["only a pickle", "never executed", "dfa convert"]);
}
