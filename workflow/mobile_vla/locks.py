"""Locks on open files, which end with the process that holds them."""

from __future__ import annotations

import errno
import fcntl

NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


def lock(file: int, *, shared: bool = False, wait: bool = False) -> bool | None:
    """Lock an open file. Over NFS the lock holds between machines too.

    Args:
        file: its descriptor.
        shared: other processes may hold shared locks, too.
        wait: until other processes have let go.

    Returns:
        Whether it is locked, and not by another process; None on a file system without locks, such
        as Lustre mounted without ``flock``, where nothing keeps another process out.

    Raises:
        OSError: it cannot be locked for another reason.
    """
    try:
        fcntl.flock(
            file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
        )
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in NO_LOCKS:
            return None
        raise
    return True
