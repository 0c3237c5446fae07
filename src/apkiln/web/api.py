"""The interface for those who publish: a Litestar application for one repository at a time (spec repository.md §10.2).

It stands behind `application.Application`, which takes the repository off the path and puts its service and the
authenticated token into the scope.
"""

import logging
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, TypeVar

import anyio
import anyio.from_thread
import anyio.to_thread
from litestar import Litestar, Request, Response, delete, get, post, put
from litestar.exceptions import HTTPException, InternalServerException
from litestar.params import FromPath, HeaderParameter, JSONBody, QueryParameter

from apkiln.core.errors import ApkilnError, FormatError, UnavailableError, UsageError
from apkiln.repository.browsing.differences import difference
from apkiln.repository.ledger.actions import Held, Manifest, Named, Refused
from apkiln.repository.ledger.rows import Author
from apkiln.repository.ledger.state import RepositoryState, Step, Transaction
from apkiln.repository.promotion import present
from apkiln.repository.service import RepositoryService
from apkiln.system.partial_uploads import PartialUploads
from apkiln.web import documents, tokens
from apkiln.web.describing import (
    CHANGES,
    PUBLIC,
    READS,
    UPLOADS,
    allowed_methods,
    answered,
    close_schemas,
    openapi_config,
    refused,
)
from apkiln.web.errors import ErrorDocument, ErrorValue, body_of, status_of
from apkiln.web.pages.visit import Shelf
from apkiln.web.tokens import Token, Verb
from apkiln.web.uploading import Pace, exactly, parsed_range, pulled

T = TypeVar("T")
Incoming = Request[Any, Any, Any]


class Desk:
    """One request's repository and the person at the other side."""

    def __init__(self, request: Incoming) -> None:
        self.service: RepositoryService = request.scope["apkiln.service"]  # type: ignore[typeddict-item]
        self.token: Token = request.scope["apkiln.token"]  # type: ignore[typeddict-item]
        self.uploads: PartialUploads = request.scope["apkiln.uploads"]  # type: ignore[typeddict-item]
        self.pace: Pace = request.scope["apkiln.pace"]  # type: ignore[typeddict-item]

    def author(self, reason: str = "") -> Author:
        return Author(self.token.name, reason, self.token.provenance)

    def permit(self, check: Callable[[], None], verb: str) -> None:
        """Run a check; a refusal is a row of the ledger, too (spec §9 "audit")."""
        try:
            check()
        except ApkilnError as error:
            code = error.reason
            self.service.append(self.author(), _once(lambda: (Refused(verb, code),)))
            raise

    def permit_verb(self, verb: Verb, doing: str) -> None:
        """As `permit`, for the whole repository."""
        self.permit(lambda: tokens.check_verb(self.token, self.service.name, verb), doing)

    def permit_manifest(self, manifest: Manifest, doing: str) -> None:
        """As `permit`, for what a manifest wants."""
        self.permit(lambda: tokens.check_manifest(self.token, self.service.name, manifest), doing)

    def open(self, manifest: Manifest, reason: str, key: str) -> Transaction:
        """Within what the token may."""
        return self.service.open(self.author(reason), manifest, key, self.token.teams, self.token.quota)

    def document(self, transaction: Transaction) -> documents.TransactionDocument:
        missing = self.service.missing(transaction) if transaction.step is Step.OPEN else ()
        with self.service.reading() as state:
            return documents.transaction_document(state, state.transactions[transaction.number], missing)


def _once(make: Callable[[], tuple[Refused, ...]]) -> Callable[[RepositoryState], tuple[Refused, ...]]:
    return lambda _: make()


@post("/tx", status_code=201, sync_to_thread=True, summary="Open a transaction", responses=refused(CHANGES))
def open_transaction(
    data: JSONBody[documents.OpenRequest],
    request: Incoming,
    idempotency_key: Annotated[str, HeaderParameter(name="Idempotency-Key", max_length=200)] = "",
) -> documents.TransactionDocument:
    """The same key with the same manifest gives the same transaction; with another one it is refused."""
    desk = Desk(request)
    desk.permit_manifest(data.manifest, "open")
    return desk.document(desk.open(data.manifest, data.reason, idempotency_key))


