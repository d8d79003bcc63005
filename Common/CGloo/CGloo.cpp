#include "CGloo.h"

#include <gloo/allreduce_halving_doubling.h>
#include <gloo/math.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "Address.h"
#include "Transport.h"

using members::Failure;

// Numbers in one slice: small enough for the processor's cache.
static constexpr size_t kSlice = 65536;

struct cgl_group {
  // Buffers keep it too.
  std::shared_ptr<members::Context> context;
};

struct cgl_buffer {
  std::shared_ptr<members::Context> context;
  std::vector<int64_t> values;
  std::vector<std::unique_ptr<gloo::AllreduceHalvingDoubling<int64_t>>> slices;
};

namespace {

cgl_outcome report(cgl_outcome outcome, const char *text, const std::vector<int> &ranks, cgl_failure *failure) {
  if (!failure) return outcome;
  *failure = cgl_failure{};
  std::strncpy(failure->text, text, sizeof failure->text - 1);
  for (int rank : ranks) {
    if (rank >= 0 && rank < cgl_max_size) failure->members[rank / 8] |= static_cast<uint8_t>(1 << rank % 8);
  }
  return outcome;
}

// Runs `body`; whatever it throws becomes an outcome.
template <typename Body>
cgl_outcome guarded(cgl_failure *failure, Body body) noexcept {
  try {
    body();
    return cgl_done;
  } catch (const Failure &error) {
    return report(error.outcome, error.what(), error.members, failure);
  } catch (const std::exception &error) {
    return report(cgl_failed, error.what(), {}, failure);
  } catch (...) {
    return report(cgl_failed, "an error without a text", {}, failure);
  }
}

// As `guarded`; after a failure the group is of no more use.
template <typename Body>
cgl_outcome guarded(members::Context *context, cgl_failure *failure, Body body) noexcept {
  const auto outcome = guarded(failure, [&] {
    if (!context) throw Failure(cgl_failed, "there is no group");
    if (context->mesh.isAbandoned()) throw Failure(cgl_abandoned, "the round was given up");
    if (context->isBroken) throw Failure(cgl_failed, "the group has failed before, or is closed");
    body();
  });
  if (outcome != cgl_done && context) context->isBroken = true;
  return outcome;
}

members::Context *contextOf(const cgl_group *group) { return group ? group->context.get() : nullptr; }

}  // namespace

extern "C" {

cgl_outcome cgl_resolve(const char *host, char *address, size_t size, cgl_failure *failure) {
  return guarded(failure, [&] {
    if (!host || !address) throw Failure(cgl_failed, "no name was given");
    const std::string text = members::resolve(host);
    if (text.size() + 1 > size) throw Failure(cgl_failed, "the address is too long");
    std::memcpy(address, text.c_str(), text.size() + 1);
  });
}

cgl_group *cgl_open(int rank, int size, const char *address, cgl_failure *failure) {
  std::unique_ptr<cgl_group> group;
  guarded(failure, [&] {
    if (!address || size < 1 || size > cgl_max_size || rank < 0 || rank >= size) {
      throw Failure(cgl_failed, "no such member: " + std::to_string(rank) + " of " + std::to_string(size));
    }
    auto made = std::make_unique<cgl_group>();
    made->context = std::make_shared<members::Context>(rank, size, address);
    group = std::move(made);
  });
  return group.release();
}

const char *cgl_contact(const cgl_group *group) {
  return group ? group->context->mesh.contact().c_str() : nullptr;
}

cgl_outcome cgl_connect(cgl_group *group, const char *const *contacts, int connect_milliseconds,
                        int silence_milliseconds, cgl_failure *failure) {
  return guarded(contextOf(group), failure, [&] {
    if (!contacts || group->context->isConnected) throw Failure(cgl_failed, "the members are connected once");
    auto &context = *group->context;
    std::vector<std::string> texts;
    for (int rank = 0; rank < context.size; ++rank) texts.push_back(contacts[rank] ? contacts[rank] : "");
    context.mesh.connect(texts, std::chrono::milliseconds(connect_milliseconds),
                         std::chrono::milliseconds(silence_milliseconds));
    context.makePairs();
    context.isConnected = true;
  });
}

void cgl_abandon(cgl_group *group) {
  if (group) group->context->mesh.abandon();
}

void cgl_close(cgl_group *group) {
  if (!group) return;
  group->context->isBroken = true;
  group->context->mesh.close();
  delete group;
}

cgl_buffer *cgl_buffer_make(cgl_group *group, size_t count, cgl_failure *failure) {
  std::unique_ptr<cgl_buffer> buffer;
  guarded(contextOf(group), failure, [&] {
    if (!group->context->isConnected) throw Failure(cgl_failed, "the members are not connected");
    auto made = std::make_unique<cgl_buffer>();
    made->context = group->context;
    made->values.resize(count);
    for (size_t start = 0; start < count; start += kSlice) {
      std::vector<int64_t *> pointers{made->values.data() + start};
      made->slices.push_back(std::make_unique<gloo::AllreduceHalvingDoubling<int64_t>>(
          group->context, pointers, static_cast<int>(std::min(kSlice, count - start))));
    }
    buffer = std::move(made);
  });
  return buffer.release();
}

int64_t *cgl_buffer_values(cgl_buffer *buffer) { return buffer ? buffer->values.data() : nullptr; }

size_t cgl_buffer_slices(const cgl_buffer *buffer) { return buffer ? buffer->slices.size() : 0; }

cgl_outcome cgl_buffer_sum(cgl_buffer *buffer, size_t slice, cgl_failure *failure) {
  return guarded(buffer ? buffer->context.get() : nullptr, failure, [&] { buffer->slices.at(slice)->run(); });
}

void cgl_buffer_free(cgl_buffer *buffer) { delete buffer; }

}  // extern "C"
