"""Deltas between Debian images, ours beside other people's: `make bench-delta`. From the packages to docs/delta-bench.md."""
