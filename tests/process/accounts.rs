//! A server with accounts and TLS, and the command line as its client: from the first admin's token
//! to a restart, with no secret in any file or log but the one that is made for it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::support::server::{Ended, Server, casetrail, content, serve};

/// Writes a root, and a certificate of a server by it.
fn certificates(folder: &Path) {
    let mut root = CertificateParams::default();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root_key = KeyPair::generate().unwrap();
    let root_pem = root.self_signed(&root_key).unwrap().pem();
    let server = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let key = KeyPair::generate().unwrap();
    let issuer = Issuer::from_params(&root, &root_key);
    let certificate = server.signed_by(&key, &issuer).unwrap().pem();
    for (name, text) in [
        ("ca.pem", root_pem),
        ("server.pem", certificate),
        ("server.key", key.serialize_pem()),
    ] {
        fs::write(folder.join(name), text).unwrap();
    }
}

/// An office: a folder with its data, certificates and tokens.
struct Office {
    folder: TempDir,
}

impl Office {
    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn command(&self, listen: &str) -> Command {
        let mut command = serve(&[], &self.folder.path().join("data"), listen);
        command.arg("--accounts");
        command.args(["--tls-certificate", &self.file("server.pem")]);
        command.args(["--tls-key", &self.file("server.key")]);
        command.env("CASETRAIL_LOG", "casetrail=trace,info");
        command
    }

    fn serve(&self) -> Server {
        let started = Server::try_start(self.command("127.0.0.1:0"));
        started.unwrap_or_else(|ended| panic!("{ended:?}"))
    }

    /// Runs a command as whoever has the token in this file.
    fn run(&self, server: &Server, token: &str, arguments: &[&str]) -> Output {
        let mut command = casetrail(arguments);
        command
            .args(["--server", &format!("https://{}", server.address)])
            .args(["--ca", &self.file("ca.pem")])
            .args(["--token-file", &self.file(token)]);
        command.output().unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn from_the_first_admin_to_a_restart_and_no_secret_is_left_anywhere() {
    let office = Office {
        folder: TempDir::new().unwrap(),
    };
    certificates(office.folder.path());
    let server = office.serve();
    // The first admin's token is for its owner alone.
    let admin = office.folder.path().join("data/admin-token");
    assert_eq!(
        fs::metadata(&admin).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let admin_token = fs::read_to_string(&admin).unwrap().trim().to_owned();
    assert!(admin_token.starts_with("casetrail_"));
    fs::rename(&admin, office.file("admin")).unwrap();

    let create = [
        "token",
        "create",
        "--name",
        "worker-3",
        "--role",
        "case_worker",
    ];
    let create = [&create[..], &["--organisation", "org-1"]].concat();
    let created = office.run(&server, "admin", &create);
    assert!(created.status.success(), "{}", text(&created.stderr));
    let token = text(&created.stdout).trim().to_owned();
    let said = text(&created.stderr);
    let grant = said
        .split_whitespace()
        .nth(1)
        .unwrap()
        .trim_matches(';')
        .to_owned();
    fs::write(office.file("worker"), &token).unwrap();

    // The worker submits under the account's name, and sees it; the admin sees no case.
    let sample = casetrail(&["sample", "--cases", "3", "--seed", "7"])
        .output()
        .unwrap();
    fs::write(office.file("sample.jsonl"), &sample.stdout).unwrap();
    let file = office.file("sample.jsonl");
    let submitted = office.run(&server, "worker", &["submit", &file]);
    let said = [text(&submitted.stdout), text(&submitted.stderr)].concat();
    assert!(said.contains("recorded"), "{said}");
    let listed = office.run(&server, "worker", &["list", "--json"]);
    assert!(
        text(&listed.stdout).contains("org-1"),
        "{}",
        text(&listed.stderr)
    );
    let refused = office.run(&server, "admin", &["list"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("NOT_PERMITTED"));
    fs::write(office.file("guess"), "casetrail_a-guess").unwrap();
    let guessed = office.run(&server, "guess", &["list"]);
    assert!(text(&guessed.stderr).contains("UNAUTHENTICATED"));

    // Accounts stand over a restart, which makes no further token of an admin.
    let ended: Ended = server.stop().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let told = ended.stderr;
    assert!(
        told.contains("casetrail::refused") && told.contains("unknown token"),
        "{told}"
    );
    let server = office.serve();
    assert!(!admin.exists());
    assert!(office.run(&server, "worker", &["list"]).status.success());
    let revoked = office.run(&server, "admin", &["token", "revoke", &grant]);
    assert!(revoked.status.success(), "{}", text(&revoked.stderr));
    assert!(!office.run(&server, "worker", &["list"]).status.success());
    let listed = office.run(&server, "admin", &["token", "list"]);
    let listed = text(&listed.stdout);
    assert!(
        listed.contains("worker-3") && listed.contains("revoked"),
        "{listed}"
    );
    let ended = server.stop().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);

    // No token is in the data, nor in a log that tells all that it ever tells.
    let secrets = [admin_token.as_str(), token.as_str(), "casetrail_a-guess"];
    let files = content(&office.folder.path().join("data"));
    for secret in secrets {
        let bytes = secret.as_bytes();
        let holds = |content: &[u8]| content.windows(bytes.len()).any(|it| it == bytes);
        let holding: Vec<_> = files.iter().filter(|(_, it)| holds(it)).collect();
        assert!(holding.is_empty(), "{:?}", holding.first().map(|it| &it.0));
        assert!(!told.contains(secret) && !ended.stderr.contains(secret));
    }
    // The folder is sound as any other.
    let data = office.file("data");
    let checked = casetrail(&["check", "--data", &data]).output().unwrap();
    assert!(checked.status.success(), "{}", text(&checked.stdout));

    // Where all tokens are lost, another is made by whoever runs the server.
    let mut command = office.command("127.0.0.1:0");
    command.arg("--new-admin-token");
    let server = Server::try_start(command).unwrap_or_else(|ended| panic!("{ended:?}"));
    fs::rename(&admin, office.file("second")).unwrap();
    assert!(
        office
            .run(&server, "second", &["token", "list"])
            .status
            .success()
    );
    server.kill();
}

#[tokio::test]
async fn a_folder_with_accounts_is_not_served_without_them_unless_that_is_said() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let start = |arguments: &[&str]| {
        let mut command = serve(&[], &data, "127.0.0.1:0");
        command.args(arguments);
        Server::try_start(command)
    };
    let stop = |started: Result<Server, Ended>| async {
        let server = started.unwrap_or_else(|ended| panic!("{ended:?}"));
        assert_eq!(server.stop().await.code, Some(0));
    };
    // Without any it goes without saying.
    stop(start(&[])).await;
    stop(start(&["--accounts"])).await;
    let Err(ended) = start(&[]) else {
        panic!("it serves");
    };
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    for flag in ["--accounts", "--without-accounts"] {
        assert!(ended.stderr.contains(flag), "{}", ended.stderr);
    }
    stop(start(&["--without-accounts"])).await;
}

#[test]
fn beyond_loopback_a_server_is_refused_without_tls_or_accounts() {
    let folder = TempDir::new().unwrap();
    for arguments in [&[][..], &["--accounts"]] {
        let mut command = serve(&[], &folder.path().join("data"), "0.0.0.0:0");
        command.args(arguments);
        let Err(ended) = Server::try_start(command) else {
            panic!("it serves");
        };
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(
            ended.stderr.contains("--tls-certificate"),
            "{}",
            ended.stderr
        );
    }
    assert!(!folder.path().join("data").exists());
}
