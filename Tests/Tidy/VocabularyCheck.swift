import Testing

/// One word, one meaning: words of an older dialect do not come back, in code, comments, strings, scripts or documents.
///
/// An identifier counts by its parts (`lendTask` has `lend`). A line that must keep a published name, and the line
/// below it, pass with a comment that contains "old spelling".
@Suite struct VocabularyCheck {
    /// Words, and phrases of words, with what to write.
    private static let words: [String: String] = table([
        "lend lends lent lending loan loans": "assign, assignment",
        "borrower borrowers": "candidate, or the worker that holds the assignment",
        "guilty guilt convict convicts convicted": "poison task, quarantine",
        "killer killers": "crash count",
        "pardon pardons pardoned": "clear, cleared",
        "blame blames blamed": "attribute the failure",
        "outrun outran": "straggler, superseded",
        "setback setbacks": "task failure",
        "hello": "join", "goodbye": "leave", "beat beats": "heartbeat", "dismissed dismisses dismiss": "drained",
        "say says said saying tell tells told telling": "log, report, declare, state, send or show, as it means",
        "hear hears heard": "receive, handle",
        "place places": "replica, index, offset or path, as it means",
        "believable": "plausible",
        "roomy": "workersWithCapacity",
        "trouble troubles": "failure, error",
        "passport passports": "RequestCredentials",
        "verdict verdicts": "decision",
        "judge judges judged": "check, decide",
        "intake": "ReadResources",
        "refuse refuses refused refusal refusing": "reject, unsupported",
        "anew": "again, new",
    ])

    private static let phrases: [[String]: String] = [
        ["set", "aside"]: "quarantine", ["sets", "aside"]: "quarantine",
        ["makes", "no", "sense"]: "is invalid: with expected and found",
        ["make", "no", "sense"]: "is invalid: with expected and found",
        ["stands", "twice"]: "is duplicated", ["the", "ways", "of"]: "flow",
    ]

    /// Where a word is the usual one.
    private static let idioms: [[String]] = [
        ["in", "place"], ["decimal", "places"], ["take", "place"], ["takes", "place"], ["connection", "refused"],
        ["connections", "refused"], ["refused", "connection"], ["refused", "connections"],
    ]

    /// Whole identifiers.
    private static let identifiers: [String: String] = [
        "FormatError": "InputError", "BlockCache": "RangeCache", "FileCache": "GrantCache",
        "Standing": "ReplicaScore", "TrainingManifest": "DataPlan and TrainingPlan",
    ]

    private struct Word {
        var text: String
        var line: Int
        var isIdentifier: Bool
    }

    static func findings(in files: [SourceFile]) -> [Finding] {
        files.filter { !$0.path.hasPrefix("Tests/Tidy/") }.flatMap(check)
    }

    private static func check(_ file: SourceFile) -> [Finding] {
        let kept = linesWithOldSpelling(file)
        let words = words(of: file)
        let parts = words.flatMap { word in
            camelParts(word.text).map { Word(text: $0.lowercased(), line: word.line, isIdentifier: word.isIdentifier) }
        }
        var found: [Finding] = []
        for word in words where !kept.contains(word.line) {
            if let replacement = identifiers[word.text] ?? bound(word) {
                found.append(Finding(file, line: word.line, "\"\(word.text)\": write \(replacement)"))
            }
        }
        for index in parts.indices where !kept.contains(parts[index].line) {
            if let replacement = Self.words[parts[index].text], !isIdiom(parts, at: index) {
                found.append(Finding(file, line: parts[index].line, "\"\(parts[index].text)\": write \(replacement)"))
            }
            for (phrase, replacement) in phrases where parts[index...].prefix(phrase.count).map(\.text) == phrase {
                let text = phrase.joined(separator: " ")
                found.append(Finding(file, line: parts[index].line, "\"\(text)\": write \(replacement)"))
            }
        }
        return found.sorted { $0.line < $1.line }
    }

    /// `readsMost` and `mostReads`, `leastSize`: limits are `max…` and `min…`.
    private static func bound(_ word: Word) -> String? {
        guard word.isIdentifier else { return nil }
        let parts = camelParts(word.text)
        guard parts.count > 1, let first = parts.first, let last = parts.last else { return nil }
        guard first != "at", !parts.dropLast().contains("At") else { return nil }
        if first == "most" || last == "Most" { return "max…" }
        if first == "least" || last == "Least" { return "min…" }
        return nil
    }

    private static func isIdiom(_ parts: [Word], at index: Int) -> Bool {
        idioms.contains { idiom in
            idiom.indices.contains { offset in
                idiom[offset] == parts[index].text && index >= offset
                    && parts[(index - offset)...].prefix(idiom.count).map(\.text) == idiom
            }
        }
    }

    private static func linesWithOldSpelling(_ file: SourceFile) -> Set<Int> {
        var kept: Set<Int> = []
        for (index, line) in file.lines.enumerated() where line.lowercased().contains("old spelling") {
            kept.formUnion([index + 1, index + 2])
        }
        return kept
    }

    private static func words(of file: SourceFile) -> [Word] {
        guard file.isSwift else { return prose(file.text, from: 1, isIdentifier: true) }
        return (file.code + file.comments).sorted { $0.line < $1.line }.flatMap { token -> [Word] in
            switch token.kind {
            case .word: [Word(text: token.text, line: token.line, isIdentifier: true)]
            case .string, .comment: prose(token.text, from: token.line, isIdentifier: false)
            case .number, .symbol: []
            }
        }
    }

    private static func prose(_ text: String, from line: Int, isIdentifier: Bool) -> [Word] {
        text.split(separator: "\n", omittingEmptySubsequences: false).enumerated().flatMap { offset, part in
            part.split { !$0.isLetter && $0 != "_" }.flatMap { $0.split(separator: "_") }
                .map { Word(text: String($0), line: line + offset, isIdentifier: isIdentifier) }
        }
    }

    /// `lendTask` -> `lend`, `Task`.
    private static func camelParts(_ word: String) -> [String] {
        var parts: [String] = []
        for character in word {
            if character == "_" { continue }
            let startsPart = character.isUppercase && !(parts.last?.last?.isUppercase ?? false)
            if parts.isEmpty || startsPart {
                parts.append(String(character))
            } else {
                parts[parts.count - 1].append(character)
            }
        }
        return parts
    }

    private static func table(_ groups: [String: String]) -> [String: String] {
        var table: [String: String] = [:]
        for (words, replacement) in groups {
            for word in words.split(separator: " ") { table[String(word)] = replacement }
        }
        return table
    }

    @Test func theOldDialectDoesNotComeBack() {
        Self.findings(in: SourceTree.files).report()
    }

    @Test func plantedExamplesAreFound() {
        let file = SourceFile(
            path: "Common/A/A.swift",
            text: """
                /// Lends a task, in place.
                func lendTask(readsMost: Int) {
                    log("the site tells a size")
                }
                // Old spelling, accepted for ever.
                let hello = "hello"
                let placeholder = 1  // placement is another word
                struct FormatError {}
                // it makes no sense, at most
                """)
        #expect(Self.findings(in: [file]).map(\.line) == [1, 2, 2, 3, 8, 9])
        let page = SourceFile(path: "docs/a.md", text: "The way.\nA chunk is lent.\n")
        #expect(Self.findings(in: [page]).map(\.message) == ["\"lent\": write assign, assignment"])
    }
}
