// Gloo's exact integer sum behind extern "C". No exception leaves these functions.
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cgl_round cgl_round;
typedef struct cgl_channel cgl_channel;

// How members find each other. `wait` blocks, hands out memory from malloc, and returns 0, or not 0 where it gave up.
typedef struct {
  void *owner;
  void (*set)(void *owner, const char *key, const uint8_t *data, size_t size);
  int (*wait)(void *owner, const char *key, uint8_t **data, size_t *size);
} cgl_store;

// Connects `size` members over TCP. NULL on failure, with the reason in `error`.
cgl_round *cgl_connect(int rank, int size, const char *host, int timeout_milliseconds, cgl_store store, char *error,
                       size_t error_size);
// Closes the connections at once, so that the others see it.
void cgl_close(cgl_round *round);

// A buffer of `count` numbers that is summed over the members. All members make the same channels in the same order.
cgl_channel *cgl_channel_make(cgl_round *round, size_t count, char *error, size_t error_size);
int64_t *cgl_channel_buffer(cgl_channel *channel);
// 0, or not 0 with the reason in `error`; then the round is over.
int cgl_channel_sum(cgl_channel *channel, size_t slices_most, char *error, size_t error_size);
void cgl_channel_free(cgl_channel *channel);

#ifdef __cplusplus
}
#endif
