import Testing

/// The pure rooms decide from their inputs alone: no clock, no randomness of the system, no waiting, no library that
/// does input or output, and nothing stored whose order differs from run to run.
@Suite struct PureRoomCheck {
    static let rooms: Set<String> = ["Scheduling", "Member", "Session", "Serving", "Sampling"]

    private static let modules: Set<String> = [
        "Foundation", "FoundationEssentials", "Glibc", "Dispatch", "Synchronization", "GRDB", "Logging", "NIOCore",
        "NIOSSL", "GRPCCore", "AsyncHTTPClient", "Hummingbird",
    ]

    private static let words: [String: String] = [
        "await": "a pure machine does not wait", "async": "a pure machine does not wait",
        "Date": "take the time as a parameter", "ContinuousClock": "take the time as a parameter",
        "SuspendingClock": "take the time as a parameter", "DispatchTime": "take the time as a parameter",
        "SystemRandomNumberGenerator": "take a seeded generator", "Task": "a pure machine starts nothing",
        "Thread": "a pure machine starts nothing", "Mutex": "a pure machine is a value",
        "FileHandle": "a pure machine does no input or output", "print": "a pure machine does no input or output",
    ]

    private static let random: Set<String> = ["random", "shuffled", "shuffle", "randomElement"]

    static func findings(in files: [SourceFile]) -> [Finding] {
        files.filter { $0.isProduction && rooms.contains($0.room) }.flatMap { file in
            imports(in: file) + calls(in: file) + stored(in: file)
        }
    }

    private static func imports(in file: SourceFile) -> [Finding] {
        LayerCheck.imports(of: file).filter { modules.contains($0.module) }.map {
            Finding(file, line: $0.line, "a pure room may not import \($0.module)")
        }
    }

    private static func calls(in file: SourceFile) -> [Finding] {
        file.code.indices.compactMap { index in
            let token = file.code[index]
            guard token.kind == .word else { return nil }
            let previous = index > 0 ? file.code[index - 1] : nil
            let next = index + 1 < file.code.count ? file.code[index + 1] : nil
            let isMember = previous?.isSymbol(".") == true || previous?.isWord("case") == true
            if let reason = words[token.text], !isMember, next?.isSymbol(":") != true,
                token.text != "Task" || startsTask(file.code[(index + 1)...])
            {
                return Finding(file, line: token.line, "\(token.text) in a pure room: \(reason)")
            }
            if random.contains(token.text), isMember, next?.isSymbol("(") == true,
                index + 2 < file.code.count,
                !arguments(file.code, from: index + 1).contains(where: { $0.isWord("using") })
            {
                return Finding(file, line: token.line, "\(token.text) in a pure room: give it a seeded generator")
            }
            return nil
        }
    }

    /// Whether what follows the word makes it the concurrency library's: another `Task` may be a machine's own type.
    private static func startsTask(_ rest: ArraySlice<Token>) -> Bool {
        let statics: Set<String> = ["detached", "sleep", "yield", "isCancelled", "checkCancellation", "immediate"]
        guard let next = rest.first else { return false }
        return next.isSymbol("{")
            || (next.isSymbol(".") && rest.dropFirst().first.map { statics.contains($0.text) } ?? false)
    }

    /// The tokens from an opening parenthesis to the one that closes it.
    private static func arguments(_ code: [Token], from start: Int) -> ArraySlice<Token> {
        var depth = 0
        for index in start..<code.count {
            if code[index].isSymbol("(") { depth += 1 }
            if code[index].isSymbol(")") { depth -= 1 }
            if depth == 0 { return code[start...index] }
        }
        return code[start...]
    }

    private static func stored(in file: SourceFile) -> [Finding] {
        file.declarations.compactMap { declaration in
            guard declaration.kind == .property, !declaration.parents.isEmpty,
                !declaration.modifiers.contains("static")
            else { return nil }
            let header = Array(file.code[declaration.header])
            // A computed property has a body and no value.
            if declaration.hasBody, !header.contains(where: { $0.isSymbol("=") }) { return nil }
            let unordered =
                header.contains { $0.isWord("Dictionary") || $0.isWord("Set") } || hasDictionaryType(header)
            guard unordered else { return nil }
            return Finding(
                file, line: declaration.lines.lowerBound,
                """
                \(declaration.name) stores a Dictionary or Set in a pure room; use OrderedDictionary, OrderedSet \
                or a sorted array
                """
            )
        }
    }

    /// Whether there is a `[Key: Value]` in brackets of its own, as a type or as a literal. The empty literal counts
    /// where no type is written: `[:]` may begin an ordered dictionary, too.
    private static func hasDictionaryType(_ header: [Token]) -> Bool {
        var depths: [Bool] = []
        let end = header.firstIndex { $0.isSymbol("=") } ?? header.endIndex
        let isTyped = header[..<end].contains { $0.isSymbol(":") }
        for token in isTyped ? header[..<end] : header[...] {
            switch token.text {
            case "[" where token.kind == .symbol: depths.append(true)
            case "(" where token.kind == .symbol: depths.append(false)
            case "]" where token.kind == .symbol, ")" where token.kind == .symbol: _ = depths.popLast()
            case ":" where token.kind == .symbol && depths.last == true: return true
            default: break
            }
        }
        return false
    }

    @Test func pureRoomsStayPure() {
        Self.findings(in: SourceTree.swift).report()
    }

    @Test func plantedExamplesAreFound() {
        let file = SourceFile(
            path: "Coordinator/Scheduling/A.swift",
            text: """
                import Foundation
                import Cluster
                struct A {
                    var byName: [String: Int] = [:]
                    var seen = Set<Int>()
                    var names: [String] = []
                    var ordered: OrderedDictionary<String, Int> = [:]
                    var state = Task.State.open
                    var count: [String: Int] { [:] }
                    func decide(_ now: Duration) { names.shuffled() }
                    func shuffle(_ random: inout Seeded) { names.shuffled(using: &random) }
                    func wait() async { _ = Date() }
                }
                """)
        #expect(Self.findings(in: [file]).map(\.line).sorted() == [1, 4, 5, 10, 12, 12])
        #expect(Self.findings(in: [SourceFile(path: "Coordinator/Ledger/A.swift", text: file.text)]).isEmpty)
    }
}
