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

        package var version: Int64
        package var digest: String
        package var state: State
    }

    private struct State {
        var table = ServableTable()
        var loaded: [String: ServedModel] = [:]
    }

    private let state = Mutex(State())
    private let directory: BundleDirectory
    /// One change of what serves at a time: in memory and on disk alike.
    private let changes = DispatchQueue(label: "beamline.inference.changes")
    private let computing: ComputeQueue

    /// Opens the store of a node.
    ///
    /// - Parameters:
    ///   - directory: where bundles are kept.
    ///   - threads: predictions that are computed at once.
    /// - Throws: `InputError` where the directory cannot be used.
    package init(
        directory: URL, threads: Int = ProcessInfo.processInfo.activeProcessorCount
    ) throws(InputError) {
        self.directory = try BundleDirectory(directory)
        computing = ComputeQueue(threads: threads)
    }

    // MARK: Loading

    /// What a node has of its earlier life.
    package struct Restored: Sendable {
        /// The models that serve again.
        package var names: [String] = []
        /// Why others do not; their bundles stay on disk.
        package var failures: [String] = []
    }

    /// Loads what an earlier life of the node served.
    package func restore() -> Restored {
        changes.sync {
            var restored = Restored()
            for entry in directory.index.models {
                state.withLock {
                    $0.table.resume(entry.name, after: entry.lastNumber)
                    $0.table.restore(entry.name, number: entry.version, digest: entry.digest)
                }
                do throws(InputError) {
                    let model = try load(entry.name, try directory.bundle(entry.digest), number: entry.version)
                    serve(entry.name, model)
                    restored.names.append(entry.name)
                } catch {
                    state.withLock { $0.table.failed(entry.name, entry.version, because: error.description) }
                    restored.failures.append("\(entry.name): \(error)")
                }
            }
            return restored
        }
    }

    /// Checks, loads, warms and stores a bundle; only then it serves. Blocks while it does.
    ///
    /// - Throws: `InputError` where the bundle cannot be served or stored; what served before goes on.
    package func push(_ name: String, _ bytes: [UInt8]) throws(InputError) -> Pushed {
        let digest = Digest.sha256(bytes)
        let number: Int64
        switch state.withLock({ $0.table.admit(name, digest: digest) }) {
        case .known(let version): return Pushed(version: version, digest: digest, state: .available)
        case .load(let version): number = version
        }
        do throws(InputError) {
            let model = try load(name, bytes, number: number)
            return try commit(name, model, digest: digest, bytes: bytes).get()
        } catch {
            state.withLock { $0.table.failed(name, number, because: error.description) }
            throw error
        }
    }

    private func load(_ name: String, _ bytes: [UInt8], number: Int64) throws(InputError) -> ServedModel {
        let model = ServedModel(version: number, predictor: try NativePredictor(try ModelBundle.decode(bytes)))
        state.withLock { $0.table.loaded(name, number) }
        try model.warm()
        return model
    }

    /// Makes a warm version serve, on disk and then in memory, unless a higher one does.
    private func commit(
        _ name: String, _ model: ServedModel, digest: String, bytes: [UInt8]
    ) -> Result<Pushed, InputError> {
        changes.sync {
            var pushed = Pushed(version: model.version, digest: digest, state: .superseded)
            switch state.withLock({ $0.table.outcome(name, model.version) }) {
            case .unknown:
                return .failure(InputError(.corrupt, "a version was made to serve that was not loading", object: name))
            case .superseded: _ = state.withLock { $0.table.warmed(name, model.version) }
            case .serves:
                do throws(InputError) {
                    try directory.keep(name, version: model.version, digest: digest, bytes: bytes)
                } catch { return .failure(error) }
                serve(name, model)
                pushed.state = .available
            }
            return .success(pushed)
        }
    }

    private func serve(_ name: String, _ model: ServedModel) {
        state.withLock { state in
            switch state.table.warmed(name, model.version) {
            case .serves(let old):
                state.loaded[name] = model
                for version in old { state.table.unloaded(name, version) }
            case .superseded, .unknown: break
            }
        }
    }

    // MARK: Serving

    /// The models that are served, sorted.
    package var names: [String] { state.withLock { $0.table.names } }

    /// The version of a model that answers.
    ///
    /// - Throws: `InputError` with `.missing` where there is none.
    package func model(_ name: String) throws(InputError) -> ServedModel {
        let (found, names) = state.withLock { ($0.loaded[name], $0.table.names) }
        guard let found else {
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
