import Cluster
import OrderedCollections

/// The servables of a node: which versions there are, in which state, and which one answers. Pure.
///
/// A version is loading, then warming, then available; the one before it serves until then, and is unloaded after.
package struct ServableTable: Sendable {
    package enum State: String, Sendable, Codable { case loading, warming, available, unloading, failed }

    package struct Version: Sendable, Equatable {
        package let number: Int64
        package let digest: String
        package fileprivate(set) var state: State
        package fileprivate(set) var reason: String?
    }

    package enum Admission: Equatable, Sendable {
        /// Load it under this number.
        case load(version: Int64)
        /// The same bundle is there already.
        case known(version: Int64)
    }

    private var models: OrderedDictionary<String, [Version]> = [:]

    package init() {}

    package var names: [String] { models.keys.filter { available($0) != nil }.sorted() }

    package func versions(_ name: String) -> [Version] { models[name] ?? [] }

    /// The version that answers.
    package func available(_ name: String) -> Version? { models[name]?.last { $0.state == .available } }

    /// A bundle arrived.
    package mutating func admit(_ name: String, digest: String) -> Admission {
        if let known = models[name]?.first(where: { $0.digest == digest && $0.state == .available }) {
            return .known(version: known.number)
        }
        let number = (models[name]?.map(\.number).max() ?? 0) + 1
        models[name, default: []].append(Version(number: number, digest: digest, state: .loading, reason: nil))
        return .load(version: number)
    }

    package mutating func loaded(_ name: String, _ number: Int64) { change(name, number, from: .loading, to: .warming) }

    /// - Returns: the versions to unload now that this one is available.
    package mutating func warmed(_ name: String, _ number: Int64) -> [Int64] {
        guard models[name]?.contains(where: { $0.number == number && $0.state == .warming }) == true else { return [] }
        change(name, number, from: .warming, to: .available)
        let old = (models[name] ?? []).filter { $0.number < number && $0.state == .available }.map(\.number)
        for version in old { change(name, version, from: .available, to: .unloading) }
        return old
    }

    package mutating func unloaded(_ name: String, _ number: Int64) {
        models[name]?.removeAll { $0.number == number && $0.state == .unloading }
    }

    package mutating func failed(_ name: String, _ number: Int64, because reason: String) {
        guard let index = models[name]?.firstIndex(where: { $0.number == number }) else { return }
        models[name]![index].state = .failed
        models[name]![index].reason = reason
    }

    private mutating func change(_ name: String, _ number: Int64, from: State, to: State) {
        guard let index = models[name]?.firstIndex(where: { $0.number == number && $0.state == from }) else { return }
        models[name]![index].state = to
    }
}
