/// One lexical element of a Swift file.
struct Token: Equatable {
    enum Kind { case word, number, string, symbol, comment }

    var kind: Kind
    /// The spelling; of a string literal the characters between the quotes, up to an interpolation.
    var text: String
    /// Counted from 1.
    var line: Int

    /// Whether it is this bracket, operator or punctuation mark.
    func isSymbol(_ text: String) -> Bool { kind == .symbol && self.text == text }

    func isWord(_ text: String) -> Bool { kind == .word && self.text == text }

    var isDocComment: Bool { kind == .comment && (text.hasPrefix("///") || text.hasPrefix("/**")) }
}
