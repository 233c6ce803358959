"""Errors, files, seeds and the compiler: what every layer stands on."""
