"""Things that stand between the agent and the service."""
import contextlib
import select
import socket
import ssl
import struct
import threading
import time


class CuttingProxy:
    """A TCP proxy in front of the service that loses what it is told to.

    It carries TLS unread and counts requests: what the client sends after its
    Finished. `set(mode, skip, count)`: after `skip` more requests the next
    `count` meet the mode:
      reset       the connection is reset and the request never arrives
      cut-answer  the request arrives, nothing of the answer comes back
      cut-body    half of the answer comes back
      blackhole   the request arrives, the connection stays open and silent
      slow        the answer comes back at one byte a second
    """

    def __init__(self, target_port):
        self.target = target_port
        self.mode, self.skip, self.count, self.hits = "pass", 0, 0, 0
        self.lock = threading.Lock()
        self.links = set()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def set(self, mode, skip=0, count=1 << 30):
        with self.lock:
            self.mode, self.skip, self.count = mode, skip, count
            self.hits = 0

    def on_request(self):
        """The mode that this request meets, or None."""
        with self.lock:
            if self.mode == "pass":
                return None
            if self.skip > 0:
                self.skip -= 1
                return None
            if self.count == 0:
                return None
            self.count -= 1
            self.hits += 1
            return self.mode

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target),
                                                  10)
            except OSError:
                client.close()
                continue
            link = Link(self, client, server)
            self.links.add(link)

    def stop(self):
        self.listener.close()
        for link in list(self.links):
            link.close()


class Link:
    """One connection through a CuttingProxy."""

    APPLICATION_DATA = 23  # TLS record type; also of the client's Finished.

    def __init__(self, proxy, client, server):
        self.proxy, self.client, self.server = proxy, client, server
        self.mode = None
        self.records = b""
        self.finished = False
        self.answered = True
        for pump in (self.up, self.down):
            threading.Thread(target=pump, daemon=True).start()

    def is_request(self, data):
        """True when `data` holds the first record of a request."""
        self.records += data
        begins = False
        while len(self.records) >= 5:
            kind, _, _, size = struct.unpack(">BBBH", self.records[:5])
            if len(self.records) < 5 + size:
                break
            self.records = self.records[5 + size:]
            if kind != self.APPLICATION_DATA:
                continue
            if not self.finished:
                self.finished = True
            elif self.answered:
                begins, self.answered = True, False
        return begins

    def up(self):
        with contextlib.suppress(OSError):
            while data := self.client.recv(1 << 16):
                if self.is_request(data):
                    self.mode = self.proxy.on_request()
                    if self.mode == "reset":
                        self.client.setsockopt(socket.SOL_SOCKET,
                                               socket.SO_LINGER,
                                               struct.pack("ii", 1, 0))
                        self.client.close()
                        break
                self.server.sendall(data)
        self.close()

    def down(self):
        with contextlib.suppress(OSError):
            while data := self.server.recv(1 << 16):
                if self.mode in ("cut-answer", "cut-body"):
                    self.cut(data)
                    break
                if self.mode == "blackhole":
                    continue
                if self.mode == "slow":
                    for byte in data:
                        self.client.sendall(bytes([byte]))
                        time.sleep(1)
                    continue
                self.answered = True
                self.client.sendall(data)
        if self.mode != "blackhole":
            self.close()

    def cut(self, data):
        """Waits for the whole answer, then loses it, or half of it."""
        self.server.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            while more := self.server.recv(1 << 16):
                data += more
        if self.mode == "cut-body":
            self.client.sendall(data[:len(data) // 2])

    def close(self):
        self.proxy.links.discard(self)
        for one in (self.client, self.server):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


class TlsRelay:
    """Ends TLS with a good certificate and begins it anew to the service: a
    relay on which both sides speak, over two different channels."""

    def __init__(self, port, target_port, certificate, key, ca):
        self.target = target_port
        self.server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server_side.load_cert_chain(certificate, key)
        self.client_side = ssl.create_default_context(cafile=ca)
        self.listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(plain,),
                             daemon=True).start()

    def serve(self, plain):
        with contextlib.suppress(OSError), contextlib.ExitStack() as both:
            client = both.enter_context(
                self.server_side.wrap_socket(plain, server_side=True))
            server = both.enter_context(self.client_side.wrap_socket(
                socket.create_connection(("127.0.0.1", self.target), 10),
                server_hostname="localhost"))
            self.carry(client, server)

    @staticmethod
    def carry(client, server):
        """Both ways from one thread: a TLS connection is no more than that
        may bear."""
        other = {client: server, server: client}
        for end in other:
            end.setblocking(False)
        while True:
            for source in select.select(list(other), [], [])[0]:
                try:
                    data = source.recv(1 << 16)
                except ssl.SSLWantReadError:
                    continue  # A record that is none of ours, or half of one.
                if not data:
                    return
                other[source].setblocking(True)
                other[source].sendall(data)
                other[source].setblocking(False)

    def stop(self):
        self.listener.close()
