"""Viewers of the live page's socket that take every frame they are sent and draw none."""

import base64
import json
import os
import socket
import struct
import threading

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
PATIENCE_S = 10


class Viewer:
    def __init__(self, port):
        self.frames = 0
        self.over = False
        self.conn = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        key = base64.b64encode(os.urandom(16)).decode()
        self.conn.sendall(
            f"GET /live HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: http://127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        self.stream = self.conn.makefile("rb", buffering=1 << 18)
        status = self.stream.readline()
        if b" 101 " not in status:
            raise SystemExit(f"the page refused a viewer: {status.decode().strip()}")
        while self.stream.readline().strip():
            pass
        self.say(TEXT, json.dumps({"do": "hello"}).encode())
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def say(self, kind, payload):
        """One masked frame, as a browser sends it."""
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
        self.conn.sendall(bytes([0x80 | kind, 0x80 | len(payload)]) + mask + masked)

    def watch(self):
        while not self.over:
            try:
                kind, payload = self.message()
            except (OSError, ValueError):
                # The end of the crowd closes the connection under a reader.
                return
            if kind == BINARY:
                self.frames += 1
                self.say(TEXT, b'{"do":"seen","frames":1}')
            elif kind == PING:
                self.say(PONG, payload)
            elif kind == CLOSE:
                return

    def message(self):
        first, second = self.exactly(2)
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack(">H", self.exactly(2))
        elif length == 127:
            (length,) = struct.unpack(">Q", self.exactly(8))
        return first & 0x0F, self.exactly(length)

    def exactly(self, count):
        taken = self.stream.read(count)
        if len(taken) < count:
            raise OSError("the page closed the connection")
        return taken

    def close(self):
        self.over = True
        self.conn.shutdown(socket.SHUT_RDWR)
        self.thread.join(PATIENCE_S)
        self.conn.close()


class Crowd:
    """So many viewers, while the `with` block lasts."""

    def __init__(self, port, count):
        self.viewers = [Viewer(port) for _ in range(count)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        gone = [viewer for viewer in self.viewers if not viewer.thread.is_alive()]
        for viewer in self.viewers:
            try:
                viewer.close()
            except OSError:
                pass
        if gone:
            raise SystemExit(f"{len(gone)} of {len(self.viewers)} viewers were put out by the page")

    def frames(self):
        return sum(viewer.frames for viewer in self.viewers)
