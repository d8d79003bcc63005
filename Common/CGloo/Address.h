// IP addresses, and sockets that listen at them.
#pragma once
#include <netinet/in.h>
#include <sys/socket.h>

#include <string>

#include "Mesh.h"

namespace members {

// An IP address with a port, both in digits.
class IPAddress {
 public:
  // Throws std::invalid_argument where it is none.
  IPAddress(const std::string &address, const std::string &port);

  int family() const { return storage_.ss_family; }
  const sockaddr *pointer() const { return reinterpret_cast<const sockaddr *>(&storage_); }
  socklen_t length() const { return length_; }

 private:
  sockaddr_storage storage_ = {};
  socklen_t length_ = 0;
};

// A socket that listens at an IP address, at a port that the system chooses. Throws Failure.
Descriptor listenAt(const std::string &address);

// The port that a socket is bound to.
int portOf(int socket);

// The first IP address of a name at which this machine can listen. Throws Failure.
std::string resolve(const std::string &host);

}  // namespace members
