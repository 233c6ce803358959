"""The machine that programs run on: 32-bit integer code of x86-64, in one table."""
