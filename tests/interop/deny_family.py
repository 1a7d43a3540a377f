"""Takes an address family away from a process: a socket of it is EAFNOSUPPORT, as with systemd's RestrictAddressFamilies, or
where the kernel lacks it.

`python3 deny_family.py AF_INET6 COMMAND...` runs a command without it.
"""

import ctypes
import os
import platform
import socket
import struct
import sys


def deny_family(family):
    """From now on, for this process and those that it starts."""
    number_of_socket = {"x86_64": 41, "aarch64": 198}[platform.machine()]
    load, equal, answer = 0x20, 0x15, 0x06
    allow, deny = 0x7FFF0000, 0x00050000 | 97
    number_at, first_argument_at = 0, 16
    program = b"".join(
        struct.pack("HBBI", *instruction)
        for instruction in [
            (load, 0, 0, number_at),
            (equal, 0, 3, number_of_socket),
            (load, 0, 0, first_argument_at),
            (equal, 0, 1, family),
            (answer, 0, 0, deny),
            (answer, 0, 0, allow),
        ]
    )
    buffer = ctypes.create_string_buffer(program, len(program))
    filter_ = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    no_new_privileges, set_seccomp, mode_filter = 38, 22, 2
    assert libc.prctl(no_new_privileges, 1, 0, 0, 0) == 0
    assert libc.prctl(set_seccomp, mode_filter, filter_, 0, 0) == 0, ctypes.get_errno()


if __name__ == "__main__":
    deny_family(socket.AddressFamily[sys.argv[1]])
    os.execvp(sys.argv[2], sys.argv[2:])
