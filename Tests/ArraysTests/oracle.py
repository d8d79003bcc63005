"""Reads an archive of arrays with NumPy and zipfile, and prints what is in it as JSON: for each array its type, shape,
and bytes in hexadecimal; texts as they are.

usage: oracle.py FILE.npz
"""
import json
import sys
import zipfile

import numpy as np

with zipfile.ZipFile(sys.argv[1]) as archive:
    assert archive.testzip() is None
    for entry in archive.infolist():
        assert entry.compress_type == zipfile.ZIP_STORED and entry.date_time == (1980, 1, 1, 0, 0, 0), entry
        content = archive.read(entry)
        assert content[:8] == b"\x93NUMPY\x01\x00"
        assert (10 + int.from_bytes(content[8:10], "little")) % 64 == 0
arrays = np.load(sys.argv[1], allow_pickle=False)
found = {}
for name in arrays.files:
    array = arrays[name]
    assert array.flags.c_contiguous
    content = array.tolist() if array.dtype.kind == "U" else array.tobytes().hex()
    found[name] = {"type": array.dtype.str, "shape": array.shape, "content": content}
print(json.dumps(found))
