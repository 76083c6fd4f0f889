"""The command line: one file a verb family, imported when its verb is used."""
