package import Bytes
package import Cluster

/// Decides which replica of a file is asked next, how long to wait before that, and when to give the file up.
///
/// It is pure: attempts are made by its owner, which reports their outcomes; time and jitter are handed in. What is
/// known of a replica is shared by all operations on the file; each operation (an open, a read) counts its own
/// attempts:
///
///     untried ──success──> usable <──success── failing          (asked again after a growing wait)
///        └───────failure──────┴──────failure────^  │
///        └──missing, unsupported, damaged, another content──> excluded   (not asked again for this file)
///
/// Every operation ends: it asks a replica at most `maxAttempts * maxServers` times, and gives up only when each
/// replica is excluded or was asked `maxAttempts` times.
package struct ReplicaSelector: Sendable {
    /// How an attempt at a replica ended.
    package enum Outcome: Sendable, Equatable, CaseIterable {
        /// The site denied access; a token may be renewed, so it is asked again.
        case denied
        /// No answer came within the request's deadline.
        case timedOut
        /// There was no connection, or it broke.
        case unreachable
        /// The site answered with an error of its own.
        case faulty
        /// The site does not have the file.
        case missing
        /// The site or the URL's scheme cannot do what was asked.
        case unsupported
        /// The bytes came and cannot be decoded.
        case damaged
        /// The replica is another file than the one that was surveyed.
        case otherIdentity
        /// The site's checksum of the replica is not the expected one.
        case checksumDiffers

        /// Whether the replica is of no use for this file, however often it is asked.
        package var excludes: Bool {
            switch self {
            case .missing, .unsupported, .damaged, .otherIdentity, .checksumDiffers: true
            case .denied, .timedOut, .unreachable, .faulty: false
            }
        }
    }

    /// The bounds of an operation.
    package struct Policy: Sendable, Equatable {
        /// Attempts at one replica before it is left out of the operation.
        package var maxAttempts = 3
        /// Data servers behind a redirector that are tried in one attempt.
        package var maxServers = 3
        /// Seconds: the n-th failure of a replica is followed by a wait of `n * n * baseWait`, and jitter of up to
        /// `baseWait`.
        package var baseWait = 0.1

        package init(maxAttempts: Int = 3, maxServers: Int = 3, baseWait: Double = 0.1) {
            self.maxAttempts = max(1, maxAttempts)
            self.maxServers = max(1, maxServers)
            self.baseWait = max(0, baseWait)
        }

        /// The longest wait that is ever decided, seconds.
        package var maxWait: Double { Double(maxAttempts * maxAttempts + 1) * baseWait }
    }

    /// What is known of a replica of this file.
    package enum State: Sendable, Equatable {
        case untried, usable, failing, excluded
    }

    private struct Replica {
        let replica: SiteCatalog.Replica
        var state = State.untried
        /// Why the last attempt failed.
        var error: SiteError?
        /// When that was, as a number that grows with each failure of any replica.
        var errorNumber = 0
        /// Hosts of data servers behind the replica's redirector that failed.
        var failedServers: [String] = []
    }

    /// The attempts of one open or read.
    package struct Operation: Sendable {
        /// Indices of all replicas, the best first.
        fileprivate let ranks: [Int]
        fileprivate var attempts: [Int]
        fileprivate var servers: [Int]
        /// When a replica may be asked again, seconds.
        fileprivate var notBefore: [Double]
        /// Attempts that failed.
        package fileprivate(set) var failures = 0
        /// A redirector that is asked for another server at once.
        fileprivate var again: Int?
    }

    /// What an operation does next.
    package enum Decision: Sendable, Equatable {
        /// Ask this replica; its redirector should avoid these hosts.
        case attempt(replica: Int, avoiding: [String])
        /// Ask again after so many seconds.
        case wait(seconds: Double)
        /// No replica is left to ask: see `error(of:)`.
        case giveUp
    }

    private var replicas: [Replica]
    private let policy: Policy
    private var errorCount = 0
    /// The replica that an operation asks first: the one that is in use.
    private var preferred: Int?

    /// - Parameter replicas: all that the file may be read from, in any order.
    package init(_ replicas: [SiteCatalog.Replica], policy: Policy = Policy()) {
        self.replicas = replicas.map { Replica(replica: $0) }
        self.policy = policy
    }

    /// The number of replicas.
    package var count: Int { replicas.count }
    /// The replica with this index.
    package subscript(_ index: Int) -> SiteCatalog.Replica { replicas[index].replica }
    /// What is known of the replica with this index.
    package func state(_ index: Int) -> State { replicas[index].state }

    /// Begins an operation.
    /// - Parameter ranks: indices of all replicas, in the order in which they are to be asked.
    package func begin(ranks: [Int]) -> Operation {
        precondition(ranks.sorted() == Array(replicas.indices), "ranks must be a permutation of the replicas' indices")
        return Operation(
            ranks: ranks, attempts: .init(repeating: 0, count: count), servers: .init(repeating: 0, count: count),
            notBefore: .init(repeating: -.infinity, count: count))
    }

    /// What the operation does now, at the time `now` (seconds of any clock that does not go back).
    package func next(_ operation: Operation, now: Double) -> Decision {
        let open = operation.ranks.filter {
            replicas[$0].state != .excluded && operation.attempts[$0] < policy.maxAttempts
        }
        if let again = operation.again, open.contains(again) { return attempt(again) }
        if let preferred, operation.attempts[preferred] == 0, open.contains(preferred) { return attempt(preferred) }
        let ready = open.filter { operation.notBefore[$0] <= now }
        // The one that was asked least often; among these the best.
        if let fewest = ready.map({ operation.attempts[$0] }).min(),
            let best = ready.first(where: { operation.attempts[$0] == fewest })
        {
            return attempt(best)
        }
        guard let soonest = open.map({ operation.notBefore[$0] }).min() else { return .giveUp }
        return .wait(seconds: min(soonest - now, policy.maxWait))
    }

    private func attempt(_ index: Int) -> Decision {
        .attempt(replica: index, avoiding: replicas[index].failedServers)
    }

    /// The attempt gave what was asked for: later operations ask this replica first.
    package mutating func succeeded(_ index: Int) {
        replicas[index].failedServers = []
        guard replicas[index].state != .excluded else { return }
        replicas[index].state = .usable
        preferred = index
    }

    /// The attempt failed.
    /// - Parameters:
    ///   - server: the host of the data server that failed, where the replica's URL names a redirector.
    ///   - jitter: from 0 to below 1, so that workers do not come back all at once.
    package mutating func failed(
        _ index: Int, in operation: inout Operation, _ error: SiteError, server: String? = nil, now: Double,
        jitter: Double
    ) {
        operation.failures += 1
        operation.again = nil
        if preferred == index { preferred = nil }
        if error.outcome == .missing, !replicas[index].failedServers.isEmpty {
            // The redirector has no other server than those that it was asked to avoid: they have another chance.
            replicas[index].failedServers = []
            if replicas[index].error == nil { note(error, of: index) }
        } else {
            note(error, of: index)
            if error.outcome.excludes { return exclude(index) }
        }
        if replicas[index].state != .excluded { replicas[index].state = .failing }
        if let server, !replicas[index].failedServers.contains(server) {
            replicas[index].failedServers.append(server)
            operation.servers[index] += 1
            if operation.servers[index] < policy.maxServers {
                operation.again = index
                return
            }
        }
        operation.servers[index] = 0
        operation.attempts[index] += 1
        let factor = Double(operation.attempts[index] * operation.attempts[index])
        operation.notBefore[index] = now + policy.baseWait * (factor + jitter)
    }

    /// What the replica gave is of no use, outside of any operation's count.
    /// - Returns: false where the replica was excluded before.
    package mutating func reject(_ index: Int, _ error: SiteError) -> Bool {
        guard replicas[index].state != .excluded else { return false }
        note(error, of: index)
        if preferred == index { preferred = nil }
        if error.outcome.excludes { exclude(index) } else { replicas[index].state = .failing }
        return true
    }

    private mutating func exclude(_ index: Int) { replicas[index].state = .excluded }

    private mutating func note(_ error: SiteError, of index: Int) {
        errorCount += 1
        replicas[index].error = error
        replicas[index].errorNumber = errorCount
    }

    /// Why each replica failed last, in the order of these failures. Replicas of which only the catalogue knows, and
    /// which their sites do not have, are left out.
    package var errors: [SiteError] {
        replicas.filter { $0.replica.certain || $0.error?.outcome != .missing }.sorted {
            $0.errorNumber < $1.errorNumber
        }
        .compactMap(\.error)
    }

    /// The error of an operation that was given up: each replica's reason.
    /// - Parameter name: the file, as the user named it.
    package func error(of name: String) -> InputError {
        let errors = self.errors
        guard let first = errors.first else { return InputError(.missing, "no site has the file", file: name) }
        if errors.count == 1 { return first.cause }
        // Where any replica may still come round, the file may.
        let code = errors.first { $0.cause.code.isTransient }?.cause.code ?? first.cause.code
        return InputError(
            code,
            "all \(errors.count) replicas failed: "
                + errors.map { "\($0.site): \($0.cause)" }.joined(separator: "; "),
            file: name)
    }
}
