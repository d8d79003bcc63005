#!/usr/bin/env python3
"""A web server on loopback that misbehaves by path: prints its port, serves until its standard input ends.

Each file is 100,000 bytes: byte i is i modulo 251.
"""

import http.server
import sys
import threading
import time

CONTENT = bytes(i % 251 for i in range(100_000))
asked = {}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def whole(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT)

    def in_parts(self, mode, ranges):
        ranges.sort()
        if mode == "joined":
            # A server may answer near ranges as one.
            joined = [ranges[0]]
            for first, last in ranges[1:]:
                if first - joined[-1][1] < 600:
                    joined[-1] = (joined[-1][0], last)
                else:
                    joined.append((first, last))
            ranges = joined
        if mode == "lacking":
            ranges.pop()
        body = b""
        for first, last in ranges:
            head = (
                f"\r\n--wall\r\nContent-type: text/plain\r\nContent-range: bytes {first}-{last}/{len(CONTENT)}\r\n\r\n"
            )
            body += head.encode() + CONTENT[first : last + 1]
        body += b"\r\n--wall--\r\n"
        if mode == "torn":
            body = body[:-30]
        self.send_response(206)
        self.send_header("Content-Type", "multipart/byteranges; boundary=wall")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        mode = self.path.strip("/")
        asked[mode] = asked.get(mode, 0) + 1
        ranges = [
            tuple(int(x) for x in part.split("-")) for part in self.headers["Range"].removeprefix("bytes=").split(",")
        ]
        first, last = ranges[0]
        total = len(CONTENT)
        if len(ranges) > 1:
            return self.in_parts(mode, ranges) if mode in ("several", "joined", "lacking", "torn") else self.whole()
        if mode == "redirect":
            self.send_response(307)
            self.send_header("Location", "/good")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if mode in ("404", "403", "500"):
            self.send_error(int(mode))
            return
        if mode == "whole":
            return self.whole()
        if mode == "stall" and asked[mode] > 1:
            time.sleep(8)
        tag = '"one"'
        if asked[mode] > 1:
            if mode == "resized":
                total += 1
            if mode == "retagged":
                tag = '"two"'
            if mode == "rejected" and self.headers.get("If-Match") == '"one"':
                self.send_error(412)
                return
        last = min(last, len(CONTENT) - 1)
        body = CONTENT[first : last + 1]
        self.send_response(206)
        shift = 1 if mode == "shifted" and asked[mode] > 1 else 0
        self.send_header("Content-Range", f"bytes {first + shift}-{last + shift}/{total}")
        self.send_header("ETag", tag)
        if mode == "cut" and asked[mode] > 1:
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
            return
        if mode == "long" and asked[mode] > 1:
            body += b"more"
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_address[1], flush=True)
sys.stdin.read()
