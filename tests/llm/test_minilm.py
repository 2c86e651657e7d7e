"""llm/minilm.py: the same vector alone as in company; what is missing is named."""

import numpy as np
import pytest

from core.errors import DependencyError
from llm import minilm


@pytest.mark.slow
def test_company_does_not_change_a_vector() -> None:
    model = minilm.MiniLM(1)
    texts = [f"the printer number {n} prints " + "nothing " * n for n in range(20)]
    together = model.encode(texts)
    assert together.shape == (20, minilm.WIDTH)
    for text, vector in zip(texts[::7], together[::7], strict=True):
        assert float(model.encode([text])[0] @ vector) == pytest.approx(1, abs=0.02)  # 8 bits: scaled by the batch
    assert np.array_equal(model.encode(texts), together)


@pytest.mark.parametrize("path", [("no_such_package", "model.onnx"), ("numpy", "no_such_file")])
def test_a_missing_package_is_named(path: tuple[str, str]) -> None:
    with pytest.raises(DependencyError, match=path[0]):
        minilm._inside(*path)
