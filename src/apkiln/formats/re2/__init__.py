"""Regular expressions in RE2's syntax, matched in time linear in the text, as Go programs of the field read them."""
