package import Bytes
import Cluster
import Dispatch
package import Foundation
import Models
import Serving
import Synchronization

/// The loaded models of a node, and the bundles on its disk. It does what `ServableTable` decides.
package final class ModelStore: Sendable {
    /// What became of a bundle that was pushed.
    package struct Pushed: Sendable, Equatable {
        /// Whether the version serves.
        package enum State: String, Sendable, Codable { case available, superseded }

        /// The version that was given to the bundle.
        package var version: Int64
        package var digest: String
        package var state: State
        /// The version that answers: this one or a higher one.
        package var serving: Int64
    }

    private struct State {
        var table = ServableTable()
        var loaded: [String: ServedModel] = [:]
        /// Why models that an earlier life served do not answer, by name.
        var failed: [String: String] = [:]
    }

    private let state = Mutex(State())
    private let directory: BundleDirectory
    private let memory: ModelMemory
    private let threads: Int
    /// One change of what serves at a time: in memory and on disk alike. Nothing that takes long is done on it: bundles
    /// are loaded, warmed and written before, and renamed here.
    private let changes = DispatchQueue(label: "beamline.inference.changes")
    private let computing: ComputeQueue

    /// Opens the store of a node.
    ///
    /// - Parameters:
    ///   - directory: where bundles are kept.
    ///   - threads: predictions that are computed at once.
    ///   - memory: what the models may take.
    /// - Throws: `InputError` where the directory cannot be used.
    package init(
        directory: URL, threads: Int = ProcessInfo.processInfo.activeProcessorCount,
        memory: ModelMemory = ModelMemory(bytes: ModelMemory.standardBytes)
    ) throws(InputError) {
        self.directory = try BundleDirectory(directory)
        self.memory = memory
        self.threads = max(1, threads)
        computing = ComputeQueue(threads: threads)
    }

    // MARK: Loading

    /// A model of an earlier life that does not serve.
    package struct Failure: Sendable, Equatable, Codable {
        package var name: String
        package var reason: String
    }

    /// What a node has of its earlier life.
    package struct Restored: Sendable {
        /// The models that serve again.
        package var names: [String] = []
        /// Why others do not.
        package var failures: [Failure] = []
        /// What else was found in the directory, and what became of damaged bundles, a sentence each.
        package var notes: [String] = []
    }

    /// Loads what an earlier life of the node served. A bundle that can never be served is quarantined.
    package func restore() -> Restored {
        changes.sync {
            var restored = Restored()
            // The largest first: a bundle needs more memory while it loads than afterwards.
            let entries = directory.index.models.map { (entry: $0, size: (try? directory.size($0.digest)) ?? 0) }
                .sorted { ($1.size, $0.entry.name) < ($0.size, $1.entry.name) }.map(\.entry)
            for entry in entries {
                state.withLock {
                    $0.table.resume(entry.name, after: entry.lastNumber)
                    $0.table.restore(entry.name, number: entry.version, digest: entry.digest)
                }
                do throws(InputError) {
                    let loading = try reserveLoading(try directory.size(entry.digest))
                    let model = try load(entry.name, try directory.bundle(entry.digest), number: entry.version)
                    withExtendedLifetime(loading) {}
                    serve(entry.name, model)
                    restored.names.append(entry.name)
                } catch {
                    let reason = error.description
                    state.withLock {
                        $0.table.failed(entry.name, entry.version, because: reason)
                        $0.failed[entry.name] = reason
                    }
                    restored.failures.append(Failure(name: entry.name, reason: reason))
                    if Self.isDamage(error.code) { directory.quarantine(bundle: entry.digest, because: reason) }
                }
            }
            restored.notes = directory.notes
            restored.names.sort()
            restored.failures.sort { $0.name < $1.name }
            return restored
        }
    }

    /// Whether an error is about the bundle, and not about what there is of memory or about its disk.
    private static func isDamage(_ code: InputError.Code) -> Bool {
        switch code {
        case .truncated, .badMagic, .badLength, .badChecksum, .corrupt, .unsupported, .limit, .input: true
        case .missing, .full, .unreachable, .deadline, .faulty, .denied, .changed: false
        }
    }

    /// Checks, loads, warms and stores a bundle; only then it serves. Blocks while it does.
    ///
    /// - Throws: `InputError` where the bundle cannot be served or stored, with `.full` where there is no room for it
    ///   now; what served before goes on.
    package func push(_ name: String, _ bytes: [UInt8]) throws(InputError) -> Pushed {
        let digest = Digest.sha256(bytes)
        let number: Int64
        switch state.withLock({ $0.table.admit(name, digest: digest) }) {
        case .known(let version):
            return Pushed(version: version, digest: digest, state: .available, serving: version)
        case .load(let version): number = version
        }
        do throws(InputError) {
            let loading = try reserveLoading(bytes.count)
            let model = try load(name, bytes, number: number)
            withExtendedLifetime(loading) {}
            let staged = try directory.files.stage(bytes)
            return try commit(name, model, digest: digest, staged: staged).get()
        } catch {
            state.withLock { $0.table.failed(name, number, because: error.description) }
            throw error
        }
    }

    private func reserveLoading(_ bytes: Int) throws(InputError) -> ModelMemory.Reservation {
        try memory.reserve(ModelFootprint.loading(bundle: bytes), for: "loading a bundle of \(bytes) bytes")
    }

    private func load(_ name: String, _ bytes: [UInt8], number: Int64) throws(InputError) -> ServedModel {
        let bundle = try ModelBundle.decode(bytes)
        let decoding = try memory.reserve(
            ModelFootprint.decoding(schema: try bundle.content(.schema).count), for: "decoding the bundle's schema")
        var reservation: ModelMemory.Reservation?
        let predictor = try NativePredictor(bundle, calls: threads) { (footprint) throws(InputError) in
            reservation = try memory.reserve(footprint.total, for: "the model \(name)")
        }
        withExtendedLifetime(decoding) {}
        let model = ServedModel(version: number, predictor: predictor, reservation: reservation)
        state.withLock { $0.table.loaded(name, number) }
        try model.warm()
        return model
    }

    /// Makes a warm version serve, on disk and then in memory, unless a higher one does.
    private func commit(
        _ name: String, _ model: ServedModel, digest: String, staged: String
    ) -> Result<Pushed, InputError> {
        changes.sync {
            let version = model.version
            switch state.withLock({ $0.table.outcome(name, version) }) {
            case .unknown:
                directory.files.remove(staged)
                return .failure(
                    InputError(.faulty, "a version was made to serve that was not loading", object: name))
            case .superseded(let higher):
                directory.files.remove(staged)
                state.withLock { _ = $0.table.warmed(name, version) }
                return .success(Pushed(version: version, digest: digest, state: .superseded, serving: higher))
            case .serves:
                do throws(InputError) {
                    try directory.serve(name, version: version, digest: digest, staged: staged)
                } catch { return .failure(error) }
                serve(name, model)
                return .success(Pushed(version: version, digest: digest, state: .available, serving: version))
            }
        }
    }

    private func serve(_ name: String, _ model: ServedModel) {
        // The model before it may take long to go: not under the lock.
        let replaced = state.withLock { state -> ServedModel? in
            switch state.table.warmed(name, model.version) {
            case .serves(let old):
                state.failed[name] = nil
                for version in old { state.table.unloaded(name, version) }
                return state.loaded.updateValue(model, forKey: name)
            case .superseded, .unknown: return nil
            }
        }
        withExtendedLifetime(replaced) {}
    }

    // MARK: Serving

    /// The models that are served, sorted.
    package var names: [String] { state.withLock { $0.table.names } }

    /// The models that an earlier life of the node served and that do not answer, sorted. A push of the model ends it.
    package var failures: [Failure] {
        state.withLock { $0.failed.map { Failure(name: $0, reason: $1) } }.sorted { $0.name < $1.name }
    }

    /// The version of a model that answers.
    ///
    /// - Throws: `InputError` with `.missing` where there is none, with `.faulty` where an earlier life of the node
    ///   served one that cannot be loaded.
    package func model(_ name: String) throws(InputError) -> ServedModel {
        let (found, failure, names) = state.withLock { ($0.loaded[name], $0.failed[name], $0.table.names) }
        guard let found else {
            if let failure {
                throw InputError(
                    .faulty, "the model \(name.debugDescription) cannot be served", found: failure,
                    hint: "Push it again.")
            }
            throw InputError(
                .missing, "no model \(name.debugDescription) is served here",
                found: names.isEmpty ? "no model yet" : names.joined(separator: ", "))
        }
        return found
    }

    /// Computes the answer to a request off the cooperative pool.
    func predict(_ model: ServedModel, _ inputs: [NamedTensor]) async throws(InputError) -> [NamedTensor] {
        try await computing.run {
            Result { () throws(InputError) in try model.predict(inputs) }
        }.get()
    }
}
