//! Makes the page's files from its WebAssembly: the glue that a browser needs, the style
//! sheets as one, the sample, and a packed copy of everything that packs well.
//!
//! Only with the feature `bundle`, which `cargo xtask web` turns on by itself.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use wasm_bindgen_cli_support::Bindgen;
use wasm_split_cli_support::Options;

use crate::repo::{Failure, Repo, because};

/// The page's style sheets, in the order in which they count.
const STYLES: [&str; 7] = [
    "tokens.css",
    "palette.css",
    "frame.css",
    "controls.css",
    "plan.css",
    "generate.css",
    "jobs.css",
];
/// What a first visit may cost: all of page, glue, style and WebAssembly, packed.
const MAX_FIRST_LOAD_BYTES: usize = 600_000;
/// What is loaded before anything is seen.
const FIRST_LOAD: [&str; 6] = [
    "parts.js",
    "index.html",
    "page.css",
    "start.js",
    "page.js",
    "page_bg.wasm",
];

/// Writes the page's files to `dist`.
pub(crate) fn run(repo: &Repo, wasm: &Path, dist: &Path, dev: bool) -> Result<(), Failure> {
    empty(dist)?;
    let main = wasm.with_extension("main.wasm");
    split(wasm, dist, &main)?;
    write_glue(&main, dist, dev)?;
    let page = repo.root.join("web-ui");
    write_style(&page, dist)?;
    for file in ["index.html", "start.js", "icon.svg"] {
        copy(&page.join(file), &dist.join(file))?;
    }
    copy_folder(&page.join("sample"), &dist.join("sample"))?;
    let total = pack_all(dist)?;
    println!("first load, packed: {total} bytes of {MAX_FIRST_LOAD_BYTES}");
    if !dev && total > MAX_FIRST_LOAD_BYTES {
        return Err(Failure::new(format!(
            "the first load is {total} bytes, more than {MAX_FIRST_LOAD_BYTES}: see what grew with \
             `twiggy top`, and make a page a part of its own (web-ui/src/parts.rs)"
        )));
    }
    Ok(())
}

/// Removes what an earlier build wrote; the README says what the folder is for.
fn empty(dist: &Path) -> Result<(), Failure> {
    fs::create_dir_all(dist).map_err(because("cannot make the page's folder"))?;
    for path in files_of(dist)? {
        if path.file_name().is_some_and(|name| name != "README.md") {
            fs::remove_file(&path).map_err(because("cannot empty the page's folder"))?;
        }
    }
    Ok(())
}

/// Parts the WebAssembly: what every visit needs becomes the page, the rest is fetched by
/// the page when it is first asked for.
fn split(wasm: &Path, dist: &Path, page: &Path) -> Result<(), Failure> {
    let bytes = fs::read(wasm).map_err(because(format!("cannot read {}", wasm.display())))?;
    let mut options = Options::new(&bytes);
    options.output_dir = dist;
    options.main_out_path = page;
    options.link_name = "./parts.js";
    options.main_module = "./page.js";
    wasm_split_cli_support::transform(options)
        .map(drop)
        .map_err(because("cannot part the page's WebAssembly"))
}

fn write_glue(page: &Path, dist: &Path, dev: bool) -> Result<(), Failure> {
    let mut bindgen = Bindgen::new();
    bindgen
        .input_path(page)
        .out_name("page")
        // Without this the glue does not find its own WebAssembly.
        .omit_default_module_path(false)
        // The parts find what they share with the page by these.
        .keep_lld_exports(true)
        .typescript(false)
        .remove_name_section(!dev)
        .remove_producers_section(true);
    bindgen
        .web(true)
        .and_then(|bindgen| bindgen.generate(dist))
        .map_err(because("wasm-bindgen cannot make the page's glue"))
}

fn write_style(page: &Path, dist: &Path) -> Result<(), Failure> {
    let mut text = String::new();
    for name in STYLES {
        let path = page.join("style").join(name);
        text += &fs::read_to_string(&path)
            .map_err(because(format!("cannot read {}", path.display())))?;
    }
    fs::write(dist.join("page.css"), text).map_err(because("cannot write the style sheet"))
}

fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::copy(from, to)
        .map(drop)
        .map_err(because(format!("cannot copy {}", from.display())))
}

fn copy_folder(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::create_dir_all(to).map_err(because("cannot make a folder of the page"))?;
    for path in files_of(from)? {
        copy(&path, &to.join(path.file_name().unwrap_or_default()))?;
    }
    Ok(())
}

/// The plain files of a folder, sorted.
fn files_of(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = fs::read_dir(folder)
        .map_err(because(format!("cannot read {}", folder.display())))?
        .flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    Ok(files)
}

/// Writes a packed copy beside every file that packs well, prints the sizes, and returns
/// the packed size of a first load.
fn pack_all(dist: &Path) -> Result<usize, Failure> {
    let mut first_load = 0;
    println!("{:>10} {:>10}  file", "bytes", "packed");
    for path in files_of(dist)? {
        let bytes = fs::read(&path).map_err(because("cannot read a file of the page"))?;
        let packed = packed(&bytes)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name == "README.md" {
            continue;
        }
        println!("{:>10} {:>10}  {name}", bytes.len(), packed.len());
        if FIRST_LOAD.contains(&name.as_ref()) {
            first_load += packed.len();
        }
        fs::write(dist.join(format!("{name}.gz")), packed)
            .map_err(because("cannot write a packed file"))?;
    }
    Ok(first_load)
}

fn packed(bytes: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder
        .write_all(bytes)
        .and_then(|()| encoder.finish())
        .map_err(because("cannot pack a file of the page"))
}
