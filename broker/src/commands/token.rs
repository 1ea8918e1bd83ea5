//! `broker token`: makes a signed token for a peer or an operator, and a link with it for a phone.

use crate::config::{self, Config};
use crate::hub;
use agent::access::authenticate::tokens::{Audience, Claims, Key, MIN_SECRET};
use agent::access::glob::Glob;
use agent::access::rights::May;
use agent::login::files::read_key;
use anyhow::{Context, bail, ensure};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use protocol::PeerId;
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// What it is called by.
pub const NAME: &str = "token";

/// Longest life of a token that is made here.
const MAX_LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Its command line.
pub fn command() -> Command {
    let arg = |name, value| Arg::new(name).long(name).value_name(value);
    Command::new(NAME)
        .about("Make a token with which a client comes in, as its password or in a link")
        .arg(arg("peer", "ID").required(true).help("The client id that it is for"))
        .arg(
            arg("room", "NAME").action(ArgAction::Append).help(
                "A room that it opens; * stands for any text, ? for one character; may be said several times",
            ),
        )
        .arg(
            arg("may", "join,create")
                .value_delimiter(',')
                .action(ArgAction::Append)
                .help("What may be done there; without create, only where somebody is [default: join,create]"),
        )
        .arg(arg("role", "peer|operator").default_value("peer").value_parser(["peer", "operator"]).help("Whose it is"))
        .arg(arg("ttl", "TIME").default_value("1h").help("How long it is good"))
        .arg(arg("sign-with", "FILE").value_parser(value_parser!(PathBuf)).help(
            "The private key (PEM) that signs it, where the broker has only its public half; else the broker's secret or key signs",
        ))
        .arg(arg("url", "URL").help("Print a link to the page there as well [default with --qr: the page of this broker]"))
        .arg(Arg::new("qr").long("qr").action(ArgAction::SetTrue).help("Show the link as a QR code"))
        .args(config::args(&["jwt-secret", "jwt-key", "jwt-issuer", "jwt-audience"]))
}

/// Makes it and prints it.
///
/// # Errors
/// If there is nothing to sign with, or what it would say is not allowed.
pub fn run(flags: &ArgMatches) -> anyhow::Result<()> {
    let config = config::of_subcommand(flags)?;
    let text = |key: &str| flags.get_one::<String>(key).map(String::as_str);
    let texts = |key: &str| -> Vec<String> { flags.get_many::<String>(key).into_iter().flatten().cloned().collect() };
    let peer = PeerId::new(text("peer").unwrap_or_default())?;
    let (rooms, may) = (texts("room"), texts("may"));
    let globs = rooms.iter().map(|room| Glob::new(room).with_context(|| format!("--room {room}")));
    let globs = globs.collect::<anyhow::Result<Vec<_>>>()?;
    May::of(may.iter().map(String::as_str)).map_err(anyhow::Error::msg)?;
    let is_operator = text("role") == Some("operator");
    match is_operator {
        true if !rooms.is_empty() || !may.is_empty() => {
            bail!("an operator sees every room and enters none: leave --room and --may out")
        }
        false if rooms.is_empty() => bail!("say which rooms the token opens: --room NAME, or --room '*' for all"),
        _ => {}
    }
    let life =
        humantime::parse_duration(text("ttl").unwrap_or_default()).context("--ttl is a time such as 1h or 30days")?;
    ensure!(!life.is_zero() && life <= MAX_LIFE, "--ttl is above zero and at most ten years");
    let url = link(flags, &config, &globs)?;

    let now = hub::now().wall;
    #[expect(clippy::cast_precision_loss, reason = "seconds until the year 9999 are exact in a double")]
    let seconds = |at: protocol::Timestamp| (at.as_millis() / 1000) as f64;
    let claims = Claims {
        sub: Some(peer.to_string()),
        iat: Some(seconds(now)),
        exp: Some(seconds(now.plus(life))),
        iss: config.access.jwt_issuer.clone(),
        aud: Some(Audience::One(config.access.jwt_audience.clone())),
        role: is_operator.then(|| "operator".into()),
        rooms: (!is_operator).then_some(rooms),
        may: (!may.is_empty()).then_some(may),
        nbf: None,
    };
    let token = signing_key(flags, &config)?.sign(&claims).map_err(anyhow::Error::msg)?;
    let mut out = format!("{token}\n");
    if let Some(mut url) = url {
        url.set_fragment(Some(&format!("token={token}")));
        out.push_str(&format!("{url}\n"));
        if flags.get_flag("qr") {
            let code = QrCode::new(url.as_str()).context("the link is too long for a QR code: name fewer rooms")?;
            // Terminals are mostly dark: what is light in the code is drawn, with its margin.
            let code = code.render().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build();
            out.push_str(&format!("{code}\n"));
        }
    }
    // A closed pipe is no error: somebody has seen enough.
    let _ = std::io::stdout().write_all(out.as_bytes());
    Ok(())
}

fn signing_key(flags: &ArgMatches, config: &Config) -> anyhow::Result<Key> {
    if let Some(path) = flags.get_one::<PathBuf>("sign-with") {
        let key = read_key(path, Key::pem)?;
        ensure!(key.signs(), "{}: this is the public half, which only checks", path.display());
        return Ok(key);
    }
    let tokens = config.access.tokens()?;
    let Some(tokens) = tokens else {
        bail!(
            "no secret is configured: `head -c {MIN_SECRET} /dev/urandom | base64 > duet.secret`, then say \
             --jwt-secret duet.secret here and to the broker"
        );
    };
    tokens
        .signing_key()
        .cloned()
        .context("what is configured only checks tokens; name the private key with --sign-with FILE")
}

/// The page's address with the room in it, if a link is wanted.
fn link(flags: &ArgMatches, config: &Config, rooms: &[Glob]) -> anyhow::Result<Option<Url>> {
    let base = match (flags.get_one::<String>("url"), flags.get_flag("qr")) {
        (Some(url), _) => url.clone(),
        (None, true) => match (config.listen.https, config.listen.http) {
            (Some(address), _) => format!("https://{address}/"),
            (None, Some(address)) => format!("http://{address}/"),
            (None, None) => bail!("this broker serves no page; name the page's address with --url"),
        },
        (None, false) => return Ok(None),
    };
    let mut url = Url::parse(&base).with_context(|| format!("--url {base}"))?;
    ensure!(matches!(url.scheme(), "http" | "https"), "--url {base}: a page's address begins with https:// or http://");
    let [room] = rooms else { bail!("a link leads to one room: say --room once") };
    let room = room.literal().context("a link leads to one room: name it without * and ?")?;
    url.query_pairs_mut().clear().append_pair("room", &room);
    Ok(Some(url))
}
