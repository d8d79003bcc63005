import Bytes
import Cluster
import Dispatch
import Features
import Foundation
import Models
import Serving
import Synchronization

/// The loaded models of a node, and the bundles on its disk.
package final class ModelStore: Sendable {
    package final class Loaded: Sendable {
        package let version: Int64
        package let model: TrainedModel
        package let features: [String]
        private let places: [String: Int]
        private let workspaces = Mutex<[WorkspaceBox]>([])

        /// A workspace is used by one request at a time.
        private final class WorkspaceBox: @unchecked Sendable {
            let workspace: Workspace
            init(_ network: Network) { workspace = Workspace(network, capacity: 64) }
        }

        init(version: Int64, model: TrainedModel, features: [String]) {
            self.version = version
            self.model = model
            self.features = features
            places = Dictionary(uniqueKeysWithValues: features.enumerated().map { ($1, $0) })
        }

        func place(_ feature: String) -> Int? { places[feature] }

        func scores(_ rows: [Float]) -> [Float] {
            let box = workspaces.withLock { $0.popLast() } ?? WorkspaceBox(model.network)
            defer { workspaces.withLock { if $0.count < 64 { $0.append(box) } } }
            return model.scores(rows, box.workspace)
        }
    }

    private struct State {
        var table = ServableTable()
        var loaded: [String: Loaded] = [:]
    }

    private let state = Mutex(State())
    private let directory: URL
    private let queue = DispatchQueue(label: "beamline.inference", attributes: .concurrent)

    package init(directory: URL) throws {
        self.directory = directory
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    }

    /// Loads what an earlier life of the node was given.
    package func restore() -> [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory.path)) ?? []
        return names.filter { $0.hasSuffix(".bundle") }.sorted().compactMap { file in
            guard let bytes = try? Data(contentsOf: directory.appending(path: file)) else { return nil }
            let name = String(file.dropLast(7))
            return (try? admit(name, [UInt8](bytes), store: false)) == nil ? nil : name
        }
    }

    /// Checks, stores, loads and warms a bundle; only then it is available.
    /// - Returns: the version's number.
    package func admit(_ name: String, _ bytes: [UInt8], store: Bool = true) throws(InputError) -> Int64 {
        let digest = Digest.sha256(bytes)
        let number: Int64
        switch state.withLock({ $0.table.admit(name, digest: digest) }) {
        case .known(let version): return version
        case .load(let version): number = version
        }
        do throws(InputError) {
            let loaded = try Self.load(bytes, version: number)
            state.withLock { $0.table.loaded(name, number) }
            // The first answer allocates and picks kernels: not in front of a user.
            let warm = loaded.scores([Float](repeating: .nan, count: loaded.features.count))
            guard warm.allSatisfy({ $0 - $0 == 0 }) else {
                throw InputError(.corrupt, "the model's answer to an empty event is not finite")
            }
            if store { try keep(name, bytes) }
            state.withLock { state in
                let old = state.table.warmed(name, number)
                state.loaded[name] = loaded
                for version in old { state.table.unloaded(name, version) }
            }
            return number
        } catch {
            state.withLock { $0.table.failed(name, number, because: error.description) }
            throw error
        }
    }

    private static func load(_ bytes: [UInt8], version: Int64) throws(InputError) -> Loaded {
        let files = try Bundle.decode(bytes)
        let model = try ONNXModel.load(files[Bundle.model]!)
        let schema: DataSchema
        do { schema = try JSONDecoder().decode(DataSchema.self, from: Data(files[Bundle.schema] ?? [])) } catch {
            throw InputError(
                .corrupt, "the bundle's data schema is not understood", object: Bundle.schema, found: "\(error)")
        }
        try schema.validate()
        guard schema.inputs.count == 1, schema.flatWidth == model.network.inputs else {
            throw InputError(
                .corrupt, "the bundle's model and schema differ",
                expected: "one flat input of \(model.network.inputs) features",
                found: "\(schema.inputs.count) inputs, \(schema.flatWidth) features")
        }
        return Loaded(version: version, model: model, features: schema.names)
    }

    private func keep(_ name: String, _ bytes: [UInt8]) throws(InputError) {
        do { try Data(bytes).write(to: directory.appending(path: "\(name).bundle"), options: .atomic) } catch {
            throw InputError(.limit, "cannot store the bundle: \(error)", object: name)
        }
    }

    package var names: [String] { state.withLock { $0.table.names } }

    package func model(_ name: String) throws(InputError) -> Loaded {
        let (found, names) = state.withLock { ($0.loaded[name], $0.table.names) }
        guard let found else {
            throw InputError(
                .missing, "no model \(name.debugDescription) is served here",
                found: names.isEmpty ? "no model yet" : names.joined(separator: ", "))
        }
        return found
    }

    /// Scores rows off the cooperative pool.
    func scores(_ model: Loaded, _ rows: [Float]) async -> [Float] {
        await withCheckedContinuation { continuation in
            queue.async { continuation.resume(returning: model.scores(rows)) }
        }
    }
}
