// The connections of one member with all others: sockets of which no wait is longer than its deadline, and a descriptor
// that wakes whatever waits for them.
#pragma once
#include <poll.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "CGloo.h"

namespace members {

using Clock = std::chrono::steady_clock;

// Why a call fails, and the members that it is about.
class Failure : public std::runtime_error {
 public:
  Failure(cgl_outcome outcome, const std::string &text, std::vector<int> members = {})
      : std::runtime_error(text), outcome(outcome), members(std::move(members)) {}

  const cgl_outcome outcome;
  const std::vector<int> members;
};

// A descriptor with its owner.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor &&other) noexcept : number_(other.release()) {}
  Descriptor &operator=(Descriptor &&other) noexcept;
  ~Descriptor();

  int operator*() const { return number_; }
  explicit operator bool() const { return number_ >= 0; }

 private:
  int release() noexcept;

  int number_ = -1;
};

// Another process must prove with it that it is a member.
struct Nonce {
  uint8_t bytes[16] = {};
};

class Mesh {
 public:
  // Listens at an IP address.
  Mesh(int rank, int size, const std::string &address);

  // "ADDRESS PORT NONCE"
  const std::string &contact() const { return contact_; }

  // Connects with the members of lower ranks, is connected with by those of higher ranks, and exchanges a greeting
  // with each of them.
  void connect(const std::vector<std::string> &contacts, std::chrono::milliseconds limit,
               std::chrono::milliseconds silence);

  // Wakes every wait of this and each later call. From any thread.
  void abandon() noexcept;
  bool isAbandoned() const { return abandoned_; }

  // Closes all connections. No other call may be under way.
  void close();

  // The connection with a member.
  int socket(int rank) const { return *sockets_.at(rank); }

  // Waits until `events` is possible with a member, for as long as it may be silent.
  // Returns what is possible of it.
  short wait(int rank, short events) const;

 private:
  // A connection that has not greeted yet.
  struct Caller {
    Descriptor socket;
    std::vector<uint8_t> received;
  };

  // A connection of this member with one of lower rank.
  struct Call {
    int rank;
    Descriptor socket;
    std::string contact;
    bool greeted = false;
    std::vector<uint8_t> received;
  };

  Call call(int rank, const std::string &contact) const;
  void goOn(Call &call);
  bool greet(Caller &caller);
  void accept();
  void dropListener();
  [[noreturn]] void giveUp(std::chrono::milliseconds limit) const;

  const int rank_;
  const int size_;
  Nonce nonce_;
  std::string contact_;
  Descriptor listener_;
  Descriptor wake_;
  std::vector<Descriptor> sockets_;
  std::vector<Caller> callers_;
  std::vector<Call> calls_;
  std::chrono::milliseconds silence_{30'000};
  std::atomic<bool> abandoned_{false};
};

}  // namespace members
