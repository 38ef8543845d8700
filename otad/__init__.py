"""otad: keeps a Linux device on the signed release that its fleet should run, and brings it back when a release is bad."""

__version__ = "0.1.0"
