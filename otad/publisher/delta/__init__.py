"""otarepo delta: the difference between two releases, small enough for a slow link. Its format is `otad/delta`, as on devices.

release.py  a delta for published releases        make.py  one pair, from beginning to end
ext4.py pairing.py blocks.py    what the images hold, which old file a new one came from, which blocks are the same
blobs.py repacking.py           compressed files, taken apart
plan.py segment.py compare.py covers.py    what is compared with what, and what comes of it
proof.py    the device's decoder has the last word        ledger.py    what each part costs
"""
