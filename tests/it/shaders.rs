//! Every shader of the page passes the validator that browsers' ones are modelled on, and
//! stays within what every WebGPU device offers.

use std::path::PathBuf;

use naga::valid::{Capabilities, ValidationFlags, Validator};

/// Invocations of a workgroup that every device runs.
const MAX_INVOCATIONS: u32 = 256;
/// Storage buffers that every device binds at once.
const MAX_STORAGE_BUFFERS: usize = 8;

fn shaders() -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../web-ui/shaders");
    let mut shaders = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the page has a folder of shaders") {
        let path = entry.expect("a readable folder").path();
        if path
            .extension()
            .is_some_and(|extension| extension == "wgsl")
        {
            let source = std::fs::read_to_string(&path).expect("a text");
            shaders.push((path.display().to_string(), source));
        }
    }
    shaders
}

#[test]
fn every_shader_is_valid() {
    let shaders = shaders();
    assert!(shaders.len() >= 4, "{}", shaders.len());
    for (path, source) in shaders {
        let module = naga::front::wgsl::parse_str(&source)
            .unwrap_or_else(|error| panic!("{path}: {}", error.emit_to_string(&source)));
        // No capability beyond those that every device has.
        let mut validator = Validator::new(ValidationFlags::all(), Capabilities::empty());
        let checked = validator.validate(&module);
        checked.unwrap_or_else(|error| panic!("{path}: {}", error.emit_to_string(&source)));
    }
}

#[test]
fn every_device_can_run_the_shaders() {
    for (path, source) in shaders() {
        let module = naga::front::wgsl::parse_str(&source).expect("a valid shader");
        assert!(!module.entry_points.is_empty(), "{path} has nothing to run");
        for entry in &module.entry_points {
            let invocations: u32 = entry.workgroup_size.iter().product();
            assert!(invocations <= MAX_INVOCATIONS, "{path}: {invocations}");
        }
        let globals = module.global_variables.iter();
        let storage = globals
            .filter(|(_, global)| matches!(global.space, naga::AddressSpace::Storage { .. }))
            .count();
        assert!(storage <= MAX_STORAGE_BUFFERS, "{path}: {storage}");
    }
}
