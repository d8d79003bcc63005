/// Finds the declarations of a file from its tokens.
struct DeclarationParser {
    private enum Scope {
        case type(Int)
        case code
    }

    /// All tokens but comments.
    private let code: [Token]
    /// For each token of `code`, the comments right before it.
    private let comments: [Int: [Token]]
    private var found: [Declaration] = []
    private var scopes: [(scope: Scope, owner: Int?)] = []
    /// The declaration whose body the next brace outside of parentheses opens.
    private var open: (declaration: Int, parentheses: Int)?
    private var parentheses = 0

    static func declarations(code: [Token], comments: [Int: [Token]]) -> [Declaration] {
        var parser = DeclarationParser(code: code, comments: comments)
        parser.parse()
        return parser.found
    }

    private init(code: [Token], comments: [Int: [Token]]) {
        self.code = code
        self.comments = comments
    }

    private var isDeclarationScope: Bool {
        guard let last = scopes.last else { return true }
        return switch last.scope {
        case .type: true
        case .code: false
        }
    }

    private var parents: [Declaration.Parent] {
        scopes.compactMap { scope -> Declaration.Parent? in
            guard case .type(let index) = scope.scope else { return nil }
            return Declaration.Parent(
                kind: found[index].kind, name: found[index].name, modifiers: found[index].modifiers)
        }
    }

    private mutating func parse() {
        for index in code.indices {
            let token = code[index]
            switch token.kind {
            case .symbol: bracket(token, at: index)
            case .word where isDeclarationScope && parentheses == 0: keyword(token.text, at: index)
            case .word, .number, .string, .comment: break
            }
        }
        close(at: code.count)
    }

    private mutating func bracket(_ token: Token, at index: Int) {
        switch token.text {
        case "(", "[": parentheses += 1
        case ")", "]": parentheses -= 1
        case "{":
            if let open, open.parentheses == parentheses {
                found[open.declaration].hasBody = true
                found[open.declaration].header = found[open.declaration].header.lowerBound..<index
                let kind = found[open.declaration].kind
                scopes.append(
                    (kind.isType || kind == .extension ? .type(open.declaration) : .code, open.declaration))
                self.open = nil
            } else {
                scopes.append((.code, nil))
            }
        case "}":
            close(at: index)
            if let owner = scopes.popLast()?.owner {
                found[owner].lines = found[owner].lines.lowerBound...token.line
            }
        default: break
        }
    }

    /// Ends a declaration without a body.
    private mutating func close(at index: Int) {
        guard let open else { return }
        found[open.declaration].header = found[open.declaration].header.lowerBound..<index
        self.open = nil
    }

    private mutating func keyword(_ word: String, at index: Int) {
        let previous = index > 0 ? code[index - 1] : nil
        guard previous?.isSymbol(".") != true, previous?.isWord("import") != true, index + 1 < code.count else {
            return
        }
        let next = code[index + 1]
        switch word {
        case "func": add(.function, name: next.text, at: index)
        case "init" where next.isSymbol("(") || next.isSymbol("?") || next.isSymbol("<"):
            add(.initializer, name: word, at: index)
        case "deinit": add(.initializer, name: word, at: index)
        case "subscript" where next.isSymbol("(") || next.isSymbol("<"): add(.subscript, name: word, at: index)
        case "var", "let": property(at: index)
        case "case": cases(at: index)
        case "struct", "enum", "protocol", "extension", "typealias", "associatedtype":
            add(Declaration.Kind(rawValue: word)!, name: qualifiedName(at: index + 1), at: index)
        case "class", "actor":
            guard next.kind == .word, !["func", "var", "let", "subscript", "init"].contains(next.text) else { return }
            add(word == "class" ? .class : .actor, name: next.text, at: index)
        default: break
        }
    }

    private func qualifiedName(at index: Int) -> String {
        var name = code[index].text
        var next = index + 1
        while next + 1 < code.count, code[next].isSymbol("."), code[next + 1].kind == .word {
            name += "." + code[next + 1].text
            next += 2
        }
        return name
    }

    private mutating func property(at index: Int) {
        if index > 0, ["if", "guard", "while", "case", "for"].contains(code[index - 1].text) { return }
        if code[index + 1].isSymbol("(") {
            var next = index + 2
            while next < code.count, !code[next].isSymbol(")") {
                if code[next].kind == .word, code[next].text != "_" {
                    add(.property, name: code[next].text, at: index)
                }
                next += 1
            }
        } else if code[index + 1].kind == .word, code[index + 1].text != "_" {
            add(.property, name: code[index + 1].text, at: index)
        }
    }

    private mutating func cases(at index: Int) {
        guard case .type(let owner)? = scopes.last?.scope, found[owner].kind == .enum else { return }
        var next = index + 1
        var depth = 0
        var expectsName = true
        while next < code.count {
            let token = code[next]
            if token.isSymbol("(") || token.isSymbol("[") { depth += 1 }
            if token.isSymbol(")") || token.isSymbol("]") { depth -= 1 }
            if depth < 0 || token.isSymbol("}") { break }
            if depth == 0 {
                if expectsName, token.kind == .word {
                    add(.case, name: token.text, at: index)
                    expectsName = false
                } else if token.isSymbol(",") {
                    expectsName = true
                } else if !expectsName, token.kind == .word || token.isSymbol("@") {
                    break
                }
            }
            next += 1
        }
        close(at: next)
    }

    private mutating func add(_ kind: Declaration.Kind, name: String, at index: Int) {
        close(at: index)
        var start = index
        var modifiers: Set<String> = []
        var attributes: Set<String> = []
        while let step = prefix(endingAt: start - 1) {
            if step.isAttribute { attributes.insert(step.name) } else { modifiers.insert(step.name) }
            start = step.start
        }
        open = (found.count, parentheses)
        found.append(
            Declaration(
                kind: kind, name: name, modifiers: modifiers, attributes: attributes, comments: comments[start] ?? [],
                lines: code[start].line...max(code[start].line, code[index].line), header: index..<code.count,
                hasBody: false, parents: parents))
    }

    private static let modifiers: Set<String> = [
        "package", "public", "internal", "private", "fileprivate", "static", "class", "final", "mutating",
        "nonmutating",
        "override", "lazy", "weak", "unowned", "convenience", "required", "indirect", "nonisolated", "isolated",
        "consuming", "borrowing", "prefix", "postfix", "infix", "optional", "dynamic", "open",
    ]

    /// The modifier or attribute whose last token is this one.
    private func prefix(endingAt index: Int) -> (name: String, start: Int, isAttribute: Bool)? {
        guard index >= 0 else { return nil }
        var last = index
        if code[index].isSymbol(")") {
            var depth = 0
            repeat {
                if code[last].isSymbol(")") { depth += 1 }
                if code[last].isSymbol("(") { depth -= 1 }
                last -= 1
            } while depth > 0 && last >= 0
        }
        guard last >= 0, code[last].kind == .word else { return nil }
        if last > 0, code[last - 1].isSymbol("@") { return (code[last].text, last - 1, true) }
        guard Self.modifiers.contains(code[last].text), index == 0 || !code[last].isSymbol(".") else { return nil }
        if last != index,
            !["private", "fileprivate", "package", "internal", "unowned", "nonisolated"].contains(code[last].text)
        {
            return nil
        }
        return (code[last].text, last, false)
    }
}
