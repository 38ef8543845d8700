"""Getting bytes over HTTPS: how the repository is reached, and how a blob comes into the cache in spite of cuts.

Rules:
 1. Nothing here judges a signature: bytes in, bytes of the promised length and SHA-256 out.
 2. Whatever the network or the server does becomes an otad error in `faults.py`, and nowhere else.
"""
