//! What the fuzz targets share: the codec and the worlds of the integration tests, which are not compiled twice.

#[allow(dead_code, missing_docs)]
#[path = "../../tests/support"]
pub mod support {
    pub mod client;
    pub mod seeds;
    pub mod stun;
    pub mod world;
}

#[allow(dead_code, missing_docs)]
#[path = "../../tests/signaling/world.rs"]
pub mod signaling;
