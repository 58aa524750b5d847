use std::time::Duration;

use super::*;

fn users(of: &[(&str, &str)]) -> Users {
    let mut users = Users::new(["example.test", "Example.ORG"], vec![7; 32]);
    for (name, password) in of {
        users.add(name, StoredPassword::parse(password).unwrap()).unwrap();
    }
    users
}

fn question(name: &str, password: &str) -> Question {
    Question::VerifyPassword {
        mechanism: Mechanism::Plain,
        authcid: name.to_owned(),
        password: Secret::new(password),
    }
}

#[tokio::test]
async fn each_scheme_verifies_its_password_and_no_other() {
    for scheme in Scheme::ALL {
        let text = scheme.hash(&Secret::new("tr0ub4dor")).unwrap();
        let users = users(&[("alice", &text)]);
        let yes = Answer::AcceptedAs("alice".to_owned());
        assert_eq!(users.answer(question("alice", "tr0ub4dor")).await, yes, "{scheme}");
        assert_eq!(users.answer(question("alice", "tr0ub4do")).await, Answer::Rejected, "{scheme}");
        assert_eq!(users.answer(question("nobody", "tr0ub4dor")).await, Answer::Rejected, "{scheme}");
    }
}

#[tokio::test]
async fn a_name_may_carry_a_domain_of_ours_and_any_letter_case() {
    let users = users(&[("alice", "{PLAIN}x")]);
    for (name, known) in [
        ("alice", true),
        ("ALICE", true),
        ("alice@example.test", true),
        ("Alice@EXAMPLE.org", true),
        ("alice@elsewhere.test", false),
        ("alice@", false),
        ("a@alice@example.test", false),
        ("../alice", false),
    ] {
        assert_eq!(users.find(name).is_some(), known, "{name}");
        assert_eq!(users.answer(question(name, "x")).await != Answer::Rejected, known, "{name}");
    }
}

#[tokio::test]
async fn nobody_acts_as_somebody_else() {
    let users = users(&[("alice", "{PLAIN}x"), ("bob", "{PLAIN}y")]);
    let authorize = |authcid: &str, authzid: &str| Question::Authorize {
        mechanism: Mechanism::Plain,
        authcid: authcid.to_owned(),
        authzid: authzid.to_owned(),
    };
    let as_alice = Answer::AcceptedAs("alice".to_owned());
    assert_eq!(users.answer(authorize("alice", "Alice@example.test")).await, as_alice);
    assert_eq!(users.answer(authorize("alice", "bob")).await, Answer::Rejected);
    assert_eq!(users.answer(authorize("alice", "nobody")).await, Answer::Rejected);
    assert_eq!(users.answer(authorize("nobody", "nobody")).await, Answer::Rejected);
}

#[test]
fn only_mechanisms_that_serve_every_user_are_offered() {
    let scram = Scheme::ScramSha256.hash(&Secret::new("x")).unwrap();
    let crypt = Scheme::Sha512Crypt.hash(&Secret::new("x")).unwrap();
    let offered = |of: &[(&str, &str)]| users(of).mechanisms(ChallengeResponse::Auto).to_string();
    assert_eq!(offered(&[]), "");
    assert_eq!(
        offered(&[("a", "{PLAIN}x")]),
        "SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-256 SCRAM-SHA-1 CRAM-MD5 PLAIN LOGIN"
    );
    assert_eq!(offered(&[("a", "{PLAIN}x"), ("b", &scram)]), "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN");
    assert_eq!(offered(&[("a", &scram), ("b", &crypt)]), "PLAIN LOGIN");
}

#[test]
fn mechanisms_that_serve_one_user_can_be_offered_or_none() {
    let scram = Scheme::ScramSha256.hash(&Secret::new("x")).unwrap();
    let crypt = Scheme::Sha512Crypt.hash(&Secret::new("x")).unwrap();
    let offered = |of: &[(&str, &str)], others| users(of).mechanisms(others).to_string();
    for (of, always) in [
        (&[][..], ""),
        (&[("a", &*crypt)], "PLAIN LOGIN"),
        (&[("a", &crypt), ("b", &scram)], "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN"),
        (
            &[("a", &crypt), ("b", "{PLAIN}x")],
            "SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-256 SCRAM-SHA-1 CRAM-MD5 PLAIN LOGIN",
        ),
    ] {
        assert_eq!(offered(of, ChallengeResponse::Always), always);
        let never = if of.is_empty() { "" } else { "PLAIN LOGIN" };
        assert_eq!(offered(of, ChallengeResponse::Never), never);
    }
}

