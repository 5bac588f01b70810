"""Read the JSON of a request, and answer with a cookie or with an error."""

import json
import logging

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.classroom.limits import JSON_BYTES, TooLarge, receive
from app.classroom.roles import COOKIE, HOURS, TooManyTries
from core.errors import BadInput, Busy, PrefixLabError, StoreError
from core.runs.layout import JsonObject
from core.text.checks import counted

log = logging.getLogger(__name__)


async def json_body(request: Request) -> JsonObject:
    """Return the JSON object of a request's body. Raises BadInput for anything else; forms, which other sites can send, are
    refused."""
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise BadInput("Send JSON.")
    body = bytearray()
    await receive(request, JSON_BYTES, body.extend)
    try:
        values = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadInput("The request is not readable JSON.") from error
    if not isinstance(values, dict):
        raise BadInput("The request is not a JSON object.")
    return values


def cookie_response(value: str) -> Response:
    """Return an empty answer that sets the class's cookie."""
    response = JSONResponse({})
    response.set_cookie(COOKIE, value, max_age=HOURS * 3600, httponly=True, samesite="strict")
    return response


def error_response(status: int, sentence: str, headers: dict[str, str] | None = None) -> Response:
    """Return an error as {"error": sentence}."""
    return JSONResponse({"error": sentence}, status_code=status, headers=headers)


def response_to(error: Exception) -> Response:
    """Return an error as a sentence with its HTTP status. Messages with paths of this machine go to the log only."""
    if isinstance(error, TooManyTries):
        wait = {"Retry-After": str(error.seconds)}
        return error_response(429, f"Too many wrong codes. Wait {counted(error.seconds, 'second')}, then try again.", wait)
    if isinstance(error, TooLarge):
        return error_response(
            413, f"This is larger than the {error.limit:,} bytes that are allowed. Send less.", {"Connection": "close"}
        )
    if isinstance(error, Busy):
        return error_response(429, str(error))
    if isinstance(error, PrefixLabError) and not isinstance(error, StoreError):
        return error_response(400, str(error))
    log.error("a request of the class failed", exc_info=error)
    return error_response(503, "That did not work; the presenter's terminal says why. Try again in a moment.")
