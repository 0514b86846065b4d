//! TLS: certificates that are renewed, peers that say nothing, and where a server may listen.

use std::time::Duration;

use casetrail::service::{self, PeerLimits, Protection, TlsFiles};
use casetrail::wire::v1::Role;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tonic::transport::{Certificate, Channel, ClientTlsConfig};

use super::world::{Caller, Root, World, write};

#[tokio::test]
async fn a_renewed_certificate_is_shown_to_the_next_connection_without_a_restart() {
    let world = World::start().await;
    let renewed = Root::new("another root");
    let pair = renewed.server();
    let by_new_root = || {
        let root = Certificate::from_pem(&renewed.pem);
        world.connect(
            ClientTlsConfig::new()
                .ca_certificate(root)
                .domain_name("localhost"),
        )
    };
    assert!(by_new_root().await.is_err());
    let before = world.admin().await;
    // One file after the other, as tools do: meanwhile the old pair goes on.
    write(world.folder.path(), "server.pem", &pair.certificate);
    let between = world.admin().await;
    between.is_known().await.unwrap();
    write(world.folder.path(), "server.key", &pair.key);
    let after = Caller::new(by_new_root().await.unwrap(), Some(&world.admin_token));
    after.is_known().await.unwrap();
    assert!(world.connect(world.tls()).await.is_err());
    // Connections that stand go on.
    before.is_known().await.unwrap();
    world.end().await;
}

#[tokio::test]
async fn other_roots_of_clients_hold_from_the_next_connection_on_and_damaged_ones_change_nothing() {
    let world = World::start().await;
    let root = Root::new("another client root");
    let (old, new) = (world.client_root.client("old"), root.client("new"));
    for (pair, name) in [(&old, "old"), (&new, "new")] {
        world.enrol(pair, name, Role::CaseWorker, "org-1").await;
    }
    let known = async |pair| match world.channel_of(pair).await {
        Ok(channel) => Caller::new(channel, None).is_known().await.is_ok(),
        Err(_) => false,
    };
    assert!(known(&old).await && !known(&new).await);
    write(world.folder.path(), "clients.pem", "no certificate");
    assert!(known(&old).await && !known(&new).await);
    write(world.folder.path(), "clients.pem", &root.pem);
    assert!(known(&new).await && !known(&old).await);
    world.end().await;
}

#[tokio::test]
async fn plain_text_is_not_taken_where_tls_is_asked_for() {
    let world = World::start().await;
    let plain = Channel::from_shared(format!("http://{}", world.address)).unwrap();
    if let Ok(channel) = plain.connect().await {
        let caller = Caller::new(channel, Some(&world.admin_token));
        assert!(caller.is_known().await.is_err());
    }
    world.end().await;
}

/// A server with TLS that demands certificates, has short patience and few places.
async fn strict(folder: &std::path::Path, root: &Root, clients: &Root) -> service::Server {
    let pair = root.server();
    let files = TlsFiles {
        certificate: write(folder, "server.pem", &pair.certificate),
        key: write(folder, "server.key", &pair.key),
        client_roots: Some(write(folder, "clients.pem", &clients.pem)),
        client_certificate_required: true,
    };
    let protection = Protection {
        tls: Some(files),
        access: None,
    };
    let bound = service::Server::bind_protected("127.0.0.1:0".parse().unwrap(), protection);
    bound.await.unwrap().with_limits(PeerLimits {
        connections_max: 3,
        silence_max: Duration::from_millis(300),
        ..PeerLimits::default()
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_come_to_the_end_of_a_handshake_is_given_up_and_gives_its_place_back() {
    let folder = tempfile::TempDir::new().unwrap();
    let (root, clients) = (Root::new("server root"), Root::new("client root"));
    let server = strict(folder.path(), &root, &clients).await;
    let address = server.address();
    let log = std::sync::Arc::new(casetrail::log::MemoryLog::new());
    let ledger = std::sync::Arc::new(casetrail::ledger::Ledger::open(log, None).unwrap());
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let serving = tokio::spawn(server.run(ledger, stopped));
    // Three say nothing: all places are taken until they are given up.
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    for stream in &mut silent {
        let mut bytes = Vec::new();
        // It is closed, in good order or not.
        let _ = stream.read_to_end(&mut bytes).await;
    }
    let tls = || {
        let root = Certificate::from_pem(&root.pem);
        ClientTlsConfig::new()
            .ca_certificate(root)
            .domain_name("localhost")
    };
    let connect = |tls| async move {
        let channel = Channel::from_shared(format!("https://{address}")).unwrap();
        channel.tls_config(tls).unwrap().connect().await
    };
    let pair = clients.client("worker");
    let identity = tonic::transport::Identity::from_pem(&pair.certificate, &pair.key);
    let channel = connect(tls().identity(identity)).await.unwrap();
    Caller::new(channel, None).is_known().await.unwrap();
    // Without a certificate nobody gets as far as a call.
    if let Ok(channel) = connect(tls()).await {
        assert!(Caller::new(channel, None).is_known().await.is_err());
    }
    stop.send(true).unwrap();
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn beyond_loopback_a_server_needs_both_tls_and_accounts() {
    let world = World::start().await;
    let everywhere = "0.0.0.0:0".parse().unwrap();
    let files = || TlsFiles {
        certificate: world.file("server.pem"),
        key: world.file("server.key"),
        client_roots: None,
        client_certificate_required: false,
    };
    let access = || Some(std::sync::Arc::clone(&world.access));
    for (tls, access, is_allowed) in [
        (None, None, false),
        (Some(files()), None, false),
        (None, access(), false),
        (Some(files()), access(), true),
    ] {
        let protection = Protection { tls, access };
        let bound = service::Server::bind_protected(everywhere, protection).await;
        match bound {
            Ok(_) => assert!(is_allowed),
            Err(error) => {
                assert!(!is_allowed, "{error}");
                assert!(
                    error.to_string().contains("without both TLS and accounts"),
                    "{error}"
                );
            }
        }
    }
    let mut wrong = files();
    wrong.key = world.file("clients.pem");
    let protection = Protection {
        tls: Some(wrong),
        access: None,
    };
    let loopback = "127.0.0.1:0".parse().unwrap();
    let refused = service::Server::bind_protected(loopback, protection)
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("clients.pem"), "{refused}");
    let caller = world.caller("worker-1", Role::CaseWorker, "org-1").await;
    caller.is_known().await.unwrap();
    world.end().await;
}
