"""The demo incident desk (design §3), with single reads, `ETag`, `Idempotency-Key` and notes unless it is plain."""

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Header, HTTPException, Query, Response
from fastapi.responses import FileResponse

from api.mocks.content import ATTACHMENTS
from api.mocks.store import Change, DeskStore, Note, etag

_FILE = "gestor.sqlite3"
_KEY = Header(alias="Idempotency-Key", min_length=1, max_length=200)
_IF_MATCH = Header(alias="If-Match", max_length=2000)


def desk_store(state: Path) -> DeskStore:
    """The desk's incidents under the folder `state`, with the demo content the first time."""
    return DeskStore(state / _FILE)


def create_desk(state: Path, *, plain: bool = False) -> FastAPI:
    """The desk alone. `state` is a folder; `plain` offers only the plain contract."""
    app = FastAPI(title="Mesa de incidencias de demostración", docs_url=None, redoc_url=None)
    app.include_router(desk_router(state, plain=plain))
    app.include_router(health_router())
    return app


def health_router() -> APIRouter:
    """`GET /api/salud`, for health checks."""
    router = APIRouter()

    @router.get("/api/salud")
    def health() -> dict[str, str]:
        return {"estado": "en marcha"}

    return router


def desk_router(state: Path, *, plain: bool = False) -> APIRouter:
    """The desk's end points over the folder `state`."""
    store = desk_store(state)
    router = APIRouter()
    _add_listings(router, store)
    _add_change(router, store, plain=plain)
    if not plain:
        _add_extras(router, store)
    return router


def _add_listings(router: APIRouter, store: DeskStore) -> None:
    @router.get("/api/incidencias")
    def list_open(buzon: Annotated[str | None, Query()] = None) -> list[dict[str, Any]]:
        return store.list_open(buzon or None)

    @router.get("/api/incidencias/cerradas")
    def list_closed() -> list[dict[str, Any]]:
        return store.list_closed()

    @router.get("/api/adjuntos/{name}")
    def attachment(name: str) -> FileResponse:
        # Looked up among the names that exist, so no name can lead out of the folder.
        found = {path.name: path for path in ATTACHMENTS.glob("*.png")}.get(name)
        if found is None:
            raise HTTPException(404, "No hay ningún adjunto con ese nombre.")
        return FileResponse(found, media_type="image/png")


def _add_change(router: APIRouter, store: DeskStore, *, plain: bool) -> None:
    @router.patch("/api/incidencias/{code}")
    def change(
        code: str,
        body: Change,
        response: Response,
        if_match: Annotated[str | None, _IF_MATCH] = None,
        key: Annotated[str | None, _KEY] = None,
    ) -> dict[str, Any]:
        if plain:
            return store.change(code, body)
        return _tagged(response, store.change(code, body, if_match=if_match, key=key))


def _add_extras(router: APIRouter, store: DeskStore) -> None:
    @router.get("/api/incidencias/{code}")
    def read(code: str, response: Response) -> dict[str, Any]:
        return _tagged(response, store.read(code))

    @router.post("/api/incidencias/{code}/notas")
    def note(
        code: str,
        body: Note,
        response: Response,
        if_match: Annotated[str | None, _IF_MATCH] = None,
        key: Annotated[str | None, _KEY] = None,
    ) -> dict[str, Any]:
        return _tagged(response, store.note(code, body, if_match=if_match, key=key))


def _tagged(response: Response, document: dict[str, Any]) -> dict[str, Any]:
    response.headers["ETag"] = etag(document)
    return document
