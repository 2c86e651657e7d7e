"""Which retrievers, weights, texts and rewordings find the right row: `python -m bench.retrieval`."""
