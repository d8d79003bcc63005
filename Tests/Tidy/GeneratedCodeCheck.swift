import Foundation
import Testing

/// The protobuf code in the tree is what `scripts/generate` writes today. Skipped where protoc or its plugins are not
/// there.
@Suite struct GeneratedCodeCheck {
    private static let plugins = SourceTree.root.appending(path: ".build/release")

    private static let canGenerate =
        Command.exists("protoc")
        && ["protoc-gen-swift", "protoc-gen-grpc-swift-2"].allSatisfy {
            FileManager.default.isExecutableFile(atPath: plugins.appending(path: $0).path)
        }

    @Test(.enabled(if: canGenerate, "protoc and the plugins that scripts/generate builds are needed"))
    func generatedCodeIsCurrent() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "beamline-generated-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        let run = try Command.run("scripts/generate", "--into", folder.path)
        try #require(run.status == 0, "\(run.errors)")
        let written = try FileManager.default.subpathsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".swift") }
        #expect(written.count > 1)
        for path in written {
            let expected = try String(contentsOf: folder.appending(path: path), encoding: .utf8)
            let found = try? String(contentsOf: SourceTree.root.appending(path: path), encoding: .utf8)
            #expect(found == expected, "\(path) is not what scripts/generate writes; run it and commit the result")
        }
    }
}
