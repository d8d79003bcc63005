import Foundation
import Testing

/// The repository checks its own layers: who may import whom, and how long a file may be.
@Suite struct LayerTests {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..").standardizedFileURL

    /// For each room: the rooms of ours, and the packages, that it may import. The standard library's modules are free to all but
    /// the pure rooms.
    static let allowed: [String: Set<String>] = [
        "Bytes": ["Crypto", "Synchronization"],
        "Columns": ["Bytes", "CKernels"],
        "Storage": [
            "AsyncHTTPClient", "Bytes", "CCodecs", "CXrootd", "Cluster", "Dispatch", "Foundation",
            "FoundationEssentials", "FoundationXML", "Glibc", "NIOCore", "NIOHTTP1", "NIOSSL",
            "Synchronization",
        ],
        "RootFormat": ["Bytes", "Columns", "Storage", "CCodecs", "CKernels", "Dispatch", "Synchronization"],
        "Specs": ["Bytes", "Cluster", "Columns"],
        "Models": [
            "Bytes", "CKernels", "COpenBLAS", "Cluster", "Features", "Foundation", "FoundationEssentials", "Glibc",
            "Sampling", "SwiftProtobuf", "Synchronization",
        ],
        "Collectives": ["Bytes", "CGloo", "Glibc"],
        "Training": [
            "Bytes", "Cluster", "Collectives", "Dispatch", "Features", "Foundation", "Member", "Models", "Sampling",
            "Synchronization",
        ],
        "Serving": ["Cluster", "OrderedCollections"],
        "InferenceService": [
            "Bytes", "Cluster", "DequeModule", "Models", "Serving", "Dispatch", "Foundation", "HTTPTypes",
            "Hummingbird", "Logging", "ServiceLifecycle", "Synchronization",
        ],
        "Cluster": ["Bytes"],
        "Sampling": ["Cluster"],
        "Features": ["Bytes", "CKernels", "Cluster", "Columns", "Sampling", "Specs"],
        "Wire": [
            "Bytes", "Cluster", "Foundation", "FoundationEssentials", "SwiftProtobuf", "GRPCCore", "GRPCProtobuf",
        ],
        "Scheduling": ["Cluster", "DequeModule", "Specs", "OrderedCollections"],
        "ConfigurationFiles": ["Cluster", "Yams"],
        "JobFile": ["Cluster", "ConfigurationFiles", "Yams"],
        "RestInterface": ["Cluster", "Foundation"],
        "Ledger": [
            "Bytes", "Cluster", "RestInterface", "Scheduling", "Specs", "Synchronization", "Foundation",
            "GRDB",
        ],
        "Access": ["Bytes", "Crypto", "Foundation", "SwiftASN1", "X509"],
        "CoordinatorService": [
            "Access", "Bytes", "Cluster", "ConfigurationFiles", "Features", "JobFile", "Ledger", "Models",
            "RestInterface", "Sampling", "ServiceLifecycle", "Dispatch",
            "Scheduling", "Specs", "Synchronization", "Wire", "AsyncHTTPClient", "NIOCore", "Foundation",
            "GRPCCore",
            "GRPCNIOTransportHTTP2Posix", "Hummingbird", "HummingbirdTLS", "Logging", "NIOSSL",
        ],
        "Member": ["Cluster"],
        "Session": ["Cluster", "OrderedCollections"],
        "Pipeline": [
            "Bytes", "CCodecs", "CKernels", "Cluster", "Columns", "Dispatch", "Features", "RootFormat",
            "Sampling", "Specs", "Storage", "Synchronization",
        ],
        "WorkerService": [
            "Bytes", "Cluster", "Collectives", "Features", "Member", "Models", "Pipeline", "Session", "Storage",
            "Training", "Wire", "Dispatch", "Foundation", "GRPCCore", "GRPCNIOTransportHTTP2Posix", "Logging",
            "ServiceLifecycle", "Synchronization",
        ],
    ]

    /// What a main may import is everything; nobody may import a main.
    static let mains: Set<String> = ["CommandLine"]

    struct Source {
        var room: String
        var path: String
        var text: String

        var imports: [String] {
            text.split(separator: "\n").compactMap { line in
                let words = line.split(separator: " ")
                guard let place = words.firstIndex(of: "import"), place <= 2,
                    words[..<place].allSatisfy({
                        ["package", "public", "internal", "private", "fileprivate", "@preconcurrency", "@testable"]
                            .contains(String($0))
                    })
                else { return nil }
                let name = words.count > place + 2 ? words[place + 2] : words[place + 1]
                return String(name.prefix { $0 != "." })
            }
        }
    }

    /// - Parameter also: folders beside those of the product.
    static func sources(also folders: [String] = []) -> [Source] {
        var found: [Source] = []
        for wing in ["Common", "Coordinator", "Worker", "Inference", "CommandLine"] + folders {
            let base = root.appending(path: wing)
            guard let walk = FileManager.default.enumerator(at: base, includingPropertiesForKeys: nil) else { continue }
            for case let url as URL in walk where url.pathExtension == "swift" {
                let relative = String(url.path.dropFirst(root.path.count + (root.path.hasSuffix("/") ? 0 : 1)))
                let parts = relative.split(separator: "/")
                found.append(
                    Source(
                        room: wing == "CommandLine" ? wing : String(parts[1]), path: relative,
                        text: (try? String(contentsOf: url, encoding: .utf8)) ?? ""))
            }
        }
        return found
    }

    @Test func roomsImportOnlyWhatTheyMay() {
        let sources = Self.sources()
        #expect(sources.count > 10)
        for source in sources where !Self.mains.contains(source.room) {
            guard let allowed = Self.allowed[source.room] else {
                Issue.record("\(source.path): the room \(source.room) is not in the layer table")
                continue
            }
            for name in source.imports where !allowed.contains(name) {
                Issue.record("\(source.path): \(source.room) may not import \(name)")
            }
        }
    }

    /// The rooms that a room reaches through others.
    static func reach(_ room: String) -> Set<String> {
        var found: Set<String> = []
        var pending = [room]
        while let next = pending.popLast() {
            for name in allowed[next] ?? [] where found.insert(name).inserted { pending.append(name) }
        }
        return found
    }

    @Test func coordinatorAndInferenceReachNoReader() {
        for room in ["CoordinatorService", "InferenceService", "Scheduling", "Serving", "Ledger"]
        where Self.allowed[room] != nil {
            #expect(Self.reach(room).isDisjoint(with: ["Storage", "RootFormat", "CXrootd"]), "\(room)")
        }
    }

    @Test func filesStayShort() {
        for source in Self.sources() where !source.path.contains(".pb.swift") && !source.path.contains(".grpc.swift") {
            let lines = source.text.split(separator: "\n", omittingEmptySubsequences: false).count
            #expect(lines <= 500, "\(source.path) has \(lines) lines")
        }
    }
}
