//! A node of an RMQTT cluster whose rules come from the agent: RMQTT itself, its cluster by Raft, its plugins for HTTP
//! hooks with the files that are shipped for them, and a [door](door) before these. For tests, and to read how RMQTT is
//! put together for Duet; it knows neither TLS nor a configuration file.

mod door;

use anyhow::Context;
use clap::Parser;
use door::Door;
use rmqtt::context::ServerContext;
use rmqtt::hook::Type;
use rmqtt::net::Builder;
use rmqtt::server::MqttServer;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Above every plugin's.
const FIRST: u32 = u32::MAX;

/// A node of an RMQTT cluster that asks Duet's agent who may do what.
#[derive(Parser)]
#[command(version)]
struct Flags {
    /// The node's number in the cluster, from 1
    #[arg(long, value_name = "N")]
    id: u64,
    /// Where MQTT over TCP listens
    #[arg(long, value_name = "ADDR")]
    mqtt: SocketAddr,
    /// Where MQTT over WebSocket listens
    #[arg(long, value_name = "ADDR")]
    ws: SocketAddr,
    /// Where each node takes messages of the others, as N@ADDR, with commas between them
    #[arg(long, value_name = "NODES", value_delimiter = ',', value_parser = node)]
    grpc: Vec<(u64, SocketAddr)>,
    /// Where each node speaks Raft, likewise
    #[arg(long, value_name = "NODES", value_delimiter = ',', value_parser = node)]
    raft: Vec<(u64, SocketAddr)>,
    /// The node that founds the cluster, if there is none yet
    #[arg(long, value_name = "N", default_value_t = 1)]
    leader: u64,
    /// The folder with rmqtt-acl.toml, rmqtt-auth-http.toml and rmqtt-web-hook.toml
    #[arg(long, value_name = "DIR")]
    plugins: PathBuf,
}

fn node(text: &str) -> Result<(u64, SocketAddr), String> {
    let wanted = || format!("{text:?} is no node; write its number and address, as 1@127.0.0.1:5363");
    let (id, address) = text.split_once('@').ok_or_else(wanted)?;
    Ok((id.parse().map_err(|_| wanted())?, address.parse().map_err(|_| wanted())?))
}

fn toml_list(nodes: &[(u64, SocketAddr)]) -> String {
    nodes.iter().map(|(id, address)| format!("\"{id}@{address}\"")).collect::<Vec<_>>().join(", ")
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    env_logger::init();
    let flags = Flags::parse();
    let own = flags.grpc.iter().find(|(id, _)| *id == flags.id).map(|(_, address)| *address);
    let own = own.with_context(|| format!("--grpc: node {} is not among them", flags.id))?;
    let cluster = format!(
        "node_grpc_addrs = [{}]\nraft_peer_addrs = [{}]\nleader_id = {}\nnode_grpc_client_timeout = \"2s\"\nraft.grpc_reuseaddr = true\n",
        toml_list(&flags.grpc),
        toml_list(&flags.raft),
        flags.leader
    );
    let plugins = flags.plugins.to_str().context("--plugins: the path is not UTF-8")?;
    let context = ServerContext::new()
        .node_id(flags.id)
        .plugins_config_dir(plugins)
        .plugins_config_map_add("rmqtt-cluster-raft", cluster)
        .plugins_config_map_add("rmqtt-retainer", "storage.type = \"ram\"\n")
        .plugins_config_map_add("rmqtt-sys-topic", "publish_interval = \"1m\"\n")
        .plugins_config_map_add("rmqtt-shared-subscription", "strategy = \"random\"\n")
        .build()
        .await;
    // A door that is registered and not started would let everybody pass.
    let door = context.extends.hook_mgr().register();
    door.add_priority(Type::ClientAuthenticate, FIRST, Box::new(Door)).await;
    door.start().await;
    rmqtt_acl::register(&context, true, false).await?;
    rmqtt_auth_http::register(&context, true, false).await?;
    rmqtt_web_hook::register(&context, true, false).await?;
    rmqtt_retainer::register(&context, true, false).await?;
    rmqtt_sys_topic::register(&context, true, false).await?;
    // Without it, RMQTT takes the word $share for a level like any other.
    rmqtt_shared_subscription::register(&context, true, false).await?;
    context.node.start_grpc_server(context.clone(), own, true, false);
    rmqtt_cluster_raft::register(&context, true, false).await?;
    // A node that starts again finds connections of its former life lingering at its ports.
    // RMQTT asks no hook about who has no user name where the anonymous are allowed.
    let tcp = Builder::new()
        .name("tcp")
        .nodelay(true)
        .reuseaddr(Some(true))
        .laddr(flags.mqtt)
        .allow_anonymous(false)
        .bind()?
        .tcp()?;
    let ws = Builder::new()
        .name("ws")
        .nodelay(true)
        .reuseaddr(Some(true))
        .laddr(flags.ws)
        .allow_anonymous(false)
        .bind()?
        .ws()?;
    println!("node {} listening on {} and ws://{}", flags.id, flags.mqtt, flags.ws);
    MqttServer::new(context).listener(tcp).listener(ws).build().run().await
}