#[tokio::test]
async fn whom_a_mechanism_does_not_serve_it_takes_for_a_plain_user_with_another_password() {
    let crypt = Scheme::Sha512Crypt.hash(&Secret::new("x")).unwrap();
    let scram = Scheme::ScramSha1.hash(&Secret::new("x")).unwrap();
    let users = users(&[("crypt", &crypt), ("scram", &scram)]);
    for name in ["crypt", "CRYPT@example.org", "scram", "nobody"] {
        let ask = async |mechanism| match users.answer(credentials(mechanism, name)).await {
            Answer::StoredAs(_, Stored::Imitation(like)) => *like,
            other => panic!("{name}: {other:?}"),
        };
        let Stored::Plain(letters) = ask(Mechanism::CramMd5).await else { panic!("{name}") };
        assert_eq!(letters.len(), 12);
        let Stored::Scram(keys) = ask(Mechanism::ScramSha256).await else { panic!("{name}") };
        assert_eq!((keys.salt().len(), keys.iterations()), (SALT_LEN, ScramKeys::DEFAULT_ITERATIONS));
        assert!(!keys.verify_password(&"x".into()));
        let Stored::Scram(again) = ask(Mechanism::ScramSha256).await else { panic!("{name}") };
        assert_eq!(keys.salt(), again.salt(), "or it would show that they are invented");
    }
}

#[test]
fn names_beyond_ascii_are_compared_as_saslprep_has_them() {
    let users = users(&[("ju\u{308}rgen", "{PLAIN}x")]);
    assert_eq!(users.names()[0].as_str(), "jürgen");
    for name in ["jürgen", "JürgeN@example.test", "ju\u{308}rgen", "\u{ff4a}ürgen"] {
        assert!(users.find(name).is_some(), "{name}");
    }
    assert!(users.find_local("ju\u{308}rgen").is_some());
    assert!(users.find("jurgen").is_none() && users.find("j\u{e000}").is_none());
}

#[tokio::test]
async fn scram_is_told_of_plain_passwords_and_of_keys_but_not_of_hashes() {
    let scram = Scheme::ScramSha256.hash(&Secret::new("x")).unwrap();
    let crypt = Scheme::Sha512Crypt.hash(&Secret::new("x")).unwrap();
    let users = users(&[("plain", "{PLAIN}x"), ("scram", &scram), ("crypt", &crypt)]);
    let ask = async |mechanism, name| users.answer(credentials(mechanism, name)).await;
    for (name, user) in [("Plain", "plain"), ("scram@example.org", "scram")] {
        let Answer::StoredAs(name, Stored::Scram(keys)) = ask(Mechanism::ScramSha256, name).await else {
            panic!("{name}")
        };
        assert!(name == user && keys.verify_password(&"x".into()), "{name}");
    }
    let Answer::StoredAs(name, Stored::Imitation(_)) = ask(Mechanism::ScramSha256, "crypt").await else {
        panic!("expected an imitation")
    };
    assert_eq!(name, "crypt");
    let plain = Answer::StoredAs("plain".to_owned(), Stored::Plain("x".into()));
    assert_eq!(ask(Mechanism::CramMd5, "plain").await, plain);
}

fn credentials(mechanism: Mechanism, name: &str) -> Question {
    Question::Credentials { mechanism, authcid: name.to_owned() }
}

#[tokio::test]
async fn keys_for_plain_passwords_look_the_same_for_unknown_names_and_fit_known_ones_only() {
    // The last is one that SASLprep refuses.
    let users = users(&[("alice", "{PLAIN}x"), ("carol", "{PLAIN}\u{7}")]);
    for (mechanism, hash) in [(Mechanism::ScramSha1Plus, Hash::Sha1), (Mechanism::ScramSha256, Hash::Sha256)]
    {
        let mut salts = Vec::new();
        for name in ["alice", "ALICE@example.org", "nobody", "Nobody@example.test", "carol"] {
            let Answer::StoredAs(spelled, stored) = users.answer(credentials(mechanism, name)).await else {
                panic!("{name}")
            };
            let (keys, known) = match stored {
                Stored::Scram(keys) => (keys, true),
                Stored::Imitation(like) => match *like {
                    Stored::Scram(keys) => (keys, false),
                    other => panic!("{name}: {other:?}"),
                },
                other => panic!("{name}: {other:?}"),
            };
            assert_eq!((known, keys.verify_password(&"x".into())), (spelled == "alice", spelled == "alice"));
            let shown = (keys.hash(), keys.iterations(), keys.salt().len());
            assert_eq!(shown, (hash, ScramKeys::DEFAULT_ITERATIONS, 16), "{name}");
            salts.push(keys.salt().to_vec());
        }
        assert!(salts[0] == salts[1] && salts[2] == salts[3], "the same at each time");
        assert!(salts[0] != salts[2] && salts[2] != salts[4] && salts[0] != salts[4], "each its own");
    }
}

