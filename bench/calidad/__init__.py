"""How good retrieval, judge and decision are on labelled data: `python -m bench.calidad`."""
