import Testing

/// The checks see code as the compiler does: strings, comments and nesting apart.
@Suite struct LexerTests {
    @Test func codeIsToldFromStringsAndComments() {
        let tokens = Lexer.tokens(
            ##"""
            // a comment with "quotes"
            let a = "text \(value("inner")) more" /* block /* nested */ "x" */ + #"raw \(no) \#(yes)"#
            let `default` = 0x1F + 1.5e3
            """##)
        func texts(_ kind: Token.Kind) -> [String] { tokens.filter { $0.kind == kind }.map(\.text) }
        #expect(texts(.word) == ["let", "a", "value", "yes", "let", "default"])
        #expect(texts(.string) == ["text ", "inner", " more", "raw \\(no) ", ""])
        #expect(texts(.number) == ["0x1F", "1.5e3"])
        #expect(texts(.comment).count == 2)
        #expect(tokens.last?.line == 3)
    }

    @Test func multilineStringsCountLines() {
        let tokens = Lexer.tokens("let a = \"\"\"\n  one \\(x)\n  \"two\"\n  \"\"\"\nlet b = 1")
        #expect(tokens.filter { $0.kind == .word }.map(\.line) == [1, 1, 2, 5, 5])
    }

    @Test func declarationsKnowTheirScopesAndLines() {
        let file = SourceFile(
            path: "Common/A/A.swift",
            text: """
                /// Documented.
                @frozen package struct A<T>: Sendable where T: Equatable {
                    private(set) var x = run { 1 }, y = 2
                    package init(x: Int = { 3 }()) { let local = x; self.x = local }
                    enum B { case one, two(Int), three }
                    func f() throws(E) -> Int {
                        struct Local { var z: Int }
                        return 1
                    }
                    subscript(i: Int) -> Int { get { i } }
                }
                extension A.B: P { static func == (a: B, b: B) -> Bool { true } }
                """)
        let found = file.declarations.map {
            "\($0.kind.rawValue) \($0.name) \($0.lines.lowerBound)-\($0.lines.upperBound)"
        }
        #expect(
            found == [
                "struct A 2-11", "property x 3-3", "init init 4-4", "enum B 5-5", "case one 5-5", "case two 5-5",
                "case three 5-5", "func f 6-9", "subscript subscript 10-10", "extension A.B 12-12", "func == 12-12",
            ])
        #expect(file.declarations[0].documentation.map(\.text) == ["/// Documented."])
        #expect(file.declarations[0].isPackage && file.declarations[0].attributes == ["frozen"])
        #expect(file.declarations[1].isPrivate)
    }

    @Test func theTreeIsSeen() {
        #expect(SourceTree.swift.count > 150)
        #expect(SourceTree.files.contains { $0.path == "README.md" })
        #expect(SourceTree.swift.map(\.declarations.count).reduce(0, +) > 3000)
    }
}
