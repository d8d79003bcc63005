import Foundation
import Testing

/// Who may import whom, derived from the package description: a file imports only what its target declares, a target
/// declares only what its files import, and the declared edges keep to the rules of ARCHITECTURE.md.
@Suite struct LayerCheck {
    /// Modules of the toolchain: free to all but the pure rooms (`PureRoomCheck`).
    private static let toolchain: Set<String> = [
        "Dispatch", "Foundation", "FoundationEssentials", "FoundationNetworking", "FoundationXML", "Glibc",
        "Synchronization", "Testing", "PackageDescription",
    ]

    /// Modules that come with a product and have no product in its package, or one that the product is made of.
    private static let companions: [String: Set<String>] = [
        "AsyncHTTPClient": ["NIOCore", "NIOHTTP1", "NIOFoundationCompat"],
        "GRPCProtobuf": ["GRPCCore"],
        "Hummingbird": ["HTTPTypes", "NIOCore"],
        "HummingbirdCore": ["HTTPTypes", "NIOCore", "NIOHTTPTypes"],
        "HummingbirdTesting": ["HTTPTypes", "NIOCore"],
        "GRPCNIOTransportHTTP2Posix": ["NIOCore"],
        "NIOSSL": ["NIOCore"],
        "X509": ["SwiftASN1"],
    ]

    private static let readers: Set<String> = ["Storage", "Tables", "RootFormat", "Parquet", "CXrootd"]
    private static let formats: Set<String> = ["Tables", "RootFormat", "Parquet"]
    private static let statistics: Set<String> = ["Specs", "Features"]

    struct Import {
        var module: String
        var line: Int
    }

    static func imports(of file: SourceFile) -> [Import] {
        file.code.indices.compactMap { index in
            guard file.code[index].isWord("import"), index + 1 < file.code.count else { return nil }
            let kinds: Set<String> = ["struct", "class", "enum", "func", "protocol", "typealias", "let", "var"]
            let name = index + (kinds.contains(file.code[index + 1].text) ? 2 : 1)
            guard file.code[name].line == file.code[index].line else { return nil }
            return Import(module: file.code[name].text, line: file.code[index].line)
        }
    }

    static func findings(in files: [SourceFile], manifest: Manifest) -> [Finding] {
        manifest.targets.flatMap { target -> [Finding] in
            guard let path = target.path else { return [] }
            let sources = files.filter { $0.path.hasPrefix(path + "/") && $0.isSwift }
            return undeclared(target, sources) + (sources.isEmpty ? [] : unused(target, sources, manifest))
        } + rules(manifest)
    }

    private static func undeclared(_ target: Manifest.Target, _ sources: [SourceFile]) -> [Finding] {
        let declared = target.names.union(target.names.flatMap { companions[$0] ?? [] }).union(toolchain)
        return sources.flatMap { file in
            imports(of: file).filter { !declared.contains($0.module) }.map {
                Finding(
                    file, line: $0.line, "\(target.name) imports \($0.module), which Package.swift does not give it")
            }
        }
    }

    private static func unused(_ target: Manifest.Target, _ sources: [SourceFile], _ manifest: Manifest) -> [Finding] {
        let imported = Set(sources.flatMap { imports(of: $0).map(\.module) })
        return target.names.subtracting(imported).sorted().compactMap { name in
            // A test of processes needs the executable to be built; a product may be needed for its companions.
            if manifest.target(name)?.type == "executable" { return nil }
            if let companions = companions[name], !companions.isDisjoint(with: imported) { return nil }
            return Finding(
                SourceFile(path: "Package.swift", text: ""), line: 1,
                "\(target.name) declares \(name), which no file of it imports")
        }
    }

