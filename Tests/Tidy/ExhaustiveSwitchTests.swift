import Foundation
import Testing

/// No `default:` over an enum of ours: a case that is added later must not compile until every switch says what it means.
@Suite struct ExhaustiveSwitchTests {
    @Test func noSwitchOverAnEnumOfOursHasADefault() {
        let sources = LayerTests.sources(also: ["Tests/Simulation"]).filter { !$0.path.hasSuffix(".pb.swift") }
        let enums = sources.flatMap { SwitchScanner($0.text).enums() }
        #expect(enums.count > 40)
        for source in sources {
            for found in SwitchScanner(source.text).defaults(over: enums) {
                Issue.record("\(source.path):\(found.line): a `default:` over our enum \(found.name); name its cases")
            }
        }
    }

    private static let declaration = """
        enum Stage: String { case list, survey; case done(Int)
            var isFirst: Bool { switch self { case .list: true; case .survey, .done: false } } }
        """

    @Test(arguments: [
        ("switch stage { case .list: 1\n default: 2 }", 1),
        ("switch (a, b) { case (.list, 1): 1\n default: 2 }", 1),
        ("switch stage { case .done(let n) where n > 1, .list:\n x()\n default: break }", 1),
        ("switch stage { case Stage.list: 1\n default: 2 }", 1),
        ("switch stage { case .list: 1\n case .survey, .done: 2 }", 0),
        ("switch name { case \".list: default:\": 1\n default: 2 }", 0),
        ("switch stage { case .list: switch n { case 1: 2\n default: 3 }\n case .survey, .done: 4 }", 0),
        ("switch foreign { case .list: 1\n case .other: 2\n default: 3 }", 0),
        ("// switch stage { case .list: 1 default: 2 }", 0),
    ])
    func thePlantedOnesAreFound(text: String, count: Int) {
        let enums = SwitchScanner(Self.declaration).enums()
        #expect(enums.count == 1 && enums.first?.cases == ["list", "survey", "done"])
        #expect(SwitchScanner(text).defaults(over: enums).count == count, "\(text)")
    }
}

/// Finds enums and switches in Swift text, without a parser: comments and literals are blanked, then brackets are counted.
struct SwitchScanner {
    struct Enumeration: Sendable {
        var name: String
        var cases: Set<String>
    }

    private let text: [Character]

    init(_ source: String) { text = Self.blanked(Array(source)) }

    // MARK: Enums

    func enums() -> [Enumeration] {
        words("enum").compactMap { start in
            guard let name = word(after: start + 4), let body = body(from: name.end) else { return nil }
            var cases: Set<String> = []
            for position in topLevel(body) where isWord("case", at: position) {
                let line = text[(position + 4)..<(endOfCases(position + 4, body.upperBound))]
                cases.formUnion(Self.parts(line).compactMap(Self.leadingName))
            }
            return Enumeration(name: name.text, cases: cases)
        }
    }

    /// Where a list of declared cases ends: at a line's end that no comma or open bracket goes over, or at a semicolon.
    private func endOfCases(_ start: Int, _ end: Int) -> Int {
        var depth = 0
        var last: Character = ","
        for index in start..<end {
            let character = text[index]
            if "([{".contains(character) { depth += 1 }
            if ")]}".contains(character) { depth -= 1 }
            if depth == 0, character == ";" || character == "\n" && last != "," { return index }
            if !character.isWhitespace { last = character }
        }
        return end
    }

    // MARK: Switches

    /// The switches with a `default` whose patterns are all cases of one enum.
    func defaults(over enums: [Enumeration]) -> [(line: Int, name: String)] {
        words("switch").compactMap { start in
            guard let body = body(from: start + 6) else { return nil }
            var columns: [Set<String>] = []
            var fallback: Int?
            for position in topLevel(body) {
                if isWord("default", at: position) { fallback = position }
                guard isWord("case", at: position) else { continue }
                let end = colon(from: position + 4, body.upperBound)
                for pattern in Self.parts(text[(position + 4)..<end]) {
                    for (index, name) in Self.names(pattern).enumerated() {
                        while columns.count <= index { columns.append([]) }
                        if let name { columns[index].insert(name) }
                    }
                }
            }
            guard let fallback,
                let known = enums.first(where: { known in
                    columns.contains { !$0.isEmpty && $0.isSubset(of: known.cases) }
                })
            else { return nil }
            return (text[..<fallback].count { $0 == "\n" } + 1, known.name)
        }
    }

    private func colon(from start: Int, _ end: Int) -> Int {
        var depth = 0
        for index in start..<end {
            if "([{".contains(text[index]) { depth += 1 }
            if ")]}".contains(text[index]) { depth -= 1 }
            if depth == 0, text[index] == ":" { return index }
        }
        return end
    }

