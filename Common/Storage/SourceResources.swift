import AsyncHTTPClient
import Bytes
import Synchronization

/// What all sources of one owner share: a client for HTTP sites, and buffers for local reads.
///
/// The client is made at its first use and shut down when the owner and its last source are gone.
package final class SourceResources: Sendable {
    /// Fresh memory for each read would cost a page fault for every four kilobytes.
    let buffers = BufferPool(limit: 32, byteLimit: 64 << 20)
    private let client = Mutex<HTTPClient?>(nil)

    package init() {}

    deinit { client.withLock { $0 }?.shutdown { _ in } }

    var http: HTTPClient {
        client.withLock { client in
            if let client { return client }
            var configuration = HTTPClient.Configuration()
            configuration.redirectConfiguration = .follow(max: 5, allowCycles: false)
            // A site that is away should be reported at once, not tried until the deadline.
            configuration.connectionPool.retryConnectionEstablishment = false
            // How many requests are under way is decided by SiteAccess.
            configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 256
            let made = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
            client = made
            return made
        }
    }
}
