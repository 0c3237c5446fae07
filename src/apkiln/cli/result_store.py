"""The place that `--result-store` names: a directory, or a bucket with what the environment says about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apkiln.core.errors import UsageError

if TYPE_CHECKING:
    from apkiln.cli.context import Context
    from apkiln.system.store import SharedStore

_SCHEME = "s3://"


def open_result_store(place: str, context: Context) -> SharedStore | None:
    """None where no place is named.  Raises UsageError `bad-result-store`, `offline`, `missing-extra`."""
    from pathlib import Path

    if not place:
        return None
    if place.startswith(_SCHEME):
        return _bucket(place, context)
    if "://" in place:
        raise UsageError(
            f"`{place}` is no place for results", reason="bad-result-store", hint="a directory, or s3://BUCKET/PREFIX"
        )
    from apkiln.system.directory_store import DirectoryStore

    return DirectoryStore(Path(context.settings.working_directory, place))


def _bucket(place: str, context: Context) -> SharedStore:
    """The variables are those of the provider's own tools."""
    from apkiln.core.secret import Secret

    name, _, prefix = place.removeprefix(_SCHEME).partition("/")
    if not name:
        raise UsageError(f"`{place}` names no bucket", reason="bad-result-store", hint="s3://BUCKET/PREFIX")
    if context.settings.offline:
        raise UsageError(f"`{place}` is out of reach with `--offline`", reason="offline")
    from apkiln.system.blob_store_object import Bucket
    from apkiln.system.bucket_store import open_bucket_store

    said = context.settings.environment.get
    bucket = Bucket(
        name,
        prefix.strip("/"),
        said("AWS_ENDPOINT_URL_S3") or said("AWS_ENDPOINT_URL") or "",
        said("AWS_REGION") or said("AWS_DEFAULT_REGION") or "us-east-1",
        said("AWS_ACCESS_KEY_ID") or "",
        Secret(said("AWS_SECRET_ACCESS_KEY") or ""),
        Secret(said("AWS_SESSION_TOKEN") or ""),
    )
    try:
        return open_bucket_store(bucket)
    except ImportError as error:
        hint = "install `apkiln[service]`"
        raise UsageError("results in a bucket need `obstore`", reason="missing-extra", hint=hint) from error
