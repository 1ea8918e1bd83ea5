//! Builds the page with npm and Vite into `OUT_DIR`, where `src/lib.rs` embeds it from.
//!
//! The packages are installed beside `package.json`, once for each content of `package-lock.json`; a file lock
//! keeps builds that run at the same time from installing over each other.

use std::error::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, io};

/// What Vite 8 asks for.
const NODE_WANTED: &str = "20.19 or later of 20, or 22.12 or later";

const INSTALL_NODE: &str =
    "install Node.js 20.19 or later with npm (https://nodejs.org, or your system's packages) and build again";

fn main() {
    if let Err(error) = build() {
        // Cargo shows the whole of a build script's standard error when it fails.
        eprintln!("error: the web page cannot be built: {error}");
        std::process::exit(1);
    }
}

fn build() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var("OUT_DIR")?).join("dist");
    watch(&root)?;
    check_node()?;

    let mut lock = fd_lock::RwLock::new(File::create(root.join(".build-lock"))?);
    let _held = lock.write()?;
    install(&root)?;
    run(Command::new("node")
        .current_dir(&root)
        .env_remove("NODE_ENV")
        .args(["node_modules/vite/bin/vite.js", "build", "--logLevel", "warn", "--emptyOutDir", "--outDir"])
        .arg(&out))
}

/// Tells Cargo what the page is made of, file by file: the folder also holds Rust, tests and installed packages.
fn watch(root: &Path) -> io::Result<()> {
    for name in
        ["index.html", "package.json", "package-lock.json", "vite.config.ts", "tsconfig.json", ".npmrc", "build.rs"]
    {
        println!("cargo::rerun-if-changed={name}");
    }
    let mut folders = vec![root.join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_none_or(|extension| extension != "rs") {
                println!("cargo::rerun-if-changed={}", path.display());
            }
        }
    }
    Ok(())
}

fn check_node() -> Result<(), Box<dyn Error>> {
    let output = match Command::new("node").arg("--version").output() {
        Ok(output) => output,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(format!("node is not on the PATH; {INSTALL_NODE}").into());
        }
        Err(error) => return Err(format!("node cannot be run: {error}; {INSTALL_NODE}").into()),
    };
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let mut numbers = version.trim_start_matches('v').split('.').map_while(|number| number.parse::<u32>().ok());
    let fits = match (numbers.next(), numbers.next()) {
        (Some(20), Some(minor)) => minor >= 19,
        (Some(22), Some(minor)) => minor >= 12,
        (Some(major), Some(_)) => major > 22,
        _ => false,
    };
    if fits { Ok(()) } else { Err(format!("node is {version:?}, needed is {NODE_WANTED}; {INSTALL_NODE}").into()) }
}

/// Installs what `package-lock.json` names, unless just that is installed.
fn install(root: &Path) -> Result<(), Box<dyn Error>> {
    let wanted = fs::read(root.join("package-lock.json"))?;
    let stamp = root.join("node_modules/.installed-lock.json");
    if fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
    run(Command::new(npm).current_dir(root).args([
        "ci",
        "--include=dev",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
    ]))?;
    fs::write(stamp, wanted)?;
    Ok(())
}

fn run(command: &mut Command) -> Result<(), Box<dyn Error>> {
    let shown = format!("{command:?}");
    let output = match command.output() {
        Ok(output) => output,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(format!("{} is not on the PATH; {INSTALL_NODE}", command.get_program().display()).into());
        }
        Err(error) => return Err(format!("{shown} cannot be run: {error}").into()),
    };
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(format!("{shown} ended with {}:\n{}", output.status, String::from_utf8_lossy(&said)).into())
}
