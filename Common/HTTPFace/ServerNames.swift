import Glibc

/// The names of this machine, for those who call a server by one of them.
package enum ServerNames {
    /// The machine's name, short and as it is, and its full name where a name server is asked for it.
    ///
    /// - Parameter host: where the server listens. Only where that is not a loopback address the full name is looked
    ///   up, which may take some seconds.
    package static func own(listeningOn host: String) -> [String] {
        var buffer = [CChar](repeating: 0, count: 256)
        guard gethostname(&buffer, buffer.count - 1) == 0 else { return [host] }
        let name = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let isLoopback = host == "localhost" || host.hasPrefix("127.") || host == "::1"
        let names = [name] + (isLoopback ? [] : fullName(name).map { [$0] } ?? [])
        // Where the machine's name is a full one, its neighbours call it by the first label.
        return [host] + names + names.map { String($0.prefix { $0 != "." }) }.filter { !$0.isEmpty }
    }

    private static func fullName(_ name: String) -> String? {
        var hints = addrinfo()
        hints.ai_flags = AI_CANONNAME
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(name, nil, &hints, &found) == 0, let first = found else { return nil }
        defer { freeaddrinfo(found) }
        return first.pointee.ai_canonname.map { String(cString: $0) }
    }
}
