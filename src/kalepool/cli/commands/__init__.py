"""One file a command: parse its words, call what does the work, hand the data to ``output``."""
