use super::*;
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

#[test]
fn flags_win_over_environment_over_file_over_default() {
    let file = File::new("order", "mqtt = \"127.0.0.1:1\"\nhttp = \"127.0.0.1:2\"\ngrace = \"3s\"\n");
    let layers = gather(
        &[&file.flag(), "--mqtt", "127.0.0.1:7"],
        &[("DUET_MQTT", "127.0.0.1:8"), ("DUET_HTTP", "127.0.0.1:9"), ("HOME", "/"), ("DUET_AGENT_PASSWORD", "x")],
    )
    .unwrap();
    let config = layers.judge().unwrap();
    assert_eq!((config.listen.mqtt.unwrap().port(), config.listen.http.unwrap().port()), (7, 9));
    assert_eq!((config.grace.as_secs(), config.connect_timeout.as_secs()), (3, 5));
    let shown = layers.to_string();
    for line in [
        "mqtt = \"127.0.0.1:7\"  # from --mqtt\n",
        "http = \"127.0.0.1:9\"  # from DUET_HTTP\n",
        &format!("grace = \"3s\"  # from {}\n", file.0.display()),
        "connect_timeout = \"5s\"  # default\n",
        "ice_servers = []  # default\n",
        "allow_anonymous = false  # default\n",
    ] {
        assert!(shown.contains(line), "{line} in\n{shown}");
    }
}

#[test]
fn what_is_printed_can_be_read_back() {
    let file = File::new(
        "first",
        "ice_servers = [\"stun:a.example\", \"stun:b.example:3479\"]\n[[access.topics]]\nfilter = \"telemetry/%c/#\"\n",
    );
    let first = gather(&[&file.flag(), "--max-message=1MiB", "--grace", "0s"], &[]).unwrap();
    let again = File::new("again", &first.to_string());
    let second = gather(&[&again.flag()], &[]).unwrap();
    assert_eq!(first.judge().unwrap(), second.judge().unwrap());
    assert_eq!(first.judge().unwrap().topics, ["telemetry/%c/#"]);
    assert_eq!(first.judge().unwrap().ice_servers.len(), 2);
    assert_eq!(first.judge().unwrap().max_message, 1 << 20);
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
    assert!(error(&["--ice-servers", "http://a"], &[]).starts_with("ice-servers = \"http://a\" (from --ice-servers)"));
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
        assert_eq!(layers.judge().unwrap().max_message, 2048);
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
