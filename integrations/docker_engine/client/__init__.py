"""Docker engines over the wire: the SDK, HTTP streams, samples."""
