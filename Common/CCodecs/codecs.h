// The compression libraries of Debian that ROOT files need.
#pragma once
#include <libdeflate.h>
#include <lz4.h>
#include <lzma.h>
#include <xxhash.h>
#include <zlib.h>
#include <zstd.h>