#[tokio::test]
async fn nobody_logs_in_as_a_user_who_does_not_exist_by_the_key_of_the_imitations() {
    let users = users(&[("alice", "{PLAIN}x")]);
    let invented = users.imitation("nobody").unwrap().as_plain().unwrap().clone();
    let Answer::StoredAs(_, Stored::Imitation(like)) =
        users.answer(credentials(Mechanism::CramMd5, "nobody")).await
    else {
        panic!("an imitation is told as one")
    };
    assert_eq!(*like, Stored::Plain(invented.clone()));
    let question = question("nobody", invented.expose_str().unwrap());
    assert_eq!(users.answer(question).await, Answer::Rejected);
}

#[tokio::test]
async fn a_password_that_is_too_long_is_refused_before_anything_is_done() {
    for kept in [ARGON2, CRYPT, SCRAM, "{PLAIN}x"] {
        let users = users(&[("alice", kept)]);
        // With no core to be had, whatever costs something would wait for ever.
        let all = u32::try_from(users.checks.available_permits()).unwrap();
        let _held = Arc::clone(&users.checks).acquire_many_owned(all).await.unwrap();
        for name in ["alice", "nobody"] {
            for length in [513, 9000] {
                let answer = users.answer(question(name, &"x".repeat(length)));
                let answer = tokio::time::timeout(Duration::ZERO, answer).await;
                assert_eq!(answer, Ok(Answer::Rejected), "{kept} {name} {length}");
            }
        }
    }
    let mut users = users(&[]);
    let longest = "x".repeat(512);
    users.add("alice", StoredPassword::plain(longest.as_str())).unwrap();
    let accepted = Answer::AcceptedAs("alice".to_owned());
    assert_eq!(users.answer(question("alice", &longest)).await, accepted);
    let error = users.add("bob", StoredPassword::plain("x".repeat(513))).unwrap_err();
    assert_eq!(error, UserError::Password(PasswordError::TooLong { found: 513 }));
}

const ARGON2: &str =
    "{ARGON2ID}$argon2id$v=19$m=64,t=3,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
const CRYPT: &str = "$6$rounds=1234$salt$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1";
const SCRAM: &str = "{SCRAM-SHA-256}5555,MDEyMzQ1Njc4OWFiY2RlZjA=,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

#[test]
fn an_unknown_name_costs_what_one_of_the_known_costs() {
    let users = users(&[("a", ARGON2), ("b", CRYPT), ("c", SCRAM), ("d", "{PLAIN}x")]);
    let known: Vec<Cost> = users.by_name.values().map(|user| user.password.cost()).collect();
    let mut seen: Vec<Cost> =
        (0..200).map(|n| users.imitation(&format!("nobody{n}")).unwrap().cost()).collect();
    assert!(seen.iter().all(|cost| known.contains(cost)), "{seen:?}");
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), known.len(), "each kind is imitated");
}

#[test]
fn an_unknown_name_looks_the_same_at_each_time_and_in_each_spelling() {
    let shown = |users: &Users, name: &str| {
        let imitation = users.imitation(name).unwrap();
        let password = imitation.as_plain().map(|password| password.expose_str().unwrap().to_owned());
        let keys = imitation.scram_keys(Hash::Sha256, b"salt").map(|keys| keys.encode());
        (imitation.cost(), password, keys)
    };
    let entries = [("a", ARGON2), ("b", CRYPT), ("c", SCRAM), ("d", "{PLAIN}x")];
    let (mut one, two) = (users(&entries), users(&entries));
    let names: Vec<String> = (0..100).map(|n| format!("nobody{n}")).collect();
    let before: Vec<_> = names.iter().map(|name| shown(&one, name)).collect();
    for (name, before) in names.iter().zip(&before) {
        for spelling in [name.clone(), name.to_uppercase(), format!("{name}@EXAMPLE.test")] {
            assert_eq!(shown(&two, &spelling), *before, "{spelling}");
        }
    }
    one.add("e", StoredPassword::parse(ARGON2).unwrap()).unwrap();
    let changed = names.iter().zip(&before).filter(|(name, before)| shown(&one, name) != **before).count();
    assert!(changed < 70, "a further user changed the looks of {changed} of 100 unknown names");
}

