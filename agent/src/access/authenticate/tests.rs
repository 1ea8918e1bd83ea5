use super::*;
use crate::access::rights::Rights;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const LOTS: &str = "00112233445566778899aabb";

fn users() -> Users {
    let hash = users::tests::hash("s3cret");
    let text = format!(
        "[alice]\npassword = \"{hash}\"\nrooms = [\"lobby\"]\n[op]\nrole = \"operator\"\npassword = \"{hash}\"\n\
         [gate]\nrooms = [\"gate\"]\n"
    );
    Users::parse(&text).unwrap()
}

fn tokens() -> (Tokens, String) {
    let key = tokens::Key::secret(b"0123456789abcdef0123456789abcdef").unwrap();
    let claims = tokens::Claims {
        sub: Some("cam-42".into()),
        exp: Some(1_800_000_060.0),
        aud: Some(tokens::Audience::One("duet".into())),
        rooms: Some(vec!["front-door".into()]),
        ..Default::default()
    };
    let token = key.sign(&claims).unwrap();
    (Tokens::new(vec![key], None, "duet".into(), std::time::Duration::ZERO), token)
}

fn ways(users: Option<Users>, tokens: Option<Tokens>, anonymous: bool) -> Ways {
    let operator = users.is_none().then(|| Zeroizing::new("t0ken".to_owned()));
    Ways { users, tokens, operator, anonymous }
}

/// The whole way, from what is shown to the client id, in words.
fn enter(ways: &Ways, claim: Claim<'_>, id: &str) -> Result<String, u8> {
    let person = ways.judge(claim, NOW).and_then(|step| match step {
        Step::Known(person) => Ok(person),
        Step::Check(check) => ways.checked(claim.user.unwrap(), check.run(claim.password.unwrap_or_default())),
    });
    let wanted = (!id.is_empty()).then(|| PeerId::new(id).unwrap());
    let wanted = wanted.as_ref().map_or(Wanted::Any(LOTS), Wanted::Id);
    match person.and_then(|person| ways.admit(person, wanted)) {
        Ok((who, assigned)) => {
            assert_eq!(assigned, id.is_empty());
            let rights = who.rights().map_or("everything".into(), Rights::to_string);
            Ok(format!("{} {} {:?} {rights}", who.id, who.role.as_str(), who.principal()))
        }
        Err(Denied::Credentials | Denied::Token(_)) => Err(4),
        Err(Denied::Nobody(_) | Denied::NotYours(_)) => Err(5),
    }
}

fn claim<'a>(user: &'a str, password: &'a str) -> Claim<'a> {
    let some = |text: &'a str| Some(text).filter(|text| *text != "-");
    Claim { user: some(user), password: some(password).map(str::as_bytes), certificate: None }
}

#[test]
fn without_users_there_are_anonymous_peers_and_one_operator() {
    let ways = ways(None, None, true);
    let peer = |id| Ok(format!("{id} peer Anonymous everything"));
    for (user, password, id, outcome) in [
        ("-", "-", "bob", peer("bob")),
        ("", "", "bob", peer("bob")),
        ("-", "-", "", peer("peer-00112233445566778899aabb")),
        ("operator", "t0ken", "any", Ok("any operator Operator everything".into())),
        ("operator", "t0ke", "any", Err(4)),
        ("operator", "t0ken!", "any", Err(4)),
        ("operator", "", "any", Err(4)),
        ("operator", "-", "any", Err(4)),
        ("Operator", "t0ken", "any", Err(4)),
        ("alice", "-", "alice", Err(4)),
        ("alice", "s3cret", "alice", Err(4)),
        ("-", "t0ken", "any", Err(4)),
    ] {
        assert_eq!(enter(&ways, claim(user, password), id), outcome, "{user} {password} {id}");
    }
}

