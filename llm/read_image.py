"""What a picture shows, told by a model that sees."""

import base64
from pathlib import Path
from typing import Annotated

from langchain_core.messages import HumanMessage
from pydantic import Field

from core.errors import Terminal
from core.reason import Reason
from llm.call import Caller
from llm.prompt import Prompt
from llm.task import Output, Task


class Picture(Output):
    """The description, with the messages that can be read in it."""

    description: Annotated[str, Field(alias="descripcion", min_length=1, max_length=3000)]


class ReadImage:
    """`await read_image(bytes, "image/png")` gives the description; `Terminal` where the model does not see."""

    def __init__(self, directory: Path, caller: Caller) -> None:
        self._prompt = Prompt.load(directory / "read_image.md", ())
        self._task = Task(self._prompt, Picture, caller)
        self._sees = caller.provider.capabilities.vision

    async def __call__(self, image: bytes, media_type: str) -> str:
        """The image's size and kind were checked by who fetched it."""
        if not self._sees:
            raise Terminal(Reason.ATTACHMENT_UNREADABLE, "el modelo no ve imágenes")
        system, user = self._prompt.render()
        data = f"data:{media_type};base64,{base64.b64encode(image).decode()}"
        content: list[str | dict[str, object]] = [
            {"type": "text", "text": user.text},
            {"type": "image_url", "image_url": {"url": data}},
        ]
        answer = await self._task.answer([system, HumanMessage(content=content)])
        return answer.description
