import Foundation
package import Logging

/// How many connections a process may hold for each port that it listens on, and the limit of descriptors from which
/// that follows.
///
/// A process that has no descriptor left cannot accept, open a file or start a thread: so a part of them is never
/// given to connections.
package struct ConnectionAllowance: Sendable, Equatable {
    /// The connections of one port at most.
    package static let maxConnections = 8192
    /// The connections that a port may have whatever the limit is.
    package static let minConnections = 8

    /// Descriptors that the process may have in all.
    package let descriptors: Int
    /// Connections that each port may have.
    package let connections: Int

    /// - Parameters:
    ///   - descriptors: the process's limit of descriptors.
    ///   - cores: the processor's cores; each has an event loop with three descriptors.
    ///   - ports: the ports that share the limit, at least 1.
    package init(descriptors: Int, cores: Int, ports: Int) {
        self.descriptors = descriptors
        // The ledger, blobs, threads and their queues, connections to others; and a quarter of a small limit.
        let reserve = 64 + 4 * cores + min(descriptors / 4, 448)
        let share = (descriptors - reserve) / max(1, ports)
        connections = max(Self.minConnections, min(Self.maxConnections, share))
    }

    /// Whether so few descriptors are left beside the connections that the process may run out of them.
    package var isTight: Bool { connections < 128 }

    /// Raises the process's soft limit of descriptors to the hard one.
    ///
    /// - Returns: the limit that holds from now on.
    static func raiseLimit() -> Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 1024 }
        let soft = limit.rlim_cur
        limit.rlim_cur = limit.rlim_max
        let holds = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 ? limit.rlim_max : soft
        return Int(min(holds, 1 << 20))
    }

    /// Raises the limit of this process and reports where it is low.
    ///
    /// - Parameter ports: the ports that it listens on.
    package static func ofThisProcess(ports: Int, log: Logger) -> ConnectionAllowance {
        let allowance = ConnectionAllowance(
            descriptors: raiseLimit(), cores: ProcessInfo.processInfo.activeProcessorCount, ports: ports)
        if allowance.isTight {
            log.warning(
                """
                the process may open \(allowance.descriptors) files, which leaves \(allowance.connections) \
                connections for each port; 'ulimit -n' sets the limit, 1024 and more is usual
                """)
        }
        return allowance
    }
}