    private static func rules(_ manifest: Manifest) -> [Finding] {
        manifest.targets.flatMap { target -> [Finding] in
            var broken: [String] = []
            let reach = manifest.reach(of: target.name)
            if ["Coordinator", "Inference"].contains(target.wing) {
                broken += reach.intersection(readers).sorted().map {
                    "the coordinator and the inference node read no data, yet \(target.name) reaches \($0)"
                }
            }
            if ["Common", "Coordinator", "Worker", "Inference"].contains(target.wing), target.name != "Pipeline",
                let format = target.names.intersection(formats).sorted().first,
                let other = target.names.intersection(statistics).sorted().first
            {
                broken.append(
                    """
                    only Pipeline joins the formats to specs and features, yet \(target.name) joins \(format) to \
                    \(other)
                    """
                )
            }
            if PureRoomCheck.rooms.contains(target.name) {
                let plain =
                    manifest.targets.map(\.name) + ["OrderedCollections", "DequeModule", "HeapModule", "Crypto"]
                broken += reach.subtracting(plain).sorted().map {
                    "the pure room \(target.name) reaches the library \($0)"
                }
            }
            if target.type != "test" {
                broken += target.names.filter { manifest.target($0)?.type == "executable" }.sorted().map {
                    "\(target.name) depends on the executable \($0)"
                }
            }
            return broken.map { Finding(SourceFile(path: "Package.swift", text: ""), line: 1, $0) }
        }
    }

    /// The targets of the five wings that the page does not name.
    static func unnamed(_ manifest: Manifest, in page: String) -> [String] {
        let words = Set(page.split { !$0.isLetter && !$0.isNumber && $0 != "_" }.map(String.init))
        return manifest.targets.filter {
            ["Common", "Coordinator", "Worker", "Inference"].contains($0.wing) && !words.contains($0.name)
        }.map(\.name)
    }

    @Test func roomsImportWhatTheyDeclareAndDeclareWhatTheyImport() throws {
        let manifest = try Manifest.load()
        #expect(manifest.targets.count > 30)
        Self.findings(in: SourceTree.swift + SourceTree.generated, manifest: manifest).report()
    }

    @Test func architectureNamesEachRoom() throws {
        let page = try #require(SourceTree.files.first { $0.path == "ARCHITECTURE.md" }).text
        #expect(Self.unnamed(try Manifest.load(), in: page) == [])
    }

    @Test func plantedExamplesAreFound() {
        func target(
            _ name: String, _ wing: String, _ dependencies: [String], type: String = "regular"
        ) -> Manifest.Target {
            .init(
                name: name, type: type, path: "\(wing)/\(name)",
                dependencies: dependencies.map { Manifest.Dependency(name: $0) })
        }
        let manifest = Manifest(targets: [
            target("Bytes", "Common", []), target("Storage", "Common", ["Bytes"]),
            target("RootFormat", "Common", ["Storage"]), target("Specs", "Common", []),
            target("Ledger", "Coordinator", ["Specs", "Storage"]),
            target("Training", "Worker", ["RootFormat", "Specs"]),
            target("Session", "Worker", ["Logging"]), target("tool", "CommandLine", [], type: "executable"),
            target("Helper", "Tests", ["tool"]),
        ])
        let messages = Self.findings(in: [], manifest: manifest).map(\.message)
        #expect(messages.count == 4)
        for part in [
            "Ledger reaches Storage", "Training joins RootFormat to Specs", "Session reaches the library Logging",
            "executable tool",
        ] {
            #expect(messages.contains { $0.contains(part) }, "\(part)")
        }
        let file = SourceFile(
            path: "Common/Storage/A.swift", text: "import Foundation\nimport struct Bytes.A\n@testable import Specs\n")
        #expect(Self.findings(in: [file], manifest: manifest).filter { $0.path == file.path }.map(\.line) == [3])
        let unused = SourceFile(path: "Common/Storage/A.swift", text: "import Foundation\n")
        #expect(Self.findings(in: [unused], manifest: manifest).contains { $0.message.contains("declares Bytes") })
        #expect(Self.unnamed(manifest, in: "`Bytes`, Storage; RootFormat Specs Training Session") == ["Ledger"])
    }
}
