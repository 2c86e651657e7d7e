"""A run of the product whose lines went to a real Loki."""

import json
from dataclasses import dataclass
from typing import Any

from tests.live.logql import Loki
from tests.live.product import Product


@dataclass(frozen=True)
class Worked:
    """The demo queue, worked while its lines went to a real Loki."""

    product: Product
    loki: Loki
    report: dict[str, Any]

    @property
    def lines(self) -> str:
        """LogQL's selection of this run's lines."""
        return f'{{service_name="spai"}} | run="{self.report["ejecucion"]}"'

    def recorded(self) -> list[str]:
        """The lines of this run on disk."""
        texts = self.product.record.read_text(encoding="utf-8").splitlines()
        return [text for text in texts if json.loads(text).get("run") == self.report["ejecucion"]]

    def counted(self, *by: str, where: str = "") -> dict[tuple[str, ...], float]:
        """How many lines, by the fields named (in alphabetical order)."""
        return self.loki.vector(f"sum by ({', '.join(by)}) (count_over_time({self.lines} {where} [1h]))")
