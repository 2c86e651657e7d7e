"""What it takes to build a server that is a Go program, and where it stands once built."""

import hashlib
import platform
import re
from dataclasses import dataclass
from pathlib import Path

from tests.live.places import cache_folder

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Recipe:
    """A server's package, and in the folder `name` here its `go.mod` and `go.sum`: the pins and their hashes."""

    name: str
    module: str
    package: str
    setting: str
    """Where its URL may be given instead."""
    cpp_header: str = ""
    """Must be installed; a server without one needs no C compiler."""

    @property
    def folder(self) -> Path:
        """Go builds here."""
        return HERE / self.name

    @property
    def version(self) -> str:
        """As `go.mod` pins it."""
        pins = (self.folder / "go.mod").read_text(encoding="utf-8")
        found = re.search(rf"^(?:require)?\s*{re.escape(self.module)} (v\S+)", pins, re.MULTILINE)
        if not found:
            raise ValueError(f"{self.folder}/go.mod does not require {self.module}")
        return found[1]

    @property
    def variables(self) -> dict[str, str]:
        """The environment that the compiler gets."""
        flags = f"{_c_flags()} -I{self.folder / 'include'}"
        return {"CGO_ENABLED": "1", "CGO_CFLAGS": flags, "CGO_CXXFLAGS": flags} if self.cpp_header else NO_C

    @property
    def file_name(self) -> str:
        """Of the program: another pin, header or flag gives another name."""
        digest = hashlib.sha256(_c_flags().encode() if self.cpp_header else b"")
        for path in sorted(path for path in self.folder.rglob("*") if path.suffix in {".mod", ".sum", ".h"}):
            digest.update(path.read_bytes())
        return f"{self.name}-{self.version}-{digest.hexdigest()[:8]}"

    def program(self, cache: Path | None = None) -> Path | None:
        """The program in the cache; None where it was not built with these pins."""
        path = (cache or cache_folder()) / self.file_name
        return path if path.is_file() else None


def _c_flags() -> str:
    """Any x86-64 of the last ten years has v3; without it llama.cpp takes many times as long."""
    return "-O3 -march=x86-64-v3" if platform.machine() == "x86_64" else "-O3"


NO_C = {"CGO_ENABLED": "0"}
LOKI = Recipe("loki", "github.com/grafana/loki/v3", "github.com/grafana/loki/v3/cmd/loki", "LOKI_URL")
OLLAMA = Recipe(
    "ollama", "github.com/ollama/ollama", "github.com/ollama/ollama", "OLLAMA_BASE_URL", cpp_header="nlohmann/json.hpp"
)
RECIPES = {recipe.name: recipe for recipe in (LOKI, OLLAMA)}
