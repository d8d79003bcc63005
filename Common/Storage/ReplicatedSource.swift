package import Bytes
package import Cluster
import Glibc
import Synchronization

/// A file that has several replicas, read from the best. On an error or a deadline, in the middle of a read too,
/// another replica gives what has not come. `ReplicaSelector` decides which one, and when; this class makes the
/// attempts.
///
/// Every replica must have the same identity and size as the first that was opened.
package final class ReplicatedSource: RangeSource {
    /// Finds a file's identity; asked of each replica after the first.
    package typealias Identify = @Sendable (any RangeSource) throws(InputError) -> String

    package let file: FileReplicas
    private let board: SiteBoard
    private let identify: Identify
    private let verify: Bool
    private let expectedVersion: FileVersion?
    private let local: LocalFiles
    private let replicas: [SiteCatalog.Replica]
    private let state: Mutex<State>

    /// Opens nothing yet.
    /// - Parameters:
    ///   - identity: what an earlier look found; nil at the first look.
    ///   - verify: asks each site for the replica's checksum too.
    ///   - version: what an earlier look found of a local file; nil at the first look, and where it was not local.
    ///   - local: which files of this machine may be read.
    ///   - identify: finds a source's identity.
    package init(
        _ file: FileReplicas, board: SiteBoard, identity: String? = nil, verify: Bool = false,
        version: FileVersion? = nil, local: LocalFiles = .all, identify: @escaping Identify
    ) {
        self.file = file
        self.board = board
        self.identify = identify
        self.verify = verify
        expectedVersion = version
        self.local = local
        replicas = board.catalog.replicas(file.urls)
        state = Mutex(State(file, replicas, identity: identity))
    }

    /// The URL of the replica that is read now; before the first open the one that the user named.
    package var url: String { state.withLock { $0.current?.replica }.map { replicas[$0].url } ?? file.url }
    package var size: Int { state.withLock { $0.content.size } ?? 0 }
    /// The checksum that all replicas opened so far have; nil where none was asked for.
    package var adler32: String? { state.withLock { $0.content.adler32 } }
    package var server: String? { state.withLock { $0.current?.source.server } }
    package var version: FileVersion? { state.withLock { $0.current?.source.version } }
    /// What the user named, for errors.
    package var name: String { file.url }

    /// Fixes the identity that every replica must have from now on. Until then a failing read is not taken over by
    /// another replica: two contents could mix.
    package func pin(_ identity: String) { state.withLock { $0.content.identity = identity } }

    /// Opens the best replica; called again after `reject`, the next one.
    package func open() throws(InputError) {
        var operation = begin()
        try perform(&operation) { (_) throws(InputError) in }
    }

    /// The content that the current replica gave cannot be used, for a reason that may be the replica's.
    package func reject(_ error: InputError) { _ = state.withLock { $0.reject(error, readFrom: nil, replicas) } }

    /// Runs work that reads this file. Where it fails because of what a replica gave, that replica is rejected, bytes
    /// that the disk cache kept of the file are dropped, and the work runs again with another one.
    ///
    /// Before an identity is pinned, any error may be the replica's. Afterwards only its content may be at fault, since
    /// other replicas have taken over from those whose reads failed.
    package func retrying<T>(_ work: () throws(InputError) -> T) throws(InputError) -> T {
        var operation = begin()
        while true {
            let pinned = state.withLock { $0.content.identity != nil && $0.last != nil }
            if !pinned { try perform(&operation) { (_) throws(InputError) in } }
            let readFrom = state.withLock { $0.current?.replica ?? $0.last }
            do throws(InputError) { return try work() } catch {
                switch ReplicaSelector.Outcome(error.code) {
                case .damaged, .otherIdentity, .checksumDiffers:
                    if let key = state.withLock({ $0.content.key }) { board.cache?.forget(key, size: size) }
                    guard state.withLock({ $0.reject(error, readFrom: readFrom, replicas) }) else { throw error }
                case .denied, .timedOut, .unreachable, .faulty, .missing, .unsupported:
                    guard !pinned, state.withLock({ $0.content.identity == nil }), let readFrom else { throw error }
                    fail(readFrom, nil, SiteError(site: replicas[readFrom].site, error), &operation)
                }
            }
        }
    }

    /// Brings the ranges that are missing: see `RangeSource`.
    package func read(into fetch: RangeFetch) throws(InputError) {
        let (current, key) = state.withLock { ($0.current, $0.last == nil ? nil : $0.content.key) }
        guard let key else {
            guard let current else { throw InputError(.missing, "no replica of the file is open", file: name) }
            return try current.source.read(into: fetch)
        }
        let cache = board.cache
        cache?.read(key, into: fetch)
        let missing = fetch.missing
        guard !missing.isEmpty else { return }
        var operation = begin()
        try perform(&operation) { (source) throws(InputError) in try source.read(into: fetch) }
        cache?.store(key, fetch, missing)
    }

    // MARK: Attempts

    private func begin() -> ReplicaSelector.Operation {
        let ranks = board.ranks(replicas)
        return state.withLock { $0.selector.begin(ranks: ranks) }
    }

    /// Asks replicas until one has done it.
    private func perform(
        _ operation: inout ReplicaSelector.Operation, _ body: (any RangeSource) throws(InputError) -> Void
    ) throws(InputError) {
        while true {
            let now = monotonicSeconds()
            switch state.withLock({ [operation] in $0.selector.next(operation, now: now) }) {
            case .attempt(let replica, let avoided):
                if try attempt(replica, avoided, &operation, body) { return }
            case .wait(let seconds): usleep(UInt32(max(0, seconds) * 1e6))
            case .giveUp: throw state.withLock { $0.selector.error(of: name) }
            }
        }
    }

    /// - Returns: false where another attempt must be made.
    private func attempt(
        _ replica: Int, _ avoided: [String], _ operation: inout ReplicaSelector.Operation,
        _ body: (any RangeSource) throws(InputError) -> Void
    ) throws(InputError) -> Bool {
        if operation.failures > 0 { board.access(replicas[replica].site).retried() }
        let site = replicas[replica].site
        var source = state.withLock { $0.current?.replica == replica ? $0.current?.source : nil }
        do throws(SiteError) {
            let opened: any RangeSource
            if let source { opened = source } else { opened = try open(replica, avoided) }
            source = opened
            do throws(InputError) { try body(opened) } catch { throw SiteError(site: site, error) }
            state.withLock { $0.selector.succeeded(replica) }
            return true
        } catch {
            // What was asked for lies outside the file: no other replica has it either.
            if let source, error.cause.code == .truncated, error.cause.file == source.url { throw error.cause }
            fail(replica, source, error, &operation)
            return false
        }
    }

    private func open(_ replica: Int, _ avoided: [String]) throws(SiteError) -> any RangeSource {
        let asked = replicas[replica]
        let access = board.access(asked.site)
        let source: any RangeSource
        do throws(InputError) {
            let (identity, size) = state.withLock { ($0.content.identity, $0.content.size) }
            source = try openSource(asked.url, at: access, avoiding: avoided, local: local)
            if let size, size != source.size { throw changed(asked, "\(size) bytes", "\(source.size)") }
            if let identity {
                let found = try identify(source)
                if found != identity { throw changed(asked, "identity \(identity)", found) }
            }
            if let expectedVersion, let found = source.version, expectedVersion.contradicts(found) {
                throw changed(asked, "\(expectedVersion)", "\(found)")
            }
        } catch { throw SiteError(site: asked.site, error) }
        if verify { try compareChecksum(replica, access) }
        access.opened()
        state.withLock { $0.opened(source, replica) }
        return source
    }

    private func compareChecksum(_ replica: Int, _ access: SiteAccess) throws(SiteError) {
        guard !state.withLock({ $0.content.verified.contains(replica) }) else { return }
        let asked = replicas[replica]
        let found: String
        do throws(InputError) { found = try Checksum.adler32(asked.url, at: access) } catch {
            throw SiteError(site: asked.site, error)
        }
        let expected = state.withLock { $0.content.check(found, replica) }
        guard expected == found else {
            let error = InputError(
                .changed, "the file's checksum at the site \(asked.site) is another than it should be", file: asked.url,
                expected: "adler32 \(expected)", found: found, hint: "This replica is damaged or was replaced.")
            throw SiteError(site: asked.site, error, outcome: .checksumDiffers)
        }
    }

    private func changed(_ asked: SiteCatalog.Replica, _ expected: String, _ found: String) -> InputError {
        InputError(
            .changed, "the site \(asked.site) gives another file than the one that was surveyed", file: asked.url,
            expected: expected, found: found,
            hint: "It was replaced since, or the replicas differ.")
    }

    private func fail(
        _ replica: Int, _ source: (any RangeSource)?, _ error: SiteError, _ operation: inout ReplicaSelector.Operation
    ) {
        let asked = replicas[replica]
        board.access(asked.site).failed(error)
        // Another server than the one that the URL names: a redirector led there.
        let server = source?.server.flatMap { StorageURL(asked.url).isAt($0) ? nil : StorageURL.host(of: $0) }
        let (now, jitter) = (monotonicSeconds(), Double.random(in: 0..<1))
        operation = state.withLock { [operation] state in
            var changed = operation
            state.selector.failed(replica, in: &changed, error, server: server, now: now, jitter: jitter)
            state.close(replica, source)
            return changed
        }
    }
}

