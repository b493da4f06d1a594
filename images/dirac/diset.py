"""Calls of DIRAC's services in their own protocol (DISET), with the standard library alone.

Certificate and key are the host's own; who answers must be signed by an authority of this installation. Its name is not compared: calls
go by address.
"""

import json
import os
import socket
import ssl

CERTIFICATE = "/etc/dirac/host/tls.crt"
KEY = "/etc/dirac/host/tls.key"
AUTHORITIES = os.environ.get("X509_CERT_DIR", "/etc/grid-security/certificates")
# A frame is the length of its text in digits, a colon, and the text. Between frames a service may say that it is still there.
STILL_HERE = b"dka"
MOST = 64 << 20
# What a call may raise that has no answer.
FAILURES = (OSError, ValueError, KeyError, TypeError, AttributeError)


class Connection:
    def __init__(self, stream):
        self.stream = stream
        self.rest = b""

    def more(self):
        part = self.stream.recv(65536)
        if not part:
            raise OSError("the service closed the connection")
        self.rest += part

    def send(self, value):
        text = json.dumps({"OK": True, "Value": value}).encode()
        self.stream.sendall(b"%d:%s" % (len(text), text))

    def receive(self):
        while True:
            while self.rest.startswith(STILL_HERE):
                self.rest = self.rest[len(STILL_HERE) :]
            if b":" in self.rest:
                break
            self.more()
        size, _, rest = self.rest.partition(b":")
        if not size.isdigit() or int(size) > MOST:
            raise ValueError(f"this is no answer of a DIRAC service: {size[:40]!r}")
        parts, length = [rest], len(rest)
        while length < int(size):
            part = self.stream.recv(65536)
            if not part:
                raise OSError("the service closed the connection")
            parts.append(part)
            length += len(part)
        text = b"".join(parts)
        text, self.rest = text[: int(size)], text[int(size) :]
        answer = json.loads(text)
        if not answer["OK"]:
            raise ValueError(answer.get("Message", "the service refused, and did not say why"))
        return answer.get("Value")


def call(host, port, name, method, arguments=(), seconds=5):
    """What the service of this name answers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(capath=AUTHORITIES)
    context.load_cert_chain(CERTIFICATE, KEY)
    with socket.create_connection((host, port), seconds) as plain, context.wrap_socket(plain, server_hostname=host) as stream:
        connection = Connection(stream)
        # Whom, what, as whom, and which version asks.
        connection.send([[name, "None", "unknown"], ["RPC", method], "hosts", "9.1"])
        connection.receive()
        connection.send(list(arguments))
        return connection.receive()
