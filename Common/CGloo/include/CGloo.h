// Gloo's exact integer sum behind extern "C". No exception leaves these functions.
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cgl_group cgl_group;
typedef struct cgl_buffer cgl_buffer;

// How members find each other. `wait` blocks, hands out memory from malloc, and returns 0, or not 0 where it gave up.
typedef struct {
  void *owner;
  void (*set)(void *owner, const char *key, const uint8_t *data, size_t size);
  int (*wait)(void *owner, const char *key, uint8_t **data, size_t *size);
} cgl_store;

// Connects `size` members over TCP. NULL on failure, with the reason in `error`.
cgl_group *cgl_connect(int rank, int size, const char *host, int timeout_milliseconds, cgl_store store, char *error,
                       size_t error_size);
// Closes the connections at once, so that the others see it.
void cgl_close(cgl_group *group);

// A buffer of `count` numbers that is summed over the members, in slices. All members make the same buffers in the same
// order. NULL on failure, with the reason in `error`.
cgl_buffer *cgl_buffer_make(cgl_group *group, size_t count, char *error, size_t error_size);
int64_t *cgl_buffer_values(cgl_buffer *buffer);
size_t cgl_buffer_slices(cgl_buffer *buffer);
// Sums one slice; all members sum all slices in their order. 0, or not 0 with the reason in `error`; then the group is
// of no more use.
int cgl_buffer_sum(cgl_buffer *buffer, size_t slice, char *error, size_t error_size);
void cgl_buffer_free(cgl_buffer *buffer);

#ifdef __cplusplus
}
#endif
