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
    if (store_.wait(store_.owner, key.c_str(), &data, &size) != 0) throw std::runtime_error("the round ended before all had connected");
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

struct cgl_round {
  std::shared_ptr<gloo::rendezvous::Context> context;
};

struct cgl_channel {
  std::vector<int64_t> buffer;
  std::vector<std::unique_ptr<gloo::AllreduceHalvingDoubling<int64_t>>> slices;
};

extern "C" {

cgl_round *cgl_connect(int rank, int size, const char *host, int milliseconds, cgl_store store, char *error, size_t error_size) try {
  gloo::transport::tcp::attr attributes(host);
  auto device = gloo::transport::tcp::CreateDevice(attributes);
  auto context = std::make_shared<gloo::rendezvous::Context>(rank, size);
  context->setTimeout(std::chrono::milliseconds(milliseconds));
  CallbackStore callbacks(store);
  context->connectFullMesh(callbacks, device);
  for (int i = 0; i < size; ++i) {
    if (i != rank) context->getPair(i)->setSync(true, false);
  }
  return new cgl_round{std::move(context)};
} catch (const std::exception &failure) {
  report(failure.what(), error, error_size);
  return nullptr;
}

void cgl_close(cgl_round *round) try {
  delete round;
} catch (...) {
}

cgl_channel *cgl_channel_make(cgl_round *round, size_t count, char *error, size_t error_size) try {
  auto channel = std::make_unique<cgl_channel>();
  channel->buffer.resize(count);
  for (size_t start = 0; start < count; start += kSlice) {
    std::vector<int64_t *> pointers{channel->buffer.data() + start};
    channel->slices.push_back(std::make_unique<gloo::AllreduceHalvingDoubling<int64_t>>(
        round->context, pointers, static_cast<int>(std::min(kSlice, count - start))));
  }
  return channel.release();
} catch (const std::exception &failure) {
  report(failure.what(), error, error_size);
  return nullptr;
}

int64_t *cgl_channel_buffer(cgl_channel *channel) { return channel->buffer.data(); }

int cgl_channel_sum(cgl_channel *channel, size_t slices_most, char *error, size_t error_size) try {
  for (size_t slice = 0; slice < channel->slices.size(); ++slice) {
    if (slice == slices_most) throw std::runtime_error("the sum was broken off before slice " + std::to_string(slice));
    channel->slices[slice]->run();
  }
  if (slices_most == channel->slices.size()) throw std::runtime_error("the sum was broken off after its last slice");
  return 0;
} catch (const std::exception &failure) {
  report(failure.what(), error, error_size);
  return 1;
}

void cgl_channel_free(cgl_channel *channel) try {
  delete channel;
} catch (...) {
}

}  // extern "C"
