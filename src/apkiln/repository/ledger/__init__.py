"""The ledger of a repository: what happened, in order and for ever, and the state that follows from it."""
