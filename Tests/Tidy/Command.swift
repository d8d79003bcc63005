import Foundation
import TestKit

/// A tool that a check runs in the repository.
enum Command {
    struct Result {
        var status: Int32
        var output: Data
        var errors: String
    }

    static func run(_ words: String...) throws -> Result { try run(words) }

    /// Both outputs go to files: a pipe that nobody empties would stop the tool.
    static func run(_ words: [String]) throws -> Result {
        let folder = FileManager.default.temporaryDirectory.appending(path: "beamline-tidy-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let (output, errors) = (folder.appending(path: "out"), folder.appending(path: "err"))
        try Data().write(to: output)
        try Data().write(to: errors)
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = words
        process.currentDirectoryURL = SourceTree.root
        process.standardOutput = try FileHandle(forWritingTo: output)
        process.standardError = try FileHandle(forWritingTo: errors)
        process.standardInput = FileHandle.nullDevice
        try process.start()
        process.waitUntilExit()
        return Result(
            status: process.terminationStatus, output: try Data(contentsOf: output),
            errors: try String(contentsOf: errors, encoding: .utf8))
    }

    /// Whether the search path has a tool of this name.
    static func exists(_ name: String) -> Bool {
        (try? run("which", name).status) == 0
    }
}
