"""What an image holds beside its packages: one module per rule, each a pure function on the draft of the tree."""
