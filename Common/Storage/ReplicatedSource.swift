import Bytes
import Cluster
import Glibc
import Synchronization

/// A file that lies at several places, read from the best; on an error or a deadline, in the middle of a read too, the next place
/// takes over for what has not come.
///
/// Every place must have the same identity and size as the first that was opened.
package final class ReplicatedSource: RangeSource {
    /// Tells a file's identity; asked at each place after the first.
    package typealias Identify = @Sendable (any RangeSource) throws(InputError) -> String

    private struct State {
        var current: (source: any RangeSource, place: SiteCatalog.Place)?
        /// The place that was opened last.
        var last: SiteCatalog.Place?
        var identity: String?
        var size: Int?
        /// Places that will not do for this file: it is not there, refused, or another.
        var struckOut: [String: InputError] = [:]
        /// The last error of each place.
        var errors: [(place: SiteCatalog.Place, error: InputError)] = []
        /// Data servers behind a redirector that failed.
        var tried: [String: [String]] = [:]
        var adler32: String?
        /// Places whose checksum was compared.
        var verified: Set<String> = []
    }

    /// How often all places are tried before a read fails.
    package static let rounds = 3

    package let file: FileReplicas
    private let board: SiteBoard
    private let identify: Identify
    private let verify: Bool
    private let state: Mutex<State>

    /// Opens nothing yet.
    /// - Parameters:
    ///   - identity: what an earlier look found; nil at the first look.
    ///   - verify: asks each place for the file's checksum too.
    ///   - identify: tells a source's identity.
    package init(
        _ file: FileReplicas, board: SiteBoard, identity: String? = nil, verify: Bool = false,
        identify: @escaping Identify
    ) {
        self.file = file
        self.board = board
        self.identify = identify
        self.verify = verify
        state = Mutex(State(identity: identity, size: file.size, adler32: file.adler32.map(Checksum.padded)))
    }

    /// The place that is read now; before the first open the one that the user named.
    package var url: String { state.withLock { $0.current?.place.url } ?? file.url }
    package var size: Int { state.withLock { $0.size } ?? 0 }
    /// The checksum that all places opened so far have; nil where none was asked for.
    package var adler32: String? { state.withLock { $0.adler32 } }
    /// `host:port` of the server that gives the bytes now: behind a redirector not the URL's.
    package var server: String? { state.withLock { ($0.current?.source as? XrootdSource)?.server } }
    /// What the user named, for errors.
    package var name: String { file.url }

    /// Fixes the identity that every place must have from now on. Until then a failing read is not taken over: two contents could mix.
    package func pin(_ identity: String) { state.withLock { $0.identity = identity } }

    /// Opens the best place. Called again, the next one: the caller found what the last one gave to be no good.
    package func open() throws(InputError) {
        try attempt(.init([])) { (_) throws(InputError) in }
    }

    package func read(into fetch: RangeFetch) throws(InputError) {
        // Another thread may just have found the current place to be no good.
        let pinned = state.withLock { $0.identity != nil && $0.last != nil }
        guard pinned else {
            guard let current = state.withLock({ $0.current }) else {
                throw InputError(.missing, "no place of the file is open", file: name)
            }
            do throws(InputError) { return try current.source.read(into: fetch) } catch {
                blame(current.place, current.source, error)
                throw error
            }
        }
        let cache = board.cache
        if let cache, let identity = state.withLock({ $0.identity }) {
            cache.read(key(identity), into: fetch)
            let missing = fetch.missing
            guard !missing.isEmpty else { return }
            try attempt(fetch) { (source) throws(InputError) in try source.read(into: fetch) }
            return cache.store(key(identity), fetch, missing)
        }
        try attempt(fetch) { (source) throws(InputError) in try source.read(into: fetch) }
    }

    /// The content that the current place gave cannot be used, for a reason that may be the place's.
    package func reject(_ error: InputError) {
        state.withLock { state in
            guard let place = state.current?.place ?? state.last else { return }
            state.current = nil
            if !error.code.isTransient { state.struckOut[place.url] = error }
            Self.note(&state, place, error)
            Self.forgetUnproven(&state, file)
        }
    }

    /// As long as no identity is fixed, what one place told of the file says nothing of the others.
    private static func forgetUnproven(_ state: inout State, _ file: FileReplicas) {
        guard state.identity == nil else { return }
        (state.size, state.adler32, state.verified) = (file.size, file.adler32.map(Checksum.padded), [])
    }

    /// How many openings may come to nothing before the file is given up.
    package var patience: Int { Self.rounds * max(1, board.catalog.places(file.urls).count) }

    /// The bytes that were given are damaged: they are not kept, and this place is not asked again.
    package func distrust(_ error: InputError) {
        if let identity = state.withLock({ $0.identity }) { board.cache?.forget(key(identity), size: size) }
        reject(error)
    }

    /// Of the cache: a file that was changed in place keeps its UUID, but hardly its size.
    private func key(_ identity: String) -> String { "\(identity) \(size)" }

    private func attempt(_ fetch: RangeFetch, _ body: (any RangeSource) throws(InputError) -> Void) throws(InputError) {
        var failures = 0
        for round in 0..<Self.rounds {
            // A second look after a moment: what broke for all may be back.
            if round > 0 { usleep(UInt32(100_000 * round * round + Int.random(in: 0..<100_000))) }
            if let current = state.withLock({ $0.current }), try attempt(current, body) { return }
            for place in board.places(file) {
                // Behind a redirector each failing server gets one chance; the site itself not more than three a round.
                for again in 0..<3 {
                    guard state.withLock({ $0.struckOut[place.url] == nil }) else { break }
                    if failures > 0 { board.access(place.site).retried() }
                    let known = state.withLock { $0.tried[place.url]?.count ?? 0 }
                    if let opened = open(place), try attempt(opened, body) { return }
                    failures += 1
                    if again == 0, state.withLock({ $0.tried[place.url]?.count ?? 0 }) == known { break }
                }
            }
            if state.withLock({ state in board.catalog.places(file.urls).allSatisfy { state.struckOut[$0.url] != nil } }
            ) {
                break
            }
        }
        throw summary()
    }

    /// - Returns: false where another place must take over.
    private func attempt(
        _ current: (source: any RangeSource, place: SiteCatalog.Place),
        _ body: (any RangeSource) throws(InputError) -> Void
    ) throws(InputError) -> Bool {
        do throws(InputError) {
            try body(current.source)
            state.withLock { _ = $0.tried.removeValue(forKey: current.place.url) }
            return true
        } catch {
            // What was asked for lies outside the file: no other place has it either.
            if error.code == .truncated, error.file == current.source.url { throw error }
            blame(current.place, current.source, error)
            return false
        }
    }

    private func open(_ place: SiteCatalog.Place) -> (source: any RangeSource, place: SiteCatalog.Place)? {
        let access = board.access(place.site)
        let (avoided, identity, size) = state.withLock { ($0.tried[place.url] ?? [], $0.identity, $0.size) }
        do throws(InputError) {
            let source = try openSource(place.url, at: access, avoiding: avoided)
            if let size, size != source.size { throw changed(place, "\(size) bytes", "\(source.size)") }
            if let identity {
                let found = try identify(source)
                if found != identity { throw changed(place, "identity \(identity)", found) }
            }
            if verify { try compareChecksum(place, access) }
            access.opened()
            state.withLock { state in
                state.size = source.size
                state.current = (source, place)
                state.last = place
            }
            return (source, place)
        } catch {
            var error = error
            if error.code == .missing, !avoided.isEmpty {
                // The redirector has no other server than those that we asked it to avoid: they have another chance.
                state.withLock { _ = $0.tried.removeValue(forKey: place.url) }
                error =
                    state.withLock { $0.errors.last { $0.place.url == place.url }?.error }
                    ?? InputError(.faulty, error.message, file: place.url)
            }
            blame(place, nil, error)
            return nil
        }
    }

    private func compareChecksum(_ place: SiteCatalog.Place, _ access: SiteAccess) throws(InputError) {
        guard !state.withLock({ $0.verified.contains(place.url) }) else { return }
        let found = try Checksum.adler32(place.url, at: access)
        let expected = state.withLock { state in
            state.adler32 = state.adler32 ?? found
            return state.adler32
        }
        if let expected, expected != found {
            throw InputError(
                .changed, "the file's checksum at the site \(place.site) is another than it should be", file: place.url,
                expected: "adler32 \(expected)",
                found: found, hint: "This copy is damaged or was replaced.")
        }
        state.withLock { _ = $0.verified.insert(place.url) }
    }

    private func changed(_ place: SiteCatalog.Place, _ expected: String, _ found: String) -> InputError {
        InputError(
            .changed, "the site \(place.site) gives another file than the one that was surveyed", file: place.url,
            expected: expected, found: found,
            hint: "It was replaced since, or the replicas differ.")
    }

    private func blame(_ place: SiteCatalog.Place, _ source: (any RangeSource)?, _ error: InputError) {
        board.access(place.site).failed(error)
        state.withLock { state in
            if let source, let current = state.current, current.source === source { state.current = nil }
            // A refusal may be a matter of the token, which may be renewed.
            if [.missing, .changed, .unsupported].contains(error.code) { state.struckOut[place.url] = error }
            Self.forgetUnproven(&state, file)
            if let server = (source as? XrootdSource)?.server {
                // Another server than the one that the URL names: a redirector sent us there.
                let host = StorageURL.host(of: server)
                if !server.isEmpty, !StorageURL(place.url).isAt(server), state.tried[place.url]?.contains(host) != true
                {
                    state.tried[place.url, default: []].append(host)
                }
            }
            Self.note(&state, place, error)
        }
    }

    private static func note(_ state: inout State, _ place: SiteCatalog.Place, _ error: InputError) {
        state.errors.removeAll { $0.place.url == place.url }
        state.errors.append((place, error))
    }

    /// The file, the places, and the last error of each.
    private func summary() -> InputError {
        let errors = state.withLock { $0.errors }.filter { $0.place.certain || $0.error.code != .missing }
        guard let first = errors.first else { return InputError(.missing, "no site has the file", file: name) }
        if errors.count == 1 { return first.error }
        // Where any place may still come round, the whole may.
        let code = errors.first { $0.error.code.isTransient }?.error.code ?? first.error.code
        return InputError(
            code,
            "none of the file's \(errors.count) places gives it: "
                + errors.map { "\($0.place.site): \($0.error)" }.joined(separator: "; "),
            file: name)
    }
}
