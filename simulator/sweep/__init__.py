"""The sweep: every state that a device can get into, explored over the product's own states, loop, resume, book and journal.

`device` is what is explored, `world` and the ports over it what the product runs on, `turns` runs the product, `graph` has the
edges, `explore` goes along them, `properties` says what must hold. docs/power-cuts.md is the page about it.
"""