@get("/tx/{number:int}", sync_to_thread=True, summary="How a transaction stands", responses=refused(READS))
def show_transaction(number: FromPath[int], request: Incoming) -> documents.TransactionDocument:
    """With the receipt once it is live."""
    desk = Desk(request)
    state = desk.service.refresh()
    if number not in state.transactions:
        raise UsageError(f"there is no transaction {number}", reason="unknown-transaction")
    return desk.document(state.transactions[number])


_OUTCOMES = refused(
    CHANGES,
    status_202=answered(documents.TransactionDocument, "It still runs, or waits for a second person"),
    status_410=answered(documents.TransactionDocument | ErrorDocument, "It was given up"),
    status_422=answered(documents.TransactionDocument | ErrorDocument, "It was rejected"),
)


@post("/tx/{number:int}/commit", status_code=200, summary="Publish it", responses=_OUTCOMES)
async def commit(
    number: FromPath[int], request: Incoming, wait: Annotated[int, QueryParameter(ge=0, le=600)] = 60
) -> Response[documents.TransactionDocument]:
    """200 with the receipt, 202 while it still runs or waits for a second person, 422 with the findings that refuse it."""
    desk = Desk(request)

    def work() -> documents.TransactionDocument:
        desk.permit(lambda: _check_transaction(desk, number), "commit")
        return desk.document(desk.service.commit(desk.author(), number))

    document: documents.TransactionDocument | None = None
    with anyio.move_on_after(wait or None):
        document = await _in_thread(work, abandon=True)
    if document is None:
        document = await _in_thread(lambda: desk.document(desk.service.state.transactions[number]))
    return Response(document, status_code=_STATUS.get(document.state, 202))


_STATUS = {"live": 200, "rejected": 422, "aborted": 410}


def _check_transaction(desk: Desk, number: int) -> None:
    transaction = desk.service.refresh().transactions.get(number)
    if transaction is None:
        raise UsageError(f"there is no transaction {number}", reason="unknown-transaction")
    tokens.check_manifest(desk.token, desk.service.name, transaction.manifest)


@delete("/tx/{number:int}", status_code=200, sync_to_thread=True, summary="Give a transaction up", responses=refused(CHANGES))
def abort(number: FromPath[int], request: Incoming) -> documents.TransactionDocument:
    """Only before it is indexed."""
    desk = Desk(request)
    desk.permit(lambda: _check_transaction(desk, number), "abort")
    return desk.document(desk.service.abort(desk.author(), number))


@post(
    "/approve/{number:int}", status_code=200, sync_to_thread=True, summary="Agree as a second person", responses=refused(CHANGES)
)
def approve(number: FromPath[int], request: Incoming, data: JSONBody[documents.ReasonRequest]) -> documents.TransactionDocument:
    """Not who opened it."""
    desk = Desk(request)
    desk.permit_verb("approve", "approve")
    return desk.document(desk.service.approve(desk.author(data.reason), number))


@post("/withdraw", status_code=200, sync_to_thread=True, summary="Withdraw builds", responses=refused(CHANGES))
def withdraw(
    data: JSONBody[documents.ChangeRequest],
    request: Incoming,
    idempotency_key: Annotated[str, HeaderParameter(name="Idempotency-Key", max_length=200)] = "",
) -> documents.TransactionDocument:
    """A transaction of its own; more than one build needs a second person."""
    return _change(Desk(request), Manifest(withdraw=data.builds), data.reason, idempotency_key)


@post("/restore", status_code=200, sync_to_thread=True, summary="Restore withdrawn builds", responses=refused(CHANGES))
def restore(
    data: JSONBody[documents.ChangeRequest],
    request: Incoming,
    idempotency_key: Annotated[str, HeaderParameter(name="Idempotency-Key", max_length=200)] = "",
) -> documents.TransactionDocument:
    """Always needs a second person."""
    return _change(Desk(request), Manifest(restore=data.builds), data.reason, idempotency_key)


def _change(desk: Desk, manifest: Manifest, reason: str, key: str) -> documents.TransactionDocument:
    desk.permit_manifest(manifest, "change")
    opened = desk.open(manifest, reason, key)
    return desk.document(desk.service.commit(desk.author(reason), opened.number))


