"""Archives: one strict reader and one byte-stable writer for tar, and cpio newc, over streams handed in."""
