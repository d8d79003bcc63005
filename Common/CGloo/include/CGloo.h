// Gloo's exact integer sum over sockets of our own, behind extern "C". No exception leaves these functions, and none
// of them takes a null group or buffer for granted: such a call fails.
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cgl_group cgl_group;
typedef struct cgl_buffer cgl_buffer;

// How a call ended.
typedef enum {
  cgl_done = 0,
  // This member could not do its part: an address that is none of its machine's, no memory, a call out of order.
  cgl_failed = 1,
  // Another member closed the connection.
  cgl_closed = 2,
  // Another member could not be reached, was silent for too long, or sent what no member sends.
  cgl_unreachable = 3,
  // `cgl_abandon` was called.
  cgl_abandoned = 4,
} cgl_outcome;

// Why a call did not end with `cgl_done`; the text ends with a zero byte. Where other members are at fault, or it is
// between them and this one, `members` has a bit for each of them: bit r % 8 of byte r / 8.
typedef struct {
  char text[512];
  uint8_t members[512];
} cgl_failure;

// The most members that a group may have.
enum { cgl_max_size = 4096 };

// The IP address that `host`, a name or an address, stands for and that a socket of this machine can listen on: that
// is tried out. Blocks for as long as the system resolves names. `address` has room for `size` bytes.
cgl_outcome cgl_resolve(const char *host, char *address, size_t size, cgl_failure *failure);

// Opens the listening socket of a member: of the rank `rank` from 0 to below `size`, at an IP address.
// NULL on failure.
cgl_group *cgl_open(int rank, int size, const char *address, cgl_failure *failure);

// Where the other members reach this one: a text without zero bytes, for `cgl_connect` of each of them.
// NULL where the group is.
const char *cgl_contact(const cgl_group *group);

// Connects with all members; called once. `contacts` has a text of each, by rank. Within `connect_milliseconds` each
// pair of members must have greeted each other. Later on, a member of which nothing comes for
// `silence_milliseconds`, while something is awaited from it, is given up.
cgl_outcome cgl_connect(cgl_group *group, const char *const *contacts, int connect_milliseconds,
                        int silence_milliseconds, cgl_failure *failure);

// Ends, from any thread and at once, the call that is under way and each later one with `cgl_abandoned`.
void cgl_abandon(cgl_group *group);

// Closes the connections at once, so that the others see it; buffers can still be freed. No other call may be under
// way.
void cgl_close(cgl_group *group);

// A buffer of `count` numbers that is summed over the members, in slices. All members make the same buffers in the same
// order. NULL on failure.
cgl_buffer *cgl_buffer_make(cgl_group *group, size_t count, cgl_failure *failure);
// Its numbers; NULL where the buffer is.
int64_t *cgl_buffer_values(cgl_buffer *buffer);
size_t cgl_buffer_slices(const cgl_buffer *buffer);
// Sums one slice; all members sum all slices in their order. After a failure, all later calls fail.
cgl_outcome cgl_buffer_sum(cgl_buffer *buffer, size_t slice, cgl_failure *failure);
void cgl_buffer_free(cgl_buffer *buffer);

#ifdef __cplusplus
}
#endif
