"""llama.cpp in process (`xllamacpp`) as a LangChain chat model."""

import asyncio
import json
import logging
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import PrivateAttr

from core.errors import Retryable, Terminal
from core.reason import Reason
from llm import native
from llm.prompt import ROLES

if TYPE_CHECKING:
    from xllamacpp import CommonParams, Server

logger = logging.getLogger(__name__)


class EmbeddedChat(BaseChatModel):
    """One model, one slot, one call at a time.

    Keyword arguments of a call: `json_schema` (constrains the reply), `max_tokens`, `logprobs` (top 40 of each token,
    in the OpenAI shape under `response_metadata["logprobs"]`), `adapter` (one of `adapters`, for this call alone).
    """

    path: Path
    context_tokens: int = 4096
    time_limit: float = 120.0
    """Seconds that one reply may be generated for."""
    adapters: Mapping[str, Path] = {}
    """Name -> LoRA file of this model's."""

    _server: "Server" = PrivateAttr()
    _client: httpx.Client = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        """Loads the model: 3 s from a warm disk, 1.4 GB. The server that llama.cpp opens is on loopback, with a key."""
        super().model_post_init(context)
        import xllamacpp

        params = xllamacpp.CommonParams()
        # Read, not mapped: the weights are repacked for this processor, and a map would keep the originals beside them.
        params.load_mode = xllamacpp.llama_load_mode.LLAMA_LOAD_MODE_NONE
        key = secrets.token_urlsafe(24)
        with native.LOCK:
            self._server = xllamacpp.Server(self._params(params, key))
        self._client = httpx.Client(
            base_url=self._server.listening_address, headers={"Authorization": f"Bearer {key}"}, trust_env=False
        )

    def _params(self, params: "CommonParams", key: str) -> "CommonParams":
        params.model.path = str(self.path)
        params.n_ctx = self.context_tokens
        params.n_parallel = 1
        params.cache_ram_mib = 0
        params.ctx_shift = False
        params.warmup = False
        params.verbosity = -1
        params.n_gpu_layers = 0
        if self.adapters:
            from xllamacpp import CommonAdapterLoraInfo

            params.lora_adapters = [CommonAdapterLoraInfo(str(path), 0.0) for path in self.adapters.values()]
        params.hostnames = ["127.0.0.1"]
        params.api_keys = [key]
        params.ui = False
        params.endpoint_slots = False
        params.cpuparams.n_threads = native.threads()
        params.cpuparams_batch.n_threads = native.threads()
        return params

    @property
    def _llm_type(self) -> str:
        return "embedded"

    def count_tokens(self, text: str) -> int:
        """Tokens of `text` in this model's vocabulary, without the chat template's own."""
        reply = self._client.post("/tokenize", json={"content": text}, timeout=self.time_limit)
        reply.raise_for_status()
        return len(reply.json()["tokens"])

    def close(self) -> None:
        """Give the connection back; the model goes with the process."""
        self._client.close()

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        request = self._request(messages, stop, kwargs)
        with native.LOCK:
            reply = self._server.handle_chat_completions(request)
        return self._result(reply)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return await asyncio.to_thread(self._generate, messages, stop, None, **kwargs)

    def _request(self, messages: list[BaseMessage], stop: list[str] | None, options: dict[str, Any]) -> dict[str, Any]:
        request: dict[str, Any] = {
            "messages": [{"role": ROLES[m.type], "content": m.text} for m in messages],
            "max_tokens": options.get("max_tokens", 256),
            "temperature": options.get("temperature", 0),
            "seed": 1,
            "t_max_predict_ms": int(self.time_limit * 1000),
        }
        if stop:
            request["stop"] = stop
        if options.get("logprobs"):
            request |= {"logprobs": True, "top_logprobs": 40}
        if self.adapters:
            # Every call says it of every adapter: what a call leaves unsaid, llama.cpp takes from its prefix cache.
            wanted = options.get("adapter")
            request["lora"] = [{"id": n, "scale": float(name == wanted)} for n, name in enumerate(self.adapters)]
        if schema := options.get("json_schema"):
            request["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": schema.get("title", "respuesta"), "strict": True, "schema": schema},
            }
        return request

    def _result(self, reply: Any) -> ChatResult:
        """llama.cpp reports its errors as dictionaries."""
        if isinstance(reply, str | bytes):
            reply = json.loads(reply)
        if error := reply.get("error"):
            what = str(error.get("message", error))[:300]
            if "exceed" in what and "context" in what:
                raise Terminal(Reason.PROMPT_TOO_LONG, what)
            raise Retryable(Reason.MODEL_UNAVAILABLE, what)
        choice = reply["choices"][0]
        usage = reply.get("usage", {})
        message = AIMessage(
            content=choice["message"].get("content") or "",
            response_metadata={"finish_reason": choice.get("finish_reason"), "logprobs": choice.get("logprobs")},
            usage_metadata={
                "input_tokens": usage.get("prompt_tokens", 0),
                "output_tokens": usage.get("completion_tokens", 0),
                "total_tokens": usage.get("total_tokens", 0),
            },
        )
        return ChatResult(generations=[ChatGeneration(message=message)])
