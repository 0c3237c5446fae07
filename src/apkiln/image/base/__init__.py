"""Images built upon another image: its layers stay below, its packages stay as they are (spec image.md §13)."""
