"""A mail server: prints its port, then each mail that it took as one JSON line, as Python's parser reads it.

mail_server.py MODE [CERTIFICATE KEY [MECHANISM]], MODE being none, starttls or implicit. With a certificate, one signs in
as `user` with the password `canary-7f3a`. Receivers that begin with `no-such` or `later` are refused.
"""

import asyncio
import email
import email.policy
import html.parser
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


class Text(html.parser.HTMLParser):
    """What of HTML is text, and which tags and attributes are in it."""

    def __init__(self):
        super().__init__()
        self.text, self.tags = "", []

    def handle_starttag(self, tag, attributes):
        self.tags.append([tag, *(name for name, _ in attributes)])

    def handle_data(self, data):
        self.text += data


class Handler:
    """Takes what it is told to take."""

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("no-such"):
            return "550 5.1.1 no such user"
        if address.startswith("later"):
            return "451 4.7.1 greylisted"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        read = Text()
        read.feed(mail.get_body(("html",)).get_content())
        print(
            json.dumps(
                {
                    "from": envelope.mail_from,
                    "to": envelope.rcpt_tos,
                    "helo": session.host_name,
                    "is_encrypted": server.transport.get_extra_info("ssl_object") is not None,
                    "is_signed_in": bool(session.authenticated),
                    "headers": [[name, str(value)] for name, value in mail.items()],
                    "parts": [part.get_content_type() for part in mail.walk()],
                    "defects": [str(defect) for part in mail.walk() for defect in part.defects],
                    "longest_line": max(len(line) for line in envelope.content.split(b"\r\n")),
                    "is_ascii": envelope.content.isascii(),
                    "text": mail.get_body(("plain",)).get_content().replace("\r\n", "\n"),
                    "html_text": read.text,
                    "html_tags": read.tags,
                }
            ),
            flush=True,
        )
        return "250 OK"


def signs_in(server, session, envelope, mechanism, data):
    is_right = (data.login, data.password) == (b"user", b"canary-7f3a")
    return AuthResult(success=is_right, handled=False, message=None if is_right else f"535 5.7.8 not with {data.password.decode()}")


async def serve(mode, certificate=None, key=None, mechanism=None):
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
    excluded = [it for it in ("PLAIN", "LOGIN") if mechanism and it != mechanism]

    def protocol():
        return SMTP(
            Handler(),
            tls_context=context if mode == "starttls" else None,
            require_starttls=mode == "starttls",
            authenticator=signs_in,
            auth_required=bool(certificate),
            auth_require_tls=mode == "starttls",
            auth_exclude_mechanism=excluded,
        )

    implicit = context if mode == "implicit" else None
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0, ssl=implicit)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(serve(*sys.argv[1:]))
