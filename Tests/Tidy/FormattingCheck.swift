import Foundation
import Testing

/// `swift format lint --strict` finds nothing in our Swift files.
@Suite struct FormattingCheck {
    /// The tool's complaints about these files, a line each.
    static func complaints(about paths: [String]) throws -> [String] {
        let configuration = SourceTree.root.appending(path: ".swift-format").path
        let run = try Command.run(
            ["swift", "format", "lint", "--strict", "--parallel", "--configuration", configuration] + paths)
        let lines = run.errors.split(separator: "\n").map(String.init)
        return lines.isEmpty && run.status != 0 ? ["swift format ended with status \(run.status)"] : lines
    }

    @Test func allSwiftFilesAreFormatted() throws {
        for complaint in try Self.complaints(about: SourceTree.swift.map(\.path)) { Issue.record("\(complaint)") }
    }

    @Test func plantedExamplesAreFound() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "beamline-format-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let (bad, good) = (folder.appending(path: "bad.swift"), folder.appending(path: "good.swift"))
        try "func f(){\n  let snake_case = 1; _ = snake_case }\n".write(to: bad, atomically: true, encoding: .utf8)
        try "func f() {}\n".write(to: good, atomically: true, encoding: .utf8)
        #expect(try Self.complaints(about: [bad.path]).count > 1)
        #expect(try Self.complaints(about: [good.path]) == [])
    }
}