#[tokio::test]
async fn scram_shows_unknown_names_the_parameters_of_known_ones() {
    let users = users(&[("alice", SCRAM)]);
    let mut salts = Vec::new();
    for name in ["alice", "nobody", "NOBODY@example.org", "nobody@elsewhere.test", "somebody"] {
        let question = credentials(Mechanism::ScramSha256, name);
        let Answer::StoredAs(_, stored) = users.answer(question).await else { panic!("{name}") };
        let stored = match stored {
            Stored::Imitation(like) if name != "alice" => *like,
            stored => stored,
        };
        let Stored::Scram(keys) = stored else { panic!("{name}: {stored:?}") };
        assert_eq!((keys.iterations(), keys.salt().len()), (5555, 17), "{name}");
        salts.push(keys.salt().to_vec());
    }
    assert_eq!(salts[1], salts[2], "the same user, if there were one");
    salts.sort_unstable();
    salts.dedup();
    assert_eq!(salts.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn keys_are_derived_only_while_there_are_cores_for_it() {
    let users = users(&[("alice", "{PLAIN}x")]);
    let hour = Duration::from_secs(3600);
    let all = u32::try_from(users.checks.available_permits()).unwrap();
    let held = Arc::clone(&users.checks).acquire_many_owned(all).await.unwrap();
    let ask = |name| tokio::time::timeout(hour, users.answer(credentials(Mechanism::ScramSha256, name)));
    for name in ["alice", "nobody"] {
        ask(name).await.unwrap_err();
    }
    drop(held);
    for name in ["alice", "nobody"] {
        ask(name).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn passwords_are_checked_only_while_there_are_cores_and_memory_for_it() {
    let users = users(&[("alice", ARGON2)]);
    // The clock stands while a check runs, so that the time is over only where none does.
    let hour = Duration::from_secs(3600);
    for semaphore in [&users.checks, &users.memory] {
        let all = u32::try_from(semaphore.available_permits()).unwrap();
        let held = Arc::clone(semaphore).acquire_many_owned(all).await.unwrap();
        for name in ["alice", "nobody"] {
            tokio::time::timeout(hour, users.answer(question(name, "x"))).await.unwrap_err();
        }
        drop(held);
        assert_eq!(
            tokio::time::timeout(hour, users.answer(question("alice", "x"))).await,
            Ok(Answer::Rejected)
        );
    }
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let mut users = users(&[("alice", "{PLAIN}x")]);
    let plain = || StoredPassword::parse("{PLAIN}x").unwrap();
    for bad in ["", ".", "..", "../x", "a/b", "a\0b", ".hidden", "bob@elsewhere.test", "ALICE"] {
        assert!(users.add(bad, plain()).is_err(), "{bad:?}");
    }
    users.add("bob@example.test", plain()).unwrap();
    assert_eq!(users.find("bob").unwrap().as_str(), "bob");
}

#[tokio::test]
async fn the_line_that_tells_of_a_known_user_comes_behind_the_answer() {
    use std::io::{Read, Write};

    let crypt = Scheme::Sha512Crypt.hash(&Secret::new("x")).unwrap();
    let users = users(&[("alice", &crypt)]);
    // Once before there is a log, as a line that another thread comes to first may not be of interest to it.
    users.answer(credentials(Mechanism::CramMd5, "alice")).await;
    tokio::task::yield_now().await;
    let (mut reader, writer) = std::io::pipe().unwrap();
    let copy = writer.try_clone().unwrap();
    let log = tracing_subscriber::fmt().with_ansi(false).with_writer(move || copy.try_clone().unwrap());
    let log = tracing::subscriber::set_default(log.finish());
    for name in ["alice", "nobody"] {
        users.answer(credentials(Mechanism::CramMd5, name)).await;
        (&writer).write_all(b"answered\n").unwrap();
        tokio::task::yield_now().await;
    }
    drop((log, writer));
    let mut told = String::new();
    reader.read_to_string(&mut told).unwrap();
    let lines: Vec<_> = told.lines().collect();
    assert!(matches!(lines[..], ["answered", line, "answered"] if line.contains("user=alice")), "{told}");
}
