"""Dependency solving: a request and package indexes in, a solution or an explanation out, without effects."""
