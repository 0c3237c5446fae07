"""Read models of one repository for those who look at it: inventory, search, relations, differences, files."""
