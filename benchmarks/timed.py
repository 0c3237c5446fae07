"""Runs one command and prints what it took: a small process of its own, because the peak memory of a child counts that of the
process it was forked from.  Usage: timed.py RESULT-FILE LOG-FILE WORD…"""

import json
import os
import sys
import time


def main(result: str, log: str, words: list[str]) -> None:
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    actions = [(os.POSIX_SPAWN_DUP2, nothing, 0), (os.POSIX_SPAWN_DUP2, output, 1), (os.POSIX_SPAWN_DUP2, output, 2)]
    started = time.perf_counter()
    process = os.posix_spawnp(words[0], words, os.environ, file_actions=actions)
    _pid, status, usage = os.wait4(process, 0)
    wall = time.perf_counter() - started
    values = {
        "wall": wall,
        "cpu": usage.ru_utime + usage.ru_stime,
        "peak": usage.ru_maxrss * 1024,
        "code": os.waitstatus_to_exitcode(status),
    }
    with open(result, "w") as stream:
        json.dump(values, stream)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
