"""`make torture`: whole updates on the fast board, cut off again and again at random instants, in three ways.

kill    SIGKILL for every process of the board, on the machine's own file system, at full speed
lossy   the same on a disk that forgets what was not fsynced (`medium.py`), cut before one exact operation of it
    ext4    the same on a real ext4 that goes down with what the kernel had not written back
"""
