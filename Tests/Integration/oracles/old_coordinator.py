#!/usr/bin/env python3
"""A coordinator of the first protocol version, as far as a worker can see: it welcomes whoever connects, without naming
a version, and hangs up when the worker has nothing more to send.

Usage: old_coordinator.py PORT. It speaks the few HTTP/2 frames that this takes.
"""
import socket
import sys


def frame(kind, flags, stream, body=b""):
    return len(body).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body


def serve(client):
    body = b'{"welcome":{"leaseSeconds":10,"worker":1}}'
    envelope = bytes([1 << 3 | 2, len(body)]) + body
    content = b"application/grpc"
    # HPACK: :status 200 is entry 8 of the static table, content-type entry 31.
    headers = bytes([0x88, 0x5F, len(content)]) + content
    client.sendall(frame(4, 0, 0))
    data = bytearray()
    preface = 24
    while received := client.recv(1 << 16):
        data += received
        del data[:preface]
        preface = 0
        while len(data) >= 9 and len(data) >= 9 + int.from_bytes(data[:3], "big"):
            length, kind, flags = int.from_bytes(data[:3], "big"), data[3], data[4]
            if kind == 4 and not flags & 1:
                client.sendall(frame(4, 1, 0))
            elif kind == 6 and not flags & 1:
                client.sendall(frame(6, 1, 0, bytes(data[9:9 + length])))
            elif kind == 0 and flags & 1:
                return
            elif kind == 1:
                stream = int.from_bytes(data[5:9], "big")
                client.sendall(
                    frame(1, 4, stream, headers)
                    + frame(0, 0, stream, bytes(1) + len(envelope).to_bytes(4, "big") + envelope))
            del data[:9 + length]


def main():
    server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    while True:
        client, _ = server.accept()
        try:
            serve(client)
        except OSError:
            pass
        client.close()


if __name__ == "__main__":
    main()
