#include "CGloo.h"

#include <gloo/allreduce_halving_doubling.h>
#include <gloo/math.h>
#include <gloo/rendezvous/context.h>
#include <gloo/rendezvous/store.h>
#include <gloo/transport/tcp/device.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

// Numbers in one slice: with larger ones on synchronous pairs both sides write before they read, and neither ends.
constexpr size_t kSlice = 65536;

void report(const char *text, char *error, size_t size) {
  if (!error || size == 0) return;
  std::strncpy(error, text, size - 1);
  error[size - 1] = 0;
}

class CallbackStore final : public gloo::rendezvous::Store {
 public:
  explicit CallbackStore(cgl_store store) : store_(store) {}

  void set(const std::string &key, const std::vector<char> &data) override {
    store_.set(store_.owner, key.c_str(), reinterpret_cast<const uint8_t *>(data.data()), data.size());
  }

  std::vector<char> get(const std::string &key) override {
    uint8_t *data = nullptr;
    size_t size = 0;
    if (store_.wait(store_.owner, key.c_str(), &data, &size) != 0) {
      throw std::runtime_error("the round ended before all had connected");
    }
    std::vector<char> value(data, data + size);
    std::free(data);
    return value;
  }

  void wait(const std::vector<std::string> &keys) override {
    for (const auto &key : keys) get(key);
  }

  void wait(const std::vector<std::string> &keys, const std::chrono::milliseconds &) override { wait(keys); }

 private:
  cgl_store store_;
};

}  // namespace

struct cgl_group {
  std::shared_ptr<gloo::rendezvous::Context> context;
};

struct cgl_buffer {
  std::vector<int64_t> values;
  std::vector<std::unique_ptr<gloo::AllreduceHalvingDoubling<int64_t>>> slices;
};

extern "C" {

cgl_group *cgl_connect(int rank, int size, const char *host, int milliseconds, cgl_store store, char *error,
                       size_t error_size) try {
  gloo::transport::tcp::attr attributes(host);
  auto device = gloo::transport::tcp::CreateDevice(attributes);
  auto context = std::make_shared<gloo::rendezvous::Context>(rank, size);
  context->setTimeout(std::chrono::milliseconds(milliseconds));
  CallbackStore callbacks(store);
  context->connectFullMesh(callbacks, device);
  for (int i = 0; i < size; ++i) {
    if (i != rank) context->getPair(i)->setSync(true, false);
  }
  return new cgl_group{std::move(context)};
} catch (const std::exception &failure) {
  report(failure.what(), error, error_size);
  return nullptr;
}

void cgl_close(cgl_group *group) try {
  delete group;
} catch (...) {
}

cgl_buffer *cgl_buffer_make(cgl_group *group, size_t count, char *error, size_t error_size) try {
  auto buffer = std::make_unique<cgl_buffer>();
  buffer->values.resize(count);
  for (size_t start = 0; start < count; start += kSlice) {
    std::vector<int64_t *> pointers{buffer->values.data() + start};
    buffer->slices.push_back(std::make_unique<gloo::AllreduceHalvingDoubling<int64_t>>(
        group->context, pointers, static_cast<int>(std::min(kSlice, count - start))));
  }
  return buffer.release();
} catch (const std::exception &failure) {
  report(failure.what(), error, error_size);
  return nullptr;
}

int64_t *cgl_buffer_values(cgl_buffer *buffer) { return buffer->values.data(); }

size_t cgl_buffer_slices(cgl_buffer *buffer) { return buffer->slices.size(); }

int cgl_buffer_sum(cgl_buffer *buffer, size_t slice, char *error, size_t error_size) try {
  buffer->slices.at(slice)->run();
  return 0;
} catch (const std::exception &failure) {
  report(failure.what(), error, error_size);
  return 1;
}

void cgl_buffer_free(cgl_buffer *buffer) try {
  delete buffer;
} catch (...) {
}

}  // extern "C"
