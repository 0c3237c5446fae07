"""What a resolved definition declares as its sources, and the cache they are kept in (spec package.md §6.1, §9.4)."""
