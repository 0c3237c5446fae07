"""DEFLATE slices that concatenate: canonical codec, open-ended streams, gzip framing (spec codec.md, performance.md §3.3)."""
