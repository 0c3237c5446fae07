"""The only room with effects: network, disk, processes, clock, randomness; small classes behind Protocols, each with a twin."""
