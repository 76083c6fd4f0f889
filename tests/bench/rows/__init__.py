"""One file per subject; each offers functions that measure and yield rows."""
