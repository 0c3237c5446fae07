"""Pages of a repository for people with a browser: HTML made on the server, without scripts and without other hosts."""
