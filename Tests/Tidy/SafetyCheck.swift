import Testing

/// `@unchecked Sendable` and `nonisolated(unsafe)` stand only below a comment that says why they are safe, and nothing
/// in what is installed stops the process by `try!` or `fatalError`.
@Suite struct SafetyCheck {
    static func findings(in files: [SourceFile]) -> [Finding] {
        files.flatMap { file -> [Finding] in
            let reasons = Set(
                file.comments.filter { $0.text.hasPrefix("// SAFETY: ") && $0.text.count > 30 }.map(\.line))
            let commentLines = Set(file.comments.map(\.line))
            return file.code.indices.compactMap { index -> Finding? in
                let token = file.code[index]
                let next = index + 1 < file.code.count ? file.code[index + 1] : nil
                let isPromise =
                    token.isWord("unchecked") && next?.isWord("Sendable") == true
                    || token.isWord("nonisolated") && next?.isSymbol("(") == true
                if isPromise {
                    // Up through the comment block right above the line.
                    var line = token.line - 1
                    while commentLines.contains(line), !reasons.contains(line) { line -= 1 }
                    return reasons.contains(line)
                        ? nil
                        : Finding(
                            file, line: token.line,
                            "\(token.text) needs a comment \"// SAFETY: why no two threads can meet\" right above")
                }
                guard file.isProduction else { return nil }
                if token.isWord("try"), next?.isSymbol("!") == true {
                    return Finding(file, line: token.line, "try! stops the process; handle the error")
                }
                if token.isWord("fatalError"), next?.isSymbol("(") == true {
                    return Finding(
                        file, line: token.line,
                        "fatalError: throw an InputError, or make the state impossible (preconditionFailure)")
                }
                return nil
            }
        }
    }

    @Test func unsafePromisesHaveReasons() {
        Self.findings(in: SourceTree.swift).report()
    }

    @Test func plantedExamplesAreFound() {
        let file = SourceFile(
            path: "Common/A/A.swift",
            text: """
                /// A documented type.
                final class A: @unchecked Sendable {}
                // SAFETY: all state is behind the mutex below.
                /// A documented type.
                final class B: @unchecked Sendable {}
                // SAFETY: short.
                final class C: @unchecked Sendable {}
                let x = try! f()
                """)
        #expect(Self.findings(in: [file]).map(\.line) == [2, 7, 8])
    }
}