    /// The case that each element of a pattern names; nil for an element that names none.
    private static func names(_ pattern: ArraySlice<Character>) -> [String?] {
        var pattern = trimmed(pattern)
        if pattern.first == "(", pattern.last == ")" { return parts(pattern.dropFirst().dropLast()).map(caseName) }
        if let condition = String(pattern).range(of: " where ") {
            pattern = Array(String(pattern)[..<condition.lowerBound])[...]
        }
        return [caseName(pattern)]
    }

    private static func caseName(_ pattern: ArraySlice<Character>) -> String? {
        var pattern = trimmed(pattern)
        for keyword in ["let ", "var "] where String(pattern).hasPrefix(keyword) { pattern = pattern.dropFirst(4) }
        guard let dot = pattern.firstIndex(of: "."),
            pattern[..<dot].allSatisfy({ $0.isLetter || $0.isNumber || $0 == "_" })
        else { return nil }
        return leadingName(pattern[(dot + 1)...])
    }

    // MARK: Text

    private static func leadingName(_ text: ArraySlice<Character>) -> String? {
        let name = trimmed(text).prefix { $0.isLetter || $0.isNumber || $0 == "_" || $0 == "`" }
        return name.isEmpty ? nil : String(name.filter { $0 != "`" })
    }

    private static func trimmed(_ text: ArraySlice<Character>) -> ArraySlice<Character> {
        var text = text.drop(while: \.isWhitespace)
        while text.last?.isWhitespace == true { text = text.dropLast() }
        return text
    }

    /// Splits at the commas outside of brackets.
    private static func parts(_ text: ArraySlice<Character>) -> [ArraySlice<Character>] {
        var found: [ArraySlice<Character>] = []
        var (depth, start) = (0, text.startIndex)
        for index in text.indices {
            if "([{".contains(text[index]) { depth += 1 }
            if ")]}".contains(text[index]) { depth -= 1 }
            if depth == 0, text[index] == "," {
                found.append(text[start..<index])
                start = index + 1
            }
        }
        return found + [text[start...]]
    }

    private func isWordCharacter(_ index: Int) -> Bool {
        text.indices.contains(index) && (text[index].isLetter || text[index].isNumber || "_`.".contains(text[index]))
    }

    private func isWord(_ word: String, at index: Int) -> Bool {
        text[index...].starts(with: word) && !isWordCharacter(index - 1) && !isWordCharacter(index + word.count)
    }

    private func words(_ word: String) -> [Int] {
        text.indices.filter { text[$0] == word.first && isWord(word, at: $0) }
    }

    private func word(after start: Int) -> (text: String, end: Int)? {
        let rest = text[start...].drop(while: \.isWhitespace)
        let name = rest.prefix { $0.isLetter || $0.isNumber || $0 == "_" }
        return name.isEmpty ? nil : (String(name), name.endIndex)
    }

    /// What lies between the next brace outside of parentheses and its partner.
    private func body(from start: Int) -> Range<Int>? {
        var depth = 0
        var open: Int?
        for index in start..<text.count {
            switch text[index] {
            case "(", "[": depth += 1
            case ")", "]": depth -= 1
            case "{":
                if open == nil, depth == 0 { open = index }
                depth += 1
            case "}":
                depth -= 1
                if depth == 0, let open { return open + 1..<index }
            default: break
            }
        }
        return nil
    }

    /// The positions of a body that lie in no inner bracket.
    private func topLevel(_ body: Range<Int>) -> [Int] {
        var depth = 0
        return body.filter { index in
            if "([{".contains(text[index]) { depth += 1 }
            defer { if ")]}".contains(text[index]) { depth -= 1 } }
            return depth == 0
        }
    }

    /// The text with a space in place of each character of comments and string literals.
    private static func blanked(_ text: [Character]) -> [Character] {
        var result = text
        var index = 0
        func has(_ word: String) -> Bool { text[index...].starts(with: word) }
        func blank(until end: String, from length: Int) {
            let start = index
            index += length
            while index < text.count, !has(end) { index += text[index] == "\\" && end.hasPrefix("\"") ? 2 : 1 }
            index = min(text.count, index + (end == "\n" ? 0 : end.count))
            for place in start..<index where text[place] != "\n" { result[place] = " " }
        }
        while index < text.count {
            if has("//") {
                blank(until: "\n", from: 2)
            } else if has("/*") {
                blank(until: "*/", from: 2)
            } else if has("\"\"\"") {
                blank(until: "\"\"\"", from: 3)
            } else if has("\"") {
                blank(until: "\"", from: 1)
            } else {
                index += 1
            }
        }
        return result
    }
}
