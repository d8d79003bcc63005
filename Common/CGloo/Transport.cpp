#include "Transport.h"

#include <gloo/transport/address.h>
#include <gloo/transport/unbound_buffer.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>

namespace members {

namespace {

[[noreturn]] void notOffered() { throw Failure(cgl_failed, "this transport has no such operation"); }

// For how long a member looks for a message before it sleeps until there is one.
constexpr auto kLooking = std::chrono::microseconds(200);

bool wouldBlock() { return errno == EAGAIN || errno == EWOULDBLOCK; }

}  // namespace

// MARK: Buffers

Buffer::Buffer(Pair &pair, int slot, void *pointer, size_t size, bool receives)
    : gloo::transport::Buffer(slot, pointer, size), pair_(pair), receives_(receives) {
  if (receives && !pair.receivers_.emplace(static_cast<uint64_t>(slot), this).second) {
    throw Failure(cgl_failed, "two buffers have one slot");
  }
}

Buffer::~Buffer() {
  if (receives_) pair_.receivers_.erase(static_cast<uint64_t>(slot_));
}

void Buffer::send(size_t offset, size_t length, size_t roffset) {
  if (offset > size_ || length > size_ - offset) throw Failure(cgl_failed, "a message is longer than its buffer");
  pair_.send(slot_, static_cast<const uint8_t *>(ptr_) + offset, length, roffset);
}

void Buffer::waitRecv() {
  // The others' part of a step is there soon, and to be woken takes longer than to look again.
  const auto until = Clock::now() + kLooking;
  while (arrived_ == 0) {
    if (pair_.read()) continue;
    if (Clock::now() < until) {
      ::sched_yield();
    } else {
      pair_.mesh_.wait(pair_.rank_, POLLIN);
    }
  }
  --arrived_;
}

// MARK: Pairs

void Pair::send(int slot, const uint8_t *bytes, size_t length, size_t offset) {
  Header header;
  header.slot = static_cast<uint64_t>(slot);
  header.offset = offset;
  header.length = length;
  const size_t all = sizeof header + length;
  size_t sent = 0;
  while (sent < all) {
    iovec parts[2];
    msghdr message = {};
    message.msg_iov = parts;
    if (sent < sizeof header) {
      parts[message.msg_iovlen++] = {reinterpret_cast<uint8_t *>(&header) + sent, sizeof header - sent};
    }
    const size_t done = sent > sizeof header ? sent - sizeof header : 0;
    if (done < length) parts[message.msg_iovlen++] = {const_cast<uint8_t *>(bytes) + done, length - done};
    const ssize_t count = ::sendmsg(mesh_.socket(rank_), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count >= 0) {
      sent += static_cast<size_t>(count);
    } else if (wouldBlock()) {
      // A message for a buffer that is not made yet waits.
      const bool reads = headerBytes_ < sizeof header_ || receivers_.count(header_.slot) > 0;
      const short possible = mesh_.wait(rank_, static_cast<short>(POLLOUT | (reads ? POLLIN : 0)));
      if (possible & POLLIN) read();
    } else if (errno != EINTR) {
      throw Failure(cgl_closed, std::string("the connection with it broke: ") + std::strerror(errno), {rank_});
    }
  }
}

size_t Pair::receive(void *bytes, size_t count) {
  while (true) {
    const ssize_t received = ::recv(mesh_.socket(rank_), bytes, count, MSG_DONTWAIT);
    if (received > 0) return static_cast<size_t>(received);
    if (received == 0) throw Failure(cgl_closed, "it closed the connection", {rank_});
    if (wouldBlock()) return 0;
    if (errno != EINTR) {
      throw Failure(cgl_closed, std::string("the connection with it broke: ") + std::strerror(errno), {rank_});
    }
  }
}

bool Pair::read() {
  if (mesh_.isAbandoned()) throw Failure(cgl_abandoned, "the round was given up");
  bool any = false;
  while (headerBytes_ < sizeof header_) {
    const size_t count = receive(reinterpret_cast<uint8_t *>(&header_) + headerBytes_, sizeof header_ - headerBytes_);
    if (count == 0) return any;
    headerBytes_ += count;
    any = true;
  }
  const auto receiver = receivers_.find(header_.slot);
  if (receiver == receivers_.end()) {
    // While this end waits for a message, all buffers of the sum are made, and those of later sums have their turn.
    if (any) return true;
    throw Failure(cgl_unreachable, "it sent a message that is no part of the sum", {rank_});
  }
  Buffer &buffer = *receiver->second;
  if (header_.offset > buffer.size_ || header_.length > buffer.size_ - header_.offset) {
    throw Failure(cgl_unreachable, "it sent more than was expected", {rank_});
  }
  while (bodyBytes_ < header_.length) {
    const size_t count = receive(static_cast<uint8_t *>(buffer.ptr_) + header_.offset + bodyBytes_,
                                 header_.length - bodyBytes_);
    if (count == 0) return any;
    bodyBytes_ += count;
    any = true;
  }
  (headerBytes_ = 0), (bodyBytes_ = 0);
  ++buffer.arrived_;
  return true;
}

const gloo::transport::Address &Pair::address() const { notOffered(); }
void Pair::connect(const std::vector<char> &) { notOffered(); }
void Pair::send(gloo::transport::UnboundBuffer *, uint64_t, size_t, size_t) { notOffered(); }
void Pair::recv(gloo::transport::UnboundBuffer *, uint64_t, size_t, size_t) { notOffered(); }

// MARK: The group

Transport::Transport(Mesh &mesh, int rank, int size) : gloo::transport::Context(rank, size), mesh_(mesh) {
  for (int other = 0; other < size; ++other) {
    if (other != rank) createPair(other);
  }
}

std::unique_ptr<gloo::transport::Pair> &Transport::createPair(int rank) {
  pairs_.at(rank) = std::make_unique<Pair>(mesh_, rank);
  return pairs_.at(rank);
}

std::unique_ptr<gloo::transport::UnboundBuffer> Transport::createUnboundBuffer(void *, size_t) { notOffered(); }

}  // namespace members
