"""Stop to listen without turning away whoever has connected already.

Linux resets what waits in the accept queue of a socket that is closed: a client that has connected
and sent its request is told that its connection was reset. So a server that stops first lets nobody
begin to connect any more (their first packet is dropped, as on a bad line; they try again after a
second and reach whoever listens then, or nobody), takes in those who had begun, and closes then.
"""

import ctypes
import socket
import struct
import sys
from typing import Final

SO_ATTACH_FILTER: Final = 26
_FLAGS, _SYN_ACK, _SYN = 13, 0x12, 0x02
_LOAD_BYTE, _AND, _JUMP_EQUAL, _RETURN = 0x30, 0x54, 0x15, 0x06
_PROGRAM: Final = (
    (_LOAD_BYTE, 0, 0, _FLAGS),
    (_AND, 0, 0, _SYN_ACK),
    (_JUMP_EQUAL, 0, 1, _SYN),
    (_RETURN, 0, 0, 0),
    (_RETURN, 0, 0, 0xFFFFFFFF),
)
"""A classic packet filter over the TCP header: drop what begins a connection, let in the rest."""


def let_nobody_begin(listening: socket.socket) -> bool:
    """Drop packets that begin a connection to a socket; return whether the system can do that."""
    if sys.platform != "linux":
        return False
    code = b"".join(struct.pack("HBBI", *step) for step in _PROGRAM)
    held = ctypes.create_string_buffer(code)
    program = struct.pack("HP", len(_PROGRAM), ctypes.addressof(held))
    try:
        listening.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
    except OSError:  # a sandbox without packet filters
        return False
    return True
