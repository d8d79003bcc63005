import Foundation
import TestKit

/// The golden documents in the tree.
enum Golden {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../Golden")
        .standardizedFileURL

    static func data(_ name: String, format: Int = 1) throws -> Data {
        try Data(contentsOf: root.appending(path: "format-\(format)/\(name)"))
    }

    static func value<T: Decodable>(_: T.Type, _ name: String) throws -> T {
        try JSONDecoder().decode(T.self, from: try data(name))
    }

    /// A JSON document with one key changed.
    static func changed(_ name: String, _ key: String, to value: Any?) throws -> Data {
        guard var object = try JSONSerialization.jsonObject(with: try data(name)) as? [String: Any] else {
            throw CocoaError(.coderInvalidValue)
        }
        object[key] = value
        return try JSONSerialization.data(withJSONObject: object)
    }

    /// Unpacks a coordinator's state directory.
    static func unpack(_ name: String) throws -> URL {
        let directory = FileManager.default.temporaryDirectory.appending(
            path: "beamline-golden-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        let archive = root.appending(path: "format-1/\(name)").path
        guard try Process.result("/usr/bin/tar", ["-xJf", archive, "-C", directory.path]).status == 0 else {
            throw CocoaError(.fileReadCorruptFile)
        }
        return directory
    }
}
