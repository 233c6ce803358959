"""What runs in the confined process.

It imports the standard library and itself only, by relative names: the process starts in this
folder's parent, with nothing else of batonq and no installed package in reach.
"""
