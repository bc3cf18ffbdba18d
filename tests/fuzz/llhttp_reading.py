"""How llhttp reads a request, by its binding httptools, none of whose lenient flags is set."""

from __future__ import annotations

import httptools


class Reading:
    """The first request in `data`.

    It is fed byte by byte, so that it is known where each part ends; and each request gets a parser of its
    own, because httptools hands the last trailer field of one request on as a header of the next.
    """

    def __init__(self, data):
        self.data = data
        self.position = 0
        self.method = self.version = self.keep_alive = None     # until the head is complete
        self.target = b""
        self.headers = []
        self.body = b""
        self.chunk_lines = []       # sizes and extensions, each with its line end
        self.line_at = None         # where the line of the next chunk, or the trailer, begins
        self.head_size = None       # bytes up to the body, empty lines before the head among them
        self.size = None            # of all of the request, once that is complete
        self.is_upgrade = False     # nothing behind the head is read
        self.error = None
        self.parser = httptools.HttpRequestParser(self)
        self.feed()

    def feed(self):
        while self.position < len(self.data) and self.size is None:
            self.position += 1
            try:
                self.parser.feed_data(self.data[self.position - 1 : self.position])
            except httptools.HttpParserUpgrade:
                self.is_upgrade = True
            except httptools.HttpParserError as error:
                self.error = str(error)
                return

    @property
    def trailer(self):
        """Where the trailer begins, or None as long as there is none."""
        is_last = self.chunk_lines and int(self.chunk_lines[-1].partition(b";")[0], 16) == 0
        return self.line_at if is_last else None

    def on_url(self, part):
        self.target += part

    def on_header(self, name, value):
        if self.head_size is None:      # or it is a trailer field
            self.headers.append((name, value.strip(b" \t")))

    def on_headers_complete(self):
        self.head_size = self.line_at = self.position
        self.method = self.parser.get_method()
        self.version = self.parser.get_http_version()
        self.keep_alive = self.parser.should_keep_alive()

    def on_body(self, part):
        self.body += part

    def on_chunk_header(self):
        self.chunk_lines.append(self.data[self.line_at : self.position])
        self.line_at = self.position

    def on_chunk_complete(self):
        self.line_at = self.position

    def on_message_complete(self):
        self.size = self.position

    # ------------------------------------------------------------- for those who judge it

    def values(self, name):
        return [value for each, value in self.headers if each.lower() == name]

    def members(self, name):
        """Of a list, in lower case."""
        return [member.strip().lower() for value in self.values(name) for member in value.split(b",")]
