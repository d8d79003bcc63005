import Testing

/// Every type, function and initializer with meaning that other rooms see has a documentation comment whose first line
/// is a sentence with a subject.
@Suite struct DocumentationCheck {
    /// Functions of the standard library's protocols: their meaning is the protocol's.
    private static let known: Set<String> = ["==", "<", "hash", "encode", "init", "description", "debugDescription"]

    static func findings(in files: [SourceFile]) -> [Finding] {
        files.filter(\.isProduction).flatMap { file in
            file.declarations.flatMap { declaration -> [Finding] in
                fragments(declaration, in: file) + missing(declaration, in: file)
            }
        }
    }

    private static func missing(_ declaration: Declaration, in file: SourceFile) -> [Finding] {
        guard declaration.isPackage, declaration.documentation.isEmpty, !known.contains(declaration.name),
            declaration.kind.isType || declaration.kind == .function || declaration.kind == .typealias,
            !declaration.modifiers.contains("override")
        else { return [] }
        return [
            Finding(
                file, line: declaration.lines.lowerBound,
                """
                \(declaration.kind.rawValue) \(declaration.name) has no documentation comment; say what it is or \
                returns, with shapes, units, ranges and errors
                """
            )
        ]
    }

    /// Summaries that lean on the declaration's name for their subject.
    private static func fragments(_ declaration: Declaration, in file: SourceFile) -> [Finding] {
        guard let first = declaration.documentation.first else { return [] }
        let words = first.text.drop { $0 == "/" || $0 == "*" || $0 == " " }.split(separator: " ")
        guard let opening = words.first, ["Of", "With", "From", "To", "By"].contains(opening), words.count < 6 else {
            return []
        }
        return [
            Finding(
                file, line: first.line,
                """
                the summary of \(declaration.name) is a fragment that begins with \"\(opening)\"; begin with what \
                it is
                """
            )
        ]
    }

    @Test func everythingThatOtherRoomsSeeIsDocumented() {
        Self.findings(in: SourceTree.swift).report()
    }

    @Test func plantedExamplesAreFound() {
        let file = SourceFile(
            path: "Common/Bytes/Example.swift",
            text: """
                package struct Bare { package func bare() {} }
                /// A documented one.
                package struct Good: Equatable {
                    /// Of training.
                    package var round: Int
                    package static func == (a: Good, b: Good) -> Bool { true }
                    /// Counts.
                    @discardableResult
                    package mutating func count() -> Int { 1 }
                    func hidden() {}
                }
                /// What can be asked.
                package protocol Asked {
                    func undocumented()
                }
                """)
        #expect(Self.findings(in: [file]).map(\.line) == [1, 1, 4, 14])
    }
}
