//! Command lines and what they mean.

use super::help_text::ENTRIES;
use super::*;

fn parsed(line: &str) -> Result<Task, u8> {
    let args: Vec<String> = line.split_whitespace().map(String::from).collect();
    parse(&args).map_err(|failure| failure.code)
}

#[test]
fn command_lines_are_read() {
    let check = |line, expected| assert_eq!(parsed(line), expected, "{line}");
    check("", Ok(Task::Help));
    check("test", Ok(Task::Test { strict: false }));
    check("check --strict", Ok(Task::Check { strict: true }));
    check("check --fast", Err(2));
    check("tidy up", Err(2));
    check("bench", Ok(Task::Bench(BenchRequest::default())));
    check("bench --rounds 0", Err(2));
    check("bench --slow", Err(2));
    check(
        "bench --rounds 3 --write kernels",
        Ok(Task::Bench(BenchRequest {
            rounds: Some(3),
            write: true,
            tables: vec!["kernels".into()],
            ..BenchRequest::default()
        })),
    );
    check("web", Ok(Task::Web(WebRequest::default())));
    check("web --static", Err(2));
    check("web --fast", Err(2));
    check(
        "web --dev --static out/page",
        Ok(Task::Web(WebRequest {
            dev: true,
            static_folder: Some("out/page".into()),
        })),
    );
    check(
        "serve --dev --port 0",
        Ok(Task::Serve {
            dev: true,
            extra: vec!["--port".into(), "0".into()],
        }),
    );
    let cuda = |arch: &str, check| {
        let arch = arch.into();
        Ok(Task::Cuda(CudaRequest { arch, check }))
    };
    check("cuda", cuda("90", false));
    check("cuda --check --arch 8.6", cuda("86", true));
    check("cuda --arch 75", Err(2));
    check("cuda --arch", Err(2));
    let extra = vec!["--python".into(), "py".into()];
    check("gpu-check --python py", Ok(Task::GpuCheck { extra }));
    check("bundle", Err(2));
    check("nonsense", Err(2));
    check("golden --python", Err(2));
    check("golden --core dit", Err(2));
    check(
        "demo --seed 3",
        Ok(Task::Demo {
            extra: vec!["--seed".into(), "3".into()],
        }),
    );
    check(
        "golden --python py dit",
        Ok(Task::Golden(GoldenRequest {
            core: false,
            python: Some("py".into()),
            fixtures: vec!["dit".into()],
        })),
    );
    check(
        "setup-wasm --from-source --std-source s.tar.xz",
        Ok(Task::SetupWasm {
            from_source: true,
            std_source: Some("s.tar.xz".into()),
        }),
    );
}

#[test]
fn every_command_of_the_help_text_exists() {
    for entry in ENTRIES {
        let name = entry.usage.split(' ').next().unwrap_or_default();
        assert!(parsed(name).is_ok(), "{name}");
    }
}
