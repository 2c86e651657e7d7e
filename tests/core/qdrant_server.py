"""Enough of Qdrant's REST interface, over its own in-memory engine, to drive the client as against a server."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI, HTTPException
from fastapi.encoders import jsonable_encoder
from qdrant_client import QdrantClient, models


def application() -> FastAPI:
    """The routes that the knowledge base uses; anything else is 404, as an unknown collection is."""
    app, store, lock = FastAPI(), QdrantClient(":memory:", force_disable_check_same_thread=True), threading.Lock()

    def answer(operation: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        with lock:
            try:
                result = getattr(store, operation)(*args, **kwargs)
            except ValueError as error:
                raise HTTPException(404 if str(error).startswith("Collection") else 400, str(error)) from error
        return {"result": jsonable_encoder(result), "status": "ok", "time": 0.0}

    @app.get("/collections")
    def collections() -> Any:
        return answer("get_collections")

    @app.get("/aliases")
    def aliases() -> Any:
        return answer("get_aliases")

    @app.post("/collections/aliases")
    def change_aliases(body: models.ChangeAliasesOperation) -> Any:
        return answer("update_collection_aliases", body.actions)

    @app.get("/collections/{name}")
    def collection(name: str) -> Any:
        return answer("get_collection", name)

    @app.put("/collections/{name}")
    def create(name: str, body: models.CreateCollection) -> Any:
        return answer("create_collection", name, vectors_config=body.vectors)

    @app.delete("/collections/{name}")
    def delete(name: str) -> Any:
        return answer("delete_collection", name)

    @app.put("/collections/{name}/points")
    def upsert(name: str, body: models.PointsList) -> Any:
        return answer("upsert", name, points=body.points)

    @app.post("/collections/{name}/points/delete")
    def remove(name: str, body: models.PointIdsList) -> Any:
        return answer("delete", name, points_selector=body)

    @app.post("/collections/{name}/points/count")
    def count(name: str, body: models.CountRequest) -> Any:
        return answer("count", name, exact=body.exact)

    @app.post("/collections/{name}/points")
    def retrieve(name: str, body: models.PointRequest) -> Any:
        return answer("retrieve", name, body.ids, with_payload=body.with_payload, with_vectors=body.with_vector)

    @app.post("/collections/{name}/points/scroll")
    def scroll(name: str, body: models.ScrollRequest) -> Any:
        page = answer("scroll", name, limit=body.limit, offset=body.offset, with_vectors=body.with_vector or False)
        page["result"] = {"points": page["result"][0], "next_page_offset": page["result"][1]}
        return page

    @app.post("/collections/{name}/points/query/batch")
    def query(name: str, body: models.QueryRequestBatch) -> Any:
        return answer("query_batch_points", name, requests=body.searches)

    return app


@contextmanager
def running(port: int) -> Iterator[str]:
    """The server on loopback for as long as the block lasts; its URL."""
    server = uvicorn.Server(uvicorn.Config(application(), host="127.0.0.1", port=port, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            thread.join(0.01)
            assert thread.is_alive(), "the server did not start"
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
