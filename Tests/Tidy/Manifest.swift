import Foundation

/// What the package description says of targets: what `swift package dump-package` prints.
struct Manifest: Decodable {
    var targets: [Target]

    struct Target: Decodable {
        var name: String
        /// `regular`, `executable`, `test` or `system`.
        var type: String
        var path: String?
        var dependencies: [Dependency]

        /// The names of the targets and products it depends on. All of ours have a product named as its module.
        var names: Set<String> { Set(dependencies.map(\.name)) }

        /// `Common` of `Common/Bytes`.
        var wing: String { String((path ?? "").prefix { $0 != "/" }) }
    }

    struct Dependency: Decodable {
        var name: String

        private enum CodingKeys: String, CodingKey { case byName, product, target }

        init(name: String) { self.name = name }

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            guard let key = container.allKeys.first else { throw CocoaError(.coderInvalidValue) }
            var values = try container.nestedUnkeyedContainer(forKey: key)
            name = try values.decode(String.self)
        }
    }

    /// Read in a build directory of its own, so that it does not wait for the build that runs this test.
    static func load() throws -> Manifest {
        let scratch = FileManager.default.temporaryDirectory.appending(path: "beamline-tidy-\(getpid())")
        defer { try? FileManager.default.removeItem(at: scratch) }
        let run = try Command.run("swift", "package", "dump-package", "--scratch-path", scratch.path)
        return try JSONDecoder().decode(Manifest.self, from: run.output)
    }

    func target(_ name: String) -> Target? { targets.first { $0.name == name } }

    /// All targets and products that a target depends on, through others too.
    func reach(of name: String) -> Set<String> {
        var found: Set<String> = []
        var pending = [name]
        while let next = pending.popLast() {
            for dependency in target(next)?.names ?? [] where found.insert(dependency).inserted {
                pending.append(dependency)
            }
        }
        return found
    }
}
