"""What acts: the daemon's loop, its workers, its processes and its way back after a crash."""
