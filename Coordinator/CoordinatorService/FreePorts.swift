package import Bytes
import Foundation

extension Listening {
    /// Binds each of the ports and lets go of it again: what cannot be bound is found before anything of the state
    /// directory is touched. Port 0 is any that is free.
    /// - Throws: `InputError` with the port that cannot be bound, and why.
    package func checkPorts() throws(InputError) {
        for port in [restPort, workersPort] where port != 0 { try check(port) }
        if restPort == workersPort, restPort != 0 {
            throw InputError(
                .input, "people and workers have one port", expected: "--port and --workers-port that differ",
                found: "\(restPort)")
        }
    }

    private func check(_ port: Int) throws(InputError) {
        var hints = addrinfo()
        hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var first: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, "\(port)", &hints, &first)
        defer { if let first { freeaddrinfo(first) } }
        guard code == 0 else {
            throw InputError(
                .input, "the address to listen on is not known here", expected: "--host with a name or an address",
                found: "\(host): \(String(cString: gai_strerror(code)))")
        }
        var errors: [Int32] = []
        var next = first
        var isBound = false
        while let address = next?.pointee {
            let error = Self.bindingError(address)
            isBound = isBound || error == 0
            if error != 0 { errors.append(error) }
            next = address.ai_next
        }
        // A name may have addresses of a kind that this machine does not have.
        let reason = errors.first { $0 == EADDRINUSE || $0 == EACCES } ?? (isBound ? nil : errors.first)
        if let reason {
            throw InputError(
                .denied, "cannot listen on \(host), port \(port)", found: String(cString: strerror(reason)),
                hint: "Stop what listens there, or name other ports with --port and --workers-port.")
        }
    }

    /// Binds an address, listens for a moment, and lets go of it.
    /// - Returns: the error's number; 0 where there was none.
    private static func bindingError(_ address: addrinfo) -> Int32 {
        let descriptor = socket(address.ai_family, address.ai_socktype | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return errno }
        defer { close(descriptor) }
        var reuses: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &reuses, socklen_t(MemoryLayout<Int32>.size))
        guard bind(descriptor, address.ai_addr, address.ai_addrlen) == 0 else { return errno }
        // Two that only bind may share a port: not so two that listen.
        return listen(descriptor, 1) == 0 ? 0 : errno
    }
}
