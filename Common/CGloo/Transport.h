// A transport of Gloo's over the connections of a Mesh. Gloo's own blocks in connects and reads that no other thread
// can end, and has a thread and a listening socket for each group.
#pragma once
#include <gloo/context.h>
#include <gloo/transport/buffer.h>
#include <gloo/transport/context.h>
#include <gloo/transport/pair.h>

#include <map>
#include <memory>

#include "Mesh.h"

namespace members {

class Pair;

// What is sent from, or arrives in, a stretch of memory.
class Buffer final : public gloo::transport::Buffer {
 public:
  Buffer(Pair &pair, int slot, void *pointer, size_t size, bool receives);
  ~Buffer() override;

  void send(size_t offset, size_t length, size_t roffset) override;
  void waitRecv() override;
  // What is sent has been handed to the system when `send` returns.
  void waitSend() override {}

 private:
  friend class Pair;

  Pair &pair_;
  const bool receives_;
  size_t arrived_ = 0;
};

// The connection with one member, used by one thread. Messages that arrive while this end sends are read meanwhile, so
// that two members that send to each other both go on.
class Pair final : public gloo::transport::Pair {
 public:
  Pair(Mesh &mesh, int rank) : mesh_(mesh), rank_(rank) {}

  std::unique_ptr<gloo::transport::Buffer> createSendBuffer(int slot, void *pointer, size_t size) override {
    return std::make_unique<Buffer>(*this, slot, pointer, size, false);
  }
  std::unique_ptr<gloo::transport::Buffer> createRecvBuffer(int slot, void *pointer, size_t size) override {
    return std::make_unique<Buffer>(*this, slot, pointer, size, true);
  }

  void close() override {}
  void setSync(bool, bool) override {}
  const gloo::transport::Address &address() const override;
  void connect(const std::vector<char> &) override;
  void send(gloo::transport::UnboundBuffer *, uint64_t, size_t, size_t) override;
  void recv(gloo::transport::UnboundBuffer *, uint64_t, size_t, size_t) override;

 private:
  friend class Buffer;

  // What goes before the bytes of a message.
  struct Header {
    uint64_t slot = 0;
    uint64_t offset = 0;
    uint64_t length = 0;
  };

  void send(int slot, const uint8_t *bytes, size_t length, size_t offset);
  // Reads what is there, at most to the end of one message. Returns whether it read anything.
  bool read();
  size_t receive(void *bytes, size_t count);

  Mesh &mesh_;
  const int rank_;
  // Where messages go, by slot.
  std::map<uint64_t, Buffer *> receivers_;
  Header header_;
  size_t headerBytes_ = 0;
  size_t bodyBytes_ = 0;
};

// All pairs of a group.
class Transport final : public gloo::transport::Context {
 public:
  Transport(Mesh &mesh, int rank, int size);

  std::unique_ptr<gloo::transport::Pair> &createPair(int rank) override;
  std::unique_ptr<gloo::transport::UnboundBuffer> createUnboundBuffer(void *, size_t) override;

 private:
  Mesh &mesh_;
};

// What Gloo's algorithms see of a group.
class Context final : public gloo::Context {
 public:
  Context(int rank, int size, const std::string &address) : gloo::Context(rank, size), mesh(rank, size, address) {}
  // The pairs end before the connections.
  ~Context() override { transportContext_.reset(); }

  // Once the mesh is connected.
  void makePairs() { transportContext_ = std::make_shared<Transport>(mesh, rank, size); }

  Mesh mesh;
  bool isConnected = false;
  // A call failed, or the connections are closed.
  bool isBroken = false;
};

}  // namespace members
