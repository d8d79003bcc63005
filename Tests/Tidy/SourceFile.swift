import Foundation

/// A file of the tree as the checks see it.
struct SourceFile {
    /// Relative to the repository.
    let path: String
    let text: String
    /// All tokens but comments; empty where the file is not Swift.
    let code: [Token]
    let comments: [Token]
    let declarations: [Declaration]

    init(path: String, text: String) {
        self.path = path
        self.text = text
        guard path.hasSuffix(".swift") else {
            (code, comments, declarations) = ([], [], [])
            return
        }
        var code: [Token] = []
        var comments: [Int: [Token]] = [:]
        for token in Lexer.tokens(text) {
            if token.kind == .comment { comments[code.count, default: []].append(token) } else { code.append(token) }
        }
        self.code = code
        self.comments = comments.sorted { $0.key < $1.key }.flatMap(\.value)
        declarations = DeclarationParser.declarations(code: code, comments: comments)
    }

    var isSwift: Bool { path.hasSuffix(".swift") }

    var name: String { String(path.split(separator: "/").last ?? "") }

    /// The target that holds it: `Bytes` of `Common/Bytes/ByteReader.swift`.
    var room: String {
        let parts = path.split(separator: "/")
        return parts.count > 2 ? String(parts[1]) : String(parts[0])
    }

    /// Whether it is part of what is installed: tests, benchmarks and documents are not.
    var isProduction: Bool {
        ["Common", "Coordinator", "Worker", "Inference", "CommandLine"].contains(path.prefix { $0 != "/" })
    }

    var lines: [Substring] { text.split(separator: "\n", omittingEmptySubsequences: false) }
}
