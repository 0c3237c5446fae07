"""Published packages analysed again, and compared with what they say of themselves."""
