/// Cuts Swift text into tokens: enough to tell code from comments and strings, and to match brackets. Regex literals
/// are not understood.
struct Lexer {
    private let bytes: [UInt8]
    private var position = 0
    private var line = 1
    private var tokens: [Token] = []

    static func tokens(_ text: String) -> [Token] {
        var lexer = Lexer(bytes: Array(text.utf8))
        lexer.lex(untilClosingParenthesis: false)
        return lexer.tokens
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    private func peek(_ ahead: Int = 0) -> UInt8 {
        position + ahead < bytes.count ? bytes[position + ahead] : 0
    }

    private func startsWith(_ text: String) -> Bool {
        bytes[position...].starts(with: text.utf8)
    }

    private mutating func lex(untilClosingParenthesis: Bool) {
        var depth = 0
        while position < bytes.count {
            let byte = bytes[position]
            switch byte {
            case UInt8(ascii: "\n"):
                line += 1
                position += 1
            case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"): position += 1
            case UInt8(ascii: "/") where peek(1) == UInt8(ascii: "/"): lineComment()
            case UInt8(ascii: "/") where peek(1) == UInt8(ascii: "*"): blockComment()
            case UInt8(ascii: "\""): string(hashes: 0)
            case UInt8(ascii: "#") where rawStringHashes() > 0: string(hashes: rawStringHashes())
            case UInt8(ascii: "`"):
                position += 1
                word()
                position += 1
            case UInt8(ascii: "0")...UInt8(ascii: "9"): number()
            case let byte where Self.isWord(byte): word()
            case let byte where Self.isOperator(byte): symbol(length: operatorLength())
            case UInt8(ascii: "("):
                depth += 1
                symbol(length: 1)
            case UInt8(ascii: ")"):
                depth -= 1
                if untilClosingParenthesis, depth < 0 { return }
                symbol(length: 1)
            default: symbol(length: 1)
            }
        }
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "$"), 0x80...:
            true
        default: false
        }
    }

    private static func isOperator(_ byte: UInt8) -> Bool { "+-*/%<>=!&|^~?".utf8.contains(byte) }

    private func operatorLength() -> Int {
        var length = 1
        while Self.isOperator(peek(length)) { length += 1 }
        return length
    }

    private mutating func emit(_ kind: Token.Kind, from start: Int, to end: Int, line: Int) {
        tokens.append(Token(kind: kind, text: String(decoding: bytes[start..<end], as: UTF8.self), line: line))
    }

    private mutating func symbol(length: Int) {
        emit(.symbol, from: position, to: position + length, line: line)
        position += length
    }

    private mutating func word() {
        let start = position
        while Self.isWord(peek()) { position += 1 }
        emit(.word, from: start, to: position, line: line)
    }

    private mutating func number() {
        let start = position
        while Self.isWord(peek()) || peek() == UInt8(ascii: ".") && Self.isWord(peek(1)) { position += 1 }
        emit(.number, from: start, to: position, line: line)
    }

    private mutating func lineComment() {
        let start = position
        while position < bytes.count, bytes[position] != UInt8(ascii: "\n") { position += 1 }
        emit(.comment, from: start, to: position, line: line)
    }

    private mutating func blockComment() {
        let (start, startLine) = (position, line)
        var depth = 0
        repeat {
            if startsWith("/*") {
                depth += 1
                position += 2
            } else if startsWith("*/") {
                depth -= 1
                position += 2
            } else {
                if peek() == UInt8(ascii: "\n") { line += 1 }
                position += 1
            }
        } while depth > 0 && position < bytes.count
        emit(.comment, from: start, to: min(position, bytes.count), line: startLine)
    }

    /// How many `#` open a raw string here; 0 where none does.
    private func rawStringHashes() -> Int {
        var count = 0
        while peek(count) == UInt8(ascii: "#") { count += 1 }
        return peek(count) == UInt8(ascii: "\"") ? count : 0
    }

    private mutating func string(hashes: Int) {
        position += hashes
        let quote = startsWith("\"\"\"") ? "\"\"\"" : "\""
        position += quote.utf8.count
        let end = quote + String(repeating: "#", count: hashes)
        let escape = "\\" + String(repeating: "#", count: hashes)
        var (start, startLine) = (position, line)
        while position < bytes.count, !startsWith(end) {
            if startsWith(escape + "(") {
                emit(.string, from: start, to: position, line: startLine)
                position += escape.utf8.count + 1
                lex(untilClosingParenthesis: true)
                position += 1
                (start, startLine) = (position, line)
            } else if startsWith(escape) {
                position += escape.utf8.count
                if peek() == UInt8(ascii: "\n") { line += 1 }
                position += 1
            } else {
                if peek() == UInt8(ascii: "\n") { line += 1 }
                position += 1
            }
        }
        emit(.string, from: start, to: min(position, bytes.count), line: startLine)
        position += end.utf8.count
    }
}