extension ReplicatedSource {
    /// What a file's replicas must agree on.
    private struct Content {
        let file: FileReplicas
        var identity: String?
        /// Bytes.
        var size: Int?
        var adler32: String?
        /// Replicas whose checksum was compared.
        var verified: Set<Int> = []

        init(_ file: FileReplicas, identity: String?) {
            self.file = file
            self.identity = identity
            size = file.size
            adler32 = file.adler32.map(Checksum.padded)
        }

        /// The file's name in the disk cache: a file that was changed in asked keeps its UUID, but hardly its size.
        var key: String? { identity.map { "\($0) \(size ?? 0)" } }

        /// Compares a replica's checksum; the first one found is what the others must have.
        /// - Returns: the expected one.
        mutating func check(_ found: String, _ replica: Int) -> String {
            let expected = adler32 ?? found
            adler32 = expected
            if expected == found { verified.insert(replica) }
            return expected
        }
    }

    /// Everything that changes.
    private struct State {
        var selector: ReplicaSelector
        var content: Content
        var current: (source: any RangeSource, replica: Int)?
        /// The replica that was opened last.
        var last: Int?

        init(_ file: FileReplicas, _ replicas: [SiteCatalog.Replica], identity: String?) {
            selector = ReplicaSelector(replicas)
            content = Content(file, identity: identity)
        }

