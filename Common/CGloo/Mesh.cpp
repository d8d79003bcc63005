#include "Mesh.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sstream>
#include <tuple>

#include "Address.h"

namespace members {

namespace {

// What both ends of a connection send first.
struct Greeting {
  uint64_t magic = 0x31766d6165622b67;
  uint32_t rank = 0;
  uint32_t size = 0;
  Nonce nonce;
};

std::string hex(const Nonce &nonce) {
  static const char digits[] = "0123456789abcdef";
  std::string text;
  for (uint8_t byte : nonce.bytes) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

Nonce nonceOf(const std::string &text) {
  Nonce nonce;
  auto digit = [](char c) { return c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= '0' && c <= '9' ? c - '0' : -1; };
  for (size_t i = 0; i < sizeof nonce.bytes; ++i) {
    const int high = digit(text.at(2 * i)), low = digit(text.at(2 * i + 1));
    if (high < 0 || low < 0) throw std::invalid_argument("no nonce");
    nonce.bytes[i] = static_cast<uint8_t>(high << 4 | low);
  }
  return nonce;
}

struct Contact {
  std::string address, port;
  Nonce nonce;

  explicit Contact(const std::string &text) {
    std::istringstream words(text);
    std::string digits;
    if (!(words >> address >> port >> digits)) throw std::invalid_argument("no contact");
    nonce = nonceOf(digits);
  }

  std::string where() const { return address + " port " + port; }
};

void send(int socket, const Greeting &greeting) {
  // A new connection has room for these bytes.
  const ssize_t sent = ::send(socket, &greeting, sizeof greeting, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent != sizeof greeting) throw std::runtime_error("the greeting was not sent");
}

// Reads on until the greeting is complete. Returns false while it is not.
bool receive(int socket, std::vector<uint8_t> &received) {
  while (received.size() < sizeof(Greeting)) {
    uint8_t bytes[sizeof(Greeting)];
    const ssize_t count = ::recv(socket, bytes, sizeof bytes - received.size(), MSG_DONTWAIT);
    if (count > 0) {
      received.insert(received.end(), bytes, bytes + count);
    } else if (count < 0 && errno == EINTR) {
      continue;
    } else if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      return false;
    } else {
      throw std::runtime_error("it closed the connection");
    }
  }
  return true;
}

Greeting greetingOf(const std::vector<uint8_t> &received) {
  Greeting greeting;
  std::memcpy(&greeting, received.data(), sizeof greeting);
  return greeting;
}

bool isEqual(const Nonce &a, const Nonce &b) { return std::memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0; }

void setOptions(int socket) {
  const int yes = 1;
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

}  // namespace

Descriptor &Descriptor::operator=(Descriptor &&other) noexcept {
  if (this == &other) return *this;
  if (number_ >= 0) ::close(number_);
  number_ = other.release();
  return *this;
}

Descriptor::~Descriptor() {
  if (number_ >= 0) ::close(number_);
}

int Descriptor::release() noexcept {
  const int number = number_;
  number_ = -1;
  return number;
}

Mesh::Mesh(int rank, int size, const std::string &address) : rank_(rank), size_(size), sockets_(size) {
  wake_ = Descriptor(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!wake_) throw Failure(cgl_failed, std::string("no descriptor is left: ") + std::strerror(errno));
  if (getrandom(nonce_.bytes, sizeof nonce_.bytes, 0) != sizeof nonce_.bytes) {
    throw Failure(cgl_failed, "the system gives no random numbers");
  }
  listener_ = listenAt(address);
  contact_ = address + " " + std::to_string(portOf(*listener_)) + " " + hex(nonce_);
}

void Mesh::abandon() noexcept {
  abandoned_ = true;
  const uint64_t one = 1;
  // The descriptor stays readable: nothing ever reads it.
  if (::write(*wake_, &one, sizeof one) < 0) return;
}

short Mesh::wait(int rank, short events) const {
  const auto deadline = Clock::now() + silence_;
  pollfd descriptors[2] = {{socket(rank), events, 0}, {*wake_, POLLIN, 0}};
  while (true) {
    if (abandoned_) throw Failure(cgl_abandoned, "the round was given up");
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) {
      throw Failure(cgl_unreachable,
                    "nothing came from it for " + std::to_string(silence_.count() / 1000) + " s", {rank});
    }
    const int ready = ::poll(descriptors, 2, static_cast<int>(std::min<long long>(left + 1, 3'600'000)));
    if (ready < 0 && errno != EINTR) throw Failure(cgl_failed, std::string("poll: ") + std::strerror(errno));
    // An error of the socket is found by the read or write that follows.
    if (ready > 0 && descriptors[0].revents != 0) {
      return descriptors[0].revents & (POLLERR | POLLHUP) ? events : descriptors[0].revents;
    }
  }
}

// MARK: Connecting

void Mesh::connect(const std::vector<std::string> &contacts, std::chrono::milliseconds limit,
                   std::chrono::milliseconds silence) {
  silence_ = silence;
  const auto deadline = Clock::now() + limit;
  for (int rank = 0; rank < rank_; ++rank) calls_.push_back(call(rank, contacts.at(rank)));
  const auto isIncomplete = [this] {
    for (int rank = 0; rank < size_; ++rank) {
      if (rank != rank_ && !sockets_[rank]) return true;
    }
    return false;
  };
  while (isIncomplete()) {
    if (abandoned_) throw Failure(cgl_abandoned, "the round was given up");
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) giveUp(limit);
    std::vector<pollfd> descriptors{{*wake_, POLLIN, 0}, {*listener_, POLLIN, 0}};
    for (const auto &call : calls_) {
      descriptors.push_back({*call.socket, static_cast<short>(call.greeted ? POLLIN : POLLOUT), 0});
    }
    for (const auto &caller : callers_) descriptors.push_back({*caller.socket, POLLIN, 0});
    const int ready =
        ::poll(descriptors.data(), descriptors.size(), static_cast<int>(std::min<long long>(left + 1, 1000)));
    if (ready < 0 && errno != EINTR) throw Failure(cgl_failed, std::string("poll: ") + std::strerror(errno));
    if (ready <= 0) continue;
    for (size_t i = 0; i < calls_.size(); ++i) {
      if (descriptors[2 + i].revents != 0) goOn(calls_[i]);
    }
    for (size_t i = 0, first = 2 + calls_.size(); i < callers_.size(); ++i) {
      if (descriptors[first + i].revents != 0 && !greet(callers_[i])) callers_[i].socket = Descriptor();
    }
    calls_.erase(std::remove_if(calls_.begin(), calls_.end(), [](const Call &call) { return !call.socket; }),
                 calls_.end());
    callers_.erase(
        std::remove_if(callers_.begin(), callers_.end(), [](const Caller &caller) { return !caller.socket; }),
        callers_.end());
    if (descriptors[1].revents != 0) accept();
  }
  dropListener();
}

