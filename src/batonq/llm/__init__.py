"""Language models behind one small interface: a request in, a reply out, every call kept."""
