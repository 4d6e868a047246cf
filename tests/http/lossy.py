"""A way to a server on which answers get lost: a proxy that passes bytes on, or not."""

import random
import socket
import threading


class Lossy:
    """Passes connections on to a port; some are broken before the answer.

    Args:
        port: Where to, on this machine.
        share: Which share of answers is lost: what was asked for has been done by then.
    """

    def __init__(self, port, share, seed):
        self.lost = 0
        self.share = share
        self._port = port
        self._random = random.Random(seed)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listening.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with client, socket.create_connection(("127.0.0.1", self._port)) as server:
            threading.Thread(target=self._copy, args=(client, server), daemon=True).start()
            try:
                while answer := server.recv(65536):
                    if self._random.random() < self.share:
                        self.lost += 1
                        # The other thread reads from it, so to close it alone ends nothing.
                        client.shutdown(socket.SHUT_RDWR)
                        return
                    client.sendall(answer)
            except OSError:
                return

    @staticmethod
    def _copy(client, server):
        try:
            while request := client.recv(65536):
                server.sendall(request)
            server.shutdown(socket.SHUT_WR)
        except OSError:
            return
