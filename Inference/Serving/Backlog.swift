/// How many requests are under way and how large they are: the bound of what a node holds in memory for its clients.
/// Pure.
package struct Backlog: Sendable {
    /// The most requests at once.
    package let maxRequests: Int
    /// The most bytes of their bodies together; one request alone may have more.
    package let maxBytes: Int
    /// The requests under way.
    package private(set) var requests = 0
    /// The bytes of their bodies.
    package private(set) var bytes = 0

    /// An empty backlog.
    package init(maxRequests: Int, maxBytes: Int) {
        self.maxRequests = maxRequests
        self.maxBytes = maxBytes
    }

    /// Counts a request in.
    ///
    /// - Parameter size: the bytes of its body at most.
    /// - Returns: false where there is no room; the request is to be turned away.
    package mutating func enter(_ size: Int) -> Bool {
        guard requests < maxRequests, requests == 0 || size <= maxBytes - bytes else { return false }
        requests += 1
        bytes += size
        return true
    }

    /// Counts a request out that was counted in with the same size.
    package mutating func leave(_ size: Int) {
        requests -= 1
        bytes -= size
    }
}
