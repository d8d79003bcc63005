import Foundation

/// The files of the repository.
enum SourceTree {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..").standardizedFileURL

    /// What people write: no build products, no generated code.
    static let files: [SourceFile] = load { !isGenerated($0) }

    static let swift: [SourceFile] = files.filter(\.isSwift)

    /// What scripts/generate writes.
    static let generated: [SourceFile] = load { isGenerated($0) && $0.hasSuffix(".swift") }

    private static let folders = [
        "Common", "Coordinator", "Worker", "Inference", "CommandLine", "Python", "Tests", "Benchmarks",
        "cluster-configs", "docs", "scripts",
    ]

    private static let textEndings: Set<String> = [
        "swift", "c", "h", "cpp", "py", "md", "yaml", "yml", "proto", "sh", "toml", "js", "html", "css", "",
    ]

    private static func load(where isWanted: (String) -> Bool) -> [SourceFile] {
        let manager = FileManager.default
        let loose = ((try? manager.contentsOfDirectory(atPath: root.path)) ?? [])
            .filter { $0.hasSuffix(".md") || $0 == "Package.swift" }
        let nested = folders.flatMap { folder in
            ((try? manager.subpathsOfDirectory(atPath: root.appending(path: folder).path)) ?? [])
                .map { folder + "/" + $0 }
        }
        return (loose + nested).sorted().compactMap { path -> SourceFile? in
            let url = root.appending(path: path)
            guard textEndings.contains(url.pathExtension), isWanted(path), !path.contains("__pycache__"),
                !path.contains("/Golden/"), let text = try? String(contentsOf: url, encoding: .utf8)
            else { return nil }
            return SourceFile(path: path, text: text)
        }
    }

    private static func isGenerated(_ path: String) -> Bool {
        path.contains("/Generated/") || path.hasSuffix(".pb.swift") || path.hasSuffix(".grpc.swift")
            || path.hasSuffix("/onnx.proto")
    }
}
