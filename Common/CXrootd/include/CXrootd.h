// XrdCl behind extern "C". No exception leaves this file's functions.
//
// A request owns its buffer until XrdCl's callback has run, since XrdCl cannot cancel: an abandoned request's
// buffer is never written after it was given to somebody else.
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cxr_file cxr_file;
typedef struct cxr_request cxr_request;

typedef struct {
  uint64_t offset;
  uint32_t length;
} cxr_range;

typedef struct {
  uint64_t size;      // bytes in the file
  int readv_iov_max;  // segments in one vector read, as the server reports
  int readv_ior_max;  // bytes in one segment, as the server reports
  char server[256];   // host:port of the data server that gave the file
} cxr_file_info;

enum {
  CXR_OK = 0,
  CXR_ERROR = 1,
  CXR_DEADLINE = 2,
  CXR_NOT_FOUND = 3,
  CXR_DENIED = 4,
  CXR_UNREACHABLE = 5,
  CXR_UNSUPPORTED = 6,
  CXR_NO_MEMORY = 7
};

/// Opens for reading. On failure `error` holds the reason and the result is not CXR_OK. XrdCl's own recovery of broken
/// connections is off: it would go on reading whatever file lies there by then.
int cxr_open(const char *url, int timeout_seconds, cxr_file **file, cxr_file_info *info, char *error,
             size_t error_size);
void cxr_close(cxr_file *file);

/// Called once for each request, when its buffer is nobody's any more; perhaps on a thread of XrdCl's.
typedef void (*cxr_freed)(void *context, uint64_t bytes, int was_abandoned);

/// Starts a read of `count` ranges into one buffer of the request's own, range after range: a plain read of one range,
/// a vector read of several. NULL where there is no memory; cxr_wait then reports that, and `freed` is not called.
cxr_request *cxr_read(cxr_file *file, const cxr_range *ranges, int count, int timeout_seconds, cxr_freed freed,
                      void *context);
/// Waits for it. With CXR_OK, `data` is valid until the request is released.
int cxr_wait(cxr_request *request, int timeout_milliseconds, const uint8_t **data, uint64_t *length, char *error,
             size_t error_size);
/// Gives up the caller's interest; the buffer is freed once XrdCl is done with it too. Returns 1 where that is still to
/// come.
int cxr_release(cxr_request *request);

/// Lists a directory: `listing` becomes lines of "d name" or "f name", to be freed with cxr_free.
int cxr_list(const char *url, int timeout_seconds, char **listing, char *error, size_t error_size);
/// `is_directory` becomes 0 or 1.
int cxr_stat(const char *url, int timeout_seconds, int *is_directory, uint64_t *size, char *error, size_t error_size);
/// Asks for a file's checksum: `answer` becomes "adler32 0123abcd" or what else the server has.
int cxr_checksum(const char *url, int timeout_seconds, char *answer, size_t answer_size, char *error,
                 size_t error_size);
void cxr_free(void *memory);

#ifdef __cplusplus
}
#endif
