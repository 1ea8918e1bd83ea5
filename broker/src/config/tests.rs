use super::*;
use agent::ice::{IceUrl, Secret, Turn};
use std::io::Write;

fn gather(flags: &[&str], environment: &[(&str, &str)]) -> Result<Layers, ConfigError> {
    let flags = command().try_get_matches_from([&["broker"], flags].concat()).unwrap();
    Layers::gather(&flags, environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
}

fn error(flags: &[&str], environment: &[(&str, &str)]) -> String {
    match gather(flags, environment).and_then(|layers| layers.judge()) {
        Ok(config) => panic!("accepted: {config:?}"),
        Err(error) => error.to_string(),
    }
}

/// A configuration file that is gone at the end of the test.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("duet-config-{}-{name}.toml", std::process::id()));
        std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
        Self(path)
    }

    fn flag(&self) -> String {
        format!("--config={}", self.0.display())
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn stun(urls: &[&str]) -> Vec<IceUrl> {
    urls.iter().map(|url| IceUrl::stun(url).unwrap()).collect()
}

fn relay(urls: &[&str]) -> Vec<IceUrl> {
    urls.iter().map(|url| IceUrl::turn(url).unwrap()).collect()
}

#[test]
fn flags_win_over_environment_over_file_over_default() {
    let file = File::new("order", "mqtt = \"127.0.0.1:1\"\nhttp = \"127.0.0.1:2\"\ngrace = \"3s\"\n");
    let layers = gather(
        &[&file.flag(), "--mqtt", "127.0.0.1:7"],
        &[
            ("DUET_MQTT", "127.0.0.1:8"),
            ("DUET_HTTP", "127.0.0.1:9"),
            ("HOME", "/"),
            ("DUET_AGENT_PASSWORD", "x"),
            ("DUET_CAMERA_ROOM", "lobby"),
        ],
    )
    .unwrap();
    let config = layers.judge().unwrap();
    assert_eq!((config.listen.mqtt.unwrap().port(), config.listen.http.unwrap().port()), (7, 9));
    assert_eq!((config.grace.as_secs(), config.limits.connect_timeout.as_secs()), (3, 5));
    let shown = layers.to_string();
    for line in [
        "mqtt = \"127.0.0.1:7\"  # from --mqtt\n",
        "http = \"127.0.0.1:9\"  # from DUET_HTTP\n",
        &format!("grace = \"3s\"  # from {}\n", file.0.display()),
        "connect_timeout = \"5s\"  # default\n",
        "stun = []  # default\n",
        "turn = []  # default\n",
        "turn_ttl = \"1h\"  # default\n",
        "allow_anonymous = false  # default\n",
    ] {
        assert!(shown.contains(line), "{line} in\n{shown}");
    }
}

#[test]
fn what_is_printed_can_be_read_back() {
    let file = File::new(
        "first",
        "[ice]\nstun = [\"stun:a.example\", \"stun:b.example:3479\"]\n[[access.topics]]\nfilter = \"telemetry/%c/#\"\n",
    );
    let first = gather(&[&file.flag(), "--max-message=1MiB", "--grace", "0s"], &[]).unwrap();
    let again = File::new("again", &first.to_string());
    let second = gather(&[&again.flag()], &[]).unwrap();
    assert_eq!(first.judge().unwrap(), second.judge().unwrap());
    assert_eq!(first.judge().unwrap().topics, ["telemetry/%c/#"]);
    assert_eq!(first.judge().unwrap().ice, Ice::new(stun(&["stun:a.example", "stun:b.example:3479"]), Vec::new()));
    assert_eq!(first.judge().unwrap().limits.max_message, 1 << 20);
}

#[test]
fn a_bad_value_names_its_key_its_source_and_what_is_allowed() {
    assert_eq!(
        error(&["--mqtt", "1883"], &[]),
        "mqtt = \"1883\" (from --mqtt): this is no address with a port; \
         allowed is an address and port such as 127.0.0.1:1883 or [::1]:1883, or off"
    );
    assert!(error(&[], &[("DUET_GRACE", "soon")]).starts_with("grace = \"soon\" (from DUET_GRACE): "));
    assert!(error(&["--sys-interval=0s"], &[]).contains("a time above zero"));
    assert!(error(&["--max-message=1GiB"], &[]).contains("these are 1073741824 bytes; allowed is a size from 1KiB"));
    assert!(error(&["--log", "info,broker=loud"], &[]).contains("log ="));
    assert!(error(&["--log", "info,\u{fffd} x"], &[]).contains("is no ASCII character"));
    assert!(error(&["--stun", "http://a"], &[]).starts_with("stun = \"http://a\" (from --stun)"));
    assert!(error(&["--allow-anonymous=maybe"], &[]).contains("true or false"));
    let file = File::new("type", "grace = 1.5\n");
    let text = error(&[&file.flag()], &[]);
    assert!(text.contains("grace") && text.contains("float") && text.contains(&*file.0.to_string_lossy()), "{text}");
}

#[test]
fn unknown_keys_are_errors_everywhere() {
    assert!(error(&[], &[("DUET_GARCE", "1s")]).contains("unknown key \"DUET_GARCE\"; known are DUET_MQTT, "));
    assert!(command().try_get_matches_from(["broker", "--garce", "1s"]).is_err());
    for text in [
        "garce = \"1s\"\n",
        "[access]\nopen = true\n",
        "[[access.topics]]\nfiler = \"a\"\n",
        "[[access.topics]]\n",
        "access = 1\n",
        "mqtt = [",
    ] {
        let file = File::new("unknown", text);
        assert!(error(&[&file.flag()], &[]).contains(&*file.0.to_string_lossy()), "{text}");
    }
    assert!(error(&["--config", "/nowhere/duet.toml"], &[]).starts_with("/nowhere/duet.toml: "));
}

#[test]
fn settings_stand_in_their_section_and_keys_are_unique() {
    for text in ["[limits]\nmax_message = \"2KiB\"\n", "max_message = 2048\n"] {
        let file = File::new("section", text);
        let layers = gather(&[&file.flag()], &[]).unwrap();
        assert_eq!(layers.judge().unwrap().limits.max_message, 2048);
        let shown = layers.to_string();
        let section = shown.split("\n[limits]\n").nth(1).unwrap_or_else(|| panic!("no section in {shown}"));
        assert!(section.contains("max_message = "), "{shown}");
    }
    let file = File::new("twice", "max_message = 2048\n[limits]\nmax_message = 4096\n");
    assert!(error(&[&file.flag()], &[]).contains("written twice"));
    let file = File::new("elsewhere", "[limits]\nmqtt = \"127.0.0.1:1\"\n");
    assert!(error(&[&file.flag()], &[]).contains("unknown key \"limits.mqtt\""));
    let mut keys: Vec<&str> = settings().map(|setting| setting.key).collect();
    keys.sort_unstable();
    assert!(keys.windows(2).all(|two| two[0] != two[1]), "{keys:?}");
}

#[test]
fn the_readme_shows_every_limit_with_its_default() {
    let readme = include_str!("../../../README.md");
    let begin = readme.find("| in `[limits]` | default | what it bounds | because | beyond it |\n").expect("the table");
    let rows: Vec<&str> = readme[begin..].lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    let limits = SECTIONS.iter().find(|section| section.name == "limits").unwrap().settings;
    assert_eq!(rows.len(), limits.len());
    for (row, setting) in rows.into_iter().zip(limits) {
        let expected = format!("| `{}` | `{}` | {} | ", setting.file_key(), (setting.default)(), setting.help);
        assert!(row.starts_with(&expected), "{expected}\nin place of\n{row}");
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert!(cells.len() == 5 && cells.iter().all(|cell| !cell.is_empty()), "{row}");
    }
}

#[test]
fn limits_are_numbers_sizes_and_networks() {
    let file = File::new("limits", "[limits]\nmax_rooms = 3\nexempt = [\"192.0.2.7\", \"fd00::/8\"]\n");
    let layers = gather(&[&file.flag(), "--message-rate=7", "--byte-burst", "2MiB"], &[("DUET_MAX_WILL", "2KiB")]);
    let layers = layers.unwrap();
    let limits = layers.judge().unwrap().limits;
    assert_eq!((limits.max_rooms, limits.messages.per_period, limits.max_will), (3, 7, 2048));
    assert_eq!((limits.bytes.per_period, limits.bytes.burst), (1024 * 1024, 2 * 1024 * 1024));
    assert_eq!(limits.exempt.source("192.0.2.7".parse().unwrap()), None);
    assert_eq!(limits.exempt.source("fdab::1".parse().unwrap()), None);
    assert!(limits.exempt.source("127.0.0.1".parse().unwrap()).is_some());
    assert!(layers.to_string().contains("\nmax_rooms = 3  # from "), "{layers}");
    let empty = gather(&["--exempt="], &[]).unwrap().judge().unwrap().limits.exempt;
    assert!(empty.source("127.0.0.1".parse().unwrap()).is_some());
    assert!(error(&["--max-rooms=0"], &[]).contains("this is beyond that; allowed is a whole number from 1"));
    assert!(error(&["--max-rooms=many"], &[]).contains("this is no such number"));
    assert!(error(&["--max-will=1"], &[]).contains("these are 1 bytes; allowed is a size from 1KiB"));
    assert!(error(&["--exempt=10.0.0.0/33"], &[]).contains("\"10.0.0.0/33\" is no network"));
}

#[test]
fn the_help_is_grouped_by_section() {
    let help = command().render_help().to_string();
    let at = |text: &str| help.find(text).unwrap_or_else(|| panic!("{text:?} in {help}"));
    assert!(at("--mqtt ") < at("\nLimits:\n") && at("\nLimits:\n") < at("--max-message "));
}

#[test]
fn reserved_topics_cannot_be_opened() {
    for filter in ["rooms/#", "control/+", "$SYS/#", "a#", ""] {
        let file = File::new("reserved", &format!("[[access.topics]]\nfilter = \"{filter}\"\n"));
        assert!(error(&[&file.flag()], &[]).starts_with("access.topics.filter = "), "{filter}");
    }
}

#[test]
fn strangers_are_let_in_only_when_that_is_said() {
    assert!(error(&["--http", "0.0.0.0:80"], &[]).starts_with("http = 0.0.0.0:80 (from --http) is open to others"));
    assert!(error(&[], &[("DUET_MQTT", "[::]:1883")]).starts_with("mqtt = [::]:1883 (from DUET_MQTT)"));
    assert!(gather(&["--http=0.0.0.0:80", "--allow-anonymous"], &[]).unwrap().judge().is_ok());
    assert!(gather(&["--mqtt=[::1]:0", "--http=127.0.0.2:0"], &[]).unwrap().judge().is_ok());
}

#[test]
fn relays_are_said_by_addresses_or_as_tables() {
    let (own, all) = (File::new("own-secret", "own\n"), File::new("all-secret", "all\r\n"));
    let (own, all) = (own.0.display(), all.0.display());
    let secret = |line: &str| Secret::from_line(line).unwrap();
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let ice = |turn| Ice::new(Vec::new(), turn);

    let one = ice(vec![Turn::shared(relay(&["turn:a.example", "turns:a.example"]), secret("all"), hours(1)).unwrap()]);
    let urls = "turn:a.example,turns:a.example";
    let flags = gather(&["--turn", urls, &format!("--turn-secret-file={all}")], &[]).unwrap();
    assert_eq!(flags.judge().unwrap().ice, one);
    let file = format!("[ice]\nturn = [\"turn:a.example\", \"turns:a.example\"]\nturn_secret_file = \"{all}\"\n");
    assert_eq!(gather(&[&File::new("relay", &file).flag()], &[]).unwrap().judge().unwrap().ice, one);

    let file = format!(
        "[ice]\nturn_secret_file = \"{all}\"\n[[ice.turn]]\nurls = [\"turn:a.example\"]\n\
         [[ice.turn]]\nurls = [\"turn:b.example\"]\nsecret_file = \"{own}\"\nttl = \"2h\"\n\
         [[ice.turn]]\nurls = [\"turn:c.example\"]\nusername = \"duet\"\ncredential_file = \"{own}\"\n"
    );
    let three = ice(vec![
        Turn::shared(relay(&["turn:a.example"]), secret("all"), hours(1)).unwrap(),
        Turn::shared(relay(&["turn:b.example"]), secret("own"), hours(2)).unwrap(),
        Turn::fixed(relay(&["turn:c.example"]), "duet".into(), secret("own")).unwrap(),
    ]);
    let tables = gather(&[&File::new("relays", &file).flag()], &[]).unwrap();
    assert_eq!(tables.judge().unwrap().ice, three);
    let again = gather(&[&File::new("relays-again", &tables.to_string()).flag()], &[]).unwrap();
    assert_eq!(again.judge().unwrap().ice, three, "{tables}");
    let shown = format!("{tables} {:?}", tables.judge().unwrap());
    assert!(!shown.contains("\"all\"") && !shown.contains("\"own\""), "{shown}");

    // Flags win over the file, whatever shape either has.
    let file = File::new("relays-below", &file);
    let above = gather(&[&file.flag(), "--turn", urls], &[]).unwrap();
    assert_eq!(above.judge().unwrap().ice, one);
}

#[test]
fn relays_that_cannot_work_are_errors_without_secrets_in_them() {
    let (secret, empty) = (File::new("a-secret", "s3cret\n"), File::new("empty-secret", "\n"));
    let (secret, empty) = (secret.0.display().to_string(), empty.0.display().to_string());
    for (turn, right) in [
        ("stun:a.example", "no relay: it belongs to stun"),
        ("turn:a.example", "turn:a.example has no credentials: it wants turn-secret-file"),
        ("[{urls = []}]", "no credentials"),
        (&format!("[{{urls = [], secret_file = \"{secret}\"}}]"), "at least one address"),
        ("[{urls = [\"turn:a.example\"], username = \"duet\"}]", "both belong together"),
        (
            &format!(
                "[{{urls = [\"turn:a.example\"], username = \"duet\", credential_file = \"{secret}\", ttl = \"1h\"}}]"
            ),
            "needs no secret_file and no ttl",
        ),
        (
            &format!("[{{urls = [\"turn:a.example\"], secret_file = \"{secret}\", ttl = \"1s\"}}]"),
            "ttl \"1s\": this is too short",
        ),
        (&format!("[{{urls = [\"turn:a.example\"], secret_file = \"{empty}\"}}]"), "it is empty"),
        ("[{urls = [\"turn:a.example\"], secret_file = \"/no/such/file\"}]", "/no/such/file: No such file"),
        (
            "[{urls = [\"turn:a.example\"], secret = \"s3cret\"}]",
            "unknown field `secret`, expected one of `urls`, `secret_file`",
        ),
        ("[{urls = [\"turn:a.example\"], secret_file = s3cret}]", "turn = \"…\" (from --turn)"),
    ] {
        let text = error(&["--turn", turn], &[]);
        assert!(text.starts_with("turn = ") && text.contains(right), "{text}");
        assert!(!text.contains("s3cret"), "{text}");
        let text = error(&[], &[("DUET_TURN", turn)]);
        assert!(text.contains("(from DUET_TURN)"), "{text}");
    }
    for (turn, right) in [
        ("[{urls = [\"turn:a.example\"], secret = \"s3cret\"}]", "unknown field `secret`"),
        ("{urls = [\"turn:a.example\"], secret = \"s3cret\"}", "this is of type table"),
    ] {
        let file = File::new("relay-table", &format!("[ice]\nturn = {turn}\n"));
        let text = error(&[&file.flag()], &[]);
        assert!(text.contains(right) && !text.contains("s3cret"), "{text}");
    }
    assert!(error(&["--turn-ttl", "4s"], &[]).contains("too short to renew them in time; allowed is a time from 5s"));
    assert!(error(&["--turn-secret-file", "/no/such/file"], &[]).contains("/no/such/file: No such file"));
    assert!(error(&["--turn-secret-file", &secret], &[]).contains("no relay that it is for"));
}

#[test]
fn a_way_to_say_who_one_is_closes_the_door_to_strangers() {
    let anonymous = |flags: &[&str]| gather(flags, &[]).unwrap().judge().unwrap().access.anonymous;
    assert!(anonymous(&[]));
    for way in ["--users=u", "--jwt-secret=s", "--jwt-key=k", "--jwks=j"] {
        assert!(!anonymous(&[way, "--http=0.0.0.0:80"]), "{way}, on loopback too");
        assert!(anonymous(&[way, "--allow-anonymous"]));
    }
    assert!(error(&["--jwt-audience="], &[]).contains("this is empty"));
}
