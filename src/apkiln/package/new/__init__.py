"""First definitions from what other packagers publish; everything that is guessed is told (spec package.md §16)."""