#[test]
fn users_come_under_their_own_names() {
    for anonymous in [false, true] {
        let ways = ways(Some(users()), None, anonymous);
        let alice = |id| Ok(format!("{id} peer User(\"alice\") lobby"));
        for (user, password, id, outcome) in [
            ("alice", "s3cret", "alice", alice("alice")),
            ("alice", "s3cret", "alice:tab", alice("alice:tab")),
            ("alice", "s3cret", "", alice("alice:001122334455")),
            ("alice", "s3cret", "alicette", Err(5)),
            ("alice", "s3cret", "bob", Err(5)),
            ("alice", "s3cre", "alice", Err(4)),
            ("alice", "", "alice", Err(4)),
            ("alice", "-", "alice", Err(4)),
            ("dave", "s3cret", "dave", Err(4)),
            ("gate", "", "gate", Err(4)),
            ("op", "s3cret", "op", Ok("op operator User(\"op\") everything".into())),
            // The operator's token opens nothing any more.
            ("operator", "t0ken", "operator", Err(4)),
            ("-", "s3cret", "alice", Err(4)),
        ] {
            assert_eq!(enter(&ways, claim(user, password), id), outcome, "{user} {password} {id}");
        }
        let bob = if anonymous { Ok("bob peer Anonymous everything".into()) } else { Err(5) };
        assert_eq!(enter(&ways, claim("-", "-"), "bob"), bob);
        for taken in ["alice", "alice:tab", "op"] {
            assert_eq!(enter(&ways, claim("-", "-"), taken), Err(5), "{taken} is a user's");
        }
    }
}

#[test]
fn a_token_stands_for_the_password() {
    let (tokens, token) = tokens();
    let forged = format!("{}A", &token[..token.len() - 1]);
    let ways = ways(Some(users()), Some(tokens), false);
    let cam = || Ok("cam-42 peer Token front-door".to_owned());
    for (user, password, id, outcome) in [
        ("-", &*token, "cam-42", cam()),
        ("", &token, "cam-42", cam()),
        ("alice", &token, "cam-42", cam()),
        ("-", &token, "", cam()),
        ("-", &token, "alice", Err(5)),
        ("alice", &token, "alice", Err(5)),
        ("-", &*forged, "cam-42", Err(4)),
        ("alice", "s3cret", "alice", Ok("alice peer User(\"alice\") lobby".into())),
        ("-", "-", "cam-42", Err(5)),
    ] {
        assert_eq!(enter(&ways, claim(user, password), id), outcome, "{user} {password} {id}");
    }
    // Without keys it is a password like any other.
    let ways = self::ways(Some(users()), None, false);
    assert_eq!(enter(&ways, claim("alice", &token), "alice"), Err(4));
}

#[test]
fn a_certificate_speaks_for_whoever_says_nothing_else() {
    let names = Arc::new(CertificateNames {
        common_name: Some("Front door".into()),
        dns: vec!["cam-1.example".into(), "gate".into()],
        ..Default::default()
    });
    let with = |user, password| Claim { certificate: Some(&names), ..claim(user, password) };
    let ways = ways(Some(users()), None, false);
    for (user, password, id, outcome) in [
        ("-", "-", "cam-1.example", Ok("cam-1.example peer Certificate everything")),
        ("-", "-", "", Ok("cam-1.example peer Certificate everything")),
        ("-", "-", "gate", Ok("gate peer User(\"gate\") gate")),
        ("-", "-", "cam-2.example", Err(5)),
        ("-", "-", "alice", Err(5)),
        ("alice", "s3cret", "alice", Ok("alice peer User(\"alice\") lobby")),
        ("alice", "wrong", "cam-1.example", Err(4)),
    ] {
        assert_eq!(enter(&ways, with(user, password), id), outcome.map(str::to_owned), "{user} {password} {id}");
    }
}

#[test]
fn only_what_may_have_been_guessed_counts() {
    let (tokens, token) = tokens();
    let ways = ways(Some(users()), Some(tokens), false);
    let denied = |claim, now| ways.judge(claim, now).err().unwrap();
    assert!(!denied(claim("-", &token), NOW.plus(std::time::Duration::from_secs(60))).is_guess(), "expired");
    assert!(denied(claim("-", "eyJhbGciOiJIUzI1NiJ9.e30.AA"), NOW).is_guess());
    assert!(!denied(claim("-", "-"), NOW).is_guess());
    assert!(ways.checked("alice", false).unwrap_err().is_guess());
}

#[test]
fn clients_of_users_that_have_changed_are_found() {
    let before = ways(Some(users()), None, false);
    let grants: Vec<_> =
        ["alice", "op", "gate"].map(|name| before.users.as_ref().unwrap().get(name).unwrap().grant.clone()).into();
    let hash = users::tests::hash("s3cret");
    let text = format!("[alice]\npassword = \"{hash}\"\nrooms = [\"lobby\"]\n[gate]\nrooms = [\"gate\"] # unchanged\n");
    let after = Users::parse(&text).unwrap().replacing(before.users.as_ref().unwrap());
    let after = ways(Some(after), None, false);
    let stays = grants.iter().map(|grant| after.still_admits(Some(grant))).collect::<Vec<_>>();
    assert_eq!(stays, [false, false, true], "alice has another password, op is gone, gate is as before");
    assert!(after.still_admits(None));
}
