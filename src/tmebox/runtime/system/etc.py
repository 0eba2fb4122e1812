"""What getpwnam(), getgrnam() and getservbyname() find where a guest has no /etc of its own."""

from __future__ import annotations

from tmebox.runtime.system.process import OWNER

NOBODY = 65534
SERVICES = {
    "ftp": 21, "ssh": 22, "telnet": 23, "smtp": 25, "domain": 53, "http": 80, "pop3": 110, "ntp": 123,
    "imap2": 143, "snmp": 161, "ldap": 389, "https": 443, "submission": 587, "ldaps": 636, "imaps": 993,
    "pop3s": 995,
}  # fmt: skip
OURS = b"# a sandbox has this one from tmebox, and not the host's\n"
FILES = {
    b"/etc/passwd": OURS
    + (
        b"root:x:0:0:root:/:/bin/sh\n"
        b"user:x:%d:%d:user:/:/bin/sh\n"
        b"nobody:x:%d:%d:nobody:/:/bin/false\n" % (OWNER, OWNER, NOBODY, NOBODY)
    ),
    b"/etc/group": OURS + b"root:x:0:\nuser:x:%d:\nnogroup:x:%d:\nnobody:x:%d:\n" % (OWNER, NOBODY, NOBODY),
    b"/etc/services": "".join(f"{name} {port}/tcp\n" for name, port in SERVICES.items()).encode(),
}
"""By path. What a guest was granted at /etc, or has in the directory that is its root, comes first."""
