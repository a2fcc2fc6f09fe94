//! Model folders: copies of the tiny one, spoiled in every way, are refused in words that
//! name the file, what is wrong and what to do; other ways of storing it are read.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::{Device, Tensor};
use dfa_native_worker::device::Placement;
use dfa_native_worker::model::Transformer;
use dfa_native_worker::model_folder::{FolderError, ModelFolder};
use dfa_native_worker::run_setup::load_transformer;
use dfa_tests::fixtures::fixture;
use serde_json::Value;

mod configs;
mod mapped;
mod weights;

const CONFIG: &str = "transformer/config.json";
const SCHEDULER: &str = "scheduler/scheduler_config.json";
const WEIGHTS: &str = "transformer/diffusion_pytorch_model.safetensors";
const SHARDS: &str = "transformer/diffusion_pytorch_model.safetensors.index.json";

/// A copy of the tiny model folder.
struct FolderCopy {
    folder: tempfile::TempDir,
}

impl FolderCopy {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let copy = Self { folder };
        for name in ["model_index.json", CONFIG, SCHEDULER, WEIGHTS] {
            copy.write(
                name,
                &std::fs::read(fixture("dit/tiny").join(name)).unwrap(),
            );
        }
        copy
    }

    fn root(&self) -> &Path {
        self.folder.path()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        std::fs::write(self.path(name), bytes).unwrap();
    }

    fn remove(&self, name: &str) {
        std::fs::remove_file(self.path(name)).unwrap();
    }

    /// Sets one key of a JSON file.
    fn set(&self, name: &str, key: &str, value: Value) {
        let text = std::fs::read_to_string(self.path(name)).unwrap();
        let mut file: Value = serde_json::from_str(&text).unwrap();
        file[key] = value;
        self.write(name, file.to_string().as_bytes());
    }

    fn tensors(&self) -> HashMap<String, Tensor> {
        candle_core::safetensors::load(self.path(WEIGHTS), &Device::Cpu).unwrap()
    }

    fn save(&self, name: &str, tensors: &HashMap<String, Tensor>) {
        candle_core::safetensors::save(tensors, self.path(name)).unwrap();
    }

    fn open(&self) -> Result<Arc<dyn Transformer>, FolderError> {
        load_transformer(&ModelFolder::open(self.root())?, &Placement::cpu())
    }

    /// Fails unless the folder is refused with all of this.
    #[track_caller]
    fn assert_refused(&self, expected: &[&str]) {
        let Err(error) = self.open() else {
            panic!("it was opened, expected {expected:?}");
        };
        let message = error.to_string();
        for part in expected {
            assert!(message.contains(part), "{part:?}: {message}");
        }
    }
}

#[test]
fn an_unspoiled_copy_is_opened() {
    FolderCopy::new().open().unwrap();
}
