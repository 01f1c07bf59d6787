"""A client that costs next to nothing, so that what is measured is the service."""

import socket
from urllib.parse import urlsplit


class Connection:
    """A kept-alive HTTP connection, with as much HTTP as the answers need."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._host = address.netloc
        self._socket = socket.create_connection((address.hostname, address.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def predict(self, photo: bytes, query: str = "") -> None:
        """Send a photo, wait for its answer, which must be one. ``query`` begins with its question mark."""
        head = (
            f"POST /predict{query} HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: image/jpeg\r\n"
            f"Content-Length: {len(photo)}\r\n\r\n"
        )
        self._socket.sendall(head.encode() + photo)
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._socket.recv(65536)
        head_bytes, _, body = received.partition(b"\r\n\r\n")
        if not head_bytes.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(received.decode())
        lines = head_bytes.lower().split(b"\r\n")
        length = next(int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:"))
        while len(body) < length:
            body += self._socket.recv(65536)

    def close(self) -> None:
        self._socket.close()
