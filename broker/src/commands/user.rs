//! `broker user`: adds, removes and lists the users of the users file. What stands in the file
//! besides, comments and order, stays as it is. A running broker notices the change by itself.

use crate::config;
use agent::access::Role;
use agent::access::authenticate::users::{Users, check_name};
use agent::access::rights::{May, Rights};
use anyhow::{Context, bail, ensure};
use argon2::{Argon2, PasswordHasher};
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::fs::{self, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use toml_edit::{Array, DocumentMut, Item, Table, value};
use zeroize::Zeroizing;

/// What it is called by.
pub const NAME: &str = "user";

/// Shortest password, in characters.
const MIN_PASSWORD: usize = 8;
/// For passwords that are made here: none is taken for another, and 32 of them, so that a byte
/// chooses evenly.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// 125 bits.
const GENERATED: usize = 25;
const HEADER: &str = "# Who may come in, and what they may. `broker user` writes here, and so may you; the broker reads\n\
                      # it again when it changes.\n\n";

/// Its command line.
pub fn command() -> Command {
    let name = || Arg::new("name").value_name("NAME").required(true);
    let switch = |name| Arg::new(name).long(name).action(ArgAction::SetTrue);
    Command::new(NAME)
        .about("Add, remove and list the users who may come in")
        .subcommand_required(true)
        .subcommand(
            Command::new("add")
                .about("Add a user; the password is asked for, or read from standard input")
                .arg(name().help("Its name; its clients have the ids NAME and NAME:anything"))
                .arg(
                    Arg::new("role")
                        .long("role")
                        .value_name("peer|operator")
                        .default_value("peer")
                        .value_parser(["peer", "operator"])
                        .help("Peers meet in rooms; operators see all of them"),
                )
                .arg(
                    Arg::new("rooms")
                        .long("rooms")
                        .value_name("NAME")
                        .action(ArgAction::Append)
                        .help("A room that a peer may enter; * stands for any text, ? for one character; may be said several times"),
                )
                .arg(
                    Arg::new("may")
                        .long("may")
                        .value_name("join,create")
                        .value_delimiter(',')
                        .action(ArgAction::Append)
                        .help("What it may do there; without create it comes in only where somebody is [default: join,create]"),
                )
                .arg(switch("generate").help("Make a password and print it"))
                .arg(switch("no-password").conflicts_with("generate").help("None: it comes with a client certificate only"))
                .arg(switch("replace").help("Change the user if there is one of that name"))
                .args(config::args(&["users"])),
        )
        .subcommand(
            Command::new("remove").about("Remove a user").arg(name().help("Its name")).args(config::args(&["users"])),
        )
        .subcommand(Command::new("list").about("List the users").args(config::args(&["users"])))
}

/// Does what is asked for.
///
/// # Errors
/// If the file cannot be read or written, or what is asked for cannot be.
pub fn run(flags: &ArgMatches) -> anyhow::Result<()> {
    let (what, flags) = flags.subcommand().context("say add, remove or list")?;
    let access = config::of_subcommand(flags)?.access;
    let path = access
        .users
        .context("no users file is configured: say --users FILE, or users = \"…\" in [access] of duet.toml")?;
    let name = || flags.get_one::<String>("name").map_or("", String::as_str);
    match what {
        "add" => add(&path, name(), flags),
        "remove" => remove(&path, name()),
        _ => list(&path),
    }
}

fn add(path: &Path, name: &str, flags: &ArgMatches) -> anyhow::Result<()> {
    check_name(name).map_err(anyhow::Error::msg)?;
    let role: Role =
        flags.get_one::<String>("role").map_or("peer", String::as_str).parse().map_err(anyhow::Error::msg)?;
    let texts =
        |key: &str| -> Vec<&str> { flags.get_many::<String>(key).into_iter().flatten().map(String::as_str).collect() };
    let (rooms, may) = (texts("rooms"), texts("may"));
    match role {
        Role::Peer if rooms.is_empty() => {
            bail!("say which rooms {name} may enter: --rooms 'cam-*', or --rooms '*' for all")
        }
        Role::Operator if !rooms.is_empty() || !may.is_empty() => {
            bail!("an operator sees every room and enters none: leave --rooms and --may out")
        }
        _ => {}
    }
    Rights::new(rooms.iter().copied(), May::of(may.iter().copied()).map_err(anyhow::Error::msg)?)
        .map_err(anyhow::Error::msg)?;
    let mut file = File::read(path)?;
    let exists = file.document.contains_key(name);
    ensure!(!exists || flags.get_flag("replace"), "there is a user {name} already; --replace changes it");
    let generated = flags.get_flag("generate").then(generate).transpose()?;
    let password = match &generated {
        _ if flags.get_flag("no-password") => None,
        Some(password) => Some(password.clone()),
        None => Some(ask(name)?),
    };
    let hash = password.map(|password| hash(&password)).transpose()?;

    let item = file.document.entry(name).or_insert_with(|| Item::Table(Table::new()));
    let table = item.as_table_like_mut().context("the user is no table")?;
    set(table, "password", hash.map(value));
    set(table, "role", Some(value(role.as_str())));
    let list = |items: Vec<&str>| (!items.is_empty()).then(|| value(items.into_iter().collect::<Array>()));
    set(table, "rooms", list(rooms));
    set(table, "may", list(may));
    file.write()?;
    if let Some(password) = generated {
        writeln!(io::stdout(), "{}", *password)?;
    }
    eprintln!("user {name} is {} in {}", if exists { "changed" } else { "added" }, path.display());
    Ok(())
}

/// Changes a value and keeps the comment beside it.
fn set(table: &mut dyn toml_edit::TableLike, key: &str, new: Option<Item>) {
    match (table.get_mut(key), new) {
        (Some(old), Some(mut new)) => {
            if let (Some(old), Some(new)) = (old.as_value(), new.as_value_mut()) {
                *new.decor_mut() = old.decor().clone();
            }
            *old = new;
        }
        (None, Some(new)) => drop(table.insert(key, new)),
        (_, None) => drop(table.remove(key)),
    }
}

fn remove(path: &Path, name: &str) -> anyhow::Result<()> {
    let mut file = File::read(path)?;
    let Some((key, item)) = file.document.as_table_mut().remove_entry(name) else {
        bail!("there is no user {name} in {}", path.display());
    };
    file.write()?;
    let shown = format!("{}{item}", key.leaf_decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default());
    let table = item
        .as_table()
        .map(|table| format!("{}{table}", table.decor().prefix().and_then(|p| p.as_str()).unwrap_or_default()));
    for comment in table.unwrap_or(shown).lines().filter(|line| line.contains('#')) {
        eprintln!("with it goes the comment: {}", comment[comment.find('#').unwrap_or(0)..].trim_end());
    }
    eprintln!("user {name} is removed from {}", path.display());
    Ok(())
}

fn list(path: &Path) -> anyhow::Result<()> {
    let users = File::read(path)?.users;
    let mut out = io::stdout().lock();
    for (name, user) in users.iter() {
        let rooms = match (user.role, &user.grant.rights) {
            (Role::Operator, _) => "all rooms, to see".into(),
            (Role::Peer, None) => "*".into(),
            (Role::Peer, Some(rights)) => rights.to_string(),
        };
        let password = if user.has_password() { "" } else { "  (certificate only)" };
        // A closed pipe is no error: somebody has seen enough.
        if writeln!(out, "{name:24} {:9} {rooms}{password}", user.role.as_str()).is_err() {
            break;
        }
    }
    Ok(())
}

/// The users file, to be changed.
struct File {
    path: PathBuf,
    before: Option<String>,
    users: Users,
    document: DocumentMut,
}

impl File {
    /// Reads it; one that is not there is empty, one with a mistake is not touched.
    fn read(path: &Path) -> anyhow::Result<Self> {
        // What is behind a symlink is written, not the symlink.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let before = read(&path)?;
        let text = before.as_deref().unwrap_or_default();
        let users = Users::parse(text).with_context(|| path.display().to_string())?;
        let document = text.parse().with_context(|| path.display().to_string())?;
        Ok(Self { path, before, users, document })
    }

    /// Writes it whole under another name first, so that nobody ever reads half of it; readable by
    /// its owner alone.
    fn write(&self) -> anyhow::Result<()> {
        let header = if self.before.is_none() { HEADER } else { "" };
        let text = format!("{header}{}", self.document);
        Users::parse(&text).context("the file would not be right")?;
        let mut draft = self.path.clone().into_os_string();
        draft.push(format!(".{}.new", std::process::id()));
        let draft = PathBuf::from(draft);
        let put = || -> anyhow::Result<()> {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            ensure!(read(&self.path)? == self.before, "somebody else has changed it meanwhile; try again");
            Ok(fs::rename(&draft, &self.path)?)
        };
        put().inspect_err(|_| drop(fs::remove_file(&draft))).with_context(|| self.path.display().to_string())
    }
}

fn read(path: &Path) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}

fn ask(name: &str) -> anyhow::Result<Zeroizing<String>> {
    let password = if io::stdin().is_terminal() {
        let ask =
            |what: &str| rpassword::prompt_password(what).map(Zeroizing::new).context("cannot ask for the password");
        let password = ask(&format!("password for {name}: "))?;
        ensure!(ask("once more: ")? == password, "these are two passwords");
        password
    } else {
        let mut line = Zeroizing::new(String::new());
        io::stdin().read_line(&mut line).context("cannot read the password from standard input")?;
        Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned())
    };
    let length = password.chars().count();
    ensure!(
        length >= MIN_PASSWORD,
        "a password has at least {MIN_PASSWORD} characters, this one has {length}; --generate makes one"
    );
    Ok(password)
}

fn generate() -> anyhow::Result<Zeroizing<String>> {
    let mut random = Zeroizing::new([0_u8; GENERATED]);
    getrandom::fill(&mut *random).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
    let password = random.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
    Ok(Zeroizing::new(password.collect()))
}

fn hash(password: &str) -> anyhow::Result<String> {
    let hash = Argon2::default().hash_password(password.as_bytes());
    Ok(hash.map_err(|error| anyhow::anyhow!("the password cannot be hashed: {error}"))?.to_string())
}
