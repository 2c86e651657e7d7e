"""The organisation's documents: read, cut in pieces, searched, and answered from."""
