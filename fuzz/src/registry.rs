//! What transactions say to the registry, and a file of one, as inputs to begin with.

use hubledger::payload::Profile;
use hubledger_services::registry::{Announce, Heartbeat, RegistryPayload, UpdateProfile};

/// Each with its name.
#[must_use]
pub fn registry_payloads() -> Vec<(&'static str, Vec<u8>)> {
    let profile = Profile {
        node_type: "full_node".to_owned(),
        role: "hub".to_owned(),
        region: "us_east".to_owned(),
        network_address: "wss://a:6666".to_owned(),
        capabilities: vec!["routing".to_owned(), "storage".to_owned()],
    };
    let heartbeat = RegistryPayload::Heartbeat(Heartbeat {
        registration_ttl: 60,
        load_percent: 12,
    });
    let update = RegistryPayload::UpdateProfile(UpdateProfile::to(profile.clone()));
    let announce = RegistryPayload::Announce(Announce { stake: 7, profile });
    let file = br#"{"registered_hubs":{"a":{"hub_id":"a","hub_tier":"global","region":"eu","connection_url":"ws://a","supports_discovery":true}}}"#;
    vec![
        ("heartbeat", heartbeat.encode()),
        ("heartbeat-json", heartbeat.to_json().into_bytes()),
        ("update_profile", update.encode()),
        ("update_profile-json", update.to_json().into_bytes()),
        ("announce", announce.encode()),
        ("announce-json", announce.to_json().into_bytes()),
        ("file", file.to_vec()),
    ]
}
