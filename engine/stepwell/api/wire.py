"""What client and daemon must agree on beside the shapes of the replies: numbers, names, times.

`WIRE` is raised when an old client could misread a new daemon. Times are integer microseconds
UTC in tables and events, and RFC 3339 text ending in `Z` wherever a person or a program of
somebody else reads them. Standard library only: every command line pays for this import.
"""

from __future__ import annotations

import time
from typing import Final
from urllib.parse import quote

VERSION: Final = "0.1.0"  # equal to the distribution's; reading its metadata would cost 20 ms a command
WIRE: Final = 1

VERSION_HEADER: Final = "X-Stepwell-Version"
WIRE_HEADER: Final = "X-Stepwell-Wire"
LOG_SIZE_HEADER: Final = "X-Log-Size"  # bytes of the log now
LOG_OFFSET_HEADER: Final = "X-Log-Offset"  # the next byte to ask for
LOG_DONE_HEADER: Final = "X-Log-Done"  # "1" when no more bytes will come


def rfc3339(time_us: int | None) -> str | None:
    """Return `2026-07-01T12:00:00.250000Z` for microseconds since the epoch; None for None."""
    if time_us is None:
        return None
    seconds, micros = divmod(time_us, 1_000_000)
    t = time.gmtime(seconds)
    return f"{t[0]:04}-{t[1]:02}-{t[2]:02}T{t[3]:02}:{t[4]:02}:{t[5]:02}.{micros:06}Z"


def route(*segments: str) -> str:
    """Return `/v1/…` with each segment quoted, so that no name can climb out of its place.

    A segment that is `.` or `..` is quoted too: clients and servers may not fold it away.
    """
    return "/v1/" + "/".join(_segment(segment) for segment in segments)


def _segment(text: str) -> str:
    quoted = quote(text, safe="", errors="surrogateescape")
    return quoted.replace(".", "%2E") if quoted.strip(".") == "" else quoted
