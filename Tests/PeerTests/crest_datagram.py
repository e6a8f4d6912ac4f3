"""Crest datagrams, written by hand from schemas/wire/crest-datagram.md: nothing of the daemon's own code is used."""
import hashlib
import hmac
import itertools
import os
import struct
import time

REPORT, SPANS, LINES = 0, 1, 2

TABLE = []
for byte in range(256):
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    TABLE.append(byte)


def crc32c(*parts):
    crc = 0xFFFFFFFF
    for byte in itertools.chain(*parts):
        crc = TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def encode(signal, source, epoch, sequence, produced, dropped, items, payload=b"", plain=None, key=None, when=None):
    """`plain`: bytes of the payload before it was compressed with zstd."""
    flags = (plain is not None) | (key is not None) << 1
    head = struct.pack(
        "<4sBBBBQQQQQQII", b"CRST", 1, flags, signal, 0, source, epoch, sequence, produced, dropped,
        time.time_ns() if when is None else when, items, len(payload) if plain is None else plain)
    datagram = head + struct.pack("<I", crc32c(head, payload)) + payload
    return datagram + hmac.digest(key, datagram, hashlib.sha256)[:16] if key is not None else datagram


class Source:
    """Counts as a client does."""

    def __init__(self, epoch=None, source=None):
        self.source = source or int.from_bytes(os.urandom(8), "little") | 1
        self.epoch = time.time_ns() if epoch is None else epoch
        self.sequence = self.sent = self.dropped = 0

    def datagram(self, signal=REPORT, items=0, payload=b"", dropped=0, **options):
        self.sequence += 1
        self.sent += items
        self.dropped += dropped
        return encode(signal, self.source, self.epoch, self.sequence, self.sent + self.dropped, self.dropped, items,
                      payload, **options)
