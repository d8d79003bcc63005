import Testing

/// A switch over an enum of ours names every case: with `default:`, the next case would be taken for something else in
/// silence.
///
/// Types are not known here. A switch is one over our enum when every simple pattern in it is `.name` and one of our
/// enums has all of these names.
@Suite struct DefaultCaseCheck {
    static func findings(in files: [SourceFile]) -> [Finding] {
        var enums: [String: Set<String>] = [:]
        for file in files {
            for declaration in file.declarations where declaration.kind == .case {
                guard let parent = declaration.parents.last, parent.kind == .enum else { continue }
                enums[declaration.parents.map(\.name).joined(separator: "."), default: []].insert(declaration.name)
            }
        }
        return files.filter { $0.isProduction || $0.room == "Simulation" }.flatMap { file in
            switches(in: file).compactMap { found -> Finding? in
                guard let line = found.defaultLine, !found.names.isEmpty, !found.hasOtherPatterns,
                    let name = enums.filter({ $0.value.isSuperset(of: found.names) }).keys.sorted().first
                else { return nil }
                let missing = enums[name]!.subtracting(found.names).sorted().joined(separator: ", ")
                return Finding(file, line: line, "default in a switch over \(name); name its cases: \(missing)")
            }
        }
    }

    private struct Switch {
        var names: Set<String> = []
        var defaultLine: Int?
        var hasOtherPatterns = false
    }

    private static func switches(in file: SourceFile) -> [Switch] {
        var found: [Switch] = []
        /// For each open brace the switch that it opened.
        var scopes: [Switch?] = []
        var opens = false
        var parentheses = 0
        var opening = 0
        let code = file.code
        for index in code.indices {
            let token = code[index]
            if token.isSymbol("(") || token.isSymbol("[") { parentheses += 1 }
            if token.isSymbol(")") || token.isSymbol("]") { parentheses -= 1 }
            if token.isWord("switch"), index == 0 || !code[index - 1].isSymbol(".") {
                (opens, opening) = (true, parentheses)
            }
            if token.isSymbol("{") {
                scopes.append(opens && parentheses == opening ? Switch() : nil)
                if parentheses == opening { opens = false }
            } else if token.isSymbol("}") {
                if let ended = scopes.popLast(), let ended { found.append(ended) }
            } else if let last = scopes.indices.last, scopes[last] != nil {
                if token.isWord("default"), index + 1 < code.count, code[index + 1].isSymbol(":"),
                    !code[index - 1].isSymbol(","), !code[index - 1].isSymbol("(")
                {
                    scopes[last]?.defaultLine = token.line
                } else if token.isWord("case"), index + 1 < code.count,
                    !["if", "guard", "for", "while", ","].contains(code[index - 1].text)
                {
                    read(pattern: index + 1, of: code, into: &scopes[last]!)
                }
            }
        }
        return found
    }

    /// Reads `.a, .b(let x):` from an index on.
    private static func read(pattern start: Int, of code: [Token], into found: inout Switch) {
        var depth = 0
        var begins = true
        for index in start..<code.count {
            let token = code[index]
            if begins {
                begins = false
                if token.isSymbol("."), index + 1 < code.count {
                    found.names.insert(code[index + 1].text)
                } else if token.isWord("let") || token.isWord("var") {
                    begins = true
                } else {
                    found.hasOtherPatterns = true
                }
            }
            if token.isSymbol("(") || token.isSymbol("[") { depth += 1 }
            if token.isSymbol(")") || token.isSymbol("]") { depth -= 1 }
            if depth == 0, token.isSymbol(",") { begins = true }
            if depth == 0, token.isSymbol(":") || token.isWord("where") { return }
        }
    }

    @Test func switchesOverOurEnumsNameEveryCase() {
        Self.findings(in: SourceTree.swift).report()
    }

    @Test func plantedExamplesAreFound() {
        let file = SourceFile(
            path: "Common/A/A.swift",
            text: """
                enum Stage { case list, specs(Int), train }
                func f(_ stage: Stage, _ byte: UInt8, _ other: Foreign) {
                    switch stage {
                    case .list: break
                    default: break
                    }
                    switch stage {
                    case .list, .specs: break
                    case .train: if byte == 1 { return }; counts["a", default: 0] += 1
                    }
                    switch byte {
                    case 1: break
                    default: break
                    }
                    switch other {
                    case .unknown(let x): break
                    default: switch stage { case let .specs(n): break; default: break }
                    }
                }
                """)
        #expect(Self.findings(in: [file]).map(\.line).sorted() == [5, 17])
    }
}