@post("/snapshots", status_code=201, sync_to_thread=True, summary="Name a generation", responses=refused(CHANGES))
def name_generation(data: JSONBody[documents.SnapshotRequest], request: Incoming) -> documents.SnapshotRequest:
    """A name never moves."""
    desk = Desk(request)
    desk.permit_verb("admin", "snapshot")
    if not data.name.replace("-", "").replace(".", "").replace("_", "").isalnum() or data.name.isdigit():
        raise FormatError(f"{data.name!r} cannot name a view", reason="bad-view-name", hint="letters, digits and `._-`")

    def decide(state: RepositoryState) -> tuple[Named, ...]:
        if data.generation not in state.generations:
            raise UsageError(f"there is no generation {data.generation}", reason="not-found")
        known = state.views.get(data.name)
        if known not in (None, data.generation):
            raise FormatError(f"`{data.name}` names generation {known}", reason="view-name-taken")
        return () if known else (Named(data.name, data.generation),)

    desk.service.append(desk.author(), decide)
    return data


@post("/holds", status_code=201, sync_to_thread=True, summary="Keep something from being collected", responses=refused(CHANGES))
def hold(data: JSONBody[documents.HoldRequest], request: Incoming) -> documents.HoldRequest:
    """Until a time; 0 releases it."""
    desk = Desk(request)
    desk.permit_verb("admin", "hold")
    place: str | int = data.blob or data.generation
    if not place or (data.blob and data.generation):
        raise UsageError("a hold names a blob or a generation", reason="empty-hold")
    if not 0 <= data.until < 1 << 40:
        raise FormatError(f"{data.until} is not a time in Unix seconds", reason="bad-time")
    if data.blob and (not _is_digest(data.blob) or not present(desk.service.equipment.blobs, [data.blob])):
        raise UsageError("there is no such blob", reason="not-found")

    def decide(state: RepositoryState) -> tuple[Held, ...]:
        if data.generation and data.generation not in state.generations:
            raise UsageError(f"there is no generation {data.generation}", reason="not-found")
        same = state.holds.get(place, 0) == data.until
        return () if same else (Held(data.until, data.blob, data.generation),)

    desk.service.append(desk.author(), decide)
    return data


@get("/packages/{name:str}", sync_to_thread=True, summary="All versions of a package", responses=refused(READS), security=PUBLIC)
def show_package(name: FromPath[str], request: Incoming) -> documents.PackageDocument:
    """With the newest listed version of each architecture."""
    shelf: Shelf = request.scope["apkiln.shelf"]  # type: ignore[typeddict-item]
    with shelf.reading() as state:
        found = documents.package_document(state, name, shelf.inventory.keys.get(name, ()))
    if found is None:
        raise UsageError(f"there is no package `{name}`", reason="not-found")
    return found


@get("/diff", sync_to_thread=True, summary="What changed between two generations", responses=refused(READS), security=PUBLIC)
def show_difference(
    request: Incoming,
    origin: Annotated[int, QueryParameter(name="from", ge=0)],
    target: Annotated[int, QueryParameter(name="to", ge=0)],
) -> documents.DifferenceDocument:
    """Generation 0 is the empty one."""
    shelf: Shelf = request.scope["apkiln.shelf"]  # type: ignore[typeddict-item]
    with shelf.reading() as state:
        for number in (origin, target):
            if number and number not in state.generations:
                raise UsageError(f"there is no generation {number}", reason="not-found")
        found = difference(shelf.inventory, origin, target)
    return documents.difference_document(found, origin, target)


@get("/reconcile", sync_to_thread=True, summary="What is not as it should be", responses=refused(READS))
def show_incidents(request: Incoming) -> list[documents.IncidentDocument]:
    """As of the last comparison, with ages."""
    incidents = request.scope["apkiln.incidents"]  # type: ignore[typeddict-item]
    return [documents.incident_document(incident) for incident in incidents.open]


_PARTS = refused(UPLOADS, status_202=answered(dict[str, int], "More of it is to come"))


