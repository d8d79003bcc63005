#include "Address.h"

#include <netdb.h>

#include <cerrno>
#include <cstring>
#include <memory>

namespace members {

namespace {

struct Free {
  void operator()(addrinfo *list) const { freeaddrinfo(list); }
};
using Addresses = std::unique_ptr<addrinfo, Free>;

// Looks an address up; `code` is getaddrinfo's.
Addresses lookUp(const std::string &host, const std::string &port, int flags, int &code) {
  addrinfo hints = {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  addrinfo *list = nullptr;
  code = getaddrinfo(host.c_str(), port.empty() ? nullptr : port.c_str(), &hints, &list);
  return Addresses(code == 0 ? list : nullptr);
}

bool isUnspecified(const std::string &address) { return address == "0.0.0.0" || address == "::"; }

}  // namespace

IPAddress::IPAddress(const std::string &address, const std::string &port) {
  int code = 0;
  const auto list = lookUp(address, port, AI_NUMERICHOST | AI_NUMERICSERV, code);
  if (!list) throw std::invalid_argument("no IP address");
  std::memcpy(&storage_, list->ai_addr, list->ai_addrlen);
  length_ = list->ai_addrlen;
}

Descriptor listenAt(const std::string &address) try {
  const IPAddress own(address, "0");
  Descriptor socket(::socket(own.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket || ::bind(*socket, own.pointer(), own.length()) != 0 || ::listen(*socket, 512) != 0) {
    throw Failure(cgl_failed, "cannot listen at " + address + ": " + std::strerror(errno));
  }
  return socket;
} catch (const std::invalid_argument &) {
  throw Failure(cgl_failed, address + " is no IP address");
}

int portOf(int socket) {
  sockaddr_storage bound = {};
  socklen_t length = sizeof bound;
  if (getsockname(socket, reinterpret_cast<sockaddr *>(&bound), &length) != 0) {
    throw Failure(cgl_failed, std::string("a socket has no address: ") + std::strerror(errno));
  }
  return ntohs(bound.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6 *>(&bound)->sin6_port
                                           : reinterpret_cast<sockaddr_in *>(&bound)->sin_port);
}

std::string resolve(const std::string &host) {
  int code = 0;
  const auto list = lookUp(host, "", 0, code);
  if (!list) throw Failure(cgl_failed, "it does not resolve: " + std::string(gai_strerror(code)));
  std::string failures;
  for (const addrinfo *entry = list.get(); entry; entry = entry->ai_next) {
    char text[NI_MAXHOST] = {};
    if (getnameinfo(entry->ai_addr, entry->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST) != 0) continue;
    if (isUnspecified(text)) throw Failure(cgl_failed, "it stands for all addresses of a machine");
    try {
      listenAt(text);
      return text;
    } catch (const Failure &failure) {
      failures += (failures.empty() ? "" : "; ") + std::string(failure.what());
    }
  }
  throw Failure(cgl_failed, failures.empty() ? "it has no IP address" : failures);
}

}  // namespace members
