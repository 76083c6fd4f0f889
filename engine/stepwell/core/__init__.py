"""What Stepwell decides, with no clock, disk, database, thread or process in it."""
