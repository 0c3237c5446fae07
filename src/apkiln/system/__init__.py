"""The only room with effects: network, disk, processes, clock, randomness, each a small class behind a Protocol with an in-memory twin."""
