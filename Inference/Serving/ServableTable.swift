import Cluster
import OrderedCollections

/// The models of a node: which versions there are, in which state, and which one answers. Pure.
///
/// A version is loading, then warming, then available; the one before it serves until then, and is unloaded after.
/// Numbers only grow, also over restarts of the node. Where two versions of one name are loaded at once, the higher
/// one serves in the end, whichever is ready first.
package struct ServableTable: Sendable {
    /// Where a version stands.
    package enum State: String, Sendable, Codable { case loading, warming, available, unloading }

    /// A version that is loaded or will be.
    package struct Version: Sendable, Equatable {
        package let number: Int64
        /// The SHA-256 of the bundle.
        package let digest: String
        package fileprivate(set) var state: State
    }

    /// A version that could not be loaded.
    package struct Failure: Sendable, Equatable {
        package let name: String
        package let number: Int64
        package let reason: String
    }

    /// What is to be done with a bundle that arrived.
    package enum Admission: Equatable, Sendable {
        /// Load it under this number.
        case load(version: Int64)
        /// The same bundle is there already.
        case known(version: Int64)
    }

    /// What a version that is warm is for.
    package enum Outcome: Equatable, Sendable {
        /// It answers from now on; these versions are to be unloaded.
        case serves(unload: [Int64])
        /// A higher version answers already; this one is not needed.
        case superseded(by: Int64)
        /// The version is not one that was loading.
        case unknown
    }

    private struct Model: Sendable {
        /// The highest number that any version was given.
        var lastNumber: Int64 = 0
        /// Whether a version has ever answered, in this life of the node or an earlier one.
        var hasServed = false
        var versions: [Version] = []
    }

    private var models: OrderedDictionary<String, Model> = [:]

    /// The newest failures, oldest first.
    package private(set) var failures: [Failure] = []
    /// The most failures that are kept.
    package static let maxFailures = 64

    /// An empty table.
    package init() {}

    /// The models that have a version that answers, sorted.
    package var names: [String] { models.keys.filter { available($0) != nil }.sorted() }

    /// A model's versions, in the order in which they came.
    package func versions(_ name: String) -> [Version] { models[name]?.versions ?? [] }

    /// The version that answers.
    package func available(_ name: String) -> Version? { models[name]?.versions.last { $0.state == .available } }

    /// The highest number that a version of the model was given; 0 where there was none.
    package func lastNumber(_ name: String) -> Int64 { models[name]?.lastNumber ?? 0 }

    /// Makes numbers go on after those of the node's earlier life.
    ///
    /// - Parameter number: the highest number that a version of the model was given.
    package mutating func resume(_ name: String, after number: Int64) {
        models[name, default: Model()].lastNumber = max(lastNumber(name), number)
        models[name]?.hasServed = true
    }

    /// Begins to load a version of the node's earlier life under its old number.
    package mutating func restore(_ name: String, number: Int64, digest: String) {
        resume(name, after: number)
        append(name, Version(number: number, digest: digest, state: .loading))
    }

    private mutating func append(_ name: String, _ version: Version) {
        models[name, default: Model()].lastNumber = max(lastNumber(name), version.number)
        models[name]?.versions.append(version)
    }

    /// A bundle arrived.
    package mutating func admit(_ name: String, digest: String) -> Admission {
        if let known = available(name), known.digest == digest { return .known(version: known.number) }
        let number = lastNumber(name) + 1
        append(name, Version(number: number, digest: digest, state: .loading))
        return .load(version: number)
    }

    /// A version is loaded and gives its first answer.
    package mutating func loaded(_ name: String, _ number: Int64) { change(name, number, from: .loading, to: .warming) }

    /// What would become of a version that is warm now: the answer that `warmed` would give.
    package func outcome(_ name: String, _ number: Int64) -> Outcome {
        let versions = versions(name)
        guard versions.contains(where: { $0.number == number && $0.state == .warming }) else { return .unknown }
        let serving = versions.filter { $0.state == .available }.map(\.number)
        if let higher = serving.max(), higher > number { return .superseded(by: higher) }
        return .serves(unload: serving)
    }

    /// A version has given its first answer: it serves, unless a higher one does.
    package mutating func warmed(_ name: String, _ number: Int64) -> Outcome {
        let outcome = outcome(name, number)
        switch outcome {
        case .serves(let old):
            change(name, number, from: .warming, to: .available)
            models[name]?.hasServed = true
            for version in old { change(name, version, from: .available, to: .unloading) }
        case .superseded: models[name]?.versions.removeAll { $0.number == number }
        case .unknown: break
        }
        return outcome
    }

    /// An older version is gone from memory.
    package mutating func unloaded(_ name: String, _ number: Int64) {
        models[name]?.versions.removeAll { $0.number == number && $0.state == .unloading }
    }

    /// A version could not be loaded. Its number is not given again while the model is known.
    package mutating func failed(_ name: String, _ number: Int64, because reason: String) {
        guard models[name]?.versions.contains(where: { $0.number == number }) == true else { return }
        models[name]?.versions.removeAll { $0.number == number }
        failures.append(Failure(name: name, number: number, reason: reason))
        if failures.count > Self.maxFailures { failures.removeFirst(failures.count - Self.maxFailures) }
        // A name that never had a version that answered would otherwise stay for ever.
        if let model = models[name], model.versions.isEmpty, !model.hasServed { models[name] = nil }
    }

    private mutating func change(_ name: String, _ number: Int64, from: State, to: State) {
        guard let index = models[name]?.versions.firstIndex(where: { $0.number == number && $0.state == from }) else {
            return
        }
        models[name]?.versions[index].state = to
    }
}
