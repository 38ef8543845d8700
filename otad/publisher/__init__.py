"""otarepo: makes keys and bundles, signs releases and roll-outs, and publishes them as static files.

Rules:
 1. A workspace is one private folder (`workspace.py`); what the world sees is another (`publish.py`). Nothing is public before
    `publish`, and nothing private is ever copied.
 2. Time is an argument (`now`, aware UTC): what is signed can be made for any moment, expired ones too.
 3. The device never imports this package, nor this package the device's; they share `otad.formats`.
"""
