"""Programs that models write, run without being trusted: an interpreter in a confined process."""