@put("/blobs/{digest:str}", status_code=201, summary="Upload a declared file", responses=_PARTS)
async def upload(
    digest: FromPath[str],
    request: Incoming,
    content_range: Annotated[str, HeaderParameter(name="Content-Range")] = "",
) -> Response[dict[str, int]]:
    """The whole file, or with `Content-Range: bytes A-B/TOTAL` the next part of it; 201 when all of it is there and good."""
    desk = Desk(request)
    _check_digest(digest)
    await _in_thread(lambda: desk.permit_verb("publish", "upload"))
    chunks = pulled(_body(request), desk.pace)
    if not content_range:
        size = await _in_thread(lambda: desk.service.upload(digest, chunks))
        return Response({"size": size}, status_code=201)
    start, end, total = parsed_range(content_range)

    def add() -> int:
        desk.service.check_declared(digest, total)
        return desk.uploads.add(digest, start, exactly(chunks, end - start))

    received = await _in_thread(add)
    if received < total:
        return Response({"received": received}, status_code=202, headers={"Range": f"bytes=0-{received - 1}"})
    try:
        size = await _in_thread(lambda: desk.service.upload(digest, desk.uploads.content(digest)))
    finally:
        await _in_thread(lambda: desk.uploads.drop(digest))
    return Response({"size": size}, status_code=201)


def _is_digest(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef")


def _check_digest(text: str) -> None:
    if not _is_digest(text):
        raise FormatError("a blob is named by 64 lower-case hex digits", reason="bad-digest")


async def _body(request: Incoming) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.stream():
            yield chunk
    except InternalServerException as error:  # the only way to learn that the client went away
        raise UnavailableError("the upload broke off", reason="incomplete-upload", retriable=True) from error


@get("/blobs/{digest:str}", sync_to_thread=True, summary="How much of an upload is there", responses=refused((*READS, 422)))
def show_upload(digest: FromPath[str], request: Incoming) -> dict[str, int]:
    """Where the next part begins."""
    _check_digest(digest)
    return {"received": Desk(request).uploads.received(digest)}


async def _in_thread(work: Callable[[], T], *, abandon: bool = False) -> T:
    return await anyio.to_thread.run_sync(work, abandon_on_cancel=abandon, limiter=_limiter())


_LIMITERS: dict[object, anyio.CapacityLimiter] = {}


def _limiter() -> anyio.CapacityLimiter:
    """Writers have threads of their own, so that readers never wait for them."""
    loop = anyio.lowlevel.current_token()
    if loop not in _LIMITERS:
        _LIMITERS[loop] = anyio.CapacityLimiter(96)
    return _LIMITERS[loop]


def _product_error(_: Incoming, error: ApkilnError) -> Response[ErrorDocument]:
    headers = {"Retry-After": "1"} if status_of(error) in (429, 503) else {}
    return Response(body_of(error), status_code=status_of(error), headers=headers)


def _http_error(request: Incoming, error: HTTPException) -> Response[ErrorDocument]:
    headers = {}
    if error.status_code == 405:
        headers["Allow"] = ", ".join(allowed_methods(request.app, request.scope["path"]))
    extra = error.extra if isinstance(error.extra, list) else []
    return Response(_refusal(error.detail, tuple(map(_detail, extra))), status_code=error.status_code, headers=headers)


def _detail(found: Any) -> str:
    """One fault of a request that does not fit."""
    if found.get("key") == "data" and found.get("message") == "'data'":
        return "body: it is missing"
    place = getattr(found.get("source"), "value", found.get("source") or "")
    name = "" if found.get("key") == "data" else f" {found.get('key')}"
    return f"{place}{name}: {found['message']}"


def _refusal(message: str, details: tuple[str, ...] = ()) -> ErrorDocument:
    return ErrorDocument(ErrorValue("REQUEST", message, False, details=details))


def _too_deep(_: Incoming, __: RecursionError) -> Response[ErrorDocument]:
    return Response(_refusal("the body is nested too deeply"), status_code=400)


async def _report_bug(error: Exception, scope: Any) -> None:
    """What is none of our errors is a bug, and the log has where."""
    if not isinstance(error, (ApkilnError, HTTPException, RecursionError)):
        logging.getLogger("uvicorn.error").error("bug in %s %s", scope["method"], scope["path"], exc_info=error)


def make_api() -> Litestar:
    """The application; `/schema/openapi.json` describes it."""
    api = Litestar(
        route_handlers=[
            open_transaction,
            show_transaction,
            commit,
            abort,
            approve,
            withdraw,
            restore,
            name_generation,
            hold,
            show_package,
            show_difference,
            show_incidents,
            upload,
            show_upload,
        ],
        exception_handlers={ApkilnError: _product_error, HTTPException: _http_error, RecursionError: _too_deep},
        after_exception=[_report_bug],
        openapi_config=openapi_config(),
        request_max_body_size=64 * 1024 * 1024,
    )
    close_schemas(api)
    return api
