"""Which wording, order or scale makes the better judge, and whether a second opinion pays: `python -m bench.juez`."""