        mutating func opened(_ source: any RangeSource, _ replica: Int) {
            content.size = source.size
            current = (source, replica)
            last = replica
        }

        /// After a failure of this source, or, where nil, of whatever is open of the replica.
        mutating func close(_ replica: Int, _ source: (any RangeSource)?) {
            if let current, source.map({ $0 === current.source }) ?? (current.replica == replica) { self.current = nil }
            forgetUnproven()
        }

        /// The bytes that were read from a replica are of no use.
        /// - Parameter readFrom: the replica that was open when reading began; nil for whichever is open now.
        /// - Returns: false where the error is not another replica's to mend: all that can be rejected was.
        mutating func reject(_ error: InputError, readFrom: Int?, _ replicas: [SiteCatalog.Replica]) -> Bool {
            // Another reader has rejected that replica meanwhile; what is open now was not read.
            if let readFrom, let current, current.replica != readFrom, selector.state(readFrom) == .excluded {
                return true
            }
            // Where one replica took over from another in mid-read, the later one gave the last bytes.
            guard let replica = current?.replica ?? last else { return false }
            let isNew = selector.reject(replica, SiteError(site: replicas[replica].site, error))
            if current?.replica == replica { current = nil }
            forgetUnproven()
            return isNew
        }

        /// As long as no identity is fixed, what one replica shows of the file means nothing for the others.
        private mutating func forgetUnproven() {
            if content.identity == nil { content = Content(content.file, identity: nil) }
        }
    }
}
