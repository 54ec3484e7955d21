"""Who may use the window: the browser that was given the address, from a page of the window's own.

A model is code, and the window starts it: any page open in the same browser, and any other user of the machine, is kept
out. Checked on every request, in this order: the Host it asks for, where it comes from, and the cookie it brings.
"""

import secrets
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOSTS = ("127.0.0.1", "localhost")
SAFE = {"GET", "HEAD"}
LONGEST_BODY = 200_000_000  # bytes of what is uploaded: recordings
EXCHANGED = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>gbar</title><link rel="icon" href="/static/icon.svg">
<meta http-equiv="refresh" content="0;url=/"></head><body><p><a href="/">The window</a></p></body></html>
"""
CLOSED = (
    "This window is not open to you: gbar ui prints an address when it starts, and it works once. Start gbar ui again "
    "for a new one; runs go on meanwhile."
)


class Keys:
    """The token of the address, which opens once, and what the browser has for it from then on."""

    def __init__(self, port: int):
        self.port = port
        self.token = secrets.token_urlsafe(32)
        self._used = False
        self._session = secrets.token_urlsafe(32)

    @property
    def address(self) -> str:
        """What is opened in a browser, once."""
        return f"http://127.0.0.1:{self.port}/?token={self.token}"

    @property
    def cookie(self) -> str:
        """Its name: cookies do not tell ports apart."""
        return f"gbar-{self.port}"

    def exchange(self, token: str) -> str | None:
        """The cookie's value for a token that was not used yet."""
        if self._used or not secrets.compare_digest(token.encode(), self.token.encode()):
            return None
        self._used = True
        return self._session

    def opens(self, value: str) -> bool:
        """Whether a cookie is this server's."""
        return secrets.compare_digest(value.encode(), self._session.encode())

    def is_host(self, host: str) -> bool:
        """Whether a request asks for this server by a name of this machine: another name may be anybody's."""
        return host in {f"{name}:{self.port}" for name in HOSTS}


class Guard:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp, keys: Keys):
        self._app, self._keys = app, keys
        self._fixed = {
            "content-security-policy": (
                "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'; "
                + f"connect-src 'self' ws://127.0.0.1:{keys.port} ws://localhost:{keys.port}"
            ),
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
            "cross-origin-resource-policy": "same-origin",
            "cross-origin-opener-policy": "same-origin",
            "cache-control": "no-store",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or answer it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] == "websocket":
            if self._refusal(scope, "websocket") is None:
                await self._app(scope, receive, send)
            else:
                await receive()
                await send({"type": "websocket.close", "code": 1008})
            return

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._fixed)
            await send(message)

        answer = self._refusal(scope, scope["method"])
        await (answer or self._app)(scope, receive, sealed)

    def _refusal(self, scope: Scope, method: str) -> Response | None:
        headers, keys = Headers(scope=scope), self._keys
        host = headers.get("host", "")
        if not keys.is_host(host):
            return PlainTextResponse("This server is asked for by its own address only.", 421)
        if method not in SAFE and headers.get("origin") != f"http://{host}":
            return PlainTextResponse("That was not asked by a page of this window.", 403)
        if headers.get("sec-fetch-site") == "cross-site" and method not in SAFE:
            return PlainTextResponse("That was not asked by a page of this window.", 403)
        if int(headers.get("content-length") or 0) > LONGEST_BODY:
            return PlainTextResponse(f"Larger than {LONGEST_BODY / 1e6:.0f} MB: use gbar recordings.", 413)
        token = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if token and scope["path"] == "/" and method in SAFE:
            return self._exchange(token)
        cookies = cookie_parser(headers.get("cookie", ""))
        return None if keys.opens(cookies.get(keys.cookie, "")) else PlainTextResponse(CLOSED, 403)

    def _exchange(self, token: str) -> Response:
        session = self._keys.exchange(token)
        if session is None:
            return PlainTextResponse(CLOSED, 403)
        # a page of ours that leads on, not a redirect: a Strict cookie would not travel where another page's link began
        answer = HTMLResponse(EXCHANGED)
        answer.set_cookie(self._keys.cookie, session, httponly=True, samesite="strict", path="/")
        return answer