Mesh::Call Mesh::call(int rank, const std::string &text) const try {
  const Contact contact(text);
  const auto target = IPAddress(contact.address, contact.port);
  Descriptor socket(::socket(target.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) throw Failure(cgl_failed, std::string("no socket can be made: ") + std::strerror(errno));
  setOptions(*socket);
  if (::connect(*socket, target.pointer(), target.length()) != 0 && errno != EINPROGRESS) {
    throw Failure(cgl_unreachable, "no connection to " + contact.where() + ": " + std::strerror(errno), {rank});
  }
  return Call{rank, std::move(socket), text, false, {}};
} catch (const std::logic_error &) {
  throw Failure(cgl_unreachable, "it gave no address at which it could be reached", {rank});
}

// Sends the greeting once the connection is there, and takes the answer.
void Mesh::goOn(Call &call) {
  const Contact contact(call.contact);
  if (!call.greeted) {
    int code = 0;
    socklen_t length = sizeof code;
    if (getsockopt(*call.socket, SOL_SOCKET, SO_ERROR, &code, &length) != 0) code = errno;
    if (code != 0) {
      throw Failure(cgl_unreachable, "no connection to " + contact.where() + ": " + std::strerror(code),
                    {call.rank});
    }
  }
  try {
    if (!call.greeted) {
      Greeting greeting;
      std::tie(greeting.rank, greeting.size, greeting.nonce) = std::tuple(rank_, size_, contact.nonce);
      send(*call.socket, greeting);
      call.greeted = true;
      return;
    }
    if (!receive(*call.socket, call.received)) return;
  } catch (const std::runtime_error &error) {
    throw Failure(cgl_closed, error.what(), {call.rank});
  }
  const Greeting answer = greetingOf(call.received);
  if (answer.magic != Greeting().magic || answer.rank != static_cast<uint32_t>(call.rank) ||
      !isEqual(answer.nonce, contact.nonce)) {
    throw Failure(cgl_unreachable, "something else answers at " + contact.where(), {call.rank});
  }
  sockets_[call.rank] = std::move(call.socket);
}

void Mesh::accept() {
  // Whoever calls without greeting must not use up the descriptors.
  const size_t limit = static_cast<size_t>(2 * size_ + 16);
  while (true) {
    Descriptor socket(::accept4(*listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        throw Failure(cgl_failed, std::string("no connection can be accepted: ") + std::strerror(errno));
      }
      return;
    }
    setOptions(*socket);
    if (callers_.size() >= limit) callers_.erase(callers_.begin());
    callers_.push_back(Caller{std::move(socket), {}});
  }
}

// Returns false where the caller is no member of this round.
bool Mesh::greet(Caller &caller) try {
  if (!receive(*caller.socket, caller.received)) return true;
  const Greeting greeting = greetingOf(caller.received);
  if (greeting.magic != Greeting().magic || greeting.size != static_cast<uint32_t>(size_) ||
      greeting.rank <= static_cast<uint32_t>(rank_) || greeting.rank >= greeting.size ||
      !isEqual(greeting.nonce, nonce_) || sockets_[greeting.rank]) {
    return false;
  }
  Greeting answer;
  std::tie(answer.rank, answer.size, answer.nonce) = std::tuple(rank_, size_, nonce_);
  send(*caller.socket, answer);
  sockets_[greeting.rank] = std::move(caller.socket);
  return true;
} catch (const std::runtime_error &) {
  return false;
}

void Mesh::close() {
  for (auto &socket : sockets_) socket = Descriptor();
  dropListener();
}

void Mesh::dropListener() {
  listener_ = Descriptor();
  calls_.clear();
  callers_.clear();
}

void Mesh::giveUp(std::chrono::milliseconds limit) const {
  std::vector<int> missing;
  for (int rank = 0; rank < size_; ++rank) {
    if (rank != rank_ && !sockets_[rank]) missing.push_back(rank);
  }
  const std::string seconds = std::to_string(limit.count() / 1000.0).substr(0, 4) + " s";
  for (const auto &call : calls_) {
    const std::string where = Contact(call.contact).where();
    throw Failure(cgl_unreachable, "no answer from " + where + " within " + seconds, missing);
  }
  throw Failure(cgl_unreachable,
                "no connection from there to " + Contact(contact_).where() + " within " + seconds, missing);
}

}  // namespace members
