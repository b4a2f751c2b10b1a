"""The control socket: how other `tradetui` commands ask a running one (`design.md` 1 and 10b).

A Unix-domain socket of mode 0600 in a directory of mode 0700, one JSON line each way with a version field. Both ends
check that the other belongs to the same user. The server runs on the runtime's own loop; what takes long is done on
another thread. Every request is a row of `table.REQUESTS`.
"""
