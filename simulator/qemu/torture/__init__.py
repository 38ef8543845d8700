"""Whole updates on the board in QEMU, good and bad, the power cut at random moments. `make torture-qemu`."""
