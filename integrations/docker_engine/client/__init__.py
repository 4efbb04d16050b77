"""Client of a Docker engine: the SDK, HTTP streams, samples."""
