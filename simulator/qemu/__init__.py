"""The board in QEMU: the real U-Boot, kernel and systemd, built and started here. What it is made of is built once, and kept."""
