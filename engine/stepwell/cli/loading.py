"""From a pipeline file to what the daemon is asked: loading it here, in the user's own process."""

from __future__ import annotations
