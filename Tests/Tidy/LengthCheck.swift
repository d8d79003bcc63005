import Testing

/// Functions stay under 70 lines, files at 500, and lines at 120 columns.
@Suite struct LengthCheck {
    static let functionLines = 69
    static let fileLines = 500
    static let columns = 120

    static func findings(in files: [SourceFile]) -> [Finding] {
        files.flatMap { file in functions(in: file) + lines(in: file) }
    }

    private static func functions(in file: SourceFile) -> [Finding] {
        file.declarations.compactMap { declaration in
            switch declaration.kind {
            case .function, .initializer, .subscript, .property: break
            case .struct, .class, .enum, .actor, .protocol, .extension, .typealias, .associatedtype, .case: return nil
            }
            guard declaration.lines.count > functionLines else { return nil }
            return Finding(
                file, line: declaration.lines.lowerBound,
                "\(declaration.name) has \(declaration.lines.count) lines, at most \(functionLines) are allowed")
        }
    }

    private static func lines(in file: SourceFile) -> [Finding] {
        let lines = file.lines
        var found: [Finding] = []
        if lines.count > fileLines + 1 {
            found.append(
                Finding(file, line: 1, "the file has \(lines.count - 1) lines, at most \(fileLines) are allowed"))
        }
        guard !file.path.hasSuffix(".md") else { return found }
        for (index, line) in lines.enumerated() where line.count > columns {
            found.append(
                Finding(file, line: index + 1, "\(line.count) columns, at most \(columns) are allowed"))
        }
        return found
    }

    @Test func nothingIsTooLong() {
        Self.findings(in: SourceTree.files).report()
    }

    @Test func plantedExamplesAreFound() {
        let long = "func long() {\n" + String(repeating: "    call()\n", count: 68) + "}\n"
        let fine = "func fine() {\n" + String(repeating: "    call()\n", count: 67) + "}\n"
        let wide = "let text = \"" + String(repeating: "x", count: 108) + "\"\n"
        #expect(
            Self.findings(in: [SourceFile(path: "Common/A/A.swift", text: fine + long + wide)]).map(\.line) == [
                70, 140,
            ])
        let file = SourceFile(path: "docs/a.py", text: String(repeating: "\n", count: 501))
        #expect(Self.findings(in: [file]).count == 1)
    }
}
